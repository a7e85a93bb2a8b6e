import assert from "node:assert/strict";
import { test } from "node:test";
import type { Histogram, LabelSet, Point } from "../api.ts";
import { linesOf, rowsOf } from "./result.ts";

const metric: LabelSet = { job: "api" };
const histogram: Histogram = { count: "3", sum: "5", buckets: [[0, "1", "2", "3"]] };
const values: Point[] = [
  [10, "1"],
  [30, "2"],
];

test("a row of the table has a series's points in order of time, values and histograms", () => {
  assert.deepEqual(rowsOf([{ metric, value: [10, "1"] }]), [{ metric, points: [[10, "1"]] }]);
  assert.deepEqual(rowsOf([{ metric, histogram: [10, histogram] }]), [
    { metric, points: [[10, histogram]] },
  ]);
  assert.deepEqual(rowsOf([{ metric, values }]), [{ metric, points: values }]);
  assert.deepEqual(rowsOf([{ metric, histograms: [[20, histogram]] }]), [
    { metric, points: [[20, histogram]] },
  ]);
  assert.deepEqual(rowsOf([{ metric, values, histograms: [[20, histogram]] }])[0]?.points, [
    [10, "1"],
    [20, histogram],
    [30, "2"],
  ]);
  assert.deepEqual(rowsOf([{ metric }]), [{ metric, points: [] }]);
});

test("a graph draws the values and counts the series that hold histograms", () => {
  const histograms: [number, Histogram][] = [[20, histogram]];
  assert.deepEqual(
    linesOf([
      { metric, values },
      { metric, histograms },
      { metric, values, histograms },
    ]),
    {
      lines: [
        { metric, values },
        { metric, values },
      ],
      histogramSeriesCount: 2,
    },
  );
  assert.deepEqual(linesOf([]), { lines: [], histogramSeriesCount: 0 });
});

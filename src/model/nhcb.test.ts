import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatTestHistogram } from "./histogram-text.ts";
import { validateIntegerHistogram } from "./histogram-validate.ts";
import { classicHistogramName, ClassicHistogram } from "./nhcb.ts";

function classic(
  buckets: readonly (readonly [le: number, count: number])[],
  totals: { count?: number; sum?: number } = {},
): ClassicHistogram {
  const histogram = new ClassicHistogram();
  for (const [le, count] of buckets) histogram.setBucket(le, count);
  if (totals.count !== undefined) histogram.setCount(totals.count);
  if (totals.sum !== undefined) histogram.setSum(totals.sum);
  return histogram;
}

test("cumulative counts become buckets, in whatever order they come", () => {
  const { histogram, isInteger } = classic(
    [
      [Infinity, 10],
      [0.5, 1],
      [2, 7],
      [1, 3],
    ],
    { count: 10, sum: 12.5 },
  ).convert();
  assert.equal(isInteger, true);
  assert.equal(
    formatTestHistogram(histogram),
    "{{schema:-53 count:10 sum:12.5 custom_values:[0.5 1 2] buckets:[1 2 4 3]}}",
  );
});

test("counts that are not whole make a histogram of floats, without empty buckets", () => {
  const { histogram, isInteger } = classic([
    [1, 0],
    [2, 1.5],
    [3, 1.5],
    [4, 2],
    [Infinity, 2],
  ]).convert();
  assert.equal(isInteger, false);
  assert.deepEqual([...histogram.positiveSpans], [1, 1, 1, 1]);
  assert.deepEqual([...histogram.positiveBuckets], [1.5, 0.5]);
  assert.deepEqual([...histogram.customValues], [1, 2, 3, 4]);
});

test("a histogram of integers keeps up to two empty buckets in a row", () => {
  const { histogram } = classic([
    [1, 1],
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 2],
    [6, 2],
    [7, 2],
    [8, 3],
  ]).convert();
  assert.deepEqual([...histogram.positiveSpans], [0, 4, 3, 1]);
  assert.deepEqual([...histogram.positiveBuckets], [1, 0, 0, 1, 1]);
});

test("what is missing is filled in", () => {
  const text = (c: ClassicHistogram): string => formatTestHistogram(c.convert().histogram);
  assert.equal(text(classic([[1, 2]])), "{{schema:-53 count:2 custom_values:[1] buckets:[2]}}");
  assert.equal(
    text(classic([[1, 2]], { count: 5 })),
    "{{schema:-53 count:5 custom_values:[1] buckets:[2 3]}}",
  );
  assert.equal(
    text(classic([], { count: 5, sum: 3 })),
    "{{schema:-53 count:5 sum:3 custom_values:[] buckets:[5]}}",
  );
  assert.equal(text(classic([])), "{{schema:-53 custom_values:[]}}");
});

test("a bound that comes twice counts once", () => {
  const c = classic([
    [1, 2],
    [1, 9],
    [Infinity, 3],
  ]);
  c.setBucket(1, 1);
  assert.deepEqual([...c.convert().histogram.positiveBuckets], [2, 1]);
});

test("impossible values are refused, and then everything until reset", () => {
  const refuse = (c: ClassicHistogram, act: (c: ClassicHistogram) => void, message: string): void =>
    assert.throws(() => act(c), { code: "bad-data", message });
  const set = (le: number, count: number) => (c: ClassicHistogram) => c.setBucket(le, count);
  refuse(classic([]), set(NaN, 1), "bucket boundary must not be NaN");
  refuse(classic([]), set(1, -1), "bucket count must be non-negative: le=1, count=-1");
  refuse(classic([[1, 5]]), set(2, 4), "count is not cumulative: 4 < 5");
  refuse(
    classic([
      [1, 5],
      [3, 7],
    ]),
    set(2, 4),
    "count is not cumulative: 4 < 5",
  );
  refuse(
    classic([
      [1, 5],
      [3, 7],
    ]),
    set(2, 8),
    "count is not cumulative: 8 > 7",
  );
  refuse(classic([]), (c) => c.setCount(-2), "count must be non-negative: count=-2");
  refuse(
    classic([[Infinity, 3]], { count: 4 }),
    (c) => c.convert(),
    "count mismatch: count=4 != le=+Inf count=3",
  );
  const broken = classic([[1, 5]]);
  refuse(broken, set(2, 4), "count is not cumulative: 4 < 5");
  refuse(broken, (c) => c.setSum(1), "count is not cumulative: 4 < 5");
  refuse(broken, (c) => c.convert(), "count is not cumulative: 4 < 5");
  broken.reset();
  broken.setBucket(1, 1);
  assert.equal(broken.convert().histogram.count, 1);
});

test("property: conversion keeps every count", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat(9), { minLength: 13, maxLength: 13 }),
      (bounds, counts) => {
        const sorted = bounds.toSorted((a, b) => a - b);
        let total = 0;
        const cumulative = new Map(
          [...sorted, Infinity].map((le, i) => [le, (total += counts[i]!)]),
        );
        const { histogram } = classic(
          bounds.map((le) => [le, cumulative.get(le)!] as const),
          { count: total },
        ).convert();
        validateIntegerHistogram(histogram);
        assert.deepEqual([...histogram.customValues], sorted);
      },
    ),
  );
});

test("names of the series of a classic histogram", () => {
  assert.deepEqual(classicHistogramName("a_bucket"), { part: "bucket", base: "a" });
  assert.deepEqual(classicHistogramName("a_sum"), { part: "sum", base: "a" });
  assert.deepEqual(classicHistogramName("a_count"), { part: "count", base: "a" });
  assert.deepEqual(classicHistogramName("a_created"), { part: "none", base: "a_created" });
});

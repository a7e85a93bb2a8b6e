import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CounterResetHint, type FloatHistogram, newHistogram } from "../../model/histogram.ts";
import { multiplyHistogram } from "../../model/histogram-arithmetic.ts";
import { HistogramBlock } from "../../model/histogram-block.ts";
import { blockOf } from "../../model/histogram-block.fixture.ts";
import { histogramsEqual } from "../../model/histogram-equal.ts";
import { Labels } from "../../model/labels.ts";
import { Annotations } from "../annotations.ts";
import type { HistogramSamples, QueryContext } from "../operators/row.ts";
import { histogramChange } from "./histogram-rate.ts";
import { HistogramGrowth } from "./histogram-growth.ts";
import { RangeNotes } from "./range-notes.ts";

function samplesOf(histograms: readonly FloatHistogram[]): HistogramSamples {
  const times = Float64Array.from(histograms, (_, i) => i * 1000);
  return { times, histograms, startTimes: undefined };
}

function notes(): RangeNotes {
  const query = { annotations: new Annotations(), delayedNameRemoval: false };
  const series = {
    labels: Labels.EMPTY,
    dropName: false,
    times: new Float64Array(0),
    values: new Float64Array(0),
    count: 0,
  };
  return new RangeNotes(query as unknown as QueryContext, series, { start: 0, end: 0 });
}

const hints: readonly CounterResetHint[] = ["unknown", "reset", "not_reset", "gauge"];

/** Histograms of one layout whose counts mostly grow. */
const arbitraryRun = fc
  .array(
    fc.record({
      hint: fc.constantFrom(...hints),
      growth: fc.array(fc.integer({ min: -1, max: 4 }), { minLength: 5, maxLength: 5 }),
      isReset: fc.boolean(),
    }),
    { minLength: 2, maxLength: 8 },
  )
  .map((steps) => {
    let counts = [0.1, 1.3, 0, 2.7, 0.5];
    return steps.map(({ hint, growth, isReset }) => {
      counts = counts.map((count, i) => Math.max(0, (isReset ? 0 : count) + growth[i]! * 0.7));
      return newHistogram({
        counterResetHint: hint,
        schema: 1,
        zeroThreshold: 0.001,
        zeroCount: counts[0]!,
        count: counts.reduce((a, b) => a + b, 0),
        sum: counts[3]! * 1.1,
        positiveSpans: Int32Array.of(-1, 2, 3, 1),
        positiveBuckets: Float64Array.from(counts.slice(1, 4)),
        negativeSpans: Int32Array.of(0, 1),
        negativeBuckets: Float64Array.of(counts[4]!),
      });
    });
  });

test("property: histograms of one layout grow as any others do, bit for bit", () => {
  fc.assert(
    fc.property(arbitraryRun, fc.boolean(), (histograms, isCounter) => {
      const samples = samplesOf(histograms);
      const block = blockOf(histograms);
      const growth = new HistogramGrowth(block);
      const result = new HistogramBlock({ isCompact: true });
      result.reset(block.layout, 2);
      for (let low = 0; low < histograms.length - 1; low++)
        for (let high = low + 2; high <= histograms.length; high++) {
          const general = histogramChange({ samples, low, high }, isCounter, notes())!;
          const window = { low, high, isCounter };
          assert.equal(growth.countChange(window), general.count);
          growth.put(window, 1.0526, { into: result, row: 1 });
          const grown = result.at(1);
          assert.ok(histogramsEqual(grown, multiplyHistogram(general, 1.0526)));
          assert.equal(grown.counterResetHint, general.counterResetHint);
        }
      const gauges = histograms.map(({ counterResetHint }) => counterResetHint === "gauge");
      assert.equal(growth.hasGauge(1, histograms.length), gauges.slice(1).includes(true));
      assert.equal(growth.hasGauge(0, 1), gauges[0]);
    }),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CounterResetHint, type FloatHistogram, newHistogram } from "../../model/histogram.ts";
import { multiplyHistogram } from "../../model/histogram-arithmetic.ts";
import { histogramsEqual } from "../../model/histogram-equal.ts";
import { Labels } from "../../model/labels.ts";
import { Annotations } from "../annotations.ts";
import type { HistogramSamples, QueryContext } from "../operators/row.ts";
import { histogramChange } from "./histogram-rate.ts";
import { HistogramRun, scaleInPlace } from "./histogram-run.ts";
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

test("property: a run of one layout changes as any other does, bit for bit", () => {
  fc.assert(
    fc.property(arbitraryRun, fc.boolean(), (histograms, isCounter) => {
      const samples = samplesOf(histograms);
      const run = new HistogramRun(samples);
      for (let low = 0; low < histograms.length - 1; low++)
        for (let high = low + 2; high <= histograms.length; high++) {
          assert.ok(run.isOfOneLayout(low, high));
          const quick = run.change(low, high, isCounter);
          const general = histogramChange({ samples, low, high }, isCounter, notes())!;
          assert.ok(histogramsEqual(quick, general));
          assert.equal(quick.counterResetHint, general.counterResetHint);
          const scaled = multiplyHistogram(general, 1.0526);
          assert.ok(histogramsEqual(scaleInPlace(quick, 1.0526), scaled));
        }
      const gauges = histograms.map(({ counterResetHint }) => counterResetHint === "gauge");
      assert.equal(run.hasGauge(1, histograms.length), gauges.slice(1).includes(true));
    }),
  );
});

test("what the quick way leaves to the general one", () => {
  const plain = {
    count: 3,
    positiveSpans: Int32Array.of(0, 2),
    positiveBuckets: Float64Array.of(1, 2),
  };
  const f = (histograms: readonly FloatHistogram[], want: boolean): void => {
    const run = new HistogramRun(samplesOf(histograms));
    assert.equal(run.isOfOneLayout(0, histograms.length), want);
  };
  const one = newHistogram(plain);
  f([one, one], true);
  f([one, newHistogram({ ...plain, schema: 1 })], false);
  f([one, newHistogram({ ...plain, zeroThreshold: 0.1 })], false);
  f([one, newHistogram({ ...plain, positiveSpans: Int32Array.of(1, 2) })], false);
  f([one, newHistogram({ ...plain, positiveSpans: Int32Array.of(1, 2) }), one], false);
  const within = newHistogram({ ...plain, zeroThreshold: 4 });
  f([within, within], false);
});

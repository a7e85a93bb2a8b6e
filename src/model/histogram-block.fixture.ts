import fc from "fast-check";
import { assert } from "../base/errors.ts";
import { type CounterResetHint, type FloatHistogram, newHistogram } from "./histogram.ts";
import { BlockLayout, HistogramBlock } from "./histogram-block.ts";

const HINT_CODES = { unknown: 0, reset: 1, not_reset: 2, gauge: 3 } as const;

/** A block of histograms that all have the layout of the first. */
export function blockOf(histograms: readonly FloatHistogram[]): HistogramBlock {
  const block = new HistogramBlock();
  const layout = new BlockLayout(histograms[0]!);
  block.reset(layout, histograms.length);
  for (const [row, h] of histograms.entries()) {
    assert(layout.equals(h), "BUG: histograms of a block differ in their layout");
    block.times[row] = row * 1000;
    block.counts[row] = h.count;
    block.zeroCounts[row] = h.zeroCount;
    block.sums[row] = h.sum;
    block.hints[row] = HINT_CODES[h.counterResetHint];
    block.buckets.set(h.positiveBuckets, row * layout.width);
    block.buckets.set(h.negativeBuckets, row * layout.width + layout.positiveCount);
  }
  return block;
}

const LAYOUTS: readonly Partial<FloatHistogram>[] = [
  {
    schema: 1,
    zeroThreshold: 0.001,
    positiveSpans: Int32Array.of(-1, 2, 3, 1),
    negativeSpans: Int32Array.of(0, 1),
  },
  { schema: -1, positiveSpans: Int32Array.of(0, 3), negativeSpans: Int32Array.of(1, 1) },
  { schema: 3, zeroThreshold: 2 ** -40, negativeSpans: Int32Array.of(-2, 1, 1, 3) },
  // The last buckets there are, up to infinity.
  { schema: 0, positiveSpans: Int32Array.of(1021, 4) },
  {
    schema: -53,
    positiveSpans: Int32Array.of(0, 4),
    customValues: Float64Array.of(-2, 0.5, 3),
  },
];

const hints: readonly CounterResetHint[] = ["unknown", "reset", "not_reset", "gauge"];

const arbitraryCount = fc.oneof(
  { weight: 8, arbitrary: fc.double({ min: 0, max: 1000, noNaN: true }) },
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 1e300, Infinity, NaN) },
);

/** Up to eight histograms of one layout. */
export const arbitraryRows: fc.Arbitrary<FloatHistogram[]> = fc
  .record({
    layout: fc.constantFrom(...LAYOUTS),
    rows: fc.array(
      fc.record({
        hint: fc.constantFrom(...hints),
        counts: fc.array(arbitraryCount, { minLength: 6, maxLength: 6 }),
        sum: fc.oneof({ weight: 9, arbitrary: fc.double() }, arbitraryCount),
        missing: fc.constantFrom(0, 0, 0, 2, -1),
      }),
      { minLength: 1, maxLength: 8 },
    ),
  })
  .map(({ layout, rows }) =>
    rows.map(({ hint, counts, sum, missing }) => {
      const isCustom = layout.schema === -53;
      const h = newHistogram({ ...layout, counterResetHint: hint, sum });
      const positiveCount = bucketCount(h.positiveSpans);
      const zeroCount = isCustom ? 0 : counts[5]!;
      const buckets = counts.slice(0, positiveCount + bucketCount(h.negativeSpans));
      return {
        ...h,
        zeroCount,
        count: buckets.reduce((a, b) => a + b, zeroCount) + missing,
        positiveBuckets: Float64Array.from(buckets.slice(0, positiveCount)),
        negativeBuckets: Float64Array.from(buckets.slice(positiveCount)),
      };
    }),
  );

function bucketCount(spans: Int32Array): number {
  return spans.reduce((sum, value, i) => (i % 2 === 0 ? sum : sum + value), 0);
}

import { assert } from "../base/errors.ts";
import type { FloatHistogram } from "./histogram.ts";
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

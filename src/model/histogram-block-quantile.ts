import { exp2 } from "../base/exponential.ts";
import { log2 } from "../base/logarithm.ts";
import { CUSTOM_BUCKETS_SCHEMA, newHistogram } from "./histogram.ts";
import type { BlockLayout, HistogramBlock } from "./histogram-block.ts";
import { BucketCursor } from "./histogram-cursor.ts";
import { histogramQuantile, type QuantileResult } from "./histogram-quantile.ts";

/** Quantiles of rows of blocks: as `histogramQuantile`, but bounds and their logarithms are taken once for a layout. */
export class BlockQuantiles {
  #layout: BlockLayout | undefined;
  /** Of each bucket of a row; the logarithms are those of the distances from zero. */
  #lower = new Float64Array(0);
  #upper = new Float64Array(0);
  #logLower = new Float64Array(0);
  #logUpper = new Float64Array(0);

  of(block: HistogramBlock, row: number, q: number): QuantileResult {
    if (this.#layout !== block.layout) this.#setBounds(block.layout);
    const value = this.#inOneBucket(block, row, q);
    return value === undefined ? histogramQuantile(q, block.at(row)) : { value };
  }

  #setBounds(layout: BlockLayout): void {
    const { width, positiveCount } = layout;
    this.#layout = layout;
    this.#lower = new Float64Array(width);
    this.#upper = new Float64Array(width);
    const cursor = new BucketCursor(
      newHistogram({
        schema: layout.schema,
        zeroThreshold: layout.zeroThreshold,
        positiveSpans: layout.positiveSpans,
        negativeSpans: layout.negativeSpans,
        positiveBuckets: new Float64Array(positiveCount),
        negativeBuckets: new Float64Array(width - positiveCount),
        customValues: layout.customValues,
      }),
    );
    while (cursor.next()) {
      cursor.loadBounds();
      const k = cursor.side === "positive" ? cursor.position : positiveCount + cursor.position;
      this.#lower[k] = cursor.lower;
      this.#upper[k] = cursor.upper;
    }
    this.#logLower = this.#lower.map((bound) => log2(Math.abs(bound)));
    this.#logUpper = this.#upper.map((bound) => log2(Math.abs(bound)));
  }

  /**
   * Fast path: the quantile lies within an ordinary bucket. Undefined for all else: the zero bucket, buckets without an
   * end, observations of NaN, counts that do not add up.
   */
  #inOneBucket(block: HistogramBlock, row: number, q: number): number | undefined {
    const { buckets, layout } = block;
    const { width, positiveCount } = layout;
    const all = block.counts[row]!;
    const sum = block.sums[row]!;
    if (!(q >= 0 && q <= 1) || all === 0 || sum !== sum) return undefined;
    const isAscending = q < 0.5;
    const rank = (isAscending ? q : 1 - q) * all;
    const start = row * width;
    let count = 0;
    // From the far end of one side towards zero, and on to the far end of the other one.
    const inwardEnd = isAscending ? positiveCount : 0;
    for (let k = (isAscending ? width : positiveCount) - 1; k >= inwardEnd; k--) {
      const inBucket = buckets[start + k]!;
      if (inBucket === 0) continue;
      count += inBucket;
      if (count >= rank) return this.#within(k, { count, all, inBucket, rank, isAscending });
    }
    const zeroCount = block.zeroCounts[row]!;
    if (zeroCount > 0) {
      count += zeroCount;
      if (count >= rank) return undefined;
    }
    const outwardEnd = isAscending ? positiveCount : width;
    for (let k = isAscending ? 0 : positiveCount; k < outwardEnd; k++) {
      const inBucket = buckets[start + k]!;
      if (inBucket === 0) continue;
      count += inBucket;
      if (count >= rank) return this.#within(k, { count, all, inBucket, rank, isAscending });
    }
    return undefined;
  }

  /** The value at the rank, which bucket `k` reaches: `count` is what that and all before it hold. */
  #within(
    k: number,
    at: { count: number; all: number; inBucket: number; rank: number; isAscending: boolean },
  ): number | undefined {
    const lower = this.#lower[k]!;
    const upper = this.#upper[k]!;
    const count = Math.min(at.count, at.all);
    if (count < at.rank) return undefined;
    const inRank = at.isAscending ? at.rank - (count - at.inBucket) : count - at.rank;
    const fraction = inRank / at.inBucket;
    if (this.#layout!.schema === CUSTOM_BUCKETS_SCHEMA)
      return lower === -Infinity || upper === Infinity
        ? undefined
        : lower + (upper - lower) * fraction;
    const logLower = this.#logLower[k]!;
    const logUpper = this.#logUpper[k]!;
    if (lower > 0) return exp2(logLower + (logUpper - logLower) * fraction);
    if (upper < 0) return -exp2(logUpper + (logLower - logUpper) * (1 - fraction));
    return undefined;
  }
}

import { isStaleWords } from "../base/float.ts";
import {
  type CounterResetHint,
  CUSTOM_BUCKETS_SCHEMA,
  customBoundsMatch,
  type FloatHistogram,
  histogramSize,
  newHistogram,
  NO_BUCKETS,
  NO_SPANS,
  sizeWithBuckets,
  spanBucketCount,
} from "./histogram.ts";
import { compactHistogram } from "./histogram-arithmetic.ts";
import { sameSpans, startsAbove } from "./histogram-side.ts";
import { newBuckets } from "./histogram-slab.ts";

/**
 * Many histograms of one layout as columns: a histogram is a row, no object.
 *
 *     layout     schema, spans, zero threshold, bounds: once for all rows
 *     times[i]  counts[i]  zeroCounts[i]  sums[i]  hints[i]
 *     buckets   [ ‹row 0: positive counts, negative counts› ‹row 1› … ]     layout.width counts a row
 */

/** What a histogram is but for its counts. */
export interface HistogramShape {
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly positiveSpans: Int32Array;
  readonly negativeSpans: Int32Array;
  readonly customValues: Float64Array;
}

export class BlockLayout implements HistogramShape {
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly positiveSpans: Int32Array;
  readonly negativeSpans: Int32Array;
  readonly customValues: Float64Array;
  readonly positiveCount: number;
  /** Buckets of both sides. */
  readonly width: number;
  /** Whether counts can be taken as they stand: no bucket lies within the zero bucket, and no bound is infinite. */
  readonly isPlain: boolean;

  constructor(shape: HistogramShape) {
    const { positiveSpans, negativeSpans } = shape;
    this.schema = shape.schema;
    this.zeroThreshold = shape.zeroThreshold;
    this.positiveSpans = positiveSpans;
    this.negativeSpans = negativeSpans;
    this.customValues = shape.customValues;
    this.positiveCount = spanBucketCount(positiveSpans);
    const negativeCount = spanBucketCount(negativeSpans);
    this.width = this.positiveCount + negativeCount;
    const isPlainSide = (spans: Int32Array, count: number): boolean =>
      count === 0 || startsAbove({ spans, buckets: NO_BUCKETS }, shape);
    this.isPlain =
      isPlainSide(positiveSpans, this.positiveCount) &&
      (shape.schema === CUSTOM_BUCKETS_SCHEMA
        ? negativeCount === 0 && shape.customValues.every(Number.isFinite)
        : isPlainSide(negativeSpans, negativeCount));
  }

  equals(other: HistogramShape): boolean {
    return (
      this.schema === other.schema &&
      this.zeroThreshold === other.zeroThreshold &&
      sameSpans(this.positiveSpans, other.positiveSpans) &&
      sameSpans(this.negativeSpans, other.negativeSpans) &&
      customBoundsMatch(this.customValues, other.customValues)
    );
  }
}

const EMPTY_LAYOUT = new BlockLayout({
  schema: 0,
  zeroThreshold: 0,
  positiveSpans: NO_SPANS,
  negativeSpans: NO_SPANS,
  customValues: NO_BUCKETS,
});

/** Hints by their codes. */
export const HINTS: readonly CounterResetHint[] = ["unknown", "reset", "not_reset", "gauge"];
export const HINT_UNKNOWN = 0;
export const HINT_RESET = 1;
export const HINT_NOT_RESET = 2;
export const HINT_GAUGE = 3;

export class HistogramBlock {
  layout = EMPTY_LAYOUT;
  size = 0;
  /** Milliseconds; only where the rows are samples. */
  times = NO_BUCKETS;
  counts = NO_BUCKETS;
  zeroCounts = NO_BUCKETS;
  /** The staleness marker's bits make the row stale: nothing else of it counts then. */
  sums = NO_BUCKETS;
  sumWords: Uint32Array = new Uint32Array(0);
  hints: Uint8Array = new Uint8Array(0);
  buckets = NO_BUCKETS;
  /** Whether a bucket of zero is none: for results that Prometheus compacts. */
  isCompact: boolean;

  constructor(options: { isCompact?: boolean } = {}) {
    this.isCompact = options.isCompact === true;
  }

  /** Starts again with `size` rows, whose fields are still to be written. */
  reset(layout: BlockLayout, size: number): void {
    this.layout = layout;
    this.reserve(size);
    this.size = size;
  }

  /** Makes room for `rows` in all; what is there stays. */
  reserve(rows: number): void {
    if (rows > this.counts.length) {
      const capacity = Math.max(rows, 2 * this.counts.length);
      this.times = grown(this.times, capacity);
      this.counts = grown(this.counts, capacity);
      this.zeroCounts = grown(this.zeroCounts, capacity);
      this.sums = grown(this.sums, capacity);
      this.sumWords = new Uint32Array(this.sums.buffer);
      const hints = new Uint8Array(capacity);
      hints.set(this.hints);
      this.hints = hints;
    }
    const counts = rows * this.layout.width;
    if (counts > this.buckets.length)
      this.buckets = grown(this.buckets, Math.max(counts, 2 * this.buckets.length));
  }

  isStale(row: number): boolean {
    const sum = this.sums[row]!;
    return sum !== sum && isStaleWords(this.sumWords, row);
  }

  /** Takes stale rows out. */
  dropStale(): void {
    let kept = 0;
    for (let i = 0; i < this.size; i++) {
      if (this.isStale(i)) continue;
      if (kept !== i) {
        this.times[kept] = this.times[i]!;
        this.copyRow(kept, this, i);
      }
      kept++;
    }
    this.size = kept;
  }

  /** Writes row `row` of `from`, a block of the same layout, to row `into`, for which there is room. */
  copyRow(into: number, from: HistogramBlock, row: number): void {
    this.counts[into] = from.counts[row]!;
    this.zeroCounts[into] = from.zeroCounts[row]!;
    // Words: the marker's bits may not pass through a number.
    this.sumWords[2 * into] = from.sumWords[2 * row]!;
    this.sumWords[2 * into + 1] = from.sumWords[2 * row + 1]!;
    this.hints[into] = from.hints[row]!;
    const { width } = this.layout;
    const source = from.buckets;
    const target = this.buckets;
    for (let k = into * width, j = row * width, end = k + width; k < end; k++, j++)
      target[k] = source[j]!;
  }

  /** A block of its own with the same rows. */
  copy(): HistogramBlock {
    const { size, layout } = this;
    const copy = new HistogramBlock({ isCompact: this.isCompact });
    copy.layout = layout;
    copy.size = size;
    copy.times = this.times.slice(0, size);
    copy.counts = this.counts.slice(0, size);
    copy.zeroCounts = this.zeroCounts.slice(0, size);
    copy.sums = this.sums.slice(0, size);
    copy.sumWords = new Uint32Array(copy.sums.buffer);
    copy.hints = this.hints.slice(0, size);
    copy.buckets = this.buckets.slice(0, size * layout.width);
    return copy;
  }

  /** `histogramSize` of row `row`; spans that compacting would join count each. */
  sizeOf(row: number): number {
    const { width } = this.layout;
    if (this.isStale(row) || (this.isCompact && this.#hasEmptyBucket(row)))
      return histogramSize(this.at(row));
    return sizeWithBuckets(this.layout, width);
  }

  #hasEmptyBucket(row: number): boolean {
    const { width } = this.layout;
    for (let k = row * width, end = k + width; k < end; k++) if (this.buckets[k] === 0) return true;
    return false;
  }

  /** Row `row` as an object of its own. */
  at(row: number): FloatHistogram {
    if (this.isStale(row)) return newHistogram({ sum: this.sums[row]! });
    const { layout } = this;
    const { width, positiveCount } = layout;
    const from = row * width;
    const histogram: FloatHistogram = {
      counterResetHint: HINTS[this.hints[row]!]!,
      schema: layout.schema,
      zeroThreshold: layout.zeroThreshold,
      zeroCount: this.zeroCounts[row]!,
      count: this.counts[row]!,
      sum: this.sums[row]!,
      positiveSpans: layout.positiveSpans,
      negativeSpans: layout.negativeSpans,
      positiveBuckets: this.#slice(from, positiveCount),
      negativeBuckets: this.#slice(from + positiveCount, width - positiveCount),
      customValues: layout.customValues,
    };
    return this.isCompact ? compactHistogram(histogram) : histogram;
  }

  #slice(from: number, count: number): Float64Array {
    const slice = newBuckets(count);
    const { buckets } = this;
    for (let k = 0; k < count; k++) slice[k] = buckets[from + k]!;
    return slice;
  }
}

/** Whether the counter was reset between row `row` and the one before it, as `detectReset` says; the layout is plain. */
export function isResetRow(block: HistogramBlock, row: number): boolean {
  const hint = block.hints[row]!;
  if (hint === HINT_RESET) return true;
  if (hint === HINT_NOT_RESET) return false;
  const { counts, zeroCounts, buckets } = block;
  if (counts[row]! < counts[row - 1]! || zeroCounts[row]! < zeroCounts[row - 1]!) return true;
  const { width } = block.layout;
  for (let k = row * width, end = k + width; k < end; k++)
    if (buckets[k]! < buckets[k - width]!) return true;
  return false;
}

/** The hint of a sum, by codes, as `sumHint` says. */
export function joinedHint(a: number, b: number): number {
  if (a === b) return a;
  return a === HINT_GAUGE || b === HINT_GAUGE ? HINT_GAUGE : HINT_UNKNOWN;
}

function grown(column: Float64Array, capacity: number): Float64Array {
  const larger = new Float64Array(capacity);
  larger.set(column);
  return larger;
}

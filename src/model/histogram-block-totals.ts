import { CUSTOM_BUCKETS_SCHEMA } from "./histogram.ts";
import { type HistogramBlock, joinedHint } from "./histogram-block.ts";
import { sumError } from "./histogram-math.ts";

/** Rows [low, high), at least one, of a block of a plain layout. */
export interface RowRange {
  readonly block: HistogramBlock;
  readonly low: number;
  readonly high: number;
}

/** Kahan sums of neighbouring rows of one block: as `HistogramAccumulator`, but a bucket is added up before the next. */
export class RowTotals {
  /** What the last `put` met: hints of the rows, as bits, and whether a sum became infinite on the way. */
  hintsSeen = 0;
  hasOverflow = false;

  /** Writes the sum of the rows, divided by `divisor`, to a row of a block of the same layout. */
  put(
    { block, low, high }: RowRange,
    divisor: number,
    { into, row }: { into: HistogramBlock; row: number },
  ): void {
    const { hints, layout } = block;
    const { width } = layout;
    this.hasOverflow = false;
    this.hintsSeen = 1 << hints[low]!;
    let hint = hints[low]!;
    for (let i = low + 1; i < high; i++) {
      this.hintsSeen |= 1 << hints[i]!;
      hint = joinedHint(hint, hints[i]!);
    }
    into.hints[row] = hint;
    const column = { from: low, end: high, stride: 1, divisor };
    into.counts[row] = this.#total(block.counts, column);
    into.sums[row] = this.#total(block.sums, column);
    // Custom buckets have no zero bucket: its count is left as it is.
    into.zeroCounts[row] =
      layout.schema === CUSTOM_BUCKETS_SCHEMA
        ? block.zeroCounts[low]! / divisor
        : this.#total(block.zeroCounts, column);
    const buckets = { from: low * width, end: high * width, stride: width, divisor };
    for (let k = row * width, end = k + width; k < end; k++, buckets.from++)
      into.buckets[k] = this.#total(block.buckets, buckets);
  }

  #total(
    column: Float64Array,
    { from, end, stride, divisor }: { from: number; end: number; stride: number; divisor: number },
  ): number {
    let sum = column[from]!;
    if (from + stride >= end) return sum / divisor;
    let error = 0;
    for (let i = from + stride; i < end; i += stride) {
      const increment = column[i]!;
      const total = sum + increment;
      if (total === Infinity || total === -Infinity) {
        error = 0;
        this.hasOverflow = true;
      } else error += sumError(increment, sum, total);
      sum = total;
    }
    return sum / divisor + error / divisor;
  }
}

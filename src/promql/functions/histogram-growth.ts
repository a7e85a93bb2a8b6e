import { HINT_GAUGE, type HistogramBlock, isResetRow } from "../../model/histogram-block.ts";

/** Rows [low, high) of a block, at least two, and how their growth is to be taken. */
export interface RowWindow {
  readonly low: number;
  readonly high: number;
  /** What resets took away is added again. */
  readonly isCounter: boolean;
}

/**
 * How histograms of one plain layout grow over windows. Where resets and gauges are is found once and not again for
 * every window, so a window costs one pass over its buckets, whatever its length; the arithmetic and its order are
 * those of the general way.
 */
export class HistogramGrowth {
  readonly block: HistogramBlock;
  /** Resets up to and including each row, and gauges likewise. */
  readonly #resets: Int32Array;
  readonly #gauges: Int32Array;

  constructor(block: HistogramBlock) {
    const { size, hints } = block;
    this.block = block;
    this.#resets = new Int32Array(size);
    this.#gauges = new Int32Array(size);
    let resets = 0;
    let gauges = 0;
    for (let i = 0; i < size; i++) {
      if (i > 0 && isResetRow(block, i)) resets++;
      if (hints[i] === HINT_GAUGE) gauges++;
      this.#resets[i] = resets;
      this.#gauges[i] = gauges;
    }
  }

  hasGauge(low: number, high: number): boolean {
    return this.#gauges[high - 1]! > (low === 0 ? 0 : this.#gauges[low - 1]!);
  }

  countChange(window: RowWindow): number {
    return this.#change(this.block.counts, window);
  }

  /** Writes last minus first, times `factor`, to a row of a block of the same layout. The result is a gauge. */
  put(
    window: RowWindow,
    factor: number,
    { into, row }: { into: HistogramBlock; row: number },
  ): void {
    const { block } = this;
    into.counts[row] = this.#change(block.counts, window) * factor;
    into.sums[row] = this.#change(block.sums, window) * factor;
    into.zeroCounts[row] = this.#change(block.zeroCounts, window) * factor;
    into.hints[row] = HINT_GAUGE;
    const { width } = block.layout;
    const source = block.buckets;
    const target = into.buckets;
    const start = row * width;
    const end = start + width;
    const last = (window.high - 1) * width;
    const first = window.low * width;
    if (!this.#hasReset(window)) {
      for (let k = start, i = last, j = first; k < end; k++, i++, j++)
        target[k] = (source[i]! - source[j]!) * factor;
      return;
    }
    const from = this.#firstRow(window.low);
    if (from > window.low) target.set(source.subarray(last, last + width), start);
    else
      for (let k = start, i = last, j = first; k < end; k++, i++, j++)
        target[k] = source[i]! - source[j]!;
    for (let i = from + 1; i < window.high; i++) {
      if (this.#resets[i] === this.#resets[i - 1]) continue;
      for (let k = start, j = (i - 1) * width; k < end; k++, j++)
        target[k] = target[k]! + source[j]!;
    }
    for (let k = start; k < end; k++) target[k] = target[k]! * factor;
  }

  #hasReset({ low, high, isCounter }: RowWindow): boolean {
    return isCounter && this.#resets[high - 1]! > this.#resets[low]!;
  }

  /** A first row that was reset right after is left aside. */
  #firstRow(low: number): number {
    return this.#resets[low + 1]! > this.#resets[low]! ? low + 1 : low;
  }

  #change(column: Float64Array, window: RowWindow): number {
    const { low, high } = window;
    const last = column[high - 1]!;
    if (!this.#hasReset(window)) return last - column[low]!;
    const from = this.#firstRow(low);
    let change = from > low ? last : last - column[low]!;
    for (let i = from + 1; i < high; i++)
      if (this.#resets[i]! > this.#resets[i - 1]!) change += column[i - 1]!;
    return change;
  }
}

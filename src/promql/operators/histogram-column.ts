import { type FloatHistogram, histogramSize } from "../../model/histogram.ts";
import type { HistogramBlock } from "../../model/histogram-block.ts";

/**
 * The histograms of a row by step; only those are read whose step says `HISTOGRAM`. They are objects, or rows of a
 * block (row k for step k), which is lent as the row is, or both.
 */
export class HistogramColumn {
  #list: (FloatHistogram | undefined)[] | undefined;
  readonly #block: HistogramBlock | undefined;

  constructor(block?: HistogramBlock) {
    this.#block = block;
  }

  static of(list: (FloatHistogram | undefined)[]): HistogramColumn {
    const column = new HistogramColumn();
    column.#list = list;
    return column;
  }

  /** The block, if it holds all of the histograms. */
  get block(): HistogramBlock | undefined {
    return this.#list === undefined ? this.#block : undefined;
  }

  /** Whether some of the histograms may be rows of `block`. */
  lends(block: HistogramBlock): boolean {
    return this.#block === block;
  }

  at(step: number): FloatHistogram {
    return this.#list?.[step] ?? this.#block!.at(step);
  }

  /** `histogramSize` of the histogram at `step`. */
  sizeOf(step: number): number {
    const histogram = this.#list?.[step];
    return histogram === undefined ? this.#block!.sizeOf(step) : histogramSize(histogram);
  }

  set(step: number, histogram: FloatHistogram): void {
    this.#list ??= [];
    this.#list[step] = histogram;
  }

  /** A column of its own. */
  copy(): HistogramColumn {
    const copy = new HistogramColumn(this.#block?.copy());
    copy.#list = this.#list?.slice();
    return copy;
  }
}

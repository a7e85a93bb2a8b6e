import { type BlockLayout, HistogramBlock } from "../../model/histogram-block.ts";
import { HistogramColumn } from "./histogram-column.ts";
import { HISTOGRAM, putHistogram, type Row } from "./row.ts";

/**
 * Takes the histograms that are computed for one row after the other: those of the layout the row begins with in a block,
 * which is lent until the next row, any others as objects.
 */
export class HistogramAnswers {
  readonly #block: HistogramBlock;
  readonly #aside: HistogramBlock;
  readonly #stepCount: number;
  #row: Row | undefined;

  /** `isCompact`: buckets of zero are to be dropped. */
  constructor(stepCount: number, options: { isCompact: boolean }) {
    this.#block = new HistogramBlock(options);
    this.#aside = new HistogramBlock(options);
    this.#stepCount = stepCount;
  }

  start(row: Row): void {
    this.#row = row;
    row.histograms = undefined;
  }

  /** Where to write the next histogram, which has this layout: row `rowOf(block, step)` of the block. */
  blockFor(layout: BlockLayout): HistogramBlock {
    const row = this.#row!;
    const block = this.#block;
    if (row.histograms === undefined) {
      block.reset(layout, this.#stepCount);
      row.histograms = new HistogramColumn(block);
    }
    // An object that was put before anything else leaves no block to the row.
    if (row.histograms.lends(block) && block.layout === layout) return block;
    this.#aside.reset(layout, 1);
    return this.#aside;
  }

  rowOf(block: HistogramBlock, step: number): number {
    return block === this.#block ? step : 0;
  }

  /** Puts into the row what was written to `block`. */
  put(block: HistogramBlock, step: number): void {
    if (block === this.#block) this.#row!.present[step] = HISTOGRAM;
    else putHistogram(this.#row!, step, block.at(0));
  }

  /** Puts a copy of row `row` of `from` into the row. */
  putCopy(step: number, from: HistogramBlock, row: number): void {
    const block = this.blockFor(from.layout);
    block.copyRow(this.rowOf(block, step), from, row);
    this.put(block, step);
  }
}

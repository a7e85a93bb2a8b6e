import { CUSTOM_BUCKETS_SCHEMA, withCounterResetHint } from "./histogram.ts";
import { HistogramAccumulator } from "./histogram-accumulator.ts";
import { type BlockLayout, HINT_UNKNOWN, HistogramBlock, joinedHint } from "./histogram-block.ts";
import { sumError } from "./histogram-math.ts";

/**
 * Kahan sums of rows of one plain layout, side by side: row k of the sum is that of the rows k that were added. Each is
 * what a `HistogramAccumulator` makes of them.
 */
export class BlockSum {
  /** How many rows were added to each. */
  readonly addends: Uint32Array;
  /** Which hints they had, as bits. */
  readonly hintsSeen: Uint8Array;
  readonly #sums = new HistogramBlock();
  /** What rounding took from the sums; made when a row gets its second addend. */
  #errors: HistogramBlock | undefined;

  constructor(layout: BlockLayout, size: number) {
    this.#sums.reset(layout, size);
    this.addends = new Uint32Array(size);
    this.hintsSeen = new Uint8Array(size);
  }

  hasLayout(layout: BlockLayout): boolean {
    return layout === this.#sums.layout || this.#sums.layout.equals(layout);
  }

  /** Adds row `row` of `block`, which has the layout of the sum. */
  add(block: HistogramBlock, row: number): void {
    const sums = this.#sums;
    const hint = block.hints[row]!;
    this.hintsSeen[row]! |= 1 << hint;
    if (this.addends[row]!++ === 0) {
      sums.copyRow(row, block, row);
      return;
    }
    sums.hints[row] = joinedHint(sums.hints[row]!, hint);
    const { layout } = sums;
    const errors = (this.#errors ??= errorsFor(sums));
    addAt(row, sums.counts, errors.counts, block.counts);
    addAt(row, sums.sums, errors.sums, block.sums);
    if (layout.schema !== CUSTOM_BUCKETS_SCHEMA)
      addAt(row, sums.zeroCounts, errors.zeroCounts, block.zeroCounts);
    const { width } = layout;
    for (let k = row * width, end = k + width; k < end; k++)
      addAt(k, sums.buckets, errors.buckets, block.buckets);
  }

  /** What has been added to row `row`, to be carried on. */
  accumulator(row: number): HistogramAccumulator {
    const sum = this.#sums.at(row);
    const compensation =
      this.addends[row]! > 1
        ? withCounterResetHint(this.#errors!.at(row), sum.counterResetHint)
        : undefined;
    return new HistogramAccumulator(sum, compensation);
  }

  /** The sums, rounding errors added in. Nothing can be added any more. */
  total(): HistogramBlock {
    const sums = this.#sums;
    const errors = this.#errors;
    sums.isCompact = true;
    if (errors === undefined) return sums;
    const { width } = sums.layout;
    for (let row = 0; row < sums.size; row++) {
      if (this.addends[row]! < 2) continue;
      sums.counts[row]! += errors.counts[row]!;
      sums.sums[row]! += errors.sums[row]!;
      sums.zeroCounts[row]! += errors.zeroCounts[row]!;
      for (let k = row * width, end = k + width; k < end; k++)
        sums.buckets[k] = sums.buckets[k]! + errors.buckets[k]!;
    }
    return sums;
  }
}

function addAt(
  k: number,
  sums: Float64Array,
  errors: Float64Array,
  increments: Float64Array,
): void {
  const increment = increments[k]!;
  const before = sums[k]!;
  const total = before + increment;
  sums[k] = total;
  const isInfinite = total === Infinity || total === -Infinity;
  errors[k] = isInfinite ? 0 : errors[k]! + sumError(increment, before, total);
}

function errorsFor(sums: HistogramBlock): HistogramBlock {
  const errors = new HistogramBlock();
  errors.reset(sums.layout, sums.size);
  errors.hints.fill(HINT_UNKNOWN);
  return errors;
}

import { sumKernel } from "../functions/sum-kernel.ts";
import { addRow, newTotals, type Totals } from "../operators/aggregate.ts";
import { ABSENT, type Row } from "../operators/row.ts";
import { SAW_FRACTION, SAW_MINUS_INFINITY, SAW_NAN, SAW_PLUS_INFINITY } from "./partial.ts";
import type { PartialOperator } from "./series-local.ts";

const NO_FLOATS = new Float64Array(0);

/**
 * Running totals of one group, by step: the engine's own, in the same order, so that a group all of whose series are here has the
 * engine's very bits; beside them stands what a merge with other shards has to know.
 */
export class PartialTotals {
  readonly weight: Float64Array;
  readonly flags: Uint8Array;
  readonly #operator: PartialOperator;
  /** Undefined where counts are all there is. */
  readonly #totals: Totals | undefined;
  readonly #counts: Uint32Array;
  /** Rows with a value at every step, which are not in the counts yet. */
  #fullRows = 0;

  constructor(operator: PartialOperator, steps: number) {
    const isSum = operator === "sum" || operator === "avg";
    const isCount = operator === "count" || operator === "group";
    this.#operator = operator;
    this.#totals = isCount ? undefined : newTotals(steps);
    this.weight = new Float64Array(isSum ? steps : 0);
    this.flags = new Uint8Array(isSum ? steps : 0);
    this.#counts = new Uint32Array(steps);
  }

  get main(): Float64Array {
    return this.#totals?.main ?? NO_FLOATS;
  }

  /** The compensation of a sum. */
  get side(): Float64Array {
    return this.weight.length === 0 ? NO_FLOATS : this.#totals!.side;
  }

  get counts(): Uint32Array {
    const counts = this.#counts;
    for (let k = 0; k < counts.length; k++) counts[k] = counts[k]! + this.#fullRows;
    this.#fullRows = 0;
    return counts;
  }

  add(row: Row): void {
    const isFull = !row.present.includes(ABSENT);
    if (isFull) this.#fullRows++;
    else this.#count(row);
    switch (this.#operator) {
      case "sum":
      case "avg":
        // An average is the sum as long as that does not overflow, and else not computed in parts.
        addRow("sum", row, this.#totals!);
        return this.#weigh(row, isFull);
      case "min":
      case "max":
        return addRow(this.#operator, row, this.#totals!);
      case "count":
      case "group":
        return;
      case "topk":
      case "bottomk":
        throw new Error("BUG: a choice has no totals");
    }
  }

  #count({ present }: Row): void {
    const counts = this.#counts;
    for (let k = 0; k < present.length; k++) if (present[k] !== ABSENT) counts[k] = counts[k]! + 1;
  }

  #weigh({ values, present }: Row, isFull: boolean): void {
    const { weight, flags } = this;
    const kernel = sumKernel();
    if (isFull && kernel.takes(values.length) && kernel.weigh(values, this, SAW_FRACTION)) return;
    for (let k = 0; k < values.length; k++) {
      if (present[k] === ABSENT) continue;
      const value = values[k]!;
      if (value - value === 0) {
        weight[k] = weight[k]! + Math.abs(value);
        if (value !== Math.floor(value)) flags[k] = flags[k]! | SAW_FRACTION;
      } else flags[k] = flags[k]! | flagOf(value);
    }
  }
}

function flagOf(value: number): number {
  if (value !== value) return SAW_NAN;
  return value > 0 ? SAW_PLUS_INFINITY : SAW_MINUS_INFINITY;
}

import { ABSENT, type Row } from "../operators/row.ts";
import { SAW_FRACTION, SAW_MINUS_INFINITY, SAW_NAN, SAW_PLUS_INFINITY } from "./partial.ts";
import type { PartialOperator } from "./series-local.ts";

/**
 * Running totals of one group, by step. Sums are the engine's own (operators/aggregate.ts), in the same order, so that a group
 * all of whose series are here has the engine's very bits; beside them stands what a merge with other shards has to know.
 */
export class PartialTotals {
  readonly main: Float64Array;
  readonly side: Float64Array;
  readonly weight: Float64Array;
  readonly counts: Uint32Array;
  readonly flags: Uint8Array;

  constructor(operator: PartialOperator, steps: number) {
    const isSum = operator === "sum" || operator === "avg";
    const isCount = operator === "count" || operator === "group";
    this.main = new Float64Array(isCount ? 0 : steps);
    this.side = new Float64Array(isSum ? steps : 0);
    this.weight = new Float64Array(isSum ? steps : 0);
    this.flags = new Uint8Array(isSum ? steps : 0);
    this.counts = new Uint32Array(steps);
  }

  add(operator: PartialOperator, row: Row): void {
    switch (operator) {
      case "sum":
      case "avg":
        return this.#addToSum(row);
      case "min":
        return this.#addToExtreme(row, 1);
      case "max":
        return this.#addToExtreme(row, -1);
      case "count":
      case "group":
        return this.#addToCount(row);
      case "topk":
      case "bottomk":
        throw new Error("BUG: a choice has no totals");
    }
  }

  #addToSum({ values, present }: Row): void {
    const { main, side, weight, counts, flags } = this;
    for (let k = 0; k < values.length; k++) {
      if (present[k] === ABSENT) continue;
      const value = values[k]!;
      if (value - value === 0) {
        weight[k] = weight[k]! + Math.abs(value);
        if (value !== Math.floor(value)) flags[k] = flags[k]! | SAW_FRACTION;
      } else flags[k] = flags[k]! | flagOf(value);
      const count = counts[k]!;
      counts[k] = count + 1;
      if (count === 0) {
        main[k] = value;
        continue;
      }
      const before = main[k]!;
      const after = before + value;
      main[k] = after;
      if (after === Infinity || after === -Infinity) side[k] = 0;
      else if (Math.abs(before) >= Math.abs(value)) side[k] = side[k]! + (before - after + value);
      else side[k] = side[k]! + (value - after + before);
    }
  }

  /** The least of the values, each times `sign`; of equal ones the first. NaN is taken only while there is nothing else. */
  #addToExtreme({ values, present }: Row, sign: number): void {
    const { main, counts } = this;
    for (let k = 0; k < values.length; k++) {
      if (present[k] === ABSENT) continue;
      const best = main[k]!;
      if (counts[k] === 0 || sign * best > sign * values[k]! || best !== best) main[k] = values[k]!;
      counts[k] = 1;
    }
  }

  #addToCount({ present }: Row): void {
    const { counts } = this;
    for (let k = 0; k < present.length; k++) if (present[k] !== ABSENT) counts[k] = counts[k]! + 1;
  }
}

function flagOf(value: number): number {
  if (value !== value) return SAW_NAN;
  return value > 0 ? SAW_PLUS_INFINITY : SAW_MINUS_INFINITY;
}

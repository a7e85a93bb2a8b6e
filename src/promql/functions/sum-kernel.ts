import {
  FLAGS_AT,
  MAIN_AT,
  ROW_AT,
  ROW_STEPS,
  sampleMemory,
  SIDE_AT,
  WEIGHT_AT,
} from "../../chunk/sample-memory.ts";
import { type ColumnKernel, columnKernel } from "./column-kernel.ts";

/** With fewer steps, copying costs more than it gains. */
const MIN_STEPS = 32;

/**
 * Adds rows to running sums (column-kernel.as), two steps at once. Sums live as long as their query and are copied in and out:
 * a third of the time that the loop in JavaScript took, the copies included.
 */
class SumKernel {
  readonly #kernel: ColumnKernel;
  readonly #row: Float64Array;
  readonly #main: Float64Array;
  readonly #side: Float64Array;
  readonly #weight: Float64Array;
  readonly #flags: Uint8Array;

  constructor() {
    const { buffer } = sampleMemory().memory;
    this.#kernel = columnKernel();
    this.#row = new Float64Array(buffer, ROW_AT, ROW_STEPS + 1);
    this.#main = new Float64Array(buffer, MAIN_AT, ROW_STEPS);
    this.#side = new Float64Array(buffer, SIDE_AT, ROW_STEPS);
    this.#weight = new Float64Array(buffer, WEIGHT_AT, ROW_STEPS);
    this.#flags = new Uint8Array(buffer, FLAGS_AT, ROW_STEPS);
  }

  /** Whether rows of so many steps are for this kernel. */
  takes(steps: number): boolean {
    return steps >= MIN_STEPS && steps <= ROW_STEPS;
  }

  /** Adds `values` to the compensated sums `main`, whose missing parts are `side`. */
  add(values: Float64Array, { main, side }: { main: Float64Array; side: Float64Array }): void {
    const { length } = values;
    this.#row.set(values);
    this.#main.set(main);
    this.#side.set(side);
    this.#kernel.addToSums(ROW_AT, MAIN_AT, SIDE_AT, length);
    main.set(this.#main.subarray(0, length));
    side.set(this.#side.subarray(0, length));
  }

  /**
   * Adds the sizes of `values` to `weight` and sets `flag` in `flags` where one is no whole number. False, and nothing is done,
   * if one is infinite or no number.
   */
  weigh(
    values: Float64Array,
    into: { weight: Float64Array; flags: Uint8Array },
    flag: number,
  ): boolean {
    const { weight, flags } = into;
    const { length } = values;
    this.#row.set(values);
    // The kernel looks at pairs.
    this.#row[length] = 0;
    this.#weight.set(weight);
    this.#flags.set(flags);
    if (this.#kernel.weigh(ROW_AT, WEIGHT_AT, FLAGS_AT, length, flag) === 0) return false;
    weight.set(this.#weight.subarray(0, length));
    flags.set(this.#flags.subarray(0, length));
    return true;
  }
}

let shared: SumKernel | undefined;

/** The kernel of this thread. */
export function sumKernel(): SumKernel {
  return (shared ??= new SumKernel());
}

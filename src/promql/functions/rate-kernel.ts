import {
  CHUNK_TIMES_AT,
  CHUNK_VALUES_AT,
  COLUMN_SAMPLES,
  ROW_AT,
  ROW_STEPS,
  type SampleMemory,
  sampleMemory,
  TIMES_AT,
  TOTALS_AT,
  VALUES_AT,
} from "../../chunk/sample-memory.ts";
import { type ColumnKernel, columnKernel } from "./column-kernel.ts";

/** Steps [fromStep, toStep), whose windows hold the same number of samples at the same distances from their ends. */
export interface Grid {
  readonly fromStep: number;
  readonly toStep: number;
  /** The first and the last sample in the window of `fromStep`, and how many samples the window moves by at a step. */
  readonly first: number;
  readonly last: number;
  readonly stride: number;
}

/** What is the same in all windows of a grid, in seconds. */
export interface WindowShape {
  readonly sampled: number;
  readonly toStart: number;
  readonly toEnd: number;
  readonly factor: number;
  /** 0 for what is no rate. */
  readonly rangeSeconds: number;
}

/**
 * The loops of rate over samples and steps (column-kernel.as), about the series that was placed last. They take two samples or
 * steps at once, and a third of the time that JavaScript took.
 */
class RateKernel {
  /** At each sample, the sum of the values that were lost in the resets up to it. */
  readonly totals: Float64Array;
  readonly #samples: SampleMemory;
  readonly #kernel: ColumnKernel;
  readonly #row: Float64Array;
  #timesAt = 0;
  #valuesAt = 0;
  #count = 0;

  constructor() {
    this.#samples = sampleMemory();
    const { memory } = this.#samples;
    this.#kernel = columnKernel();
    this.totals = new Float64Array(memory.buffer, TOTALS_AT, COLUMN_SAMPLES);
    this.#row = new Float64Array(memory.buffer, ROW_AT, ROW_STEPS);
  }

  /** Makes the columns of a series those that all else is about, until the next chunk is decoded. False: they are too long. */
  place({ times, values, count }: SeriesColumns): boolean {
    const samples = this.#samples;
    if (count > COLUMN_SAMPLES) return false;
    this.#count = count;
    if (times === samples.times && values === samples.values) {
      this.#timesAt = TIMES_AT;
      this.#valuesAt = VALUES_AT;
      return true;
    }
    samples.chunkTimes.set(times.subarray(0, count));
    samples.chunkValues.set(values.subarray(0, count));
    this.#timesAt = CHUNK_TIMES_AT;
    this.#valuesAt = CHUNK_VALUES_AT;
    return true;
  }

  /** Whether the samples from `from` on, two at least, are `intervalMs` apart. */
  isRegular(from: number, intervalMs: number): boolean {
    return this.#kernel.isRegular(this.#timesAt + 8 * from, this.#count - from, intervalMs) !== 0;
  }

  /** Whether any of the samples from `from` on, two at least, is lower than the one before it. */
  hasResets(from: number): boolean {
    return this.#kernel.firstReset(this.#valuesAt + 8 * from, this.#count - from) !== 0;
  }

  /**
   * Fills `totals` from `from` on, if that is exact: for whole numbers from 0 up whose sum a float can hold, as nearly all
   * counters have. Else false, and the resets of each window must be added one by one.
   */
  sumUpResets(from: number): boolean {
    const at = 8 * from;
    const count = this.#count - from;
    return this.#kernel.sumUpResets(this.#valuesAt + at, count, TOTALS_AT + at) !== 0;
  }

  /** Fills the steps of `grid`, `ROW_STEPS` at most, of `out`. */
  windows(
    { fromStep, toStep, first, last, stride }: Grid,
    how: { shape: WindowShape; isCounter: boolean; hasTotals: boolean },
    out: Float64Array,
  ): void {
    const { sampled, toStart, toEnd, factor, rangeSeconds } = how.shape;
    const valuesAt = this.#valuesAt;
    this.#kernel.windows(
      valuesAt + 8 * first,
      valuesAt + 8 * last,
      8 * stride,
      how.hasTotals ? TOTALS_AT - valuesAt : 0,
      toStep - fromStep,
      how.isCounter,
      sampled,
      toStart,
      toEnd,
      factor,
      rangeSeconds,
      ROW_AT,
    );
    out.set(this.#row.subarray(0, toStep - fromStep), fromStep);
  }
}

interface SeriesColumns {
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly count: number;
}

let shared: RateKernel | undefined;

/** The kernel of this thread. */
export function rateKernel(): RateKernel {
  return (shared ??= new RateKernel());
}

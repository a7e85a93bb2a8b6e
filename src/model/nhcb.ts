import { AppError } from "../base/errors.ts";
import { formatFixed, formatGeneral } from "../base/float.ts";
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, newHistogram } from "./histogram.ts";
import { compactHistogram } from "./histogram-arithmetic.ts";

/** A native histogram made of a classic one. */
export interface ConvertedHistogram {
  readonly histogram: FloatHistogram;
  /** Whether every count was whole, so that it is stored as a histogram of integers. */
  readonly isInteger: boolean;
}

/** Counts beyond this are not whole to Prometheus, which rounds them to a signed 64-bit integer. */
const INT64_END = 2 ** 63;
const UINT64_END = 2 ** 64;

/**
 * Collects the series of one classic histogram at one time (cumulative counts by `le`, `_count`, `_sum`) in any order
 * and converts them to a native histogram with custom buckets. Each `set…` throws `bad-data` for a value no histogram
 * can have, and after that so does everything until `reset`.
 */
export class ClassicHistogram {
  #bounds: number[] = [];
  #counts: number[] = [];
  #count: number | undefined;
  #sum = 0;
  #failure: AppError | undefined;

  reset(): void {
    this.#bounds.length = 0;
    this.#counts.length = 0;
    this.#count = undefined;
    this.#sum = 0;
    this.#failure = undefined;
  }

  /** The cumulative count up to `le`; a second count for the same bound is ignored. */
  setBucket(le: number, count: number): void {
    this.#check();
    if (le !== le) throw this.#fail("bucket boundary must not be NaN");
    if (count < 0)
      throw this.#fail(
        `bucket count must be non-negative: le=${formatGeneral(le)}, count=${formatGeneral(count)}`,
      );
    const bounds = this.#bounds;
    const counts = this.#counts;
    let at = bounds.length;
    // Fast path: series mostly come in the order of their bounds, so the search starts at the end.
    while (at > 0 && bounds[at - 1]! >= le) at--;
    if (bounds[at] === le) return;
    const below = counts[at - 1];
    const above = counts[at];
    if (below !== undefined && count < below)
      throw this.#fail(
        `count is not cumulative: ${formatGeneral(count)} < ${formatGeneral(below)}`,
      );
    if (above !== undefined && count > above)
      throw this.#fail(
        `count is not cumulative: ${formatGeneral(count)} > ${formatGeneral(above)}`,
      );
    bounds.splice(at, 0, le);
    counts.splice(at, 0, count);
  }

  setCount(count: number): void {
    this.#check();
    if (count < 0) throw this.#fail(`count must be non-negative: count=${formatGeneral(count)}`);
    this.#count = count;
  }

  setSum(sum: number): void {
    this.#check();
    this.#sum = sum;
  }

  /** The native histogram. Without `_count` the highest bucket's count is taken, without `+Inf` bucket `_count`. */
  convert(): ConvertedHistogram {
    this.#check();
    const bounds = this.#bounds.slice();
    const counts = this.#counts.slice();
    const count = this.#count ?? counts[counts.length - 1] ?? 0;
    if (bounds[bounds.length - 1] !== Infinity) {
      bounds.push(Infinity);
      counts.push(count);
    }
    const highest = counts[counts.length - 1]!;
    const isInteger =
      counts.every((value) => Number.isInteger(value) && value < INT64_END) &&
      Number.isInteger(count) &&
      count < UINT64_END;
    if (count !== highest) {
      const shown = isInteger ? formatFixed(count) : formatGeneral(count);
      throw new AppError(
        "bad-data",
        `count mismatch: count=${shown} != le=+Inf count=${formatGeneral(highest)}`,
      );
    }
    const buckets = new Float64Array(counts.length);
    for (let i = 0; i < counts.length; i++) buckets[i] = counts[i]! - (counts[i - 1] ?? 0);
    const histogram = newHistogram({
      schema: CUSTOM_BUCKETS_SCHEMA,
      count,
      sum: this.#sum,
      positiveSpans: Int32Array.of(0, buckets.length),
      positiveBuckets: buckets,
      customValues: Float64Array.from(bounds.slice(0, -1)),
    });
    return { histogram: compactHistogram(histogram, isInteger ? 2 : 0), isInteger };
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fail(what: string): AppError {
    this.#failure = new AppError("bad-data", what);
    return this.#failure;
  }
}

/** Which part of a classic histogram a metric name's ending makes a series. */
export type ClassicPart = "bucket" | "sum" | "count" | "none";

/** The name of the histogram a series belongs to by its metric name, and as what. */
export function classicHistogramName(name: string): { part: ClassicPart; base: string } {
  if (name.endsWith("_bucket")) return { part: "bucket", base: name.slice(0, -7) };
  if (name.endsWith("_sum")) return { part: "sum", base: name.slice(0, -4) };
  if (name.endsWith("_count")) return { part: "count", base: name.slice(0, -6) };
  return { part: "none", base: name };
}

import { exp2 } from "../base/exponential.ts";
import { log2 } from "../base/logarithm.ts";
import { type FloatHistogram, usesCustomBuckets } from "./histogram.ts";
import { BucketCursor } from "./histogram-cursor.ts";
import { KahanSum } from "./histogram-math.ts";

/** A value with what observations of NaN did to it. */
export interface QuantileResult {
  readonly value: number;
  /**
   * "nan-result": the rank falls among the NaN observations, the value is NaN. "skewed-higher": it does not, but they
   * count as higher than everything. Each is worth an info annotation.
   */
  readonly nanObservations?: "nan-result" | "skewed-higher";
}

/**
 * The φ-quantile. Within a bucket the observations are taken as spread evenly: on a logarithmic scale in exponential
 * buckets, on a linear one in the zero bucket and in custom buckets. With buckets on one side of zero only, the zero
 * bucket is taken to end at zero. −Inf for φ < 0, +Inf for φ > 1, NaN for φ = NaN or without observations.
 */
export function histogramQuantile(q: number, h: FloatHistogram): QuantileResult {
  if (q < 0) return { value: -Infinity };
  if (q > 1) return { value: Infinity };
  if (h.count === 0 || q !== q) return { value: NaN };
  const sumIsNaN = h.sum !== h.sum;
  const forward = sumIsNaN || q < 0.5;
  const cursor = new BucketCursor(h, { direction: forward ? "ascending" : "descending" });
  let rank = (forward ? q : 1 - q) * h.count;
  let count = 0;
  let visited = false;
  while (cursor.next()) {
    visited = true;
    if (cursor.count === 0) continue;
    count += cursor.count;
    if (count >= rank) break;
  }
  if (visited) cursor.loadBounds();
  const custom = usesCustomBuckets(h);
  let inBucket = visited ? cursor.count : 0;
  let lower = cursor.lower;
  let upper = cursor.upper;
  if (custom) {
    if (lower === -Infinity) {
      if (upper <= 0) return { value: upper };
      lower = 0;
    } else if (upper === Infinity) return { value: lower };
  } else if (lower < 0 && upper > 0) {
    if (h.negativeBuckets.length === 0 && h.positiveBuckets.length > 0) lower = 0;
    else if (h.positiveBuckets.length === 0 && h.negativeBuckets.length > 0) upper = 0;
  }
  if (count > h.count) count = h.count;
  if (count < rank) {
    if (sumIsNaN) return { value: NaN, nanObservations: "nan-result" };
    return { value: upper };
  }
  rank = forward ? rank - (count - inBucket) : count - rank;
  let skewed = false;
  if (sumIsNaN) {
    // Prometheus goes on with the last bucket it has looked at here, and so do its answers.
    while (cursor.next()) {
      count += cursor.count;
      cursor.loadBounds();
      ({ lower, upper } = cursor);
      inBucket = cursor.count;
    }
    skewed = count < h.count;
  }
  const value = interpolate({ lower, upper, fraction: rank / inBucket, custom });
  return skewed ? { value, nanObservations: "skewed-higher" } : { value };
}

function interpolate(at: {
  lower: number;
  upper: number;
  fraction: number;
  custom: boolean;
}): number {
  const { lower, upper, fraction } = at;
  if (at.custom || (lower <= 0 && upper >= 0)) return lower + (upper - lower) * fraction;
  const logLower = log2(Math.abs(lower));
  const logUpper = log2(Math.abs(upper));
  if (lower > 0) return exp2(logLower + (logUpper - logLower) * fraction);
  return -exp2(logUpper + (logLower - logUpper) * (1 - fraction));
}

export interface FractionResult {
  readonly value: number;
  /** Observations of NaN are in no fraction: worth an info annotation. */
  readonly nanObservations: boolean;
}

/**
 * The fraction of observations between two bounds, interpolated as in `histogramQuantile`. NaN without observations or
 * for a bound of NaN, 0 for `lower` ≥ `upper`.
 */
export function histogramFraction(
  h: FloatHistogram,
  range: { lower: number; upper: number },
): FractionResult {
  const { lower, upper } = range;
  if (h.count === 0 || lower !== lower || upper !== upper)
    return { value: NaN, nanObservations: false };
  if (lower >= upper) return { value: 0, nanObservations: false };
  const custom = usesCustomBuckets(h);
  const cursor = new BucketCursor(h);
  let count = 0;
  let rank = 0;
  let lowerRank: number | undefined;
  let upperRank: number | undefined;
  while (cursor.next()) {
    cursor.loadBounds();
    count += cursor.count;
    let bucketLower = cursor.lower;
    let bucketUpper = cursor.upper;
    const zero = bucketLower <= 0 && bucketUpper >= 0;
    if (zero) {
      if (h.negativeBuckets.length === 0 && h.positiveBuckets.length > 0) bucketLower = 0;
      else if (h.positiveBuckets.length === 0 && h.negativeBuckets.length > 0) bucketUpper = 0;
    }
    if (lowerRank === undefined && bucketLower >= lower) lowerRank = rank;
    if (upperRank === undefined && bucketLower >= upper) upperRank = rank;
    if (lowerRank !== undefined && upperRank !== undefined) break;
    const inBucket = cursor.count;
    const linear = custom || zero;
    const rankAt = (v: number): number =>
      // Nothing can be interpolated in a bucket without a lower end: it counts as a whole.
      linear && bucketLower === -Infinity
        ? inBucket
        : rank + inBucket * fractionBelow(v, { lower: bucketLower, upper: bucketUpper, linear });
    if (lowerRank === undefined && bucketLower < lower && bucketUpper > lower)
      lowerRank = rankAt(lower);
    if (upperRank === undefined && bucketLower < upper && bucketUpper > upper)
      upperRank = rankAt(upper);
    if (lowerRank !== undefined && upperRank !== undefined) break;
    rank += inBucket;
  }
  let nanObservations = false;
  if (h.sum !== h.sum) {
    while (cursor.next()) count += cursor.count;
    nanObservations = count < h.count;
  } else count = h.count;
  if (lowerRank === undefined || lowerRank > count) lowerRank = count;
  if (upperRank === undefined || upperRank > count) upperRank = count;
  return { value: (upperRank - lowerRank) / h.count, nanObservations };
}

/** How much of a bucket's width, 0 to 1, lies below `v`, which is strictly inside the bucket's finite bounds. */
export function fractionBelow(
  v: number,
  bucket: { lower: number; upper: number; linear: boolean },
): number {
  const { lower, upper } = bucket;
  if (bucket.linear) return (v - lower) / (upper - lower);
  const logLower = log2(Math.abs(lower));
  const logUpper = log2(Math.abs(upper));
  const logV = log2(Math.abs(v));
  if (v > 0) return (logV - logLower) / (logUpper - logLower);
  return 1 - (logV - logUpper) / (logLower - logUpper);
}

/** The mean of the observations; NaN without any. */
export function histogramAverage(h: FloatHistogram): number {
  return h.sum / h.count;
}

/**
 * The variance, with every observation taken at the geometric mean of its bucket's bounds: at their arithmetic mean in
 * custom buckets, at zero in the zero bucket.
 */
export function histogramVariance(h: FloatHistogram): number {
  const mean = h.sum / h.count;
  const custom = usesCustomBuckets(h);
  const cursor = new BucketCursor(h);
  const variance = new KahanSum();
  while (cursor.next()) {
    if (cursor.count === 0) continue;
    cursor.loadBounds();
    const { lower, upper } = cursor;
    let value: number;
    if (custom) value = (upper + lower) / 2;
    else if (lower <= 0 && upper >= 0) value = 0;
    else {
      value = Math.sqrt(upper * lower);
      if (upper < 0) value = -value;
    }
    const delta = value - mean;
    variance.add(cursor.count * delta * delta);
  }
  return (variance.sum + variance.compensation) / h.count;
}

/** The square root of `histogramVariance`. */
export function histogramDeviation(h: FloatHistogram): number {
  return Math.sqrt(histogramVariance(h));
}

import { isStaleWords } from "../base/float.ts";

/**
 * Native histograms as every room shares them. One histogram is plain data that nobody changes after it was made; the
 * operations live beside this file (`histogram-*.ts`) and return new histograms, whose arrays they may share with
 * their inputs. All arithmetic is in the order Prometheus 3.14 does it, so results are equal to the last bit.
 *
 * A side (positive or negative) is a list of populated stretches:
 *
 *     spans    [ offset₀, length₀, offset₁, length₁, … ]    offset₀ is the index of the first bucket, which may be
 *     buckets  [ ‹length₀ counts› ‹length₁ counts› … ]      negative; the others are gaps to the span before, ≥ 0
 *
 * An index has 32 bits: beyond the highest comes the lowest, as in Prometheus. No client makes such a histogram.
 *
 * Exponential schema n, −4 … 8: bucket i holds (2^(2^−n·(i−1)), 2^(2^−n·i)], the negative side mirrored. Schema −53:
 * bucket i holds (customValues[i−1], customValues[i]], the last one up to +Inf; only the positive side is used.
 */

/** What is known about a reset of the counter between this histogram and the one before. */
export type CounterResetHint = "unknown" | "reset" | "not_reset" | "gauge";

export interface FloatHistogram {
  readonly counterResetHint: CounterResetHint;
  readonly schema: number;
  /** Half the width of the zero bucket, ≥ 0. */
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  /** All observations; those of NaN are in no bucket. */
  readonly count: number;
  /** Sum of the observations. The staleness marker's bits here make the whole histogram stale. */
  readonly sum: number;
  /** Pairs of offset and length. */
  readonly positiveSpans: Int32Array;
  readonly negativeSpans: Int32Array;
  /** Absolute counts, one for each bucket of the spans. */
  readonly positiveBuckets: Float64Array;
  readonly negativeBuckets: Float64Array;
  /** Upper bounds of schema −53, strictly ascending and finite; empty for every other schema. */
  readonly customValues: Float64Array;
}

/** The schema of histograms with custom bounds ("NHCB"). */
export const CUSTOM_BUCKETS_SCHEMA = -53;
export const EXPONENTIAL_SCHEMA_MIN = -4;
export const EXPONENTIAL_SCHEMA_MAX = 8;
/** Schemas beyond the valid ones that are read by reducing them to 8; below −4 none can be reduced. */
export const EXPONENTIAL_SCHEMA_MIN_RESERVED = -9;
export const EXPONENTIAL_SCHEMA_MAX_RESERVED = 52;

export const NO_SPANS: Int32Array = new Int32Array(0);
export const NO_BUCKETS: Float64Array = new Float64Array(0);

const EMPTY: FloatHistogram = {
  counterResetHint: "unknown",
  schema: 0,
  zeroThreshold: 0,
  zeroCount: 0,
  count: 0,
  sum: 0,
  positiveSpans: NO_SPANS,
  negativeSpans: NO_SPANS,
  positiveBuckets: NO_BUCKETS,
  negativeBuckets: NO_BUCKETS,
  customValues: NO_BUCKETS,
};

/** A histogram with the given fields, all others zero, empty and "unknown". */
export function newHistogram(fields: Partial<FloatHistogram>): FloatHistogram {
  return { ...EMPTY, ...fields };
}

/** `h` with another hint; its arrays are shared. */
export function withCounterResetHint(h: FloatHistogram, hint: CounterResetHint): FloatHistogram {
  if (h.counterResetHint === hint) return h;
  return {
    counterResetHint: hint,
    schema: h.schema,
    zeroThreshold: h.zeroThreshold,
    zeroCount: h.zeroCount,
    count: h.count,
    sum: h.sum,
    positiveSpans: h.positiveSpans,
    negativeSpans: h.negativeSpans,
    positiveBuckets: h.positiveBuckets,
    negativeBuckets: h.negativeBuckets,
    customValues: h.customValues,
  };
}

/** What a counter of histograms like `h` starts from: of the same layout, so that no resolution is lost between the two. */
export function zeroBefore({
  schema,
  zeroThreshold,
  customValues,
}: FloatHistogram): FloatHistogram {
  return newHistogram({ counterResetHint: "reset", schema, zeroThreshold, customValues });
}

export function usesCustomBuckets(h: FloatHistogram): boolean {
  return h.schema === CUSTOM_BUCKETS_SCHEMA;
}

/** Whether `schema` is one of −4 … 8. */
export function isExponentialSchema(schema: number): boolean {
  return schema >= EXPONENTIAL_SCHEMA_MIN && schema <= EXPONENTIAL_SCHEMA_MAX;
}

/** Whether a stored histogram of `schema` can be read at all: −9 … 52 and −53. */
export function isKnownSchema(schema: number): boolean {
  return (
    schema === CUSTOM_BUCKETS_SCHEMA ||
    (schema >= EXPONENTIAL_SCHEMA_MIN_RESERVED && schema <= EXPONENTIAL_SCHEMA_MAX_RESERVED)
  );
}

const staleScratch = new Float64Array(1);
const staleWords = new Uint32Array(staleScratch.buffer);

/** Whether the sum carries the staleness marker. */
export function isStaleHistogram(h: FloatHistogram): boolean {
  if (h.sum === h.sum) return false;
  staleScratch[0] = h.sum;
  return isStaleWords(staleWords, 0);
}

/** Whether a field became infinite, as sums beyond the range of a float do. */
export function hasOverflow(h: FloatHistogram): boolean {
  return (
    isInfinite(h.zeroCount) ||
    isInfinite(h.count) ||
    isInfinite(h.sum) ||
    h.positiveBuckets.some(isInfinite) ||
    h.negativeBuckets.some(isInfinite) ||
    h.customValues.some(isInfinite)
  );
}

function isInfinite(value: number): boolean {
  return value === Infinity || value === -Infinity;
}

/** Bytes the histogram takes in Prometheus, which the limit on samples in memory counts as size/16 samples. */
export function histogramSize(h: FloatHistogram): number {
  return sizeWithBuckets(h, h.positiveBuckets.length + h.negativeBuckets.length);
}

/** The same of any histogram with these spans and bounds, and that many buckets. */
export function sizeWithBuckets(
  shape: Pick<FloatHistogram, "positiveSpans" | "negativeSpans" | "customValues">,
  bucketCount: number,
): number {
  const spans = (shape.positiveSpans.length + shape.negativeSpans.length) / 2;
  return 168 + 8 * (spans + bucketCount + shape.customValues.length);
}

/** Whether both lists of custom bounds are the same. */
export function customBoundsMatch(a: Float64Array, b: Float64Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** How many buckets the spans cover. */
export function spanBucketCount(spans: Int32Array): number {
  let count = 0;
  for (let i = 1; i < spans.length; i += 2) count += spans[i]!;
  return count;
}

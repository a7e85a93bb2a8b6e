import { AppError } from "../base/errors.ts";
import { formatGeneral, formatSampleValue } from "../base/float.ts";
import { type FloatHistogram, usesCustomBuckets } from "./histogram.ts";
import { type Bucket, BucketCursor } from "./histogram-cursor.ts";
import { compactHistogram } from "./histogram-arithmetic.ts";

/** `{count:3, sum:5, [-0.001,0.001]:1, (1,2]:2}`: the populated buckets in ascending order. */
export function formatHistogram(h: FloatHistogram): string {
  let text = `{count:${formatGeneral(h.count)}, sum:${formatGeneral(h.sum)}`;
  for (const bucket of populatedBuckets(h, "own")) text += `, ${formatBucket(bucket)}`;
  return `${text}}`;
}

/** `(1,2]:3`, with square brackets where the bound belongs to the bucket. */
export function formatBucket(bucket: Bucket): string {
  const open = bucket.lowerInclusive ? "[" : "(";
  const close = bucket.upperInclusive ? "]" : ")";
  return `${open}${formatGeneral(bucket.lower)},${formatGeneral(bucket.upper)}${close}:${formatGeneral(bucket.count)}`;
}

/**
 * A bucket in the HTTP API's JSON: which bounds belong to it (0 upper, 1 lower, 2 none, 3 both), then lower bound, upper
 * bound and count as sample values.
 */
export type ApiBucket = readonly [boundaries: number, lower: string, upper: string, count: string];

export interface ApiHistogram {
  readonly count: string;
  readonly sum: string;
  /** Absent without populated buckets. */
  readonly buckets?: readonly ApiBucket[];
}

/** The histogram as the HTTP API's JSON shows it. */
export function apiHistogram(h: FloatHistogram): ApiHistogram {
  const totals = { count: formatSampleValue(h.count), sum: formatSampleValue(h.sum) };
  const buckets = populatedBuckets(h, "clipped").map((bucket): ApiBucket => {
    const { lowerInclusive, upperInclusive } = bucket;
    return [
      lowerInclusive ? (upperInclusive ? 3 : 1) : upperInclusive ? 0 : 2,
      formatSampleValue(bucket.lower),
      formatSampleValue(bucket.upper),
      formatSampleValue(bucket.count),
    ];
  });
  return buckets.length === 0 ? totals : { ...totals, buckets };
}

/**
 * The buckets that are not empty, ascending. A bucket that overlaps the zero bucket has its "own" bounds, or is
 * "clipped" where the zero bucket ends.
 */
export function populatedBuckets(h: FloatHistogram, bounds: "own" | "clipped"): Bucket[] {
  const buckets: Bucket[] = [];
  const cursor = new BucketCursor(bounds === "own" ? { ...h, zeroThreshold: 0 } : h);
  while (cursor.next()) {
    if (cursor.count === 0) continue;
    const bucket = cursor.bucket();
    const zero = bounds === "own" && cursor.side === "zero";
    buckets.push(zero ? { ...bucket, lower: -h.zeroThreshold, upper: h.zeroThreshold } : bucket);
  }
  return buckets;
}

/** The test language has no gaps, so they are filled; one wider than this would be mostly memory. */
const FILLED_GAP_MAX = 100_000;

/**
 * `{{schema:3 count:4 sum:5.1 buckets:[1 2 1]}}`, which the test language and rule tests read; gaps are filled. Throws
 * `bad-data` for one of more than 100,000 buckets.
 */
export function formatTestHistogram(h: FloatHistogram): string {
  const m = compactHistogram(h, FILLED_GAP_MAX);
  if (m.positiveSpans.length > 2 || m.negativeSpans.length > 2)
    throw new AppError(
      "bad-data",
      `cannot write a histogram with a gap of more than ${FILLED_GAP_MAX} buckets in the test language`,
    );
  const parts: string[] = [];
  const put = (key: string, value: number): void => {
    if (value !== 0) parts.push(`${key}:${formatGeneral(value)}`);
  };
  if (m.schema !== 0) parts.push(`schema:${m.schema}`);
  put("count", m.count);
  put("sum", m.sum);
  put("z_bucket", m.zeroCount);
  put("z_bucket_w", m.zeroThreshold);
  if (usesCustomBuckets(m)) parts.push(`custom_values:${list(m.customValues)}`);
  if (m.counterResetHint !== "unknown") parts.push(`counter_reset_hint:${m.counterResetHint}`);
  const side = (prefix: string, spans: Int32Array, buckets: Float64Array): void => {
    if (spans.length > 0 && spans[0] !== 0) parts.push(`${prefix}offset:${spans[0]}`);
    if (buckets.length > 0) parts.push(`${prefix}buckets:${list(buckets)}`);
  };
  side("", m.positiveSpans, m.positiveBuckets);
  side("n_", m.negativeSpans, m.negativeBuckets);
  return `{{${parts.join(" ")}}}`;
}

function list(values: Float64Array): string {
  return `[${Array.from(values, formatGeneral).join(" ")}]`;
}

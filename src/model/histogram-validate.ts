import { AppError } from "../base/errors.ts";
import { formatFixed, formatGeneral } from "../base/float.ts";
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, isExponentialSchema } from "./histogram.ts";

/**
 * Throws `bad-data`, in Prometheus's words, unless the histogram is one that may be stored: spans that fit the
 * buckets, no negative counts, and nothing its schema has no use for. A float histogram's count is not compared with
 * its buckets, since both may be rounded.
 */
export function validateHistogram(h: FloatHistogram): void {
  if (h.schema === CUSTOM_BUCKETS_SCHEMA) {
    checkCustomBounds(h);
    if (h.zeroCount !== 0) throw invalid("custom buckets: must have zero count of 0");
    if (h.zeroThreshold !== 0) throw invalid("custom buckets: must have zero threshold of 0");
    if (h.negativeSpans.length > 0) throw invalid("custom buckets: must not have negative spans");
    if (h.negativeBuckets.length > 0)
      throw invalid("custom buckets: must not have negative buckets");
  } else if (isExponentialSchema(h.schema)) {
    checkSpans("positive side", { spans: h.positiveSpans, bucketCount: h.positiveBuckets.length });
    checkSpans("negative side", { spans: h.negativeSpans, bucketCount: h.negativeBuckets.length });
    checkBuckets("negative side", h.negativeBuckets);
    if (h.zeroCount < 0)
      throw invalid(
        `zero bucket has observation count of ${formatGeneral(h.zeroCount)}: ${NEGATIVE_BUCKET}`,
      );
    if (h.customValues.length > 0)
      throw invalid("histogram with exponential schema must not have custom bounds");
  } else
    throw invalid(
      `histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema ${h.schema}`,
    );
  if (h.count < 0)
    throw invalid(
      `observation count is  ${formatGeneral(h.count)}: histogram's observation count is negative`,
    );
  checkBuckets("positive side", h.positiveBuckets);
}

/**
 * As `validateHistogram` for a histogram of integers, whose count must be that of its buckets; with a sum of NaN it may
 * be higher, by the observations of NaN.
 */
export function validateIntegerHistogram(h: FloatHistogram): void {
  validateHistogram(h);
  let inBuckets = h.zeroCount;
  for (const count of h.negativeBuckets) inBuckets += count;
  for (const count of h.positiveBuckets) inBuckets += count;
  const found = `${formatFixed(inBuckets)} observations found in buckets, but the Count field is ${formatFixed(h.count)}: histogram's observation count should`;
  if (h.sum !== h.sum) {
    if (inBuckets > h.count)
      throw invalid(`${found} be at least the number of observations found in the buckets`);
  } else if (inBuckets !== h.count)
    throw invalid(
      `${found} equal the number of observations found in the buckets (in absence of NaN)`,
    );
}

const NEGATIVE_BUCKET = "histogram has a bucket whose observation count is negative";

function invalid(message: string): AppError {
  return new AppError("bad-data", message);
}

function negativeOffset(position: number, offset: number): string {
  return `span number ${position} with offset ${offset}: histogram has a span whose offset is negative`;
}

function bucketsMismatch(needed: number, given: number): string {
  return `spans need ${needed} buckets, have ${given} buckets: histogram spans specify different number of buckets than provided`;
}

function checkSpans(where: string, side: { spans: Int32Array; bucketCount: number }): void {
  const { spans, bucketCount } = side;
  let needed = 0;
  for (let s = 0; s < spans.length; s += 2) {
    if (s > 0 && spans[s]! < 0) throw invalid(`${where}: ${negativeOffset(s / 2 + 1, spans[s]!)}`);
    // Lengths are unsigned on the wire; one that wrapped around covers more buckets than any list has.
    needed += spans[s + 1]! >>> 0;
  }
  if (needed !== bucketCount) throw invalid(`${where}: ${bucketsMismatch(needed, bucketCount)}`);
}

function checkBuckets(where: string, buckets: Float64Array): void {
  for (let k = 0; k < buckets.length; k++)
    if (buckets[k]! < 0)
      throw invalid(
        `${where}: bucket number ${k + 1} has observation count of ${formatGeneral(buckets[k]!)}: ${NEGATIVE_BUCKET}`,
      );
}

function checkCustomBounds(h: FloatHistogram): void {
  const bounds = h.customValues;
  for (let i = 0; i < bounds.length; i++) {
    const bound = bounds[i]!;
    if (bound !== bound) throw invalid("custom buckets: histogram custom bounds must not be NaN");
    if (i > 0 && bound <= bounds[i - 1]!)
      throw invalid(
        `custom buckets: previous bound is ${sixDigits(bounds[i - 1]!)} and current is ${sixDigits(bound)}: histogram custom bounds must be in strictly increasing order`,
      );
  }
  if (bounds.length > 0 && bounds[bounds.length - 1] === Infinity)
    throw invalid(
      "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite",
    );
  let needed = 0;
  let reach = 0;
  for (let s = 0; s < h.positiveSpans.length; s += 2) {
    const offset = h.positiveSpans[s]!;
    const length = h.positiveSpans[s + 1]! >>> 0;
    if (offset < 0) throw invalid(`custom buckets: ${negativeOffset(s / 2 + 1, offset)}`);
    needed += length;
    reach += length + offset;
  }
  if (needed !== h.positiveBuckets.length)
    throw invalid(`custom buckets: ${bucketsMismatch(needed, h.positiveBuckets.length)}`);
  if (bounds.length + 1 < reach)
    throw invalid(
      `custom buckets: only ${bounds.length} custom bounds defined which is insufficient to cover total span length of ${reach}: histogram custom bounds are too few`,
    );
}

/** Go's `%f`. */
function sixDigits(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${formatFixed(value)}.000000`;
}

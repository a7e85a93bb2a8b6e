import { CUSTOM_BUCKETS_SCHEMA, customBoundsMatch, type FloatHistogram } from "./histogram.ts";
import { bucketIndexes, sameSpans } from "./histogram-side.ts";

/**
 * Whether both are the same data: schema, bounds, and every count bit for bit over the same buckets (empty ones
 * included), whatever spans spell them. The hint is not compared.
 */
export function histogramsEqual(a: FloatHistogram, b: FloatHistogram): boolean {
  return (
    a.schema === b.schema &&
    sameBits(a.count, b.count) &&
    sameBits(a.sum, b.sum) &&
    (a.schema !== CUSTOM_BUCKETS_SCHEMA || customBoundsMatch(a.customValues, b.customValues)) &&
    a.zeroThreshold === b.zeroThreshold &&
    sameBits(a.zeroCount, b.zeroCount) &&
    sameBuckets(a.negativeSpans, b.negativeSpans, a.negativeBuckets.length) &&
    sameCounts(a.negativeBuckets, b.negativeBuckets) &&
    sameBuckets(a.positiveSpans, b.positiveSpans, a.positiveBuckets.length) &&
    sameCounts(a.positiveBuckets, b.positiveBuckets)
  );
}

function sameBuckets(a: Int32Array, b: Int32Array, limit: number): boolean {
  return sameSpans(a, b) || sameSpans(bucketIndexes(a, limit), bucketIndexes(b, limit));
}

function sameCounts(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!sameBits(a[i]!, b[i]!)) return false;
  return true;
}

const pair = new Float64Array(2);
const pairWords = new Uint32Array(pair.buffer);

function sameBits(a: number, b: number): boolean {
  if (a === b) return a !== 0 || Object.is(a, b);
  pair[0] = a;
  pair[1] = b;
  return pairWords[0] === pairWords[2] && pairWords[1] === pairWords[3];
}

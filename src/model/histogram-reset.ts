import {
  CUSTOM_BUCKETS_SCHEMA,
  customBoundsMatch,
  type FloatHistogram,
  spanBucketCount,
} from "./histogram.ts";
import { exponentialBound, upperBound } from "./histogram-bounds.ts";
import { bucketIndexes, reduceSide, sameSpans, type Side, startsAbove } from "./histogram-side.ts";
import { zeroBucketFor } from "./histogram-zero.ts";

/**
 * Whether the counter was reset between `previous` and `h`: by the hint of `h` if that is "reset" or "not_reset", else
 * by comparing. Any smaller count is a reset, and so is a populated bucket that is gone, a finer schema or a narrower
 * zero bucket; a coarser schema and a wider zero bucket are not, if the counts still grow.
 */
export function detectReset(h: FloatHistogram, previous: FloatHistogram): boolean {
  if (h.counterResetHint === "reset") return true;
  if (h.counterResetHint === "not_reset") return false;
  if (h.count < previous.count) return true;
  if (h.schema === CUSTOM_BUCKETS_SCHEMA) {
    if (previous.schema !== CUSTOM_BUCKETS_SCHEMA) return true;
    if (!customBoundsMatch(h.customValues, previous.customValues))
      return commonBucketShrank(h, previous);
  }
  if (h.schema > previous.schema || h.zeroThreshold < previous.zeroThreshold) return true;
  // From exponential to custom buckets is a step to a lower schema number, but the counts cannot be compared.
  if (h.schema !== previous.schema && h.schema === CUSTOM_BUCKETS_SCHEMA) return true;
  const previousZero = zeroBucketFor(previous, h.zeroThreshold);
  if (previousZero.threshold !== h.zeroThreshold) return true;
  if (h.zeroCount < previousZero.count) return true;
  const steps = previous.schema - h.schema;
  return (
    sideShrank(
      { spans: h.positiveSpans, buckets: h.positiveBuckets },
      reduceSide({ spans: previous.positiveSpans, buckets: previous.positiveBuckets }, steps),
      h,
    ) ||
    sideShrank(
      { spans: h.negativeSpans, buckets: h.negativeBuckets },
      reduceSide({ spans: previous.negativeSpans, buckets: previous.negativeBuckets }, steps),
      h,
    )
  );
}

/** Compares the buckets outside of the zero bucket of `layout`, whose schema both sides have. */
function sideShrank(current: Side, previous: Side, layout: FloatHistogram): boolean {
  const size = previous.buckets.length;
  if (size === 0) return false;
  // Fast path: most neighbours have the same buckets, and all of them outside of the zero bucket.
  if (
    size === current.buckets.length &&
    sameSpans(current.spans, previous.spans) &&
    startsAbove(previous, layout) &&
    spanBucketCount(previous.spans) === size
  ) {
    for (let k = 0; k < size; k++) if (current.buckets[k]! < previous.buckets[k]!) return true;
    return false;
  }
  const indexes = bucketIndexes(current.spans, current.buckets.length);
  const previousIndexes = bucketIndexes(previous.spans, previous.buckets.length);
  const { schema, zeroThreshold } = layout;
  const bounded = schema !== CUSTOM_BUCKETS_SCHEMA && zeroThreshold !== 0;
  let outside = !bounded;
  let k = 0;
  for (let j = 0; j < previousIndexes.length; j++) {
    const index = previousIndexes[j]!;
    if (!outside) {
      if (exponentialBound(index, schema) <= zeroThreshold) continue;
      outside = true;
    }
    while (k < indexes.length && indexes[k]! < index) k++;
    const found = k < indexes.length && indexes[k] === index;
    if (found ? current.buckets[k]! < previous.buckets[j]! : previous.buckets[j] !== 0) return true;
  }
  return false;
}

/** Whether a bucket of the bounds both have holds less than before. */
function commonBucketShrank(h: FloatHistogram, previous: FloatHistogram): boolean {
  const now = new Rollup(h);
  const before = new Rollup(previous);
  const bounds = h.customValues;
  const previousBounds = previous.customValues;
  for (let i = 0, j = 0; i <= bounds.length && j <= previousBounds.length;) {
    const bound = i < bounds.length ? bounds[i]! : Infinity;
    const previousBound = j < previousBounds.length ? previousBounds[j]! : Infinity;
    if (bound === previousBound) {
      if (now.upTo(bound) < before.upTo(bound)) return true;
      i++;
      j++;
    } else if (bound < previousBound) i++;
    else j++;
  }
  return false;
}

/** Sums buckets from bound to bound. */
class Rollup {
  readonly #histogram: FloatHistogram;
  readonly #indexes: Int32Array;
  #k = 0;

  constructor(h: FloatHistogram) {
    this.#histogram = h;
    this.#indexes = bucketIndexes(h.positiveSpans, h.positiveBuckets.length);
  }

  /** What the buckets after the last bound and up to `bound` hold. */
  upTo(bound: number): number {
    const h = this.#histogram;
    let sum = 0;
    for (; this.#k < this.#indexes.length; this.#k++) {
      if (!(upperBound(this.#indexes[this.#k]!, h.schema, h.customValues) <= bound)) break;
      sum += h.positiveBuckets[this.#k]!;
    }
    return sum;
  }
}

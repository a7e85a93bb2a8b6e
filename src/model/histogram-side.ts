import { isExponentialSchema, NO_BUCKETS, NO_SPANS, spanBucketCount } from "./histogram.ts";
import { coarserIndex, exponentialBound } from "./histogram-bounds.ts";
import { firstBuckets, newBuckets } from "./histogram-slab.ts";
import { KahanSum, sumError } from "./histogram-math.ts";

/** One side of a histogram; `errors`, where present, are the compensations of a Kahan sum, one for each bucket. */
export interface Side {
  readonly spans: Int32Array;
  readonly buckets: Float64Array;
  readonly errors?: Float64Array | undefined;
}

export const EMPTY_SIDE: Side = { spans: NO_SPANS, buckets: NO_BUCKETS };

/** The index of every bucket of the spans; at most `limit` of them. */
export function bucketIndexes(spans: Int32Array, limit: number): Int32Array {
  const indexes = new Int32Array(limit);
  let index = 0;
  let k = 0;
  for (let s = 0; s + 1 < spans.length; s += 2) {
    index += spans[s]!;
    for (let left = spans[s + 1]!; left > 0 && k < limit; left--) indexes[k++] = index++;
  }
  return k === limit ? indexes : indexes.subarray(0, k);
}

/** The fewest spans that cover exactly the first `count` of the ascending `indexes`. */
export function spansOfIndexes(indexes: Int32Array, count: number): Int32Array {
  if (count === 0) return NO_SPANS;
  let spanCount = 1;
  for (let k = 1; k < count; k++) if (indexes[k]! !== indexes[k - 1]! + 1) spanCount++;
  const spans = new Int32Array(spanCount * 2);
  let s = 0;
  spans[0] = indexes[0]!;
  spans[1] = 1;
  for (let k = 1; k < count; k++) {
    const gap = indexes[k]! - indexes[k - 1]! - 1;
    if (gap !== 0) {
      s += 2;
      spans[s] = gap;
    }
    spans[s + 1]!++;
  }
  return spans;
}

/** Whether both spell the same spans. */
export function sameSpans(a: Int32Array, b: Int32Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Merges buckets into those of a schema `steps` coarser; with `errors` the counts are summed after Kahan. */
export function reduceSide(side: Side, steps: number): Side {
  if (steps === 0 || side.buckets.length === 0) return side;
  const { buckets, errors } = side;
  const indexes = bucketIndexes(side.spans, buckets.length);
  const merged = newBuckets(indexes.length);
  const mergedErrors = errors === undefined ? undefined : newBuckets(indexes.length);
  const targets = new Int32Array(indexes.length);
  let last = -1;
  for (let k = 0; k < indexes.length; k++) {
    const target = coarserIndex(indexes[k]!, steps);
    if (last < 0 || targets[last] !== target) {
      targets[++last] = target;
      merged[last] = buckets[k]!;
      if (mergedErrors !== undefined) mergedErrors[last] = errors![k]!;
    } else if (mergedErrors === undefined) merged[last]! += buckets[k]!;
    else {
      const sum = new KahanSum(merged[last]!, mergedErrors[last]!);
      sum.add(buckets[k]!);
      sum.add(errors![k]!);
      merged[last] = sum.sum;
      mergedErrors[last] = sum.compensation;
    }
  }
  return {
    spans: spansOfIndexes(targets, last + 1),
    buckets: firstBuckets(merged, last + 1),
    errors: mergedErrors === undefined ? undefined : firstBuckets(mergedErrors, last + 1),
  };
}

/** How `addSides` treats the buckets of its second side. */
export interface AddOptions {
  readonly schema: number;
  /** Exponential buckets of `b` up to this bound are part of the zero bucket already and left out. */
  readonly zeroThreshold: number;
  readonly negate?: boolean;
}

/**
 * `a` plus (or minus) `b`, bucket by bucket, over the union of their buckets. With `a.errors` the sum is Kahan's and
 * `b.errors` takes part.
 */
export function addSides(a: Side, b: Side, options: AddOptions): Side {
  const { schema, zeroThreshold } = options;
  const sign = options.negate === true ? -1 : 1;
  if (b.buckets.length === 0) return a;
  // Fast path: two histograms of one series nearly always have the same buckets.
  if (
    a.buckets.length === b.buckets.length &&
    sameSpans(a.spans, b.spans) &&
    startsAbove(b, options) &&
    spanBucketCount(b.spans) === b.buckets.length
  )
    return addSameLayout(a, b, sign);
  const bIndexes = bucketIndexes(b.spans, b.buckets.length);
  let skip = 0;
  if (isExponentialSchema(schema))
    while (skip < bIndexes.length && exponentialBound(bIndexes[skip]!, schema) <= zeroThreshold)
      skip++;
  if (skip === bIndexes.length) return a;
  const aIndexes = bucketIndexes(a.spans, a.buckets.length);
  const room = aIndexes.length + bIndexes.length - skip;
  const union = new Int32Array(room);
  const buckets = newBuckets(room);
  const errors = a.errors === undefined ? undefined : newBuckets(room);
  const sum = new KahanSum();
  let count = 0;
  for (let i = 0, j = skip; i < aIndexes.length || j < bIndexes.length; count++) {
    const fromA = j >= bIndexes.length || (i < aIndexes.length && aIndexes[i]! <= bIndexes[j]!);
    const fromB = i >= aIndexes.length || (j < bIndexes.length && bIndexes[j]! <= aIndexes[i]!);
    const error = fromB ? sign * (b.errors?.[j] ?? 0) : 0;
    union[count] = fromA ? aIndexes[i]! : bIndexes[j]!;
    if (!fromA) {
      buckets[count] = sign * b.buckets[j]!;
      if (errors !== undefined) errors[count] = error;
    } else if (!fromB) {
      buckets[count] = a.buckets[i]!;
      if (errors !== undefined) errors[count] = a.errors![i]!;
    } else if (errors === undefined) buckets[count] = a.buckets[i]! + sign * b.buckets[j]!;
    else {
      sum.sum = a.buckets[i]!;
      sum.compensation = a.errors![i]!;
      sum.add(sign * b.buckets[j]!);
      if (error !== 0) sum.add(error);
      buckets[count] = sum.sum;
      errors[count] = sum.compensation;
    }
    if (fromA) i++;
    if (fromB) j++;
  }
  return {
    spans: spansOfIndexes(union, count),
    buckets: firstBuckets(buckets, count),
    errors: errors === undefined ? undefined : firstBuckets(errors, count),
  };
}

/** Whether even the first bucket lies outside of the zero bucket. */
export function startsAbove(side: Side, zero: { schema: number; zeroThreshold: number }): boolean {
  if (zero.zeroThreshold === 0 || !isExponentialSchema(zero.schema)) return true;
  return side.spans[1] !== 0 && exponentialBound(side.spans[0]!, zero.schema) > zero.zeroThreshold;
}

function addSameLayout(a: Side, b: Side, sign: number): Side {
  const size = a.buckets.length;
  const buckets = newBuckets(size);
  if (a.errors === undefined) {
    for (let k = 0; k < size; k++) buckets[k] = a.buckets[k]! + sign * b.buckets[k]!;
    return { spans: a.spans, buckets };
  }
  const errors = newBuckets(size);
  for (let k = 0; k < size; k++) {
    const before = a.buckets[k]!;
    const increment = sign * b.buckets[k]!;
    const total = before + increment;
    buckets[k] = total;
    const isInfinite = total === Infinity || total === -Infinity;
    errors[k] = isInfinite ? 0 : a.errors[k]! + sumError(increment, before, total);
  }
  if (b.errors !== undefined) addErrors(buckets, errors, { of: b.errors, sign });
  return { spans: a.spans, buckets, errors };
}

/** Adds the errors of the other side to a sum, as increments of their own. */
function addErrors(
  buckets: Float64Array,
  errors: Float64Array,
  other: { of: Float64Array; sign: number },
): void {
  const sum = new KahanSum();
  for (let k = 0; k < buckets.length; k++) {
    const error = other.sign * other.of[k]!;
    if (error === 0) continue;
    sum.sum = buckets[k]!;
    sum.compensation = errors[k]!;
    sum.add(error);
    buckets[k] = sum.sum;
    errors[k] = sum.compensation;
  }
}

/**
 * Drops empty buckets at both ends of every stretch, and inside it where more than `maxEmptyBuckets` stand in a row;
 * gaps up to that many are filled with empty buckets. A bucket with a compensation is not empty.
 */
export function compactSide(side: Side, maxEmptyBuckets: number): Side {
  const { buckets, errors, spans } = side;
  if (isCompact(side, maxEmptyBuckets)) return side;
  const indexes = bucketIndexes(spans, buckets.length);
  let room = 0;
  let previous = 0;
  for (let k = 0; k < indexes.length; k++) {
    if (isEmptyBucket(side, k)) continue;
    const gap = indexes[k]! - previous - 1;
    room += 1 + (room > 0 && gap > 0 && gap <= maxEmptyBuckets ? gap : 0);
    previous = indexes[k]!;
  }
  const keptIndexes = new Int32Array(room);
  const kept = newBuckets(room);
  const keptErrors = errors === undefined ? undefined : newBuckets(room);
  let count = 0;
  for (let k = 0; k < indexes.length; k++) {
    if (isEmptyBucket(side, k)) continue;
    const gap = count === 0 ? 0 : indexes[k]! - keptIndexes[count - 1]! - 1;
    if (gap <= maxEmptyBuckets)
      for (let g = 0; g < gap; g++, count++) keptIndexes[count] = keptIndexes[count - 1]! + 1;
    keptIndexes[count] = indexes[k]!;
    kept[count] = buckets[k]!;
    if (keptErrors !== undefined) keptErrors[count] = errors![k]!;
    count++;
  }
  return { spans: spansOfIndexes(keptIndexes, count), buckets: kept, errors: keptErrors };
}

function isEmptyBucket(side: Side, k: number): boolean {
  return side.buckets[k] === 0 && (side.errors === undefined || side.errors[k] === 0);
}

function isCompact(side: Side, maxEmptyBuckets: number): boolean {
  const { buckets, spans } = side;
  for (let k = 0; k < buckets.length; k++) if (buckets[k] === 0) return false;
  for (let s = 0; s < spans.length; s += 2)
    if (spans[s + 1] === 0 || (s > 0 && spans[s]! <= maxEmptyBuckets)) return false;
  return true;
}

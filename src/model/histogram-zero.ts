import type { FloatHistogram } from "./histogram.ts";
import { BucketCursor } from "./histogram-cursor.ts";
import { KahanSum } from "./histogram-math.ts";
import { compactSide, type Side } from "./histogram-side.ts";

/** The zero buckets of two histograms brought to one threshold. */
export interface ReconciledZeroBuckets {
  /** The first histogram and its compensation, rewritten where its zero bucket grew. */
  readonly histogram: FloatHistogram;
  readonly compensation: FloatHistogram | undefined;
  /** The zero count (and its rounding error) the second one would have with that threshold. */
  readonly otherZeroCount: number;
  readonly otherZeroError: number;
}

/**
 * Widens the narrower zero bucket, as often as it takes, until both have the same threshold and no populated bucket
 * of either is cut by it. The other histogram is left as it is.
 */
export function reconcileZeroBuckets(
  h: FloatHistogram,
  other: FloatHistogram,
  compensation?: FloatHistogram,
): ReconciledZeroBuckets {
  let histogram = h;
  let errors = compensation;
  let otherZeroCount = other.zeroCount;
  let otherZeroError = 0;
  let otherThreshold = other.zeroThreshold;
  while (otherThreshold !== histogram.zeroThreshold) {
    if (histogram.zeroThreshold > otherThreshold) {
      const wider = zeroBucketFor(other, histogram.zeroThreshold);
      otherZeroCount = wider.count;
      otherZeroError = wider.error;
      otherThreshold = wider.threshold;
    }
    if (otherThreshold > histogram.zeroThreshold) {
      const wider = zeroBucketFor(histogram, otherThreshold, errors);
      histogram = { ...histogram, zeroCount: wider.count, zeroThreshold: wider.threshold };
      if (errors !== undefined) errors = { ...errors, zeroCount: wider.error };
      [histogram, errors] = dropBucketsInZeroBucket(histogram, errors);
    }
    // A threshold of NaN equals nothing: without this, hostile data would loop for ever.
    if (!(otherThreshold >= 0) || !(histogram.zeroThreshold >= 0)) break;
  }
  return { histogram, compensation: errors, otherZeroCount, otherZeroError };
}

/**
 * What the zero bucket of `h` would hold with a threshold of at least `threshold`, which is raised to the end of a
 * populated bucket it would cut. `error` is the rounding error of `count`.
 */
export function zeroBucketFor(
  h: FloatHistogram,
  threshold: number,
  compensation?: FloatHistogram,
): { count: number; error: number; threshold: number } {
  const error = compensation?.zeroCount ?? 0;
  if (threshold === h.zeroThreshold) return { count: h.zeroCount, error, threshold };
  const sum = new KahanSum(h.zeroCount, error);
  let limit = threshold;
  for (;;) {
    sum.sum = h.zeroCount;
    limit = absorb(h, { side: "positive", limit, sum, errors: compensation?.positiveBuckets });
    const after = absorb(h, {
      side: "negative",
      limit,
      sum,
      errors: compensation?.negativeBuckets,
    });
    // The negative side raised the threshold, so the positive side has to be read again.
    if (!(after > limit)) break;
    limit = after;
  }
  return { count: sum.sum, error: sum.compensation, threshold: limit };
}

/** Adds the buckets below `limit` of one side to `sum`, and returns the limit, raised if it cuts a populated bucket. */
function absorb(
  h: FloatHistogram,
  task: {
    side: "negative" | "positive";
    limit: number;
    sum: KahanSum;
    errors: Float64Array | undefined;
  },
): number {
  const cursor = new BucketCursor(h, { side: task.side });
  while (cursor.next()) {
    cursor.loadBounds();
    const near = task.side === "positive" ? cursor.lower : -cursor.upper;
    const far = task.side === "positive" ? cursor.upper : -cursor.lower;
    if (near >= task.limit) break;
    task.sum.add(cursor.count);
    if (task.errors !== undefined) task.sum.add(task.errors[cursor.position]!);
    if (far > task.limit) return cursor.count === 0 ? task.limit : far;
  }
  return task.limit;
}

function dropBucketsInZeroBucket(
  h: FloatHistogram,
  compensation: FloatHistogram | undefined,
): [FloatHistogram, FloatHistogram | undefined] {
  const positive = clearBelow(h, "positive", compensation?.positiveBuckets);
  const negative = clearBelow(h, "negative", compensation?.negativeBuckets);
  const histogram = {
    ...h,
    positiveSpans: positive.spans,
    positiveBuckets: positive.buckets,
    negativeSpans: negative.spans,
    negativeBuckets: negative.buckets,
  };
  if (compensation === undefined) return [histogram, undefined];
  return [
    histogram,
    {
      ...compensation,
      positiveSpans: positive.spans,
      positiveBuckets: positive.errors ?? compensation.positiveBuckets,
      negativeSpans: negative.spans,
      negativeBuckets: negative.errors ?? compensation.negativeBuckets,
    },
  ];
}

function clearBelow(
  h: FloatHistogram,
  side: "negative" | "positive",
  errors: Float64Array | undefined,
): Side {
  const spans = side === "positive" ? h.positiveSpans : h.negativeSpans;
  const buckets = (side === "positive" ? h.positiveBuckets : h.negativeBuckets).slice();
  const clearedErrors = errors?.slice();
  const cursor = new BucketCursor(h, { side });
  while (cursor.next()) {
    cursor.loadBounds();
    if ((side === "positive" ? cursor.lower : -cursor.upper) >= h.zeroThreshold) break;
    buckets[cursor.position] = 0;
    if (clearedErrors !== undefined) clearedErrors[cursor.position] = 0;
  }
  return compactSide({ spans, buckets, errors: clearedErrors }, 0);
}

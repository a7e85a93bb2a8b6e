import { type FloatHistogram, usesCustomBuckets } from "./histogram.ts";
import { compactHistogram } from "./histogram-arithmetic.ts";
import { BucketCursor } from "./histogram-cursor.ts";
import { fractionBelow } from "./histogram-quantile.ts";

/** Which observations stay: those below the limit (`</`) or those above it (`>/`). */
export type TrimKeeps = "below" | "above";

interface TrimmedBucket {
  /** How many observations stay. */
  readonly count: number;
  /** Where they are taken to be, for the new sum. */
  readonly at: number;
}

/**
 * `h` without the observations above (or below) `limit`. A bucket cut by the limit keeps the interpolated part; one
 * without a finite end is kept or dropped as a whole. The sum is estimated from where the kept buckets lie. A
 * histogram that loses nothing is returned as it is.
 */
export function trimHistogram(
  h: FloatHistogram,
  trim: { limit: number; keeps: TrimKeeps },
): FloatHistogram {
  const { limit, keeps } = trim;
  const linear = usesCustomBuckets(h);
  const total = { count: 0, sum: 0 };
  const positive = trimSide(h, { side: "positive", limit, keeps, linear, total });
  const negative = trimSide(h, { side: "negative", limit, keeps, linear, total });
  let changed = positive.changed || negative.changed;
  let zeroCount = h.zeroCount;
  if (zeroCount > 0) {
    const kept = trimZeroBucket(h, {
      limit,
      keeps,
      lower: positive.populated && !negative.populated ? 0 : -h.zeroThreshold,
      upper: negative.populated && !positive.populated ? 0 : h.zeroThreshold,
    });
    if (zeroCount !== kept.count) {
      zeroCount = kept.count;
      changed = true;
    }
    total.sum += kept.at * kept.count;
    total.count += kept.count;
  }
  if (!changed) return h;
  return compactHistogram({
    ...h,
    zeroCount,
    count: total.count,
    sum: total.sum,
    positiveBuckets: positive.buckets,
    negativeBuckets: negative.buckets,
  });
}

function trimSide(
  h: FloatHistogram,
  task: {
    side: "positive" | "negative";
    limit: number;
    keeps: TrimKeeps;
    linear: boolean;
    total: { count: number; sum: number };
  },
): { buckets: Float64Array; changed: boolean; populated: boolean } {
  const { side, limit, keeps, linear, total } = task;
  const buckets = (side === "positive" ? h.positiveBuckets : h.negativeBuckets).slice();
  const cursor = new BucketCursor(h, { side });
  const negative = side === "negative";
  let changed = false;
  let populated = false;
  while (cursor.next()) {
    const { count, position } = cursor;
    if (count === 0) continue;
    populated = true;
    cursor.loadBounds();
    const { lower, upper } = cursor;
    if (keeps === "below" ? upper <= limit : lower >= limit) {
      total.count += count;
      total.sum += middle({ lower, upper, negative, linear }) * count;
      continue;
    }
    let kept: TrimmedBucket = { count: 0, at: 0 };
    if (keeps === "below" ? lower < limit : upper > limit) {
      kept = trimBucket({ lower, upper, count, limit, keeps, negative, linear });
      total.count += kept.count;
      total.sum += kept.at * kept.count;
      if (kept.count === count) continue;
    }
    buckets[position] = kept.count;
    changed = true;
  }
  return { buckets, changed, populated };
}

interface CutBucket {
  readonly lower: number;
  readonly upper: number;
  readonly count: number;
  readonly limit: number;
  readonly keeps: TrimKeeps;
  readonly negative: boolean;
  readonly linear: boolean;
}

function trimBucket(bucket: CutBucket): TrimmedBucket {
  const { lower, upper, count, limit, keeps, negative, linear } = bucket;
  if (lower === -Infinity)
    return keeps === "below" ? belowInOpenStart(bucket) : aboveInOpenStart(bucket);
  if (upper === Infinity) {
    // How the observations lie in an endless bucket is unknown: below the limit none are kept, above it …
    if (keeps === "above" && limit >= lower) return { count, at: limit };
    return { count: 0, at: 0 };
  }
  const below =
    limit <= lower
      ? 0
      : limit >= upper
        ? count
        : count * fractionBelow(limit, { lower, upper, linear });
  return keeps === "below"
    ? { count: below, at: middle({ lower, upper: limit, negative, linear }) }
    : { count: count - below, at: middle({ lower: limit, upper, negative, linear }) };
}

/** A first custom bucket counts as starting at zero where its end is positive. */
function belowInOpenStart({ upper, count, limit }: CutBucket): TrimmedBucket {
  if (limit >= upper) return { count, at: 0 };
  if (limit > 0 && upper > 0 && upper !== Infinity)
    return { count: (count * limit) / upper, at: limit / 2 };
  if (upper <= 0) return { count, at: limit };
  return { count: 0, at: 0 };
}

function aboveInOpenStart({ lower, upper, count, limit }: CutBucket): TrimmedBucket {
  if (limit <= lower) return { count, at: 0 };
  if (limit >= 0 && upper > limit && upper !== Infinity)
    return { count: count * (1 - limit / upper), at: (limit + upper) / 2 };
  return { count: 0, at: 0 };
}

function trimZeroBucket(
  h: FloatHistogram,
  cut: { limit: number; keeps: TrimKeeps; lower: number; upper: number },
): TrimmedBucket {
  const { limit, lower, upper } = cut;
  const whole = { count: h.zeroCount, at: (lower + upper) / 2 };
  const nothing = { count: 0, at: 0 };
  if (limit <= lower) return cut.keeps === "below" ? nothing : whole;
  if (limit >= upper) return cut.keeps === "below" ? whole : nothing;
  return cut.keeps === "below"
    ? { count: h.zeroCount * ((limit - lower) / (upper - lower)), at: (lower + limit) / 2 }
    : { count: h.zeroCount * ((upper - limit) / (upper - lower)), at: (limit + upper) / 2 };
}

/** Where the observations between two bounds are taken to be. */
function middle(range: {
  lower: number;
  upper: number;
  negative: boolean;
  linear: boolean;
}): number {
  const { lower, upper } = range;
  const endless = (bound: number): boolean => bound === Infinity || bound === -Infinity;
  if (endless(lower)) {
    if (endless(upper)) return 0;
    return upper > 0 ? upper / 2 : upper;
  }
  if (endless(upper)) return lower;
  if (range.linear) return (lower + upper) / 2;
  const mean = Math.sqrt(Math.abs(lower * upper));
  return range.negative ? -mean : mean;
}

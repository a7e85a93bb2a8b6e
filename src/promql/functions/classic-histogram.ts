/**
 * Quantiles and fractions of classic histograms (cumulative `le` buckets). The caller fills `bounds` and `counts` in
 * ascending order of bounds; equal bounds are added up, small and large dents repaired, in place.
 */
export interface Buckets {
  bounds: Float64Array;
  counts: Float64Array;
  size: number;
}

export interface QuantileResult {
  value: number;
  /** Counts fell by more than rounding explains and were raised. */
  isRepaired: boolean;
  minBucket: number;
  maxBucket: number;
  maxDiff: number;
}

/** Relative difference of counts that is taken for rounding. */
const TOLERANCE = 1e-12;

export function bucketQuantile(phi: number, buckets: Buckets, result: QuantileResult): void {
  result.isRepaired = false;
  if (Number.isNaN(phi)) {
    result.value = NaN;
    return;
  }
  if (phi < 0 || phi > 1) {
    result.value = phi < 0 ? -Infinity : Infinity;
    return;
  }
  result.value = NaN;
  if (buckets.bounds[buckets.size - 1] !== Infinity) return;
  coalesce(buckets);
  makeMonotonic(buckets, result);
  const { bounds, counts, size } = buckets;
  if (size < 2) return;
  const observations = counts[size - 1]!;
  if (observations === 0) return;
  let rank = phi * observations;
  const index = firstAtLeast(counts, size - 1, rank);
  if (index === size - 1) {
    result.value = bounds[size - 2]!;
  } else if (index === 0 && bounds[0]! <= 0) {
    result.value = bounds[0]!;
  } else {
    let start = 0;
    let count = counts[index]!;
    if (index > 0) {
      start = bounds[index - 1]!;
      count -= counts[index - 1]!;
      rank -= counts[index - 1]!;
    }
    result.value = start + (bounds[index]! - start) * (rank / count);
  }
}

/** Binary search as Go's sort.Search does it, which also fixes what NaN counts give. */
function firstAtLeast(counts: Float64Array, size: number, rank: number): number {
  let low = 0;
  let high = size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (counts[middle]! >= rank) high = middle;
    else low = middle + 1;
  }
  return low;
}

function coalesce(buckets: Buckets): void {
  const { bounds, counts } = buckets;
  let last = 0;
  for (let i = 1; i < buckets.size; i++) {
    if (bounds[i] === bounds[last]) {
      counts[last] = counts[last]! + counts[i]!;
    } else {
      last++;
      bounds[last] = bounds[i]!;
      counts[last] = counts[i]!;
    }
  }
  buckets.size = last + 1;
}

function makeMonotonic(buckets: Buckets, result: QuantileResult): void {
  const { bounds, counts, size } = buckets;
  result.minBucket = Infinity;
  result.maxBucket = -Infinity;
  result.maxDiff = 0;
  let previous = counts[0]!;
  for (let i = 1; i < size; i++) {
    const current = counts[i]!;
    if (current === previous) continue;
    if (isAlmostEqual(previous, current)) {
      counts[i] = previous;
      continue;
    }
    if (current < previous) {
      counts[i] = previous;
      result.isRepaired = true;
      result.minBucket = Math.min(result.minBucket, bounds[i]!);
      result.maxBucket = Math.max(result.maxBucket, bounds[i]!);
      result.maxDiff = Math.max(result.maxDiff, previous - current);
      continue;
    }
    previous = current;
  }
}

const SMALLEST_NORMAL = 2.2250738585072014e-308;

function isAlmostEqual(a: number, b: number): boolean {
  if (Number.isNaN(a) && Number.isNaN(b)) return true;
  if (a === b) return true;
  const sum = Math.abs(a) + Math.abs(b);
  const difference = Math.abs(a - b);
  if (a === 0 || b === 0 || sum < SMALLEST_NORMAL) return difference < TOLERANCE * SMALLEST_NORMAL;
  return difference / Math.min(sum, Number.MAX_VALUE) < TOLERANCE;
}

/** The share of observations between `lower` and `upper`, interpolated linearly within buckets. */
export function bucketFraction(lower: number, upper: number, buckets: Buckets): number {
  if (buckets.bounds[buckets.size - 1] !== Infinity) return NaN;
  coalesce(buckets);
  const { bounds, counts, size } = buckets;
  const total = counts[size - 1]!;
  if (total === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return NaN;
  if (lower >= upper) return 0;
  const upperRank = rankOf(upper, bounds, counts, size);
  const lowerRank = rankOf(lower, bounds, counts, size);
  return (Math.min(upperRank, total) - Math.min(lowerRank, total)) / total;
}

/** How many observations lie below `value`. */
function rankOf(value: number, bounds: Float64Array, counts: Float64Array, size: number): number {
  let below = 0;
  // A first bucket above zero is taken to start at zero, one at or below it is open.
  let start = bounds[0]! <= 0 ? -Infinity : 0;
  for (let i = 0; i < size; i++) {
    if (i > 0) start = bounds[i - 1]!;
    if (start >= value) return below;
    const end = bounds[i]!;
    if (end > value) {
      if (start === -Infinity) return counts[i]!;
      return below + ((counts[i]! - below) * (value - start)) / (end - start);
    }
    below = counts[i]!;
  }
  return Infinity;
}

/**
 * The φ-quantile of the first `count` values with linear interpolation between ranks, as Prometheus computes it. NaN
 * sorts lowest. Sorts `values` in place.
 */
export function quantileOf(phi: number, values: Float64Array, count: number): number {
  if (count === 0 || Number.isNaN(phi)) return NaN;
  if (phi < 0) return -Infinity;
  if (phi > 1) return Infinity;
  const sorted = sortNaNFirst(values, count);
  const rank = phi * (count - 1);
  const below = Math.max(0, Math.floor(rank));
  const above = Math.min(count - 1, below + 1);
  const weight = rank - Math.floor(rank);
  return sorted[below]! * (1 - weight) + sorted[above]! * weight;
}

/** Typed arrays sort NaN last; it is moved to the front. */
function sortNaNFirst(values: Float64Array, count: number): Float64Array {
  const sorted = values.subarray(0, count).sort();
  let nan = 0;
  while (nan < count && Number.isNaN(sorted[count - 1 - nan]!)) nan++;
  if (nan > 0 && nan < count) {
    sorted.copyWithin(nan, 0, count - nan);
    sorted.fill(NaN, 0, nan);
  }
  return sorted;
}

/** Above this many values a pivot is taken from a sample of them. */
const SAMPLED_MIN = 96;
const SAMPLE_SIZE = 15;
/** Twice as many rounds as halving four thousand million values takes: worse luck is ended by sorting what is left. */
const MAX_ROUNDS = 64;
const sample = new Float64Array(SAMPLE_SIZE);

/**
 * The φ-quantile of the first `count` values with linear interpolation between ranks, as Prometheus computes it. NaN
 * sorts lowest. Puts `values` into another order.
 */
export function quantileOf(phi: number, values: Float64Array, count: number): number {
  if (count === 0 || Number.isNaN(phi)) return NaN;
  if (phi < 0) return -Infinity;
  if (phi > 1) return Infinity;
  const rank = phi * (count - 1);
  const below = Math.max(0, Math.floor(rank));
  const above = Math.min(count - 1, below + 1);
  const weight = rank - Math.floor(rank);
  const nan = moveNaNToFront(values, count);
  if (below < nan) return NaN;
  // Fast path: two neighbours in rank are enough, and finding them takes a few looks at each value, sorting ten.
  select(values, { low: nan, high: count - 1 }, below);
  let lower = values[below]!;
  let upper = lower;
  if (above > below) {
    upper = values[above]!;
    for (let i = above + 1; i < count; i++) if (values[i]! < upper) upper = values[i]!;
  }
  if (lower === 0 || upper === 0) {
    const zeros = { below: 0, negative: 0 };
    countBelowZero(values, count, zeros);
    lower = signed(lower, below - nan, zeros);
    upper = signed(upper, above - nan, zeros);
  }
  return lower * (1 - weight) + upper * weight;
}

/** How many of the first `count` values are NaN; they come first then. */
function moveNaNToFront(values: Float64Array, count: number): number {
  let nan = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (value === value) continue;
    values[i] = values[nan]!;
    values[nan++] = value;
  }
  return nan;
}

/** Hoare's selection: `values[rank]` becomes what sorting would put there, with nothing larger before and nothing smaller behind. */
function select(
  values: Float64Array,
  range: { readonly low: number; readonly high: number },
  rank: number,
): void {
  let { low, high } = range;
  for (let round = 0; low < high; round++) {
    if (round === MAX_ROUNDS) {
      values.subarray(low, high + 1).sort();
      return;
    }
    const pivot = pivotOf(values, low, high, rank);
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const value = values[i]!;
      values[i++] = values[j]!;
      values[j--] = value;
    }
    if (rank <= j) high = j;
    else if (rank >= i) low = i;
    else return;
  }
}

/** One of the values, near to the one of `rank`: then nearly all others go to one side, which the processor foresees. */
function pivotOf(values: Float64Array, low: number, high: number, rank: number): number {
  const size = high - low + 1;
  if (size < SAMPLED_MIN) return values[(low + high) >>> 1]!;
  for (let n = 0; n < SAMPLE_SIZE; n++) {
    const value = values[low + Math.floor(((n + 0.5) * size) / SAMPLE_SIZE)]!;
    let at = n;
    for (; at > 0 && sample[at - 1]! > value; at--) sample[at] = sample[at - 1]!;
    sample[at] = value;
  }
  return sample[Math.floor(((rank - low) * SAMPLE_SIZE) / size)]!;
}

/** How many values are below zero, and how many are zero with a sign. */
function countBelowZero(
  values: Float64Array,
  count: number,
  zeros: { below: number; negative: number },
): void {
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (value < 0) zeros.below++;
    else if (value === 0 && 1 / value < 0) zeros.negative++;
  }
}

/** Selection takes zeros for equal; those with a sign come first. */
function signed(value: number, rank: number, zeros: { below: number; negative: number }): number {
  if (value !== 0) return value;
  return rank < zeros.below + zeros.negative ? -0 : 0;
}

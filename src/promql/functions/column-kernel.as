// Loops over the samples of a series and the steps of a row, in AssemblyScript: rate-kernel.ts and sum-kernel.ts say when,
// column-kernel.test.ts compiles it.
//
// Two samples or two steps at a time, each with the additions, products and quotients that it would have alone.

const ALL_LANES: i32 = 3;
const WHOLE_SUM_MAX: f64 = 9007199254740992;

/** Whether `count` times, two at least, are `intervalMs` apart. */
export function isRegular(times: usize, count: u32, intervalMs: f64): bool {
  const wanted = f64x2.splat(intervalMs);
  const end = times + ((<usize>count - 1) << 3);
  for (; times + 16 <= end; times += 16) {
    const gaps = f64x2.sub(v128.load(times, 8), v128.load(times));
    if (!i64x2.all_true(f64x2.eq(gaps, wanted))) return false;
  }
  return times == end || load<f64>(times, 8) - load<f64>(times) == intervalMs;
}

/** Of `count` values, two at least, the index of the first that is lower than the one before it; 0 if none is. */
export function firstReset(values: usize, count: u32): u32 {
  const end = values + ((<usize>count - 1) << 3);
  let at = values;
  for (; at + 16 <= end; at += 16) {
    const lanes = i64x2.bitmask(f64x2.lt(v128.load(at, 8), v128.load(at)));
    if (lanes != 0) return <u32>((at - values) >> 3) + 1 + ctz(lanes);
  }
  return at < end && load<f64>(at, 8) < load<f64>(at) ? count - 1 : 0;
}

/**
 * Puts at each of `count` values, two at least, the sum of what was lost in the resets up to it to `totals`, and says whether
 * that is exact: all are whole, none is negative, and a float holds the sum.
 */
export function sumUpResets(values: usize, count: u32, totals: usize): bool {
  const zero = f64x2.splat(0);
  const first = load<f64>(values);
  if (!(first >= 0 && floor(first) == first)) return false;
  store<f64>(totals, 0);
  let total = zero;
  let isWhole = i64x2.splat(-1);
  const end = values + ((<usize>count) << 3);
  const distance = totals - values;
  let at = values + 8;
  for (; at + 16 <= end; at += 16) {
    const before = v128.load(at - 8);
    const own = v128.load(at);
    isWhole = v128.and(isWhole, f64x2.eq(f64x2.floor(own), own));
    isWhole = v128.and(isWhole, f64x2.ge(own, zero));
    const lost = v128.and(before, f64x2.lt(own, before));
    // What the first of the two lost counts for the second as well.
    const both = f64x2.add(lost, i64x2.shuffle(lost, zero, 2, 0));
    const totalled = f64x2.add(total, both);
    v128.store(at + distance, totalled);
    total = i64x2.shuffle(totalled, totalled, 1, 1);
  }
  if (i64x2.bitmask(isWhole) != ALL_LANES) return false;
  let last = load<f64>(at - 8);
  let sum = f64x2.extract_lane(total, 0);
  if (at < end) {
    const own = load<f64>(at);
    if (!(own >= 0 && floor(own) == own)) return false;
    if (own < last) sum += last;
    store<f64>(at + distance, sum);
    last = own;
  }
  // Between two resets a counter only grows, so the total and the last value bound every value.
  return sum + last <= WHOLE_SUM_MAX;
}

/** Two floats from `at` on that are `distance` bytes apart. */
// @ts-ignore: decorator
@inline
function pair(at: usize, distance: usize): v128 {
  return distance == 8
    ? v128.load(at)
    : v128.load_lane<u64>(at + distance, v128.load_zero<u64>(at), 1);
}

/**
 * Puts the rates of `steps` windows to `out`, of which there is room for one more. The first window has its first sample at
 * `low` and its last at `last`, each next one `stride` bytes further on. `totals` less `low` is `distance`; 0: nothing was
 * lost. `rangeSeconds` is 0 for what is no rate.
 */
export function windows(
  low: usize,
  last: usize,
  stride: usize,
  distance: usize,
  steps: u32,
  isCounter: bool,
  sampled: f64,
  toStart: f64,
  toEnd: f64,
  usualFactor: f64,
  rangeSeconds: f64,
  out: usize,
): void {
  const zero = f64x2.splat(0);
  const usual = f64x2.splat(usualFactor);
  const sampledBoth = f64x2.splat(sampled);
  const toStartBoth = f64x2.splat(toStart);
  const toEndBoth = f64x2.splat(toEnd);
  const range = f64x2.splat(rangeSeconds);
  const margin = f64x2.splat(1.000_000_001);
  const tiny = f64x2.splat(1e-200);
  const end = out + ((<usize>steps) << 3);
  for (; out < end; out += 16) {
    // The last window may be alone: then it is its own neighbour.
    const next = out + 8 < end ? stride : 0;
    const first = pair(low, next);
    let result = f64x2.sub(pair(last, next), first);
    if (distance != 0) {
      const lost = f64x2.sub(pair(last + distance, next), pair(low + distance, next));
      result = v128.bitselect(f64x2.add(result, lost), result, f64x2.gt(lost, zero));
    }
    let factor = usual;
    if (isCounter) {
      // As `mayReachZero` has it.
      const isFar = v128.and(
        f64x2.gt(first, tiny),
        f64x2.gt(
          f64x2.mul(first, sampledBoth),
          f64x2.mul(f64x2.mul(result, toStartBoth), margin),
        ),
      );
      const mayReach = v128.andnot(
        v128.and(f64x2.gt(result, zero), f64x2.ge(first, zero)),
        isFar,
      );
      if (v128.any_true(mayReach)) {
        const toZero = f64x2.mul(sampledBoth, f64x2.div(first, result));
        let cut = f64x2.div(f64x2.add(f64x2.add(sampledBoth, toZero), toEndBoth), sampledBoth);
        if (rangeSeconds != 0) cut = f64x2.div(cut, range);
        factor = v128.bitselect(cut, usual, v128.and(mayReach, f64x2.lt(toZero, toStartBoth)));
      }
    }
    v128.store(out, f64x2.mul(result, factor));
    low += stride << 1;
    last += stride << 1;
  }
}

/** What is missing in compensated sums, so far `missing`, after `value` was added to `before`. */
// @ts-ignore: decorator
@inline
function missingAfter(before: v128, value: v128, missing: v128): v128 {
  const after = f64x2.add(before, value);
  const rest = v128.bitselect(
    f64x2.add(f64x2.sub(before, after), value),
    f64x2.add(f64x2.sub(value, after), before),
    f64x2.ge(f64x2.abs(before), f64x2.abs(value)),
  );
  return v128.andnot(f64x2.add(missing, rest), f64x2.eq(f64x2.abs(after), f64x2.splat(Infinity)));
}

/**
 * The slope of the line of least squares through `count` samples, two at least, x in seconds from `originMs` on; where it is at
 * x = 0 goes to `intercept`. Sums are compensated, two at a time.
 */
export function regress(times: usize, values: usize, count: u32, originMs: f64, intercept: usize): f64 {
  const first = load<f64>(values);
  let differs = false;
  let points = f64x2.splat(0);
  let pointsMissing = points;
  let squares = points;
  let squaresMissing = points;
  const end = values + ((<usize>count) << 3);
  for (; values < end; values += 8, times += 8) {
    const y = load<f64>(values);
    differs = differs || y != first;
    const x = (load<f64>(times) - originMs) / 1000;
    const point = f64x2.replace_lane(f64x2.splat(x), 1, y);
    pointsMissing = missingAfter(points, point, pointsMissing);
    points = f64x2.add(points, point);
    const square = f64x2.mul(f64x2.splat(x), f64x2.replace_lane(point, 0, x));
    squaresMissing = missingAfter(squares, square, squaresMissing);
    squares = f64x2.add(squares, square);
  }
  if (!differs) {
    const isInfinite = abs(first) == Infinity;
    store<f64>(intercept, isInfinite ? NaN : first);
    return isInfinite ? NaN : 0;
  }
  points = f64x2.add(points, pointsMissing);
  squares = f64x2.add(squares, squaresMissing);
  const x = f64x2.extract_lane(points, 0);
  const y = f64x2.extract_lane(points, 1);
  const n = <f64>count;
  const covariance = f64x2.extract_lane(squares, 1) - (x * y) / n;
  const variance = f64x2.extract_lane(squares, 0) - (x * x) / n;
  const slope = covariance / variance;
  store<f64>(intercept, y / n - (slope * x) / n);
  return slope;
}

/** Adds `steps` values to compensated sums: `main` and what is missing in it, `side`; there is room for one step more. */
export function addToSums(values: usize, main: usize, side: usize, steps: u32): void {
  const end = values + ((<usize>steps) << 3);
  for (; values < end; values += 16, main += 16, side += 16) {
    const value = v128.load(values);
    const before = v128.load(main);
    v128.store(side, missingAfter(before, value, v128.load(side)));
    v128.store(main, f64x2.add(before, value));
  }
}

/** Adds the sizes of `steps` values to `weights` and sets `flag` in `flags` where one is no whole number; false: none is finite. */
export function weigh(values: usize, weights: usize, flags: usize, steps: u32, flag: u32): bool {
  const infinity = f64x2.splat(Infinity);
  const end = values + ((<usize>steps) << 3);
  let isFinite = i64x2.splat(-1);
  for (let at = values; at < end; at += 16)
    isFinite = v128.and(isFinite, f64x2.lt(f64x2.abs(v128.load(at)), infinity));
  if (!i64x2.all_true(isFinite)) return false;
  for (; values < end; values += 16, weights += 16, flags += 2) {
    const value = v128.load(values);
    v128.store(weights, f64x2.add(v128.load(weights), f64x2.abs(value)));
    const lanes = <u32>i64x2.bitmask(f64x2.ne(value, f64x2.floor(value)));
    store<u16>(flags, load<u16>(flags) | (((lanes & 1) | ((lanes & 2) << 7)) * flag));
  }
  return true;
}

/** Of `count` values the index of the first that is no number; `count` if all are. */
export function firstNaN(values: usize, count: u32): u32 {
  const end = values + ((<usize>count) << 3);
  let at = values;
  for (; at + 16 <= end; at += 16) {
    const value = v128.load(at);
    const lanes = i64x2.bitmask(f64x2.ne(value, value));
    if (lanes != 0) return <u32>((at - values) >> 3) + ctz(lanes);
  }
  return at < end && load<f64>(at) == load<f64>(at) ? count : <u32>((at - values) >> 3);
}

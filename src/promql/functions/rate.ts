import { ROW_STEPS } from "../../chunk/sample-memory.ts";
import { type Grid, rateKernel } from "./rate-kernel.ts";
import {
  ABSENT,
  FLOAT,
  type Row,
  type WindowGeometry,
  type WindowSeries,
} from "../operators/row.ts";

/**
 * rate, increase and delta over a whole series at once. Two pointers move over the samples as the windows slide, and
 * counter resets are found once per series, so the cost of a step does not grow with its window; the additions happen
 * in Prometheus's order, or in one that cannot be told from it, so the results are equal to the last bit.
 */
export interface RateKind {
  readonly isCounter: boolean;
  readonly isRate: boolean;
}

/** Indexes of samples lower than the one before them. Reused from series to series. */
let resets = new Int32Array(64);

/** Fills `row`; whether any step has a value. */
export function extrapolatedRate(
  series: WindowSeries,
  geometry: WindowGeometry,
  kind: RateKind,
  row: Row,
): boolean {
  const { times, values, count } = series;
  const steps = geometry.count;
  const from = firstAfter(times, count, geometry.firstEndMs - geometry.rangeMs);
  const kernel = rateKernel();
  const isPlaced = count - from >= 2 && kernel.place(series);
  const hasResets = kind.isCounter && (!isPlaced || kernel.hasResets(from));
  const hasTotals = hasResets && isPlaced && kernel.sumUpResets(from);
  const resetCount = hasResets && !hasTotals ? findResets(values, from, count) : 0;
  const task: RateTask = { series, geometry, kind, row, resetCount, hasTotals };
  const grid = isPlaced && resetCount === 0 ? gridOf(task, from) : undefined;
  if (grid === undefined) return rateOfSteps(task, 0, steps);
  const before = rateOfSteps(task, 0, grid.fromStep);
  rateOnGrid(task, grid);
  const after = rateOfSteps(task, grid.toStep, steps);
  return before || after || grid.toStep > grid.fromStep;
}

interface RateTask {
  readonly series: WindowSeries;
  readonly geometry: WindowGeometry;
  readonly kind: RateKind;
  readonly row: Row;
  /** How many of `resets` are filled. */
  readonly resetCount: number;
  /** Whether the kernel's totals may be used in their place. */
  readonly hasTotals: boolean;
}

/** Where the windows lie when the series is scraped at exact intervals that the step is a multiple of; else undefined. */
function gridOf({ series, geometry }: RateTask, from: number): Grid | undefined {
  const { times, count } = series;
  const { stepMs, rangeMs, firstEndMs } = geometry;
  const originMs = times[from]!;
  const intervalMs = times[from + 1]! - originMs;
  const stride = stepMs / intervalMs;
  if (!(stride >= 1 && Number.isInteger(stride))) return undefined;
  if (!rateKernel().isRegular(from, intervalMs)) return undefined;
  // The samples of step 0's window on the endless grid, of which the series is a part.
  const first = from + Math.floor((firstEndMs - rangeMs - originMs) / intervalMs) + 1;
  const last = from + Math.floor((firstEndMs - originMs) / intervalMs);
  if (last <= first) return undefined;
  const fromStep = Math.max(0, Math.ceil((from - first) / stride));
  const toStep = Math.min(geometry.count, Math.floor((count - 1 - last) / stride) + 1);
  if (toStep <= fromStep || toStep - fromStep > ROW_STEPS) return undefined;
  return {
    fromStep,
    toStep,
    first: first + fromStep * stride,
    last: last + fromStep * stride,
    stride,
  };
}

/** Fast path: what `rateOfSteps` computes, without looking for the windows. */
function rateOnGrid({ series, geometry, kind, row, hasTotals }: RateTask, grid: Grid): void {
  const { times } = series;
  const { isCounter, isRate } = kind;
  const { fromStep, toStep, first, last } = grid;
  const rangeSeconds = isRate ? geometry.rangeMs / 1000 : 0;
  const endMs = geometry.firstEndMs + fromStep * geometry.stepMs;
  const sampled = (times[last]! - times[first]!) / 1000;
  const average = sampled / (last - first);
  const threshold = average * 1.1;
  let toStart = (times[first]! - (endMs - geometry.rangeMs)) / 1000;
  let toEnd = (endMs - times[last]!) / 1000;
  if (toStart >= threshold) toStart = average / 2;
  if (toEnd >= threshold) toEnd = average / 2;
  let factor = (sampled + toStart + toEnd) / sampled;
  if (isRate) factor /= rangeSeconds;
  row.present.fill(FLOAT, fromStep, toStep);
  const shape = { sampled, toStart, toEnd, factor, rangeSeconds };
  rateKernel().windows(grid, { shape, isCounter, hasTotals }, row.values);
}

/**
 * Whether the line through a window's samples may cross zero before the window begins: a counter cannot have been below
 * zero, so it is not extrapolated past there. The product tells most windows that lie far enough above zero without a
 * division; its margin is a million times the error of the roundings.
 */
function mayReachZero(first: number, result: number, sampled: number, toStart: number): boolean {
  return (
    result > 0 &&
    first >= 0 &&
    !(first > 1e-200 && first * sampled > result * toStart * 1.000_000_001)
  );
}

/** Fills steps [fromStep, toStep) of the row; whether any has a value. */
function rateOfSteps(task: RateTask, fromStep: number, toStep: number): boolean {
  if (fromStep >= toStep) return false;
  const { series, geometry, kind, row, resetCount, hasTotals } = task;
  const { times, values, count } = series;
  const { isCounter, isRate } = kind;
  const { stepMs, rangeMs } = geometry;
  const out = row.values;
  const { present } = row;
  const { totals } = rateKernel();
  const rangeSeconds = rangeMs / 1000;
  let endMs = geometry.firstEndMs + fromStep * stepMs;
  let low = firstAfter(times, count, endMs - rangeMs);
  let high = low;
  let reset = 0;
  let isAny = false;
  let spanMs = -1;
  let intervals = 0;
  let startGapMs = 0;
  let endGapMs = 0;
  let sampled = 0;
  let toStart = 0;
  let toEnd = 0;
  let usualFactor = 0;
  for (let k = fromStep; k < toStep; k++, endMs += stepMs) {
    const startMs = endMs - rangeMs;
    while (high < count && times[high]! <= endMs) high++;
    while (low < high && times[low]! <= startMs) low++;
    const last = high - 1;
    if (last <= low) {
      present[k] = ABSENT;
      continue;
    }
    const first = values[low]!;
    const firstMs = times[low]!;
    const lastMs = times[last]!;
    let result = values[last]! - first;
    if (hasTotals) {
      const lost = totals[last]! - totals[low]!;
      if (lost > 0) result += lost;
    } else if (resetCount > 0) {
      while (reset < resetCount && resets[reset]! <= low) reset++;
      for (let r = reset; r < resetCount && resets[r]! < high; r++)
        result += values[resets[r]! - 1]!;
    }
    // Fast path: regular scrapes give window after window the same span, count and distances to its ends, hence the
    // same quotients.
    if (
      lastMs - firstMs !== spanMs ||
      last - low !== intervals ||
      firstMs - startMs !== startGapMs ||
      endMs - lastMs !== endGapMs
    ) {
      spanMs = lastMs - firstMs;
      intervals = last - low;
      startGapMs = firstMs - startMs;
      endGapMs = endMs - lastMs;
      sampled = spanMs / 1000;
      const average = sampled / intervals;
      const threshold = average * 1.1;
      toStart = startGapMs / 1000;
      toEnd = endGapMs / 1000;
      if (toStart >= threshold) toStart = average / 2;
      if (toEnd >= threshold) toEnd = average / 2;
      usualFactor = (sampled + toStart + toEnd) / sampled;
      if (isRate) usualFactor /= rangeSeconds;
    }
    let factor = usualFactor;
    if (isCounter && mayReachZero(first, result, sampled, toStart)) {
      const toZero = sampled * (first / result);
      if (toZero < toStart) {
        factor = (sampled + toZero + toEnd) / sampled;
        if (isRate) factor /= rangeSeconds;
      }
    }
    out[k] = result * factor;
    present[k] = FLOAT;
    isAny = true;
  }
  return isAny;
}

/** Fills `resets` with those among samples [from, count); the first sample has nothing before it. */
function findResets(values: Float64Array, from: number, count: number): number {
  let found = 0;
  for (let i = from + 1; i < count; i++) {
    if (values[i]! < values[i - 1]!) {
      if (found === resets.length) {
        const grown = new Int32Array(found * 2);
        grown.set(resets);
        resets = grown;
      }
      resets[found++] = i;
    }
  }
  return found;
}

/** rate, increase and delta with `anchored` or `smoothed`: exact at the window's edges, nothing extrapolated. */
export function extendedRate(
  series: WindowSeries,
  geometry: WindowGeometry,
  kind: RateKind,
  row: Row,
): boolean {
  const { times, values, count } = series;
  const { isCounter } = kind;
  const { smoothed, lookbackMs, rangeMs } = geometry;
  let isAny = false;
  for (let k = 0; k < geometry.count; k++) {
    row.present[k] = ABSENT;
    const endMs = geometry.firstEndMs + k * geometry.stepMs;
    const startMs = endMs - rangeMs;
    const low = firstAfter(times, count, startMs - lookbackMs);
    const high = firstAfter(times, count, smoothed ? endMs + lookbackMs : endMs);
    if (high === low) continue;
    // The last sample at or before the start, if the lookback reaches one, else the first after it.
    let first = Math.max(low, Math.min(firstAfter(times, count, startMs), high - 1) - 1);
    let last = smoothed ? Math.min(firstAtOrAfter(times, count, endMs), high - 1) : high - 1;
    if (times[last]! <= startMs || (smoothed && times[first]! > endMs)) continue;
    const left =
      smoothed && times[first]! < startMs
        ? interpolate(series, { from: first, timeMs: startMs, isCounter })
        : values[first]!;
    const right =
      smoothed && last > low && times[last]! > endMs
        ? interpolate(series, { from: last - 1, timeMs: endMs, isCounter })
        : values[last]!;
    let result = right - left;
    if (isCounter) {
      if (times[first]! <= startMs) first++;
      if (times[last]! >= endMs) last--;
      let correction = 0;
      let previous = left;
      for (let i = first; i <= last; i++) {
        if (values[i]! < previous) correction += previous;
        previous = values[i]!;
      }
      if (right < previous) correction += previous;
      result += correction;
    }
    row.values[k] = kind.isRate ? result / (rangeMs / 1000) : result;
    row.present[k] = FLOAT;
    isAny = true;
  }
  return isAny;
}

/** The value at `timeMs` on the line from sample `from` to the next; a counter that fell rises from zero. */
export function interpolate(
  series: { times: Float64Array; values: Float64Array },
  place: { from: number; timeMs: number; isCounter: boolean },
): number {
  const { times, values } = series;
  const { from, timeMs, isCounter } = place;
  let y1 = values[from]!;
  const y2 = values[from + 1]!;
  if (isCounter && y2 < y1) y1 = 0;
  return y1 + ((y2 - y1) * (timeMs - times[from]!)) / (times[from + 1]! - times[from]!);
}

/** Index of the first of `count` times above `timeMs`. */
export function firstAfter(times: Float64Array, count: number, timeMs: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! <= timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function firstAtOrAfter(times: Float64Array, count: number, timeMs: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

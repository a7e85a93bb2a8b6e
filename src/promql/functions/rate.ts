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
 * in Prometheus's order, so the results are equal to the last bit.
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
  const { isCounter, isRate } = kind;
  const { stepMs, rangeMs } = geometry;
  const steps = geometry.count;
  const out = row.values;
  const { present } = row;
  const rangeSeconds = rangeMs / 1000;
  let low = firstAfter(times, count, geometry.firstEndMs - rangeMs);
  let high = low;
  const resetCount = isCounter ? findResets(values, low, count) : 0;
  let reset = 0;
  let isAny = false;
  let spanBeforeMs = -1;
  let intervalsBefore = 0;
  let sampled = 0;
  let average = 0;
  let threshold = 0;
  let endMs = geometry.firstEndMs;
  for (let k = 0; k < steps; k++, endMs += stepMs) {
    const startMs = endMs - rangeMs;
    while (high < count && times[high]! <= endMs) high++;
    while (low < high && times[low]! <= startMs) low++;
    const intervals = high - low - 1;
    if (intervals < 1) {
      present[k] = ABSENT;
      continue;
    }
    const first = values[low]!;
    const firstMs = times[low]!;
    const lastMs = times[high - 1]!;
    let result = values[high - 1]! - first;
    if (resetCount > 0) {
      while (reset < resetCount && resets[reset]! <= low) reset++;
      for (let r = reset; r < resetCount && resets[r]! < high; r++)
        result += values[resets[r]! - 1]!;
    }
    const spanMs = lastMs - firstMs;
    // Fast path: regular scrapes give window after window the same span and count, hence the same quotients.
    if (spanMs !== spanBeforeMs || intervals !== intervalsBefore) {
      spanBeforeMs = spanMs;
      intervalsBefore = intervals;
      sampled = spanMs / 1000;
      average = sampled / intervals;
      threshold = average * 1.1;
    }
    let toStart = (firstMs - startMs) / 1000;
    let toEnd = (endMs - lastMs) / 1000;
    if (toStart >= threshold) toStart = average / 2;
    // A counter cannot have been below zero: do not extrapolate past where it started. While it started with more
    // than it grew by, it would have needed longer than the whole span.
    if (isCounter && result > 0 && first >= 0 && !(first > result && toStart <= sampled)) {
      const toZero = sampled * (first / result);
      if (toZero < toStart) toStart = toZero;
    }
    if (toEnd >= threshold) toEnd = average / 2;
    let factor = (sampled + toStart + toEnd) / sampled;
    if (isRate) factor /= rangeSeconds;
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

import {
  type FloatHistogram,
  newHistogram,
  usesCustomBuckets,
  withCounterResetHint,
} from "../../model/histogram.ts";
import {
  addHistograms,
  compactHistogram,
  divideHistogram,
  multiplyHistogram,
  reduceResolution,
  subtractHistograms,
} from "../../model/histogram-arithmetic.ts";
import { detectReset } from "../../model/histogram-reset.ts";
import type { HistogramSamples } from "../operators/row.ts";
import type { HistogramNotes, RangeNotes } from "./range-notes.ts";
import { isStartReset, overlapsBefore, type StartedSample } from "./start-times.ts";

/** Growth of native histograms over one window: what rate, increase, delta, irate and idelta are made of. */

/** Samples [low, high) of a series. */
export interface HistogramRange {
  readonly samples: HistogramSamples;
  readonly low: number;
  readonly high: number;
}

function startedAt(samples: HistogramSamples, index: number): StartedSample {
  return { timeMs: samples.times[index]!, startMs: samples.startTimes?.[index] ?? 0 };
}

/** Whether the counter was reset between sample `index` and the one before it. */
export function isResetAt(samples: HistogramSamples, index: number): boolean {
  const { histograms, startTimes } = samples;
  return (
    (startTimes !== undefined &&
      isStartReset(startedAt(samples, index - 1), startedAt(samples, index))) ||
    detectReset(histograms[index]!, histograms[index - 1]!)
  );
}

/**
 * Last minus first, with what resets took away added again for counters; at least two samples. Undefined (and noted)
 * when the histograms do not fit together. A first sample that was reset right after is left aside altogether, so that
 * its layout does not matter.
 */
export function histogramChange(
  range: HistogramRange,
  isCounter: boolean,
  notes: RangeNotes,
): FloatHistogram | undefined {
  const { samples, low, high } = range;
  const { histograms } = samples;
  const last = histograms[high - 1]!;
  let first = histograms[low]!;
  if (isCounter && (first.counterResetHint === "gauge" || last.counterResetHint === "gauge"))
    notes.notCounter();
  if (isCounter && isResetAt(samples, low + 1)) {
    const { schema, customValues } = histograms[low + 1]!;
    first = newHistogram({ schema, customValues });
  }
  const isCustom = usesCustomBuckets(first);
  let schema = Math.min(last.schema, first.schema);
  let isMixed = usesCustomBuckets(last) !== isCustom;
  if (isCounter)
    for (let i = low + 1; i < high - 1 && !isMixed; i++) {
      const current = histograms[i]!;
      if (current.counterResetHint === "gauge") notes.notCounter();
      if (current.schema < schema) schema = current.schema;
      if (usesCustomBuckets(current) !== isCustom) isMixed = true;
    }
  const minuend = isMixed ? undefined : reduceResolution(last, schema);
  const difference = minuend === undefined ? undefined : subtractHistograms(minuend, first);
  if (difference === undefined) {
    notes.mixedSchemas();
    return undefined;
  }
  if (difference.customBoundsReconciled) notes.reconciled("subtraction");
  let change = difference.histogram;
  if (!isCounter) {
    if (histograms[low]!.counterResetHint !== "gauge" || last.counterResetHint !== "gauge")
      notes.notGauge();
    return asGauge(compactHistogram(change));
  }
  let isOverlapNoted = samples.startTimes === undefined;
  let before = first;
  for (let i = low + 1; i < high; i++) {
    const current = histograms[i]!;
    const sample = startedAt(samples, i);
    const sampleBefore = startedAt(samples, i - 1);
    if (!isOverlapNoted && overlapsBefore(sampleBefore, sample)) {
      notes.startTimeOverlap();
      isOverlapNoted = true;
    }
    if (isStartReset(sampleBefore, sample) || detectReset(current, before)) {
      const sum = addHistograms(change, before);
      if (sum === undefined) {
        notes.mixedSchemas();
        return undefined;
      }
      if (sum.customBoundsReconciled) notes.reconciled("addition");
      change = sum.histogram;
    }
    before = current;
  }
  return asGauge(compactHistogram(change));
}

function asGauge(histogram: FloatHistogram): FloatHistogram {
  return withCounterResetHint(histogram, "gauge");
}

/** `to` − `from` as irate and idelta take it; after a reset all of `to` is new. */
export function lastChange(
  pair: { from: FloatHistogram; to: FloatHistogram; isReset: boolean },
  notes: RangeNotes,
): FloatHistogram | undefined {
  const { from, to, isReset } = pair;
  if (isReset) return asGauge(compactHistogram(to));
  const difference = subtractHistograms(to, from);
  if (difference === undefined) {
    notes.mixedSchemas();
    return undefined;
  }
  if (difference.customBoundsReconciled) notes.reconciled("subtraction");
  return asGauge(compactHistogram(difference.histogram));
}

/**
 * The histogram at `timeMs` on the line between samples `from` and `from + 1`; after a counter reset it grows from
 * zero. Undefined when exponential and custom buckets meet.
 */
export function interpolateHistogram(
  samples: HistogramSamples,
  place: { from: number; timeMs: number; isCounter: boolean },
  notes: HistogramNotes,
): FloatHistogram | undefined {
  const { from, timeMs, isCounter } = place;
  const startMs = samples.times[from]!;
  const endMs = samples.times[from + 1]!;
  const left = samples.histograms[from]!;
  const right = samples.histograms[from + 1]!;
  if (timeMs === startMs) return left;
  if (timeMs === endMs) return right;
  const fraction = (timeMs - startMs) / (endMs - startMs);
  if (isCounter && detectReset(right, left)) return multiplyHistogram(right, fraction);
  const difference = subtractHistograms(right, left);
  if (difference === undefined) return undefined;
  if (difference.customBoundsReconciled) notes.reconciled("subtraction");
  const sum = addHistograms(multiplyHistogram(difference.histogram, fraction), left);
  if (sum === undefined) return undefined;
  if (sum.customBoundsReconciled) notes.reconciled("addition");
  return sum.histogram;
}

/** The window of an anchored or smoothed function: samples within reach, and its edges. */
export interface ExtendedRange extends HistogramRange {
  readonly startMs: number;
  readonly endMs: number;
  readonly smoothed: boolean;
}

/** The exact change between the edges of the window, nothing extrapolated. */
export function extendedHistogramChange(
  range: ExtendedRange,
  kind: { isCounter: boolean; rangeSeconds: number | undefined },
  notes: RangeNotes,
): FloatHistogram | undefined {
  const { samples, low, high, startMs, endMs, smoothed } = range;
  const { times, histograms } = samples;
  const { isCounter, rangeSeconds } = kind;
  // The last sample at or before the start, if the lookback reaches one, else the first after it.
  let first = low;
  while (first < high - 1 && times[first]! <= startMs) first++;
  if (first > low) first--;
  let last = high - 1;
  if (smoothed) {
    last = low;
    while (last < high - 1 && times[last]! < endMs) last++;
  }
  if (times[last]! <= startMs || (smoothed && times[first]! > endMs)) return undefined;
  if (!fitTogether(samples, { first, last, isCounter }, notes)) return undefined;
  const left =
    smoothed && times[first]! < startMs
      ? interpolateHistogram(samples, { from: first, timeMs: startMs, isCounter }, notes)
      : histograms[first]!;
  const right =
    smoothed && last > low && times[last]! > endMs
      ? interpolateHistogram(samples, { from: last - 1, timeMs: endMs, isCounter }, notes)
      : histograms[last]!;
  if (left === undefined || right === undefined) {
    notes.mixedSchemas();
    return undefined;
  }
  if (!isCounter && (left.counterResetHint !== "gauge" || right.counterResetHint !== "gauge"))
    notes.notGauge();
  const difference = subtractHistograms(right, left);
  if (difference === undefined) {
    notes.mixedSchemas();
    return undefined;
  }
  if (difference.customBoundsReconciled) notes.reconciled("subtraction");
  let change: FloatHistogram | undefined = difference.histogram;
  if (isCounter) {
    const correction = resetCorrection(range, { first, last, left, right }, notes);
    if (correction === undefined) return undefined;
    if (correction !== "none") change = addNoted(change, correction, notes);
    if (change === undefined) return undefined;
  }
  if (rangeSeconds !== undefined) change = divideHistogram(change, rangeSeconds);
  return asGauge(compactHistogram(change));
}

function fitTogether(
  samples: HistogramSamples,
  range: { first: number; last: number; isCounter: boolean },
  notes: RangeNotes,
): boolean {
  const { first, last, isCounter } = range;
  const isCustom = usesCustomBuckets(samples.histograms[first]!);
  for (let i = first; i <= last; i++) {
    const histogram = samples.histograms[i]!;
    if (usesCustomBuckets(histogram) !== isCustom) {
      notes.mixedSchemas();
      return false;
    }
    if (isCounter && histogram.counterResetHint === "gauge") notes.notCounter();
  }
  return true;
}

/**
 * What the resets between the two edges took away: a sum, "none", or undefined when it cannot be computed. A reset that
 * the interpolated left edge lies in is accounted for there already.
 */
function resetCorrection(
  range: ExtendedRange,
  edges: { first: number; last: number; left: FloatHistogram; right: FloatHistogram },
  notes: RangeNotes,
): FloatHistogram | "none" | undefined {
  const { times, histograms } = range.samples;
  let from = edges.first + 1;
  let before = edges.left;
  if (
    range.smoothed &&
    times[edges.first]! < range.startMs &&
    detectReset(histograms[edges.first + 1]!, histograms[edges.first]!)
  ) {
    before = histograms[edges.first + 1]!;
    from++;
  }
  if (from > edges.last) return "none";
  let correction: FloatHistogram | "none" = "none";
  for (let i = from; i <= edges.last; i++) {
    // The last sample stands for the right edge, which may be interpolated but has its hint.
    const current = i === edges.last ? edges.right : histograms[i]!;
    if (detectReset(current, before)) {
      const sum: FloatHistogram | undefined =
        correction === "none" ? before : addNoted(correction, before, notes);
      if (sum === undefined) return undefined;
      correction = sum;
    }
    before = current;
  }
  return correction;
}

/** The sum, or undefined (and noted) when the buckets do not fit together. */
export function addNoted(
  a: FloatHistogram,
  b: FloatHistogram,
  notes: RangeNotes,
): FloatHistogram | undefined {
  const sum = addHistograms(a, b);
  if (sum === undefined) {
    notes.mixedSchemas();
    return undefined;
  }
  if (sum.customBoundsReconciled) notes.reconciled("addition");
  return sum.histogram;
}

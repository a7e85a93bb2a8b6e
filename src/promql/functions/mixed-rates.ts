import type { FloatHistogram } from "../../model/histogram.ts";
import { multiplyHistogram } from "../../model/histogram-arithmetic.ts";
import { HINT_GAUGE } from "../../model/histogram-block.ts";
import type { HistogramRun } from "../operators/row.ts";
import { addNoted, extendedHistogramChange, histogramChange } from "./histogram-rate.ts";
import { type Answer, type MixedWindow, PLACED } from "./mixed-window.ts";
import { isStartReset, overlapsBefore } from "./start-times.ts";

/** Which of rate, increase and delta is asked for. */
export interface Kind {
  readonly isCounter: boolean;
  readonly isRate: boolean;
}

/** With `anchored` or `smoothed`. */
export function extendedMixedRate(window: MixedWindow, kind: Kind): Answer {
  const { notes, geometry } = window.task;
  if (window.floatCount > 0 && window.histogramCount > 0) {
    notes.mixedTypes();
    return undefined;
  }
  if (window.histogramCount === 0) return window.float();
  const { low, high, startMs, endMs, histograms } = window;
  return extendedHistogramChange(
    { samples: histograms, low, high, startMs, endMs, smoothed: geometry.smoothed },
    {
      isCounter: kind.isCounter,
      rangeSeconds: kind.isRate ? geometry.rangeMs / 1000 : undefined,
    },
    notes,
  );
}

export function extrapolatedMixedRate(window: MixedWindow, kind: Kind): Answer {
  const { notes, series } = window.task;
  const { floatCount, histogramCount } = window;
  if (floatCount > 0 && histogramCount > 0) {
    notes.mixedTypes();
    return undefined;
  }
  if (histogramCount > 0) return histogramRate(window, kind);
  if (!kind.isCounter || series.startTimes === undefined) return window.float();
  return startedRate(window, kind, series.startTimes);
}

function histogramRate(window: MixedWindow, kind: Kind): Answer {
  const { notes } = window.task;
  const { histograms: samples, low, high } = window;
  const run = samples.startTimes === undefined && high - low > 1 ? window.run() : undefined;
  if (run !== undefined) return rateInRun(window, run, kind);
  let change: FloatHistogram | undefined;
  if (window.histogramCount > 1) {
    change = histogramChange({ samples, low, high }, kind.isCounter, notes);
    if (change === undefined) return undefined;
  }
  const startMs = kind.isCounter ? (samples.startTimes?.[low] ?? 0) : 0;
  const extent = extentOf(window, change === undefined ? 0 : change.count, startMs);
  const factor = extrapolationFactor(window, extent, kind);
  if (factor === undefined) return undefined;
  if (isStartWithin(window, extent)) {
    const first = samples.histograms[low]!;
    change = change === undefined ? first : addNoted(change, first, notes);
    if (change === undefined) return undefined;
  }
  return multiplyHistogram(change!, factor);
}

/** Fast path: a window whose histograms all have one layout. */
function rateInRun(window: MixedWindow, run: HistogramRun, kind: Kind): Answer {
  const { notes } = window.task;
  const { isCounter } = kind;
  const growth = window.growthOf(run);
  const { counts, hints, layout } = run.block;
  const rows = { low: window.low - run.start, high: window.high - run.start, isCounter };
  if (isCounter) {
    if (growth.hasGauge(rows.low, rows.high)) notes.notCounter();
  } else if (hints[rows.low] !== HINT_GAUGE || hints[rows.high - 1] !== HINT_GAUGE)
    notes.notGauge();
  const { times } = window.histograms;
  const extent = {
    firstMs: times[window.low]!,
    lastMs: times[window.high - 1]!,
    intervals: rows.high - rows.low - 1,
    first: counts[rows.low]!,
    change: growth.countChange(rows),
    startMs: 0,
  };
  const factor = extrapolationFactor(window, extent, kind);
  if (factor === undefined) return undefined;
  const { answers } = window.task;
  const block = answers.blockFor(layout);
  growth.put(rows, factor, { into: block, row: answers.rowOf(block, window.step) });
  answers.put(block, window.step);
  return PLACED;
}

function extentOf(window: MixedWindow, change: number, startMs: number): Extent {
  const { histograms: samples, low, high } = window;
  return {
    firstMs: samples.times[low]!,
    lastMs: samples.times[high - 1]!,
    intervals: high - low - 1,
    first: samples.histograms[low]!.count,
    change,
    startMs,
  };
}

/** rate and increase of floats with start times. */
function startedRate(window: MixedWindow, kind: Kind, startTimes: Float64Array): Answer {
  const { series, notes } = window.task;
  const { times, values } = series;
  const { floatLow: low, floatHigh: high } = window;
  let change = values[high - 1]! - values[low]!;
  let isOverlapNoted = false;
  for (let i = low + 1; i < high; i++) {
    const before = { timeMs: times[i - 1]!, startMs: startTimes[i - 1]! };
    const sample = { timeMs: times[i]!, startMs: startTimes[i]! };
    if (!isOverlapNoted && overlapsBefore(before, sample)) {
      notes.startTimeOverlap();
      isOverlapNoted = true;
    }
    if (values[i]! < values[i - 1]! || isStartReset(before, sample)) change += values[i - 1]!;
  }
  const extent = {
    firstMs: times[low]!,
    lastMs: times[high - 1]!,
    intervals: high - low - 1,
    first: values[low]!,
    change,
    startMs: startTimes[low]!,
  };
  const factor = extrapolationFactor(window, extent, kind);
  if (factor === undefined) return undefined;
  return (isStartWithin(window, extent) ? change + values[low]! : change) * factor;
}

/** What the samples of a window span. */
interface Extent {
  readonly firstMs: number;
  readonly lastMs: number;
  /** Between the samples: one less than there are. */
  readonly intervals: number;
  /** The first value, or the count of the first histogram. */
  readonly first: number;
  readonly change: number;
  /** When the first sample started to count; 0 if that is not known or not asked. */
  readonly startMs: number;
}

/** A counter known to have started within the window was zero then: that counts as its first sample. */
function isStartWithin(window: MixedWindow, { startMs, firstMs }: Extent): boolean {
  return startMs !== 0 && startMs > window.startMs && startMs < firstMs;
}

/** What the change is to be multiplied by to stand for the whole window; undefined when nothing can be said. */
function extrapolationFactor(window: MixedWindow, extent: Extent, kind: Kind): number | undefined {
  const { firstMs, lastMs, intervals, first, change } = extent;
  let toStart = (firstMs - window.startMs) / 1000;
  let toEnd = (window.endMs - lastMs) / 1000;
  let sampled = (lastMs - firstMs) / 1000;
  const average = intervals > 0 ? sampled / intervals : 0;
  const threshold = average * 1.1;
  if (isStartWithin(window, extent)) {
    toStart = 0;
    sampled = (lastMs - extent.startMs) / 1000;
  } else if (intervals === 0) {
    return undefined;
  } else {
    if (toStart >= threshold) toStart = average / 2;
    if (kind.isCounter && change > 0 && first >= 0) {
      const toZero = sampled * (first / change);
      if (toZero < toStart) toStart = toZero;
    }
  }
  if (toEnd >= threshold) toEnd = average / 2;
  const factor = sampled === 0 ? 1 : (sampled + toStart + toEnd) / sampled;
  return kind.isRate ? factor / (window.task.geometry.rangeMs / 1000) : factor;
}

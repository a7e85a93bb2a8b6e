import type { FloatHistogram } from "../../model/histogram.ts";
import { divideHistogram, multiplyHistogram } from "../../model/histogram-arithmetic.ts";
import { histogramsEqual } from "../../model/histogram-equal.ts";
import { Labels } from "../../model/labels.ts";
import {
  ABSENT,
  emptyRow,
  FLOAT,
  type HistogramSamples,
  putHistogram,
  type Row,
  type WindowGeometry,
  type WindowSeries,
} from "../operators/row.ts";
import {
  addNoted,
  extendedHistogramChange,
  histogramChange,
  isResetAt,
  lastChange,
} from "./histogram-rate.ts";
import { HistogramRun, scaleInPlace } from "./histogram-run.ts";
import { HintTracker, HistogramMean, HistogramTotal } from "./histogram-sums.ts";
import { firstAfter } from "./rate.ts";
import type { RangeNotes } from "./range-notes.ts";
import { isStartReset, overlapsBefore } from "./start-times.ts";

/**
 * Range functions over series that hold native histograms or start times. One window at a time, in no hurry: what
 * only floats need is left to the float kernels, one step of them.
 */
export interface MixedTask {
  readonly series: WindowSeries;
  readonly geometry: WindowGeometry;
  readonly args: readonly Float64Array[];
  readonly notes: RangeNotes;
  /** The function's kernel over floats. */
  readonly floats: FloatKernel;
  /** Called now and then; throws to end a long run. */
  readonly look: () => void;
}

export type FloatKernel = (
  series: WindowSeries,
  geometry: WindowGeometry,
  args: readonly Float64Array[],
  row: Row,
) => boolean;

const NO_HISTOGRAMS: HistogramSamples = {
  times: new Float64Array(0),
  histograms: [],
  startTimes: undefined,
};

/** One window: floats [floatLow, floatHigh) and histograms [low, high) of the series. */
class Window {
  readonly task: MixedTask;
  readonly histograms: HistogramSamples;
  step = 0;
  startMs = 0;
  endMs = 0;
  floatLow = 0;
  floatHigh = 0;
  low = 0;
  high = 0;
  readonly #single = emptyRow(Labels.EMPTY, 1);
  #run: HistogramRun | undefined;

  constructor(task: MixedTask) {
    this.task = task;
    this.histograms = task.series.histograms ?? NO_HISTOGRAMS;
  }

  /** Facts about all histograms of the series. */
  get run(): HistogramRun {
    return (this.#run ??= new HistogramRun(this.histograms));
  }

  get floatCount(): number {
    return this.floatHigh - this.floatLow;
  }

  get histogramCount(): number {
    return this.high - this.low;
  }

  /** What the float kernel makes of the floats of the window. */
  float(): number | undefined {
    const { series, geometry, args, floats } = this.task;
    const evaluationStartMs = geometry.evaluationStartMs + this.step * geometry.evaluationStepMs;
    const place = { ...geometry, firstEndMs: this.endMs, count: 1, evaluationStartMs };
    const stepArgs = args.map((column) => column.subarray(this.step, this.step + 1));
    const row = this.#single;
    row.present[0] = ABSENT;
    return floats(series, place, stepArgs, row) && row.present[0] === FLOAT
      ? row.values[0]
      : undefined;
  }
}

type Answer = number | FloatHistogram | undefined;
type StepFunction = (window: Window) => Answer;

/** How many samples are gone through between two calls of `look`. */
const SAMPLES_PER_LOOK = 20_000;

/** Computes every window of the series into `row`; whether any step has a value. */
export function computeMixedWindows(func: string, task: MixedTask, row: Row): boolean {
  const { series, geometry, look } = task;
  const compute = stepFunction(func, geometry);
  const { times, count } = series;
  const window = new Window(task);
  const histogramTimes = window.histograms.times;
  const { rangeMs, lookbackMs, anchored, smoothed } = geometry;
  const before = anchored || smoothed ? lookbackMs : 0;
  const after = smoothed ? lookbackMs : 0;
  row.histograms = undefined;
  let isAny = false;
  let unseen = 0;
  for (let k = 0; k < geometry.count; k++) {
    row.present[k] = ABSENT;
    const endMs = geometry.firstEndMs + k * geometry.stepMs;
    window.step = k;
    window.endMs = endMs;
    window.startMs = endMs - rangeMs;
    window.floatLow = firstAfter(times, count, window.startMs - before);
    window.floatHigh = firstAfter(times, count, endMs + after);
    window.low = firstAfter(histogramTimes, histogramTimes.length, window.startMs - before);
    window.high = firstAfter(histogramTimes, histogramTimes.length, endMs + after);
    if (window.floatCount === 0 && window.histogramCount === 0) continue;
    unseen += window.floatCount + window.histogramCount;
    if (unseen > SAMPLES_PER_LOOK) {
      unseen = 0;
      look();
    }
    const answer = compute(window);
    if (answer === undefined) continue;
    isAny = true;
    if (typeof answer === "number") {
      row.values[k] = answer;
      row.present[k] = FLOAT;
    } else putHistogram(row, k, answer);
  }
  return isAny;
}

function stepFunction(func: string, geometry: WindowGeometry): StepFunction {
  switch (func) {
    case "rate":
    case "increase":
    case "delta": {
      const kind = { isCounter: func !== "delta", isRate: func === "rate" };
      return geometry.anchored || geometry.smoothed
        ? (window) => extendedRate(window, kind)
        : (window) => extrapolatedRate(window, kind);
    }
    case "irate":
      return (window) => instantChange(window, true);
    case "idelta":
      return (window) => instantChange(window, false);
    case "changes":
      return (window) => countPairs(window, isChange);
    case "resets":
      return (window) => countPairs(window, isReset);
    case "sum_over_time":
      return (window) => aggregate(window, sumOf);
    case "avg_over_time":
      return (window) => aggregate(window, averageOf);
    case "count_over_time":
      return (window) => window.floatCount + window.histogramCount;
    case "present_over_time":
    case "absent_over_time":
      return () => 1;
    case "last_over_time":
      return lastOf;
    case "first_over_time":
      return firstOf;
    case "ts_of_first_over_time":
      return (window) => Math.min(firstFloatMs(window), firstHistogramMs(window)) / 1000;
    case "ts_of_last_over_time":
      return (window) => Math.max(lastFloatMs(window), lastHistogramMs(window)) / 1000;
    default:
      return onlyFloats;
  }
}

/** Functions that know floats only leave histograms aside, and say so where there are both. */
function onlyFloats(window: Window): Answer {
  const value = window.floatCount === 0 ? undefined : window.float();
  if (window.floatCount > 0 && window.histogramCount > 0) window.task.notes.ignoredHistograms();
  return value;
}

function firstFloatMs(window: Window): number {
  return window.floatCount === 0 ? Infinity : window.task.series.times[window.floatLow]!;
}

function lastFloatMs(window: Window): number {
  return window.floatCount === 0 ? -Infinity : window.task.series.times[window.floatHigh - 1]!;
}

function firstHistogramMs(window: Window): number {
  return window.histogramCount === 0 ? Infinity : window.histograms.times[window.low]!;
}

function lastHistogramMs(window: Window): number {
  return window.histogramCount === 0 ? -Infinity : window.histograms.times[window.high - 1]!;
}

function firstOf(window: Window): Answer {
  return firstFloatMs(window) < firstHistogramMs(window)
    ? window.task.series.values[window.floatLow]!
    : window.histograms.histograms[window.low]!;
}

function lastOf(window: Window): Answer {
  return lastFloatMs(window) > lastHistogramMs(window)
    ? window.task.series.values[window.floatHigh - 1]!
    : window.histograms.histograms[window.high - 1]!;
}

interface Kind {
  readonly isCounter: boolean;
  readonly isRate: boolean;
}

function extendedRate(window: Window, kind: Kind): Answer {
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

function extrapolatedRate(window: Window, kind: Kind): Answer {
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

function histogramRate(window: Window, kind: Kind): Answer {
  const { notes } = window.task;
  const { histograms: samples, low, high } = window;
  const first = samples.histograms[low]!;
  let change: FloatHistogram | undefined;
  const quick = quickChange(window, kind);
  if (quick !== undefined) {
    const factor = extrapolationFactor(window, extentOf(window, quick.count, 0), kind);
    return factor === undefined ? undefined : scaleInPlace(quick, factor);
  }
  if (window.histogramCount > 1) {
    change = histogramChange({ samples, low, high }, kind.isCounter, notes);
    if (change === undefined) return undefined;
  }
  const startMs = kind.isCounter ? (samples.startTimes?.[low] ?? 0) : 0;
  const extent = extentOf(window, change === undefined ? 0 : change.count, startMs);
  const factor = extrapolationFactor(window, extent, kind);
  if (factor === undefined) return undefined;
  if (isStartWithin(window, extent)) {
    change = change === undefined ? first : addNoted(change, first, notes);
    if (change === undefined) return undefined;
  }
  return multiplyHistogram(change!, factor);
}

/** Fast path: the change over a window whose histograms all have one layout; undefined for any other. */
function quickChange(window: Window, { isCounter }: Kind): FloatHistogram | undefined {
  const { notes } = window.task;
  const { histograms: samples, low, high } = window;
  if (high - low < 2 || samples.startTimes !== undefined) return undefined;
  const { run } = window;
  if (!run.isOfOneLayout(low, high)) return undefined;
  if (isCounter) {
    if (run.hasGauge(low, high)) notes.notCounter();
  } else {
    const { histograms } = samples;
    const areGauges =
      histograms[low]!.counterResetHint === "gauge" &&
      histograms[high - 1]!.counterResetHint === "gauge";
    if (!areGauges) notes.notGauge();
  }
  return run.change(low, high, isCounter);
}

function extentOf(window: Window, change: number, startMs: number): Extent {
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
function startedRate(window: Window, kind: Kind, startTimes: Float64Array): Answer {
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
function isStartWithin(window: Window, { startMs, firstMs }: Extent): boolean {
  return startMs !== 0 && startMs > window.startMs && startMs < firstMs;
}

/** What the change is to be multiplied by to stand for the whole window; undefined when nothing can be said. */
function extrapolationFactor(window: Window, extent: Extent, kind: Kind): number | undefined {
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

/** One of the two newest samples of a window. */
interface Newest {
  readonly timeMs: number;
  readonly startMs: number;
  readonly value: number | FloatHistogram;
}

/** irate and idelta. */
function instantChange(window: Window, isRate: boolean): Answer {
  if (window.floatCount + window.histogramCount < 2) return undefined;
  const { notes } = window.task;
  const [from, to] = twoNewest(window);
  const intervalMs = to.timeMs - from.timeMs;
  if (intervalMs === 0) return undefined;
  if (typeof from.value === "number" && typeof to.value === "number") {
    const reset = isRate && (to.value < from.value || isStartReset(from, to));
    const change = reset ? to.value : to.value - from.value;
    return isRate ? change / (intervalMs / 1000) : change;
  }
  if (typeof from.value === "number" || typeof to.value === "number") {
    notes.mixedTypes();
    return undefined;
  }
  const gauges =
    Number(from.value.counterResetHint === "gauge") + Number(to.value.counterResetHint === "gauge");
  if (isRate && gauges > 0) notes.notCounter();
  if (!isRate && gauges < 2) notes.notGauge();
  const change = lastChange(
    {
      from: from.value,
      to: to.value,
      isReset: isRate && isResetAt(window.histograms, window.high - 1),
    },
    notes,
  );
  if (change === undefined) return undefined;
  return isRate ? divideHistogram(change, intervalMs / 1000) : change;
}

function twoNewest(window: Window): [Newest, Newest] {
  const { series } = window.task;
  let float = window.floatHigh - 1;
  let histogram = window.high - 1;
  const take = (): Newest => {
    const isFloat =
      float >= window.floatLow &&
      (histogram < window.low || series.times[float]! > window.histograms.times[histogram]!);
    const taken = isFloat
      ? {
          timeMs: series.times[float]!,
          startMs: series.startTimes?.[float] ?? 0,
          value: series.values[float]!,
        }
      : {
          timeMs: window.histograms.times[histogram]!,
          startMs: window.histograms.startTimes?.[histogram] ?? 0,
          value: window.histograms.histograms[histogram]!,
        };
    if (isFloat) float--;
    else histogram--;
    return taken;
  };
  const to = take();
  return [take(), to];
}

/** Two neighbouring samples: their indexes among the floats or the histograms, the other one −1. */
interface Pair {
  readonly window: Window;
  fromFloat: number;
  toFloat: number;
  fromHistogram: number;
  toHistogram: number;
}

/** changes and resets: how many pairs of neighbours, in order of time over both kinds, `counts` says yes to. */
function countPairs(window: Window, counts: (pair: Pair) => boolean): Answer {
  const { series, geometry } = window.task;
  let float = window.floatLow;
  let histogram = window.low;
  if (geometry.anchored) {
    const floatsBefore = firstAfter(series.times, window.floatHigh, window.startMs);
    const histogramsBefore = firstAfter(window.histograms.times, window.high, window.startMs);
    if (floatsBefore >= window.floatHigh && histogramsBefore >= window.high) return undefined;
    // Only the newest sample before the window, of either kind, is where counting starts.
    const floatMs = floatsBefore > float ? series.times[floatsBefore - 1]! : -Infinity;
    const histogramMs =
      histogramsBefore > histogram ? window.histograms.times[histogramsBefore - 1]! : -Infinity;
    float = floatsBefore;
    histogram = histogramsBefore;
    if (floatMs !== -Infinity && floatMs >= histogramMs) float--;
    else if (histogramMs !== -Infinity) histogram--;
  }
  const pair: Pair = { window, fromFloat: -1, toFloat: -1, fromHistogram: -1, toHistogram: -1 };
  let count = 0;
  while (float < window.floatHigh || histogram < window.high) {
    const isFloat =
      float < window.floatHigh &&
      (histogram >= window.high || series.times[float]! < window.histograms.times[histogram]!);
    pair.fromFloat = pair.toFloat;
    pair.fromHistogram = pair.toHistogram;
    pair.toFloat = isFloat ? float++ : -1;
    pair.toHistogram = isFloat ? -1 : histogram++;
    if (pair.fromFloat < 0 && pair.fromHistogram < 0) continue;
    if (counts(pair)) count++;
  }
  return count;
}

function isChange({ window, fromFloat, toFloat, fromHistogram, toHistogram }: Pair): boolean {
  const { values } = window.task.series;
  const { histograms } = window.histograms;
  if (fromFloat >= 0 && toFloat >= 0) {
    const from = values[fromFloat]!;
    const to = values[toFloat]!;
    return to !== from && !(to !== to && from !== from);
  }
  if (fromHistogram < 0 || toHistogram < 0) return true;
  return !histogramsEqual(histograms[toHistogram]!, histograms[fromHistogram]!);
}

function isReset({ window, fromFloat, toFloat, fromHistogram, toHistogram }: Pair): boolean {
  const { values, times, startTimes } = window.task.series;
  if (fromFloat >= 0 && toFloat >= 0) {
    if (values[toFloat]! < values[fromFloat]!) return true;
    return (
      startTimes !== undefined &&
      isStartReset(
        { timeMs: times[fromFloat]!, startMs: startTimes[fromFloat]! },
        { timeMs: times[toFloat]!, startMs: startTimes[toFloat]! },
      )
    );
  }
  if (fromHistogram < 0 || toHistogram < 0) return true;
  return isResetAt(window.histograms, toHistogram);
}

/** sum_over_time and avg_over_time, which take one kind of sample only. */
function aggregate(
  window: Window,
  start: (tracker: HintTracker) => HistogramTotal | HistogramMean,
): Answer {
  const { notes } = window.task;
  if (window.histogramCount === 0) return window.float();
  if (window.floatCount > 0) {
    notes.mixedTypes();
    return undefined;
  }
  const tracker = new HintTracker();
  const total = start(tracker);
  for (let i = window.low; i < window.high; i++)
    if (!total.add(window.histograms.histograms[i]!)) {
      notes.mixedSchemas();
      return undefined;
    }
  const result = total.result();
  tracker.noteCollision(notes);
  tracker.noteReconciled(notes);
  return result;
}

function sumOf(tracker: HintTracker): HistogramTotal {
  return new HistogramTotal(tracker);
}

function averageOf(tracker: HintTracker): HistogramMean {
  return new HistogramMean(tracker);
}

import type { FloatHistogram } from "../../model/histogram.ts";
import { divideHistogram } from "../../model/histogram-arithmetic.ts";
import { histogramsEqual } from "../../model/histogram-equal.ts";
import { ABSENT, FLOAT, putHistogram, type Row, type WindowGeometry } from "../operators/row.ts";
import { RowTotals } from "../../model/histogram-block-totals.ts";
import { isResetAt, lastChange } from "./histogram-rate.ts";
import { HintTracker, isCollision, HistogramMean, HistogramTotal } from "./histogram-sums.ts";
import { extendedMixedRate, extrapolatedMixedRate } from "./mixed-rates.ts";
import { type Answer, PLACED, type MixedTask, MixedWindow } from "./mixed-window.ts";
import { firstAfter } from "./rate.ts";
import { isStartReset } from "./start-times.ts";

/**
 * Range functions over series that hold native histograms or start times. One window at a time, in no hurry: what
 * only floats need is left to the float kernels, one step of them.
 */

type StepFunction = (window: MixedWindow) => Answer;

/** How many samples are gone through between two calls of `look`. */
const SAMPLES_PER_LOOK = 20_000;

/** Computes every window of the series into `row`; whether any step has a value. */
export function computeMixedWindows(func: string, task: MixedTask, row: Row): boolean {
  const { series, geometry, look } = task;
  const compute = stepFunction(func, geometry);
  const { times, count } = series;
  const window = new MixedWindow(task);
  const histogramTimes = window.histograms.times;
  const { rangeMs, lookbackMs, anchored, smoothed } = geometry;
  const before = anchored || smoothed ? lookbackMs : 0;
  const after = smoothed ? lookbackMs : 0;
  task.answers.start(row);
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
    } else if (answer !== PLACED) putHistogram(row, k, answer);
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
        ? (window) => extendedMixedRate(window, kind)
        : (window) => extrapolatedMixedRate(window, kind);
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
      return (window) => aggregate(window, false);
    case "avg_over_time":
      return (window) => aggregate(window, true);
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
function onlyFloats(window: MixedWindow): Answer {
  const value = window.floatCount === 0 ? undefined : window.float();
  if (window.floatCount > 0 && window.histogramCount > 0) window.task.notes.ignoredHistograms();
  return value;
}

function firstFloatMs(window: MixedWindow): number {
  return window.floatCount === 0 ? Infinity : window.task.series.times[window.floatLow]!;
}

function lastFloatMs(window: MixedWindow): number {
  return window.floatCount === 0 ? -Infinity : window.task.series.times[window.floatHigh - 1]!;
}

function firstHistogramMs(window: MixedWindow): number {
  return window.histogramCount === 0 ? Infinity : window.histograms.times[window.low]!;
}

function lastHistogramMs(window: MixedWindow): number {
  return window.histogramCount === 0 ? -Infinity : window.histograms.times[window.high - 1]!;
}

function firstOf(window: MixedWindow): Answer {
  return firstFloatMs(window) < firstHistogramMs(window)
    ? window.task.series.values[window.floatLow]!
    : window.sample(window.low);
}

function lastOf(window: MixedWindow): Answer {
  return lastFloatMs(window) > lastHistogramMs(window)
    ? window.task.series.values[window.floatHigh - 1]!
    : window.sample(window.high - 1);
}

/** One of the two newest samples of a window. */
interface Newest {
  readonly timeMs: number;
  readonly startMs: number;
  readonly value: number | FloatHistogram;
}

/** irate and idelta. */
function instantChange(window: MixedWindow, isRate: boolean): Answer {
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

function twoNewest(window: MixedWindow): [Newest, Newest] {
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
  readonly window: MixedWindow;
  fromFloat: number;
  toFloat: number;
  fromHistogram: number;
  toHistogram: number;
}

/** changes and resets: how many pairs of neighbours, in order of time over both kinds, `counts` says yes to. */
function countPairs(window: MixedWindow, counts: (pair: Pair) => boolean): Answer {
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
function aggregate(window: MixedWindow, isMean: boolean): Answer {
  const { notes } = window.task;
  if (window.histogramCount === 0) return window.float();
  if (window.floatCount > 0) {
    notes.mixedTypes();
    return undefined;
  }
  if (placeTotal(window, isMean)) return PLACED;
  const tracker = new HintTracker();
  const total = isMean ? new HistogramMean(tracker) : new HistogramTotal(tracker);
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

const totals = new RowTotals();

/** Fast path: a window whose histograms all have one layout. False for any other, and for a mean that is more than a sum. */
function placeTotal(window: MixedWindow, isMean: boolean): boolean {
  const run = window.run();
  if (run === undefined) return false;
  const { answers, notes } = window.task;
  const { block, start } = run;
  const into = answers.blockFor(block.layout);
  const row = answers.rowOf(into, window.step);
  const range = { block, low: window.low - start, high: window.high - start };
  totals.put(range, isMean ? window.histogramCount : 1, { into, row });
  if (isMean && totals.hasOverflow) return false;
  if (isCollision(totals.hintsSeen)) notes.collision("aggregation");
  answers.put(into, window.step);
  return true;
}

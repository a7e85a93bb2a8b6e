import { AppError } from "../../base/errors.ts";
import { isStaleHistogram } from "../../model/histogram.ts";
import type { Series } from "../../storage/queryable.ts";
import { firstAfter } from "../functions/rate.ts";
import type { Frame, SelectorPlan } from "../plan.ts";
import { floatStartTimes, loadHistograms } from "./histogram-columns.ts";
import type { HistogramAnswers } from "./histogram-answers.ts";
import type { HistogramReader } from "./histogram-reader.ts";
import {
  ABSENT,
  FLOAT,
  putHistogram,
  type HistogramSamples,
  type QueryContext,
  type Row,
  type WindowSeries,
} from "./row.ts";
import type { SampleColumns } from "./select.ts";

/** Selectors of series that hold native histograms or start times, beside the fast ones of `select.ts`. */

/** Both kinds of samples of one series. */
export interface BothKinds {
  readonly floats: SampleColumns;
  readonly histograms: HistogramSamples | undefined;
  /** Of the floats. */
  readonly startTimes?: Float64Array | undefined;
}

export interface InstantPlace {
  readonly selector: SelectorPlan;
  readonly frame: Frame;
  /** What is asked of the newest sample; times come in seconds, and of info metrics only those of floats. */
  readonly reads: "value" | "time" | "infoTime" | "startTime";
  readonly answers: HistogramAnswers;
}

const NO_TIMES = new Float64Array(0);

/** Fills `row` with the newest sample of either kind within the lookback; whether any step has one. */
export function pickNewestOfBoth(both: BothKinds, place: InstantPlace, row: Row): boolean {
  const { floats, histograms } = both;
  const { selector, frame, reads, answers } = place;
  const { atMs, offsetMs } = selector.reference;
  const histogramTimes = histograms?.times ?? NO_TIMES;
  let isAny = false;
  answers.start(row);
  for (let k = 0; k < frame.count; k++) {
    row.present[k] = ABSENT;
    const referenceMs = (atMs ?? frame.startMs + k * frame.stepMs) - offsetMs;
    const float = firstAfter(floats.times, floats.count, referenceMs) - 1;
    const histogram = firstAfter(histogramTimes, histogramTimes.length, referenceMs) - 1;
    const floatMs = float < 0 ? -Infinity : floats.times[float]!;
    const histogramMs = histogram < 0 ? -Infinity : histogramTimes[histogram]!;
    const newestMs = Math.max(floatMs, histogramMs);
    if (newestMs <= referenceMs - selector.lookbackMs) continue;
    const isHistogram = histogramMs >= floatMs;
    const run = isHistogram
      ? histograms!.runs?.findLast(({ start }) => start <= histogram)
      : undefined;
    if (run !== undefined) {
      if (run.block.isStale(histogram - run.start)) continue;
    } else if (
      isHistogram ? isStaleHistogram(histograms!.histograms[histogram]!) : floats.isStale(float)
    )
      continue;
    isAny = true;
    if (reads === "infoTime" && isHistogram)
      throw new AppError(
        "execution",
        `this should be an info metric, with float samples: ${row.labels.toString()}`,
      );
    if (reads === "value" && isHistogram) {
      if (run === undefined) putHistogram(row, k, histograms!.histograms[histogram]!);
      else answers.putCopy(k, run.block, histogram - run.start);
      continue;
    }
    row.present[k] = FLOAT;
    if (reads === "time" || reads === "infoTime") row.values[k] = newestMs / 1000;
    else if (reads === "value") row.values[k] = floats.values[float]!;
    else {
      const startTimes = isHistogram ? histograms!.startTimes : both.startTimes;
      row.values[k] = (startTimes?.[isHistogram ? histogram : float] ?? 0) / 1000;
    }
  }
  return isAny;
}

/** The series as a range vector needs it; undefined when it has no samples. */
export function mixedWindow(
  series: Series,
  floats: SampleColumns,
  place: { selector: SelectorPlan; query: QueryContext; reader: HistogramReader },
): WindowSeries | undefined {
  const { selector, query } = place;
  const wantsStartTimes = query.startTimes && START_TIME_FUNCTIONS.has(selector.hints.func);
  const histograms = loadHistograms(series, { ...place, dropsStale: true, wantsStartTimes });
  if (floats.count === 0 && histograms === undefined) return undefined;
  const { times, values, count } = floats;
  return {
    labels: series.labels,
    dropName: false,
    times,
    values,
    count,
    histograms,
    startTimes: wantsStartTimes ? floatStartTimes(series, times, count) : undefined,
  };
}

/** The functions that look at start times. */
const START_TIME_FUNCTIONS = new Set(["rate", "irate", "increase", "resets"]);

import {
  type FloatHistogram,
  usesCustomBuckets,
  withCounterResetHint,
} from "../../model/histogram.ts";
import type { Position } from "../ast.ts";
import { interpolateHistogram } from "../functions/histogram-rate.ts";
import { RangeNotes } from "../functions/range-notes.ts";
import { firstAfter, firstAtOrAfter, interpolate } from "../functions/rate.ts";
import type { Frame, SelectorPlan } from "../plan.ts";
import { holdsMoreThanFloats } from "./histogram-columns.ts";
import { HistogramReader } from "./histogram-reader.ts";
import {
  ABSENT,
  emptyRow,
  FLOAT,
  hasPoints,
  type HistogramSamples,
  putHistogram,
  type Row,
  type VectorOperator,
  type WindowSeries,
} from "./row.ts";
import { forEachSeries, SampleColumns } from "./select.ts";
import { mixedWindow } from "./select-mixed.ts";

/** `selector smoothed`: the value on the line between the samples before and after each step, within the lookback. */
export function smoothedSelector(
  selector: SelectorPlan,
  frame: Frame,
  position: Position,
): VectorOperator {
  const { reference, lookbackMs } = selector;
  return {
    kind: "vector",
    async stream(query, sink) {
      if (frame.count === 0) return;
      const columns = new SampleColumns();
      const reader = new HistogramReader();
      const values = new Float64Array(frame.count);
      const present = new Uint8Array(frame.count);
      await forEachSeries(selector, query, (series) => {
        columns.load(series, selector, query);
        columns.dropStale();
        if (holdsMoreThanFloats(series, query)) {
          const mixed = emptyRow(series.labels, frame.count);
          const window = mixedWindow(series, columns, { selector, query, reader });
          if (window === undefined) return;
          const notes = new RangeNotes(query, window, position);
          if (smoothMixed(window, { selector, frame, notes }, mixed)) sink(mixed);
          return;
        }
        const row: Row = { labels: series.labels, dropName: false, values, present };
        let isAny = false;
        for (let k = 0; k < frame.count; k++) {
          present[k] = ABSENT;
          const timeMs = (reference.atMs ?? frame.startMs + k * frame.stepMs) - reference.offsetMs;
          const value = smoothFloat(columns, timeMs, lookbackMs);
          if (value === undefined) continue;
          values[k] = value;
          present[k] = FLOAT;
          isAny = true;
        }
        if (isAny) sink(row);
      });
    },
  };
}

function smoothFloat(
  series: { times: Float64Array; values: Float64Array; count: number },
  timeMs: number,
  lookbackMs: number,
): number | undefined {
  const { times, values, count } = series;
  const next = firstAtOrAfter(times, count, timeMs);
  const isNextNear = next < count && times[next]! <= timeMs + lookbackMs;
  const isLastNear = next > 0 && times[next - 1]! > timeMs - lookbackMs;
  if (isNextNear && times[next] === timeMs) return values[next];
  if (!isLastNear) return undefined;
  return isNextNear
    ? interpolate(series, { from: next - 1, timeMs, isCounter: false })
    : values[next - 1];
}

/** The same for a series with histograms; whether any step has a value. */
function smoothMixed(
  series: WindowSeries,
  how: { selector: SelectorPlan; frame: Frame; notes: RangeNotes },
  row: Row,
): boolean {
  const { selector, frame, notes } = how;
  const { reference, lookbackMs } = selector;
  const { times, count, histograms } = series;
  for (let k = 0; k < frame.count; k++) {
    const timeMs = (reference.atMs ?? frame.startMs + k * frame.stepMs) - reference.offsetMs;
    const isNear = (columnMs: Float64Array, size: number): boolean =>
      firstAfter(columnMs, size, timeMs - lookbackMs) <
      firstAfter(columnMs, size, timeMs + lookbackMs);
    const hasFloats = isNear(times, count);
    if (histograms === undefined || !isNear(histograms.times, histograms.times.length)) {
      const value = hasFloats ? smoothFloat(series, timeMs, lookbackMs) : undefined;
      if (value === undefined) continue;
      row.values[k] = value;
      row.present[k] = FLOAT;
    } else if (hasFloats) notes.mixedTypes();
    else {
      const histogram = smoothHistogram(histograms, { timeMs, lookbackMs }, notes);
      if (histogram !== undefined) putHistogram(row, k, histogram);
    }
  }
  return hasPoints(row);
}

function smoothHistogram(
  samples: HistogramSamples,
  place: { timeMs: number; lookbackMs: number },
  notes: RangeNotes,
): FloatHistogram | undefined {
  const { timeMs, lookbackMs } = place;
  const { times, histograms } = samples;
  const next = firstAtOrAfter(times, times.length, timeMs);
  const isNextNear = next < times.length && times[next]! <= timeMs + lookbackMs;
  if (isNextNear && times[next] === timeMs) return histograms[next];
  if (next === 0 || times[next - 1]! <= timeMs - lookbackMs) return undefined;
  const last = histograms[next - 1]!;
  // A sample that stands for a later time says nothing about resets.
  if (!isNextNear) return withCounterResetHint(last, "unknown");
  const isCounter =
    last.counterResetHint !== "gauge" || histograms[next]!.counterResetHint !== "gauge";
  const histogram =
    usesCustomBuckets(last) === usesCustomBuckets(histograms[next]!)
      ? interpolateHistogram(samples, { from: next - 1, timeMs, isCounter }, notes)
      : undefined;
  if (histogram === undefined) notes.mixedSchemas();
  return histogram;
}

import { AppError } from "../../base/errors.ts";
import type { FloatHistogram } from "../../model/histogram.ts";
import type { MatrixSeries } from "../result.ts";
import { firstAfter, firstAtOrAfter, interpolate } from "../functions/rate.ts";
import {
  histogramSamples,
  withoutMetadata,
  type QueryContext,
  type WindowGeometry,
  type WindowOperator,
  type WindowSeries,
} from "./row.ts";

/** A range vector as the result of an instant query: the samples of its only window, series by series. */
export async function bareWindows(
  windows: WindowOperator,
  query: QueryContext,
): Promise<MatrixSeries[]> {
  const { geometry } = windows;
  const endMs = geometry.firstEndMs;
  const startMs = endMs - geometry.rangeMs;
  const { anchored, smoothed, lookbackMs } = geometry;
  const all: MatrixSeries[] = [];
  await windows.stream(query, (series) => {
    const { times, values, count } = series;
    let columns: { times: Float64Array; values: Float64Array };
    if (anchored || smoothed) {
      const low = firstAfter(times, count, startMs - lookbackMs);
      const high = firstAfter(times, count, smoothed ? endMs + lookbackMs : endMs);
      columns = extend(series, { low, high, startMs, endMs, smoothed });
    } else {
      const low = firstAfter(times, count, startMs);
      const high = firstAfter(times, count, endMs);
      columns = { times: times.slice(low, high), values: values.slice(low, high) };
    }
    const histograms = bareHistograms(series, geometry, { startMs, endMs });
    if (columns.times.length === 0 && histograms === undefined) return;
    let size = columns.times.length;
    for (const histogram of histograms?.histograms ?? []) size += histogramSamples(histogram);
    query.budget.hold(size);
    all.push({
      labels: series.dropName ? withoutMetadata(series.labels) : series.labels,
      ...columns,
      ...histograms,
    });
  });
  return all;
}

function bareHistograms(
  series: WindowSeries,
  geometry: WindowGeometry,
  { startMs, endMs }: { startMs: number; endMs: number },
): { histogramTimes: Float64Array; histograms: readonly FloatHistogram[] } | undefined {
  if (series.histograms === undefined) return undefined;
  const { anchored, smoothed } = geometry;
  if (anchored || smoothed)
    throw new AppError(
      "execution",
      `${anchored ? "anchored" : "smoothed"} modifier is not supported with histograms`,
    );
  const { times, histograms } = series.histograms;
  const low = firstAfter(times, times.length, startMs);
  const high = firstAfter(times, times.length, endMs);
  if (low === high) return undefined;
  return { histogramTimes: times.slice(low, high), histograms: histograms.slice(low, high) };
}

/** The window with values exactly at its two edges: the nearest sample's, or interpolated when smoothed. */
function extend(
  series: WindowSeries,
  window: { low: number; high: number; startMs: number; endMs: number; smoothed: boolean },
): { times: Float64Array; values: Float64Array } {
  const { times, values } = series;
  const { low, high, startMs, endMs, smoothed } = window;
  const none = { times: new Float64Array(0), values: new Float64Array(0) };
  if (low === high) return none;
  let first = Math.max(low, Math.min(firstAfter(times, high, startMs), high - 1) - 1);
  let last = smoothed ? Math.min(firstAtOrAfter(times, high, endMs), high - 1) : high - 1;
  if (times[last]! <= startMs) return none;
  const left =
    smoothed && times[first]! < startMs
      ? interpolate(series, { from: first, timeMs: startMs, isCounter: false })
      : values[first]!;
  const right =
    smoothed && last > low && times[last]! > endMs
      ? interpolate(series, { from: last - 1, timeMs: endMs, isCounter: false })
      : values[last]!;
  if (times[first]! <= startMs) first++;
  if (times[last]! >= endMs) last--;
  const inner = Math.max(0, last - first + 1);
  const extended = { times: new Float64Array(inner + 2), values: new Float64Array(inner + 2) };
  extended.times[0] = startMs;
  extended.values[0] = left;
  for (let i = 0; i < inner; i++) {
    extended.times[i + 1] = times[first + i]!;
    extended.values[i + 1] = values[first + i]!;
  }
  extended.times[inner + 1] = endMs;
  extended.values[inner + 1] = right;
  return extended;
}

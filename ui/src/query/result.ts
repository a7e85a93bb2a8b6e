import type { Histogram, LabelSet, MatrixSeries, Point, VectorSample } from "../api.ts";

/** What the table shows of a series: its points in order of time, each a value or a native histogram. */
export interface Row {
  readonly metric: LabelSet;
  readonly points: readonly (readonly [time: number, value: string | Histogram])[];
}

export function rowsOf(result: readonly (VectorSample & MatrixSeries)[]): Row[] {
  return result.map(({ metric, value, histogram, values = [], histograms = [] }) => {
    const points: [number, string | Histogram][] = [...values, ...histograms];
    if (value !== undefined) points.push(value);
    if (histogram !== undefined) points.push(histogram);
    // The server sends the values of a series before its histograms, wherever they lie between each other.
    if (values.length > 0 && histograms.length > 0) points.sort((a, b) => a[0] - b[0]);
    return { metric, points };
  });
}

/** A series that a graph can draw. */
export interface Line {
  readonly metric: LabelSet;
  readonly values: readonly Point[];
}

/** The values of a matrix, which are drawn, and how many of its series hold native histograms, which are not. */
export function linesOf(series: readonly MatrixSeries[]): {
  lines: Line[];
  histogramSeriesCount: number;
} {
  const lines: Line[] = [];
  let histogramSeriesCount = 0;
  for (const { metric, values = [], histograms = [] } of series) {
    if (histograms.length > 0) histogramSeriesCount++;
    if (values.length > 0) lines.push({ metric, values });
  }
  return { lines, histogramSeriesCount };
}

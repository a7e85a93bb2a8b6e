/** Whether a result is what a script expects, with the tolerance of Prometheus's own runner. */
import { formatFixed, isStaleWords } from "../../base/float.ts";
import { type FloatHistogram, withCounterResetHint } from "../../model/histogram.ts";
import { compactHistogram } from "../../model/histogram-arithmetic.ts";
import { sameSpans } from "../../model/histogram-side.ts";
import { formatTestHistogram } from "../../model/histogram-text.ts";
import { compareLabels, formatSeries, type Labels } from "../../model/labels.ts";
import type { MatrixSeries, QueryValue, VectorSample } from "../result.ts";
import type { EvalCommand, ExpectedSeries } from "./script.ts";
import type { SequenceItem } from "./sequence.ts";

/** Relative difference below which two floats count as equal. */
const EPSILON = 1e-6;
/** The smallest normal float. */
const MIN_NORMAL = 2 ** -1022;

/** A difference as lines: `- ` what was expected, `+ ` what came, `  ` what is in both or explains. */
export type Difference = readonly string[];

/** Undefined when `value` is what `command` expects. `isOrdered` false leaves the order of a vector aside. */
export function compareResult(
  command: EvalCommand,
  value: QueryValue,
  isOrdered = command.isOrdered,
): Difference | undefined {
  const { expected } = command;
  switch (value.kind) {
    case "scalar":
      if (expected.kind !== "scalar") return [...expectedLines(command), `+ ${show(value.value)}`];
      return sameItem(expected.item, value.value)
        ? undefined
        : [`- ${showItem(expected.item)}`, `+ ${show(value.value)}`];
    case "string":
      if (expected.kind === "string" && expected.value === value.value) return undefined;
      return [...expectedLines(command), `+ ${JSON.stringify(value.value)}`];
    case "vector":
      if (expected.kind !== "series")
        return [...expectedLines(command), ...value.samples.map(gotSample)];
      return compareVector(expected.series, value.samples, isOrdered);
    case "matrix":
      if (expected.kind !== "series" && expected.kind !== "rangeVector")
        return [...expectedLines(command), ...value.series.map(gotSeries)];
      if (isOrdered) return ["  an ordered result was expected, but the query returned a matrix"];
      return compareMatrix(command, expected.series, value.series);
  }
}

function compareVector(
  expected: readonly ExpectedSeries[],
  samples: readonly VectorSample[],
  isOrdered: boolean,
): Difference | undefined {
  const wanted = byKey(expected);
  const found = new Set<string>();
  const lines: string[] = [];
  for (const [i, sample] of samples.entries()) {
    const key = sample.labels.key();
    const series = wanted.get(key);
    found.add(key);
    if (series === undefined) lines.push(gotSample(sample));
    else if (!sameItem(series.items[0], sample.histogram ?? sample.value))
      lines.push(expectedSeries(series), gotSample(sample));
    else if (isOrdered && expected[i] !== series)
      lines.push(`  in another place: ${formatSeries(sample.labels)}`, gotSample(sample));
  }
  for (const [key, series] of wanted) if (!found.has(key)) lines.push(expectedSeries(series));
  return lines.length === 0 ? undefined : lines;
}

function compareMatrix(
  command: EvalCommand,
  expected: readonly ExpectedSeries[],
  result: readonly MatrixSeries[],
): Difference | undefined {
  const wanted = byKey(expected);
  const found = new Set<string>();
  const lines: string[] = [];
  for (const [i, series] of result.entries()) {
    const before = result[i - 1];
    if (before !== undefined && compareLabels(before.labels, series.labels) >= 0)
      lines.push(
        `  not sorted by labels: ${formatSeries(series.labels)} comes behind ${formatSeries(before.labels)}`,
      );
    const key = series.labels.key();
    const one = wanted.get(key);
    found.add(key);
    if (one === undefined) lines.push(gotSeries(series));
    else if (!samePoints(command, one.items, series)) {
      lines.push(expectedSeries(one));
      lines.push(gotColumns(command, series));
    }
  }
  for (const [key, series] of wanted) if (!found.has(key)) lines.push(expectedSeries(series));
  return lines.length === 0 ? undefined : lines;
}

function samePoints(
  { startMs, endMs, stepMs }: EvalCommand,
  items: readonly SequenceItem[],
  series: MatrixSeries,
): boolean {
  const points = pointsOf(series);
  for (const [i, item] of items.entries()) {
    const timeMs = startMs + i * stepMs;
    if (timeMs > endMs) return false;
    if (item.kind === "missing") continue;
    const point = points.get(timeMs);
    if (point === undefined) return false;
    if (item.kind === "stale") {
      if (point !== "stale") return false;
    } else if (point === "stale" || !sameItem(item, point)) return false;
    points.delete(timeMs);
  }
  return points.size === 0;
}

/** Floats and histograms by time, in order of time. */
function pointsOf(series: MatrixSeries): Map<number, number | FloatHistogram | "stale"> {
  const { times, values, histogramTimes, histograms } = series;
  const points: [number, number | FloatHistogram | "stale"][] = Array.from(times, (timeMs, i) => [
    timeMs,
    isStaleAt(values, i) ? "stale" : values[i]!,
  ]);
  for (const [i, timeMs] of (histogramTimes ?? []).entries())
    points.push([timeMs, histograms![i]!]);
  return new Map(points.sort(([a], [b]) => a - b));
}

function isStaleAt(values: Float64Array, index: number): boolean {
  return isStaleWords(new Uint32Array(values.buffer, values.byteOffset + 8 * index, 2), 0);
}

function sameItem(item: SequenceItem | undefined, value: number | FloatHistogram): boolean {
  if (typeof value === "number") return item?.kind === "float" && almostEqual(item.value, value);
  return (
    item?.kind === "histogram" &&
    (!item.hasHint || item.histogram.counterResetHint === value.counterResetHint) &&
    sameHistograms(compactHistogram(item.histogram), compactHistogram(value))
  );
}

/** Prometheus's comparison of compacted histograms in tests; hints are not compared. */
function sameHistograms(a: FloatHistogram, b: FloatHistogram): boolean {
  return (
    a.schema === b.schema &&
    a.zeroThreshold === b.zeroThreshold &&
    almostEqual(a.count, b.count) &&
    almostEqual(a.sum, b.sum) &&
    almostEqual(a.zeroCount, b.zeroCount) &&
    sameSpans(a.positiveSpans, b.positiveSpans) &&
    sameSpans(a.negativeSpans, b.negativeSpans) &&
    sameColumns(a.positiveBuckets, b.positiveBuckets) &&
    sameColumns(a.negativeBuckets, b.negativeBuckets) &&
    sameColumns(a.customValues, b.customValues)
  );
}

function sameColumns(a: Float64Array, b: Float64Array): boolean {
  return a.length === b.length && a.every((value, i) => almostEqual(value, b[i]!));
}

/** Prometheus's comparison of floats in tests. */
export function almostEqual(a: number, b: number): boolean {
  if (Object.is(a, b) || a === b) return true;
  const sum = Math.abs(a) + Math.abs(b);
  const difference = Math.abs(a - b);
  if (a === 0 || b === 0 || sum < MIN_NORMAL) return difference < EPSILON * MIN_NORMAL;
  return difference / Math.min(sum, Number.MAX_VALUE) < EPSILON;
}

function byKey(expected: readonly ExpectedSeries[]): Map<string, ExpectedSeries> {
  return new Map(expected.map((series) => [series.labels.key(), series]));
}

function expectedLines({ expected }: EvalCommand): string[] {
  switch (expected.kind) {
    case "scalar":
      return [`- ${showItem(expected.item)}`];
    case "string":
      return [`- ${JSON.stringify(expected.value)}`];
    case "series":
    case "rangeVector":
      return expected.series.length === 0 ? ["- (no series)"] : expected.series.map(expectedSeries);
  }
}

function expectedSeries({ labels, items }: ExpectedSeries): string {
  return `- ${showLabels(labels)} ${items.map(showItem).join(" ")}`;
}

function gotSample({ labels, value, histogram }: VectorSample): string {
  return `+ ${showLabels(labels)} ${show(histogram ?? value)}`;
}

function gotSeries(series: MatrixSeries): string {
  const points = Array.from(pointsOf(series), ([timeMs, point]) => `${show(point)}@${timeMs}`);
  return `+ ${showLabels(series.labels)} ${points.join(" ")}`;
}

/** Like `gotSeries`, in the columns of the expectation when every point has one. */
function gotColumns({ startMs, endMs, stepMs }: EvalCommand, series: MatrixSeries): string {
  const byTime = pointsOf(series);
  const columns: string[] = [];
  for (let timeMs = startMs; timeMs <= endMs && stepMs > 0; timeMs += stepMs) {
    const value = byTime.get(timeMs);
    columns.push(value === undefined ? "_" : show(value));
    byTime.delete(timeMs);
  }
  if (byTime.size > 0) return gotSeries(series);
  return `+ ${showLabels(series.labels)} ${columns.join(" ")}`;
}

function showLabels(labels: Labels): string {
  return formatSeries(labels);
}

function show(value: number | FloatHistogram | "stale"): string {
  if (value === "stale") return value;
  return typeof value === "number" ? formatFixed(value) : formatTestHistogram(value);
}

function showItem(item: SequenceItem): string {
  switch (item.kind) {
    case "missing":
      return "_";
    case "stale":
      return "stale";
    case "float":
      return formatFixed(item.value);
    case "histogram":
      return formatTestHistogram(
        item.hasHint ? item.histogram : withCounterResetHint(item.histogram, "unknown"),
      );
  }
}

/** Whether a result is what a script expects, with the tolerance of Prometheus's own runner. */
import { formatFixed, isStaleWords } from "../../base/float.ts";
import { compareLabels, formatSeries, type Labels } from "../../model/labels.ts";
import type { MatrixSeries, QueryValue, VectorSample } from "../result.ts";
import type { HistogramLiteral } from "./histogram-literal.ts";
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
    else if (!sameItem(series.items[0], sample.value))
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
  { times, values }: MatrixSeries,
): boolean {
  let point = 0;
  for (const [i, item] of items.entries()) {
    const timeMs = startMs + i * stepMs;
    if (timeMs > endMs) return false;
    if (item.kind === "missing") continue;
    if (point >= times.length || times[point] !== timeMs) return false;
    if (item.kind === "stale") {
      if (!isStaleAt(values, point)) return false;
    } else if (isStaleAt(values, point) || !sameItem(item, values[point]!)) return false;
    point++;
  }
  return point === times.length;
}

function isStaleAt(values: Float64Array, index: number): boolean {
  return isStaleWords(new Uint32Array(values.buffer, values.byteOffset + 8 * index, 2), 0);
}

function sameItem(item: SequenceItem | undefined, value: number): boolean {
  return item?.kind === "float" && almostEqual(item.value, value);
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

function gotSample({ labels, value }: VectorSample): string {
  return `+ ${showLabels(labels)} ${show(value)}`;
}

function gotSeries({ labels, times, values }: MatrixSeries): string {
  const points = Array.from(times, (timeMs, i) => `${show(values[i]!)}@${timeMs}`);
  return `+ ${showLabels(labels)} ${points.join(" ")}`;
}

/** Like `gotSeries`, in the columns of the expectation when every point has one. */
function gotColumns({ startMs, endMs, stepMs }: EvalCommand, series: MatrixSeries): string {
  const byTime = new Map(Array.from(series.times, (timeMs, i) => [timeMs, series.values[i]!]));
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

function show(value: number): string {
  return formatFixed(value);
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
      return showHistogram(item.histogram);
  }
}

/** The literal as a script would write it. */
export function showHistogram(histogram: HistogramLiteral): string {
  const fields = [
    histogram.schema === 0 ? "" : `schema:${histogram.schema}`,
    histogram.count === 0 ? "" : `count:${formatFixed(histogram.count)}`,
    histogram.sum === 0 ? "" : `sum:${formatFixed(histogram.sum)}`,
    histogram.zeroCount === 0 ? "" : `z_bucket:${formatFixed(histogram.zeroCount)}`,
    histogram.zeroThreshold === 0 ? "" : `z_bucket_w:${formatFixed(histogram.zeroThreshold)}`,
    listField("custom_values", histogram.customValues),
    histogram.counterResetHint === undefined
      ? ""
      : `counter_reset_hint:${histogram.counterResetHint}`,
    histogram.offset === 0 ? "" : `offset:${histogram.offset}`,
    listField("buckets", histogram.buckets),
    histogram.negativeOffset === 0 ? "" : `n_offset:${histogram.negativeOffset}`,
    listField("n_buckets", histogram.negativeBuckets),
  ];
  return `{{${fields.filter((field) => field !== "").join(" ")}}}`;
}

function listField(name: string, values: readonly number[]): string {
  return values.length === 0 ? "" : `${name}:[${values.map(formatFixed).join(" ")}]`;
}

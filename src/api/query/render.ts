import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError } from "../../base/errors.ts";
import { formatFixed } from "../../base/float.ts";
import { JsonWriter } from "../../base/json-writer.ts";
import type { FloatHistogram } from "../../model/histogram.ts";
import { apiHistogram } from "../../model/histogram-text.ts";
import type { Labels } from "../../model/labels.ts";
import type { QueryAnalysis } from "../../promql/analysis.ts";
import type { MatrixSeries, QueryResult, QueryStats, QueryValue } from "../../promql/result.ts";

/**
 * Query results as the HTTP API's JSON, in pieces of about `PIECE_BYTES` so that a large matrix is never one string.
 * Numbers are written as Go writes them: values as strings, times as seconds with up to three decimals.
 */
const PIECE_BYTES = 512 * 1024;

/** Annotations of one kind beyond this many are counted, not listed, as in Prometheus. */
const ANNOTATION_LIMIT = 10;

export interface StatsOptions {
  /** The query's steps, to tell the samples of each. */
  readonly steps?: { readonly startMs: number; readonly stepMs: number };
}

export interface RenderOptions {
  /** At most this many series; 0 means all. Cutting adds a warning. */
  readonly limit: number;
  /** What statistics go into the answer. */
  readonly stats: StatsOptions | false;
  /** Whether pieces are good only until the next one is asked for or others have their turn. Default: they are the caller's. */
  readonly lends?: boolean;
}

/** One for all answers: what an answer has written is taken or used up before another has its turn. */
let sharedWriter: JsonWriter | undefined;

export function* renderQueryResult(result: QueryResult, options: RenderOptions): Generator<Buffer> {
  const { value, truncated } = cut(result.value, options.limit);
  const warnings = truncated
    ? [...result.warnings, "results truncated due to limit"]
    : result.warnings;
  const writer = (sharedWriter ??= new JsonWriter());
  // An answer that ended with an error may have left something.
  writer.clear();
  writer.text(`{"status":"success","data":{"resultType":"${value.kind}","result":`);
  const piece = options.lends === true ? () => writer.written() : () => writer.take();
  for (const _ of renderValue(value, writer)) {
    yield piece();
    // What was lent is used up, also that of others who had their turn since.
    writer.clear();
  }
  if (result.analysis !== undefined)
    writer.text(`,"analysis":${JSON.stringify(analysisData(result.analysis))}`);
  if (options.stats !== false)
    writer.text(`,"stats":${JSON.stringify(statsData(result.stats, options.stats))}`);
  writer.text(
    `}${renderNotes("warnings", "warning", warnings)}${renderNotes("infos", "info", result.infos)}}`,
  );
  yield piece();
}

/** No point takes more bytes than this: a time of 18 digits and a value of 24 with what stands around them. */
const POINT_MAX_BYTES = 50;
/** Nor does a bucket of a native histogram: a rule, two bounds and a count. */
const BUCKET_MAX_BYTES = 120;

/**
 * Throws `execution` when the answer would be larger than `maxBytes`. An answer is sent as it is rendered, when there is no
 * more taking it back, so one that may be too large is rendered twice.
 */
export async function checkAnswerSize(
  result: QueryResult,
  options: RenderOptions & { readonly maxBytes: number },
): Promise<void> {
  const { maxBytes } = options;
  if (sizeBound(result.value) <= maxBytes) return;
  let bytes = 0;
  for (const piece of renderQueryResult(result, { ...options, lends: true })) {
    bytes += piece.length;
    if (bytes > maxBytes)
      throw new AppError(
        "execution",
        `query result would be larger than ${maxBytes} bytes (--query.max-response-bytes). Select fewer series, a shorter range or a larger step`,
      );
    await nextTurn();
  }
}

/** At least the bytes of the series in the answer. */
function sizeBound(value: QueryValue): number {
  let bytes = 0;
  if (value.kind === "vector")
    for (const { labels, histogram } of value.samples)
      bytes += labelsBound(labels) + POINT_MAX_BYTES + histogramBound(histogram);
  if (value.kind === "matrix")
    for (const { labels, times, histograms = [] } of value.series) {
      bytes += labelsBound(labels) + (times.length + histograms.length) * POINT_MAX_BYTES;
      for (const histogram of histograms) bytes += histogramBound(histogram);
    }
  return bytes;
}

function histogramBound(histogram: FloatHistogram | undefined): number {
  if (histogram === undefined) return 0;
  const { positiveBuckets, negativeBuckets } = histogram;
  // Besides the buckets: the zero bucket, the count and the sum.
  return (positiveBuckets.length + negativeBuckets.length + 3) * BUCKET_MAX_BYTES;
}

/** An escaped character takes six bytes, as do the quotes and marks around a name or a value. */
function labelsBound(labels: Labels): number {
  let characters = 10;
  for (let i = 0; i < labels.count; i++)
    characters += labels.nameAt(i).length + labels.valueAt(i).length + 2;
  return 6 * characters;
}

function cut(value: QueryValue, limit: number): { value: QueryValue; truncated: boolean } {
  if (limit > 0 && value.kind === "vector" && value.samples.length > limit)
    return { value: { ...value, samples: value.samples.slice(0, limit) }, truncated: true };
  if (limit > 0 && value.kind === "matrix" && value.series.length > limit)
    return { value: { ...value, series: value.series.slice(0, limit) }, truncated: true };
  return { value, truncated: false };
}

/** Yields whenever there is enough for a piece. */
function* renderValue(value: QueryValue, writer: JsonWriter): Generator<void> {
  switch (value.kind) {
    case "scalar":
      writer.text(`[${formatSeconds(value.timeMs)},"${formatFixed(value.value)}"]`);
      return;
    case "string":
      // Bytes that are no UTF-8 are lone surrogates here; no JSON reader is to meet one.
      writer.text(`[${formatSeconds(value.timeMs)},${JSON.stringify(value.value.toWellFormed())}]`);
      return;
    case "vector": {
      const seconds = formatSeconds(value.timeMs);
      const time = `,"value":[${seconds},"`;
      writer.text("[");
      for (const [i, sample] of value.samples.entries()) {
        writer.text(i === 0 ? '{"metric":' : ',{"metric":');
        writeLabels(sample.labels, writer);
        if (sample.histogram === undefined) {
          writer.text(time);
          writer.sampleValue(sample.value);
          writer.text('"]}');
        } else writer.text(`,"histogram":[${seconds},${renderHistogram(sample.histogram)}]}`);
        if (writer.size > PIECE_BYTES) yield;
      }
      writer.text("]");
      return;
    }
    case "matrix":
      writer.text("[");
      for (const [i, series] of value.series.entries()) {
        writer.text(i === 0 ? '{"metric":' : ',{"metric":');
        writeLabels(series.labels, writer);
        if (series.histograms === undefined || series.times.length > 0) {
          writer.text(',"values":[');
          writer.points(series.times, series.values);
          writer.text("]");
        }
        if (series.histograms !== undefined) yield* renderHistograms(series, writer);
        writer.text("}");
        if (writer.size > PIECE_BYTES) yield;
      }
      writer.text("]");
      return;
  }
}

function* renderHistograms(series: MatrixSeries, writer: JsonWriter): Generator<void> {
  const { histograms = [], histogramTimes } = series;
  if (histograms.length === 0) return;
  writer.text(',"histograms":[');
  for (const [i, histogram] of histograms.entries()) {
    const seconds = formatSeconds(histogramTimes![i]!);
    writer.text(`${i === 0 ? "" : ","}[${seconds},${renderHistogram(histogram)}]`);
    if (writer.size > PIECE_BYTES) yield;
  }
  writer.text("]");
}

function renderHistogram(histogram: FloatHistogram): string {
  return JSON.stringify(apiHistogram(histogram));
}

/** Seconds since 1970 with up to three decimals and no trailing zeros. */
export function formatSeconds(timeMs: number): string {
  const rounded = Math.round(timeMs);
  const magnitude = Math.abs(rounded);
  const milliseconds = magnitude % 1000;
  const seconds = `${rounded < 0 ? "-" : ""}${Math.floor(magnitude / 1000)}`;
  return milliseconds === 0
    ? seconds
    : `${seconds}.${String(milliseconds).padStart(3, "0").replace(/0+$/, "")}`;
}

function writeLabels(labels: Labels, writer: JsonWriter): void {
  writer.text("{");
  for (let i = 0; i < labels.count; i++) {
    if (i > 0) writer.text(",");
    writer.quoted(labels.nameAt(i));
    writer.text(":");
    writer.quoted(labels.valueAt(i));
  }
  writer.text("}");
}

function renderNotes(key: string, kind: string, notes: readonly string[]): string {
  if (notes.length === 0) return "";
  const listed = notes.slice(0, ANNOTATION_LIMIT);
  if (notes.length > ANNOTATION_LIMIT)
    listed.push(`${notes.length - ANNOTATION_LIMIT} more ${kind} annotations omitted`);
  return `,"${key}":${JSON.stringify(listed)}`;
}

/** The parts of an analysed query under the names that Thanos gives them, and where each stands in the query's text. */
function analysisData(node: QueryAnalysis): unknown {
  const { name, position, executionMs, series, samples, children } = node;
  return {
    name,
    position: [position.start, position.end],
    // As Go writes and reads durations.
    executionTime: `${Number(executionMs.toFixed(6))}ms`,
    series,
    totalSamples: samples,
    ...(children.length > 0 && { children: children.map(analysisData) }),
  };
}

/** Figures of an evaluation, as Prometheus's API and query log have them. */
export function statsData(stats: QueryStats, { steps }: StatsOptions = {}): unknown {
  const { samplesRead, queryableSamples, peakSamples } = stats;
  return {
    timings: {
      evalTotalTime: stats.evaluationMs / 1000,
      resultSortTime: 0,
      queryPreparationTime: stats.parseMs / 1000,
      innerEvalTime: stats.evaluationMs / 1000,
      execQueueTime: stats.queueMs / 1000,
      execTotalTime: (stats.queueMs + stats.parseMs + stats.evaluationMs) / 1000,
    },
    samples: {
      ...perStep("totalQueryableSamplesPerStep", queryableSamples?.perStep, steps),
      totalQueryableSamples: queryableSamples?.total ?? samplesRead,
      ...perStep("samplesReadPerStep", queryableSamples?.readPerStep, steps),
      samplesRead: queryableSamples?.read ?? samplesRead,
      peakSamples,
    },
  };
}

/** The counts of each step with its time in seconds, where both are known. */
function perStep(
  name: string,
  counts: Float64Array | undefined,
  steps: StatsOptions["steps"],
): Record<string, unknown> {
  if (counts === undefined || steps === undefined) return {};
  const points = Array.from(counts, (count, k) => [
    (steps.startMs + k * steps.stepMs) / 1000,
    count,
  ]);
  return { [name]: points };
}

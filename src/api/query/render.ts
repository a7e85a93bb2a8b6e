import { formatSampleValue } from "../../base/float.ts";
import type { Labels } from "../../model/labels.ts";
import type { QueryResult, QueryValue } from "../../promql/result.ts";

/**
 * Query results as the HTTP API's JSON, in pieces of about `PIECE_CHARS` so that a large matrix is never one string.
 * Numbers are written as Go writes them: values as strings, times as seconds with up to three decimals.
 */
const PIECE_CHARS = 64 * 1024;

/** Annotations of one kind beyond this many are counted, not listed, as in Prometheus. */
const ANNOTATION_LIMIT = 10;

export interface RenderOptions {
  /** At most this many series; 0 means all. Cutting adds a warning. */
  readonly limit: number;
  /** Whether `stats` goes into the answer. */
  readonly stats: boolean;
}

export function* renderQueryResult(result: QueryResult, options: RenderOptions): Generator<string> {
  const { value, truncated } = cut(result.value, options.limit);
  const warnings = truncated
    ? [...result.warnings, "results truncated due to limit"]
    : result.warnings;
  yield `{"status":"success","data":{"resultType":"${value.kind}","result":`;
  yield* renderValue(value);
  if (options.stats) yield `,"stats":${JSON.stringify(statsOf(result))}`;
  yield `}${renderNotes("warnings", "warning", warnings)}${renderNotes("infos", "info", result.infos)}}`;
}

function cut(value: QueryValue, limit: number): { value: QueryValue; truncated: boolean } {
  if (limit > 0 && value.kind === "vector" && value.samples.length > limit)
    return { value: { ...value, samples: value.samples.slice(0, limit) }, truncated: true };
  if (limit > 0 && value.kind === "matrix" && value.series.length > limit)
    return { value: { ...value, series: value.series.slice(0, limit) }, truncated: true };
  return { value, truncated: false };
}

function* renderValue(value: QueryValue): Generator<string> {
  switch (value.kind) {
    case "scalar":
      yield `[${formatSeconds(value.timeMs)},"${formatSampleValue(value.value)}"]`;
      return;
    case "string":
      yield `[${formatSeconds(value.timeMs)},${JSON.stringify(value.value)}]`;
      return;
    case "vector": {
      const time = formatSeconds(value.timeMs);
      let piece = "[";
      for (const [i, sample] of value.samples.entries()) {
        piece += `${i === 0 ? "" : ","}{"metric":${renderLabels(sample.labels)},"value":[${time},"${formatSampleValue(sample.value)}"]}`;
        if (piece.length > PIECE_CHARS) {
          yield piece;
          piece = "";
        }
      }
      yield `${piece}]`;
      return;
    }
    case "matrix": {
      // The series of a range query share their steps: each distinct time is rendered once per answer.
      const times = new Map<number, string>();
      let piece = "[";
      for (const [i, series] of value.series.entries()) {
        piece += `${i === 0 ? "" : ","}{"metric":${renderLabels(series.labels)},"values":[`;
        const { times: columnMs, values } = series;
        for (let j = 0; j < values.length; j++) {
          const timeMs = columnMs[j]!;
          let text = times.get(timeMs);
          if (text === undefined) {
            text = formatSeconds(timeMs);
            if (times.size < 20_000) times.set(timeMs, text);
          }
          piece += `${j === 0 ? "[" : ",["}${text},"${formatSampleValue(values[j]!)}"]`;
          if (piece.length > PIECE_CHARS) {
            yield piece;
            piece = "";
          }
        }
        piece += "]}";
      }
      yield `${piece}]`;
      return;
    }
  }
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

export function renderLabels(labels: Labels): string {
  let text = "{";
  for (let i = 0; i < labels.count; i++)
    text += `${i === 0 ? "" : ","}${JSON.stringify(labels.nameAt(i))}:${JSON.stringify(labels.valueAt(i))}`;
  return `${text}}`;
}

function renderNotes(key: string, kind: string, notes: readonly string[]): string {
  if (notes.length === 0) return "";
  const listed = notes.slice(0, ANNOTATION_LIMIT);
  if (notes.length > ANNOTATION_LIMIT)
    listed.push(`${notes.length - ANNOTATION_LIMIT} more ${kind} annotations omitted`);
  return `,"${key}":${JSON.stringify(listed)}`;
}

function statsOf(result: QueryResult): unknown {
  const { stats } = result;
  return {
    timings: {
      evalTotalTime: stats.evaluationMs / 1000,
      resultSortTime: 0,
      queryPreparationTime: stats.parseMs / 1000,
      innerEvalTime: stats.evaluationMs / 1000,
      execQueueTime: stats.queueMs / 1000,
      execTotalTime: (stats.queueMs + stats.parseMs + stats.evaluationMs) / 1000,
    },
    samples: { totalQueryableSamples: stats.samplesRead, peakSamples: stats.peakSamples },
  };
}

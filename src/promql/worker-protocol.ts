import type { ErrorCode } from "../base/errors.ts";
import type { FloatHistogram } from "../model/histogram.ts";
import { packHistograms, unpackHistograms } from "../model/histogram-pack.ts";
import { createMatcher, type MatchOperator } from "../model/matcher.ts";
import type {
  Chunk,
  ChunkEncoding,
  SelectHints,
  SelectRequest,
  Series,
  SeriesBatch,
  SeriesCount,
} from "../storage/queryable.ts";
import type { QueryAnalysis } from "./analysis.ts";
import type { MatrixSeries, QueryResult, QueryStats, VectorSample } from "./result.ts";
import { packLabels, unpackLabels, type WireLabels } from "./wire-labels.ts";
import type { WireAggregate, WireAggregateResult } from "./worker-aggregate.ts";

/**
 * What a thread that evaluates and the thread that owns the storage say to each other. The evaluating side asks for
 * series batch by batch; columns and chunk bytes change threads by transfer, never sample by sample.
 */
export type ToWorker =
  | { kind: "query"; id: number; query: WireQuery }
  | { kind: "abort"; id: number; code: ErrorCode; message: string }
  | { kind: "batch"; id: number; select: number; batch: WireBatch | undefined }
  | { kind: "selectFailed"; id: number; select: number; code: ErrorCode; message: string }
  | { kind: "aggregated"; id: number; ask: number; result: WireAggregateResult | undefined };

export type FromWorker =
  | { kind: "select"; id: number; select: number; request: WireSelect }
  | { kind: "next"; id: number; select: number }
  | { kind: "endSelect"; id: number; select: number }
  | { kind: "aggregate"; id: number; ask: number; request: WireAggregate }
  | { kind: "result"; id: number; result: WireResult }
  | { kind: "failed"; id: number; code: ErrorCode; message: string; stats: QueryStats | undefined };

export interface WireQuery {
  readonly query: string;
  readonly startMs: number;
  readonly endMs: number;
  /** Undefined for an instant query. */
  readonly stepMs: number | undefined;
  readonly lookbackMs: number | undefined;
  readonly analyze: boolean;
  readonly countSamples: boolean;
  /** Whether the storage may be asked to aggregate. */
  readonly aggregates: boolean;
  /** Shared between the threads; not 0 ends the evaluation even within a long loop. */
  readonly stopFlag: Int32Array;
}

export interface WireSelect {
  readonly matchers: readonly { name: string; operator: MatchOperator; value: string }[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly hints: SelectHints | undefined;
  readonly sampleAbove: number | undefined;
}

export interface WireBatch {
  readonly labels: WireLabels;
  readonly chunkCounts: Int32Array;
  /** Encoding, first time, last time and size of each chunk, one after the other. */
  readonly chunks: Float64Array;
  readonly data: Uint8Array<ArrayBuffer>;
  readonly expected: SeriesCount | undefined;
  readonly warnings: readonly string[] | undefined;
  readonly infos: readonly string[] | undefined;
}

export function packSelect(request: SelectRequest): WireSelect {
  return {
    matchers: request.matchers.map(({ name, operator, value }) => ({ name, operator, value })),
    minTimeMs: request.minTimeMs,
    maxTimeMs: request.maxTimeMs,
    hints: request.hints,
    sampleAbove: request.sampleAbove,
  };
}

export function unpackSelect(wire: WireSelect, signal: AbortSignal): SelectRequest {
  const { minTimeMs, maxTimeMs, hints, sampleAbove } = wire;
  return {
    matchers: wire.matchers.map(({ name, operator, value }) =>
      createMatcher(name, operator, value),
    ),
    minTimeMs,
    maxTimeMs,
    ...(hints === undefined ? {} : { hints }),
    ...(sampleAbove === undefined ? {} : { sampleAbove }),
    signal,
  };
}

const CHUNK_FIELDS = 4;

export function packBatch(batch: SeriesBatch): WireBatch {
  const { series } = batch;
  let chunkCount = 0;
  let byteCount = 0;
  for (const { chunks } of series) {
    chunkCount += chunks.length;
    for (const { data } of chunks) byteCount += data.length;
  }
  const chunkCounts = new Int32Array(series.length);
  const fields = new Float64Array(chunkCount * CHUNK_FIELDS);
  const data = new Uint8Array(byteCount);
  let field = 0;
  let byte = 0;
  for (const [index, { chunks }] of series.entries()) {
    chunkCounts[index] = chunks.length;
    for (const chunk of chunks) {
      fields[field++] = chunk.encoding;
      fields[field++] = chunk.minTimeMs;
      fields[field++] = chunk.maxTimeMs;
      fields[field++] = chunk.data.length;
      data.set(chunk.data, byte);
      byte += chunk.data.length;
    }
  }
  const labels = packLabels(series);
  const { warnings, infos } = batch;
  const expected = batch.expected && ownCount(batch.expected);
  return { labels, chunkCounts, chunks: fields, data, expected, warnings, infos };
}

/** `count` with its chunks apart from the buffers they lie in, all of which a message would copy. */
function ownCount({ samples, ...count }: SeriesCount): SeriesCount {
  if (samples === undefined) return count;
  const own = samples.map((sample) => ({
    ...sample,
    chunkLists: sample.chunkLists.map((chunks) =>
      chunks.map((chunk) => ({ ...chunk, data: new Uint8Array(chunk.data) })),
    ),
  }));
  return { ...count, samples: own };
}

export function unpackBatch(wire: WireBatch): SeriesBatch {
  let field = 0;
  let byte = 0;
  const series: Series[] = unpackLabels(wire.labels).map((labels, index) => {
    const chunks: Chunk[] = [];
    for (let i = 0; i < wire.chunkCounts[index]!; i++) {
      const size = wire.chunks[field + 3]!;
      chunks.push({
        encoding: wire.chunks[field] as ChunkEncoding,
        minTimeMs: wire.chunks[field + 1]!,
        maxTimeMs: wire.chunks[field + 2]!,
        data: wire.data.subarray(byte, byte + size),
      });
      field += CHUNK_FIELDS;
      byte += size;
    }
    return { labels, chunks };
  });
  const { expected, warnings, infos } = wire;
  return {
    series,
    ...(expected && { expected }),
    ...(warnings && { warnings }),
    ...(infos && { infos }),
  };
}

export type WireValue =
  | { kind: "scalar"; timeMs: number; value: number }
  | { kind: "string"; timeMs: number; value: string }
  | {
      kind: "vector";
      timeMs: number;
      labels: WireLabels;
      values: Float64Array;
      /** Which samples are histograms, and these packed; undefined when none is. */
      histograms: { indexes: Int32Array; packed: Float64Array } | undefined;
    }
  | {
      kind: "matrix";
      labels: WireLabels;
      /** Where the points of each series begin in `times`, which series of one column of times share. */
      timesAt: Float64Array;
      counts: Int32Array;
      times: Float64Array;
      values: Float64Array;
      /** Of each series, if any has some. */
      histograms: readonly (WireHistograms | undefined)[] | undefined;
    };

interface WireHistograms {
  readonly times: Float64Array;
  readonly packed: Float64Array;
}

export interface WireResult {
  readonly value: WireValue;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly stats: QueryStats;
  readonly analysis?: QueryAnalysis;
}

/** The result for `postMessage`, and the buffers to transfer with it. */
export function packResult(result: QueryResult): { wire: WireResult; transfer: ArrayBuffer[] } {
  const { value, transfer } = packValue(result);
  return { wire: { ...result, value }, transfer: [...transfer] };
}

function packValue({ value }: QueryResult): { value: WireValue; transfer: Set<ArrayBuffer> } {
  const transfer = new Set<ArrayBuffer>();
  switch (value.kind) {
    case "scalar":
    case "string":
      return { value, transfer };
    case "vector": {
      const values = Float64Array.from(value.samples, (sample) => sample.value);
      transfer.add(values.buffer);
      const labels = packLabels(value.samples);
      const histograms = packSamples(value.samples);
      const { timeMs } = value;
      return { value: { kind: "vector", timeMs, labels, values, histograms }, transfer };
    }
    case "matrix":
      return { value: packMatrix(value.series, transfer), transfer };
  }
}

function packMatrix(series: readonly MatrixSeries[], transfer: Set<ArrayBuffer>): WireValue {
  const timesAt = new Float64Array(series.length);
  const counts = Int32Array.from(series, ({ values }) => values.length);
  // Most series have a point at every step, and one column of times between them.
  const columns = new Map<Float64Array, number>();
  let timeCount = 0;
  let count = 0;
  for (const [i, { times, values }] of series.entries()) {
    let at = columns.get(times);
    if (at === undefined) {
      columns.set(times, (at = timeCount));
      timeCount += times.length;
    }
    timesAt[i] = at;
    count += values.length;
  }
  const times = new Float64Array(timeCount);
  for (const [column, at] of columns) times.set(column, at);
  const values = new Float64Array(count);
  let at = 0;
  for (const one of series) {
    values.set(one.values, at);
    at += one.values.length;
  }
  transfer.add(times.buffer).add(values.buffer);
  const histograms = series.some((one) => one.histograms !== undefined)
    ? series.map(({ histogramTimes, histograms: own }) =>
        own === undefined ? undefined : { times: histogramTimes!, packed: packHistograms(own) },
      )
    : undefined;
  return { kind: "matrix", labels: packLabels(series), timesAt, counts, times, values, histograms };
}

function unpackMatrix(wire: WireValue & { kind: "matrix" }): MatrixSeries[] {
  const { timesAt, counts, histograms } = wire;
  const shared = new Map<number, Float64Array>();
  let at = 0;
  return unpackLabels(wire.labels).map((labels, i): MatrixSeries => {
    const count = counts[i]!;
    const from = timesAt[i]!;
    // Series that shared a column share it here too.
    let times = shared.get(from);
    if (times?.length !== count)
      shared.set(from, (times = wire.times.subarray(from, from + count)));
    const values = wire.values.subarray(at, at + count);
    at += count;
    const own = histograms?.[i];
    const floats = { labels, times, values };
    if (own === undefined) return floats;
    return { ...floats, histogramTimes: own.times, histograms: unpackHistograms(own.packed) };
  });
}

function packSamples(
  samples: readonly VectorSample[],
): { indexes: Int32Array; packed: Float64Array } | undefined {
  const indexes: number[] = [];
  const histograms: FloatHistogram[] = [];
  for (const [i, { histogram }] of samples.entries()) {
    if (histogram === undefined) continue;
    indexes.push(i);
    histograms.push(histogram);
  }
  if (indexes.length === 0) return undefined;
  return { indexes: Int32Array.from(indexes), packed: packHistograms(histograms) };
}

function unpackSamples(
  wire: { indexes: Int32Array; packed: Float64Array } | undefined,
): ReadonlyMap<number, FloatHistogram> {
  if (wire === undefined) return new Map();
  const histograms = unpackHistograms(wire.packed);
  return new Map(histograms.map((histogram, i) => [wire.indexes[i]!, histogram]));
}

export function unpackResult(wire: WireResult): QueryResult {
  const { value } = wire;
  switch (value.kind) {
    case "scalar":
    case "string":
      return { ...wire, value };
    case "vector": {
      const histograms = unpackSamples(value.histograms);
      const samples = unpackLabels(value.labels).map((labels, index) => {
        const sample = { labels, value: value.values[index]! };
        const histogram = histograms.get(index);
        return histogram === undefined ? sample : { ...sample, histogram };
      });
      return { ...wire, value: { kind: "vector", timeMs: value.timeMs, samples } };
    }
    case "matrix":
      return { ...wire, value: { kind: "matrix", series: unpackMatrix(value) } };
  }
}

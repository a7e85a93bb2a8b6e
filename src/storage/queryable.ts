import type { Labels } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import type { AggregateRequest, AggregateResult } from "./aggregate.ts";
import type { GroupedBatch, GroupedRequest } from "./grouped.ts";

/**
 * The waist of the system: everything that holds series (head, block, bucket, a shard behind gRPC, another querier)
 * is read through `Queryable`. It is shaped like Thanos's StoreAPI: series sorted by labels, each with encoded chunks.
 * Merge, dedup, PromQL, federation and remote read are written against this file and nothing else.
 */

/** Numbers of Prometheus's chunk encodings (docs/format/chunks.md). */
export const ENCODING_XOR = 1;
export const ENCODING_HISTOGRAM = 2;
export const ENCODING_FLOAT_HISTOGRAM = 3;
export type ChunkEncoding =
  | typeof ENCODING_XOR
  | typeof ENCODING_HISTOGRAM
  | typeof ENCODING_FLOAT_HISTOGRAM;

/** Encoded samples of one series, in time order within the chunk. */
export interface Chunk {
  readonly encoding: ChunkEncoding;
  /** Time of the first sample in ms. May be lower (never higher) than the true one for chunks from remote peers. */
  readonly minTimeMs: number;
  /** Time of the last sample in ms, inclusive. */
  readonly maxTimeMs: number;
  /** The encoded bytes, starting with the sample count. Immutable; valid for as long as it is referenced. */
  readonly data: Uint8Array;
}

export interface Series {
  readonly labels: Labels;
  /** Sorted by `minTimeMs`; chunks may overlap and may reach beyond the asked time range. Empty with `skipChunks`. */
  readonly chunks: readonly Chunk[];
}

/** How many series a select gives, as far as an index tells before anything is read. */
export interface SeriesCount {
  /** Certain as long as all of it can be read. */
  readonly atLeast: number;
  /** Infinity where nothing is known. */
  readonly atMost: number;
  /** Of each part that the series come from, if it was asked for and has enough of them. */
  readonly samples?: readonly SeriesSample[];
}

/** Some of the series that one part of a storage has for a select, chosen by chance. */
export interface SeriesSample {
  /** The first chunks of each one chosen that has any. */
  readonly chunkLists: readonly (readonly Chunk[])[];
  /** How many were chosen, any of them with the same chance. */
  readonly size: number;
  /** How many different series they were chosen of. */
  readonly of: number;
  /** The part's samples are of these times, both inclusive: of parts that have no time in common none has a sample of the others. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

/** Some series in label order, or what went wrong on the way to them. */
export interface SeriesBatch {
  readonly series: readonly Series[];
  /** Of the whole select, in its first batch if at all. */
  readonly expected?: SeriesCount;
  /** Partial answers: what could not be read and why. Present in any batch, usually the first or the last. */
  readonly warnings?: readonly string[];
  /** What could not be read and takes nothing from the answer, such as a replica whose sibling answered. */
  readonly infos?: readonly string[];
}

/**
 * What the reader will do with the samples; sources may use it to read less, never to change a result. Only where replicas
 * are joined does it count that the reader takes them for counters.
 */
export interface SelectHints {
  /** Step of a range query in ms; 0 for an instant query. */
  readonly stepMs: number;
  /** The function or aggregation around the selector, "" if none. */
  readonly func: string;
  /** The range of a range selector in ms; 0 if none. */
  readonly rangeMs: number;
  readonly grouping: readonly string[];
  readonly by: boolean;
  /** Of each series only the newest sample within the time range is looked at, stale marker or not. */
  readonly newestOnly?: boolean;
}

export interface SelectRequest {
  /** All must hold. At least one does not match the empty value. */
  readonly matchers: readonly Matcher[];
  /** Inclusive, ms. */
  readonly minTimeMs: number;
  /** Inclusive, ms. */
  readonly maxTimeMs: number;
  readonly hints?: SelectHints;
  /** Labels only. */
  readonly skipChunks?: boolean;
  /** Labels to strip before sorting (replica deduplication). */
  readonly withoutReplicaLabels?: readonly string[];
  /** At most this many series; 0 or absent means all. */
  readonly limit?: number;
  /** With more series than this, the first batch may tell of a sample of them. Default: no sample. */
  readonly sampleAbove?: number;
  /** How many series are to be in it. Default 128. */
  readonly sampleSize?: number;
  readonly signal?: AbortSignal;
}

export interface LabelRequest {
  readonly matchers: readonly Matcher[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

export interface LabelResult {
  /** Sorted in byte order, unique. */
  readonly values: readonly string[];
  readonly warnings: readonly string[];
  /** As of a `SeriesBatch`. */
  readonly infos?: readonly string[];
}

export interface Queryable {
  /** Series with at least one chunk in the range, sorted by labels over all batches, each series exactly once. */
  select(request: SelectRequest): AsyncIterable<SeriesBatch>;
  labelNames(request: LabelRequest): Promise<LabelResult>;
  labelValues(name: string, request: LabelRequest): Promise<LabelResult>;
  /**
   * Computes an aggregation instead of giving the series to it, if that is possible: undefined when not. Rejects only when the
   * request's signal aborts.
   */
  aggregate?(request: AggregateRequest): Promise<AggregateResult | undefined>;
  /** What `select` has for an aggregation at one moment, in columns, if that is possible: undefined when not. */
  selectGrouped?(request: GroupedRequest): AsyncIterable<GroupedBatch> | undefined;
}

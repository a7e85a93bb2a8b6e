import type { Labels } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import type { Chunk } from "./queryable.ts";

/**
 * Series for an aggregation that looks at one moment: of each only its newest sample and its group, in columns. A million series
 * cost no object each.
 */
export interface GroupedRequest {
  /** As of a `SelectRequest`. */
  readonly matchers: readonly Matcher[];
  /** Inclusive, ms: only the newest sample within is looked at. */
  readonly minTimeMs: number;
  /** Inclusive, ms. */
  readonly maxTimeMs: number;
  /** Series are of one group when they agree in these labels or, with `without`, in all but these. */
  readonly grouping: readonly string[];
  readonly without: boolean;
  /** Whether hashes of the series are wanted, as `SeriesHashes` makes them. */
  readonly wantsHashes: boolean;
  /**
   * Labels that the reader adds to all series, or strips: no series may have one, and all have to have the same label names,
   * so that their order stays what it is. Empty for a reader who does not.
   */
  readonly foreignNames: readonly string[];
  readonly signal?: AbortSignal;
}

/** Some series in label order. Columns are lent: the next batch overwrites them. */
export interface GroupedBatch {
  readonly count: number;
  /** Numbers of groups, small ones; they mean the same in all batches of an answer. */
  readonly groups: Uint32Array;
  /** The newest sample by its bits, a stale marker or not, where `chunks` has nothing. */
  readonly values: Float64Array;
  /** By place, what is not one float that is known: as a `Series` has them. */
  readonly chunks: ReadonlyMap<number, readonly Chunk[]>;
  /** High and low half of each in turn; empty when not wanted. */
  readonly hashes: Uint32Array;
  /** What was read for `values`, as a select would have given it. */
  readonly chunkCount: number;
  readonly sampleCount: number;
  readonly byteCount: number;
  readonly warnings?: readonly string[];
  /** Of the whole answer, in its first batch if at all: there are at least so many series, as long as all can be read. */
  readonly atLeast?: number;
  labelsOf(place: number): Labels;
}

/** Thrown on the way when the series turn out not to be as `foreignNames` says: the reader has to select them. */
export class NotInColumnsError extends Error {
  constructor() {
    super("series differ in label names");
  }
}

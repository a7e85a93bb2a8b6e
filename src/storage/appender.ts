import type { Exemplar } from "../model/exemplar.ts";
import type { FloatHistogram } from "../model/histogram.ts";
import type { Labels } from "../model/labels.ts";
import type { MetricMetadata } from "../model/metadata.ts";

/**
 * The waist on the way in. A scrape resolves each series once to a ref (a small integer, valid until the storage
 * says `unknownRef`), then appends columns of (ref, time, value) and commits them as one unit: after `append`
 * resolves, the operating system has the WAL record, and queries see all of the scrape or nothing of it.
 */
export interface AppendColumns {
  /** Refs from `resolve`. */
  readonly refs: Int32Array;
  /** Sample times in ms. */
  readonly times: Float64Array;
  /**
   * Sample values; bits are kept exactly (the staleness marker is a signalling NaN). A marker for a series whose last
   * sample is a histogram is stored as a stale histogram.
   */
  readonly values: Float64Array;
  /** How many leading entries of the three columns are filled. */
  readonly count: number;
}

/** Samples that are native histograms. A stale one has the staleness marker as its sum, and nothing else. */
export interface HistogramColumns {
  readonly refs: Int32Array;
  readonly times: Float64Array;
  /** Kept until the append resolves, and not changed after. Those that are not valid are refused. */
  readonly histograms: readonly FloatHistogram[];
  /** 1 where the counts may be any floats, 0 where all of them are whole numbers. */
  readonly isFloat: Uint8Array;
  readonly count: number;
}

export interface AppendExemplar {
  readonly ref: number;
  readonly exemplar: Exemplar;
  /** Its time is that of the scrape, because the target gave none. */
  readonly isScrapeTime?: boolean;
}

export interface AppendMetadata {
  readonly ref: number;
  readonly metadata: MetricMetadata;
}

/** All that one append stores as one unit: float samples, and beside them what few series have. */
export interface AppendBatch extends AppendColumns {
  readonly histograms?: HistogramColumns;
  /** Of series of this or of an earlier batch, in order of time for each series. */
  readonly exemplars?: readonly AppendExemplar[];
  readonly metadata?: readonly AppendMetadata[];
  /** Store nothing at all when the storage refuses a sample, by what it has before the batch. Default: skip the sample. */
  readonly isWhole?: boolean;
  /** Which samples are no news, but zeros put in front of others. */
  readonly zeros?: BatchZeros;
  /** List what is refused in `AppendResult.refused`. */
  readonly listRefused?: boolean;
}

/**
 * Zeros put in front of samples, at the times that series were created. Those that are out of order or too old are left
 * out; no result counts them, but for those whose ref is unknown.
 */
export interface BatchZeros {
  /** Their places in the columns of the batch, ascending. */
  readonly floats: Int32Array;
  /** Their places in the columns of histograms, ascending. */
  readonly histograms: Int32Array;
  /** When the first sample comes that they are put in front of: an empty storage has nothing else to tell what is too old. */
  readonly beforeMs: number;
}

export type RefusalReason =
  | "out-of-order"
  /** Same time as the series' newest sample, with another value. */
  | "duplicate"
  /** Older than the window for samples out of order. */
  | "too-old"
  /** Older than the storage accepts, or no time at all. */
  | "out-of-bounds"
  | "unknown-ref"
  /** A histogram or an exemplar that breaks the rules; `message` says which. */
  | "invalid";

/** One sample or exemplar of a batch that was not stored. */
export interface Refusal {
  readonly part: "float" | "histogram" | "exemplar";
  /** Its place in the part's columns. */
  readonly index: number;
  readonly reason: RefusalReason;
  readonly message?: string;
}

/** What became of a batch. A sample that is there already, with the same time and value, counts as appended. */
export interface AppendResult {
  /** Float samples stored. */
  readonly appended: number;
  readonly appendedHistograms: number;
  readonly appendedExemplars: number;
  /** Samples of both kinds that could not be stored, by reason; see `RefusalReason`. */
  readonly outOfOrder: number;
  readonly duplicate: number;
  readonly tooOld: number;
  readonly outOfBounds: number;
  /** Refs the storage has forgotten (the series was collected): resolve again. */
  readonly unknownRef: number;
  readonly invalid: number;
  readonly refusedExemplars: number;
  /** Empty unless `AppendBatch.listRefused`. In order of parts, and within a part mostly of places. */
  readonly refused: readonly Refusal[];
}

/** The result of an append of nothing. */
export const NOTHING_APPENDED: AppendResult = {
  appended: 0,
  appendedHistograms: 0,
  appendedExemplars: 0,
  outOfOrder: 0,
  duplicate: 0,
  tooOld: 0,
  outOfBounds: 0,
  unknownRef: 0,
  invalid: 0,
  refusedExemplars: 0,
  refused: [],
};

export interface Appendable {
  /** The ref of the series with exactly `labels`, created if new. Throws `resource-exhausted` at a series limit. */
  resolve(labels: Labels): number;
  /** Appends a batch as one atomic unit and logs it. The arrays may be reused once the promise resolves. */
  append(batch: AppendBatch): Promise<AppendResult>;
}

import type { Labels } from "../model/labels.ts";

/**
 * The waist on the way in. A scrape resolves each series once to a ref (a small integer, valid until the storage
 * says `unknownRef`), then appends columns of (ref, time, value) and commits them as one unit: after `commit`
 * resolves, the operating system has the WAL record, and queries see all of the scrape or nothing of it.
 */
export interface AppendColumns {
  /** Refs from `resolve`. */
  readonly refs: Int32Array;
  /** Sample times in ms. */
  readonly times: Float64Array;
  /** Sample values; bits are kept exactly (the staleness marker is a signalling NaN). */
  readonly values: Float64Array;
  /** How many leading entries of the three columns are filled. */
  readonly count: number;
}

/** Samples that could not be stored and were skipped; the rest of the batch was. */
export interface AppendResult {
  readonly appended: number;
  readonly outOfOrder: number;
  /** Same time as the series' newest sample, with another value. */
  readonly duplicate: number;
  /** Older than the storage accepts. */
  readonly outOfBounds: number;
  /** Refs the storage has forgotten (the series was collected): resolve again. */
  readonly unknownRef: number;
}

export interface Appendable {
  /** The ref of the series with exactly `labels`, created if new. Throws `resource-exhausted` at a series limit. */
  resolve(labels: Labels): number;
  /** Appends all columns as one atomic unit and logs them. The arrays may be reused once the promise resolves. */
  append(columns: AppendColumns): Promise<AppendResult>;
}

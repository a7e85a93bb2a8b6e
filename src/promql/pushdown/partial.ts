import { AppError } from "../../base/errors.ts";
import type { Labels } from "../../model/labels.ts";
import type { AggregateStats } from "../../storage/aggregate.ts";

/**
 * What one shard says of an aggregation over its own series. Points stand in columns, group by group, in each the steps:
 * point `group * steps + step`. Which columns there are depends on the operator; the others are empty.
 *
 *     sum, avg       main, side (the compensated sum), weight (of finite values the sum of sizes), counts, flags
 *     min, max       main, counts (not 0 where there is a value)
 *     count, group   counts
 *     topk, bottomk  counts (how many candidates a point has); main and rows, candidate by candidate
 */
export interface PartialAggregate {
  readonly steps: number;
  readonly groups: readonly PartialGroup[];
  readonly main: Float64Array;
  readonly side: Float64Array;
  readonly weight: Float64Array;
  readonly counts: Uint32Array;
  readonly flags: Uint8Array;
  /** Places in `candidates`. */
  readonly rows: Uint32Array;
  readonly candidates: readonly PartialCandidate[];
  /** Hashes of the labels of all selected series, high and low half in turn; empty when not wanted. */
  readonly seriesHashes: Uint32Array;
  readonly stats: AggregateStats;
}

export interface PartialGroup {
  readonly labels: Labels;
  /** The labels of the group's first series, which tell where the group comes among others. */
  readonly first: Labels;
  readonly dropName: boolean;
}

/** A row that may be chosen, with its labels as the choice shows them. */
export interface PartialCandidate {
  readonly labels: Labels;
  readonly dropName: boolean;
}

/** What has been added to a sum, beside finite whole numbers. */
export const SAW_FRACTION = 1;
export const SAW_NAN = 2;
export const SAW_PLUS_INFINITY = 4;
export const SAW_MINUS_INFINITY = 8;

/** Most groups, or candidates, of one answer. */
export const MAX_PARTIAL_GROUPS = 20_000;
/** Most bytes of the columns of one answer. Where groups are so many, the series themselves are hardly more. */
export const MAX_PARTIAL_BYTES = 8 * 1024 ** 2;

/** Bytes of a point's columns in an answer, by operator; a candidate has main and row. */
export const POINT_BYTES = {
  sum: 29,
  avg: 29,
  min: 12,
  max: 12,
  count: 4,
  group: 4,
  topk: 4,
  bottomk: 4,
} as const;
export const CANDIDATE_BYTES = 12;

/** Not an error of anyone: the series have to be looked at in one place. */
export function declined(why: string): AppError {
  return new AppError("execution", `cannot aggregate in parts: ${why}`);
}

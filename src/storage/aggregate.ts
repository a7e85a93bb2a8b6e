import type { Labels } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";

/**
 * An aggregation over one selector, to be computed where the series are. Whoever is asked may always decline; what is
 * answered is to the last bit what an engine gives that selects all series and aggregates them itself.
 */
export interface AggregateRequest {
  /** The aggregation as PromQL text. */
  readonly query: string;
  /** `sum`, `avg`, `min`, `max`, `count`, `group`, `topk` or `bottomk`. */
  readonly operator: string;
  /** How many series `topk` and `bottomk` choose; else 0. */
  readonly limit: number;
  /** What its only selector reads; times are whole ms, inclusive. */
  readonly matchers: readonly Matcher[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** Of the whole query, whole ms; `stepMs` is 0 for an instant query. */
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly lookbackMs: number;
  /** The step of subqueries that name none. */
  readonly subqueryStepMs: number;
  /** How many steps the answer has: 1, or those of the query. */
  readonly steps: number;
  /** Features of the engine that are switched on, by Prometheus's names. */
  readonly features: readonly string[];
  /** What may still be taken. */
  readonly limits: AggregateLimits;
  readonly signal: AbortSignal;
}

export interface AggregateLimits {
  /** Samples held in memory. */
  readonly samples: number;
  /** Series and bytes of chunks read. */
  readonly series: number;
  readonly bytes: number;
  readonly timeMs: number;
}

/** One series of the result, as an operator of the engine gives it: floats where `present` is 1. */
export interface AggregatedRow {
  readonly labels: Labels;
  readonly dropName: boolean;
  readonly values: Float64Array;
  readonly present: Uint8Array;
}

/** What the evaluations took together. */
export interface AggregateStats {
  readonly samplesRead: number;
  readonly seriesRead: number;
  readonly chunksRead: number;
  readonly bytesRead: number;
  readonly peakSamples: number;
  /** Series and bytes as the limits count them. */
  readonly selectedSeries: number;
  readonly selectedBytes: number;
}

export interface AggregateResult {
  /** In the order in which the engine gives them. */
  readonly rows: readonly AggregatedRow[];
  readonly stats: AggregateStats;
}

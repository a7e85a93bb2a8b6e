import { AppError } from "../base/errors.ts";
import type { Queryable } from "../storage/queryable.ts";
import type { Expression } from "./ast.ts";
import type { QueryResult } from "./result.ts";

/** How an engine evaluates; every field has a default (Prometheus's flag in brackets). */
export interface EngineOptions {
  /** How far an instant selector looks back, ms. Default 5 min (`--query.lookback-delta`). */
  readonly lookbackMs?: number;
  /** Samples one query may hold in memory. Default 50 million (`--query.max-samples`). */
  readonly maxSamples?: number;
  /** Default 2 min (`--query.timeout`). */
  readonly timeoutMs?: number;
  /** Steps a range query may have. Default 11,000, as in Prometheus's HTTP API. */
  readonly maxPoints?: number;
  /** Step of a subquery that names none: the global evaluation interval. Default 1 min. */
  readonly subqueryStepMs?: number;
  /** Queries evaluated at the same time; more wait in order. Default 20 (`--query.max-concurrency`). */
  readonly maxConcurrency?: number;
  /** Drop `__name__` at the end of the query only (`--enable-feature=promql-delayed-name-removal`). Default off. */
  readonly delayedNameRemoval?: boolean;
}

export interface InstantQuery {
  readonly query: string | Expression;
  readonly timeMs: number;
  readonly lookbackMs?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface RangeQuery {
  readonly query: string | Expression;
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  /** Above 0. */
  readonly stepMs: number;
  readonly lookbackMs?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Evaluates PromQL over anything queryable. Throws `bad-data` (parse), `execution`, `timeout`, `canceled`. */
export class Engine {
  readonly #options: EngineOptions;

  constructor(options: EngineOptions = {}) {
    this.#options = options;
  }

  async instant(queryable: Queryable, query: InstantQuery): Promise<QueryResult> {
    return this.#run(queryable, query);
  }

  async range(queryable: Queryable, query: RangeQuery): Promise<QueryResult> {
    return this.#run(queryable, query);
  }

  async #run(_queryable: Queryable, _query: InstantQuery | RangeQuery): Promise<QueryResult> {
    throw new AppError(
      "internal",
      `cannot evaluate with ${Object.keys(this.#options).length} options yet`,
    );
  }
}

import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Matcher } from "../../model/matcher.ts";
import type { QueryEngine } from "../../promql/engine.ts";
import type { ParserOptions } from "../../promql/parser.ts";
import type { EndpointStatus } from "../../query/endpoint-set.ts";
import type { ExemplarsQuery, ExemplarsResult } from "../../query/exemplars.ts";
import type { Queryable } from "../../storage/queryable.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import type { QueryBook } from "./query-book.ts";

/** How a request wants its series; what it leaves open is as the query was started. */
export interface ReadOptions {
  /** Make one series of those that differ in replica labels only. Default true. */
  readonly dedup?: boolean;
  readonly replicaLabels?: readonly string[];
  /** Give what there is, with warnings, when not all stores answer. */
  readonly partialResponse?: boolean;
  /** Ask only stores whose `__address__` fits one of these selectors. */
  readonly storeMatchers?: readonly (readonly Matcher[])[];
  /** Leave out what comes from `remote_read`. */
  readonly localOnly?: boolean;
}

/** What answers about series stand on: PromQL, labels, exemplars, `/federate`. */
export interface ReadApiDependencies {
  readonly engine: QueryEngine;
  /** The experimental parts of the language that `engine` takes. */
  readonly parser: ParserOptions;
  /** All series, read as a request wants them. */
  readonly queryable: (options: ReadOptions) => Queryable;
  /** The exemplars of the series that an expression selects. */
  readonly exemplars: (query: ExemplarsQuery, options: ReadOptions) => Promise<ExemplarsResult>;
  /** Keeps the list of queries that are being answered. */
  readonly queries: QueryBook;
  /** A query's answer that would be larger is refused, bytes before compression. */
  readonly maxAnswerBytes: number;
  readonly clock: Clock;
  /** `--query.lookback-delta`, ms. */
  readonly lookbackMs: number;
  /** Labels added to federated series that lack them. */
  readonly externalLabels: () => Readonly<Record<string, string>>;
  /** `--web.enable-admin-api` */
  readonly adminApi: boolean;
}

/** What the HTTP API v1 of the query role stands on. */
export interface QueryApiDependencies extends ReadApiDependencies {
  readonly logger: Logger;
  /** Where targets, shards and decisions come from; absent when a query runs without a coordinator. */
  readonly coordinator: CoordinatorClient | undefined;
  /** State of the stores asked, for `/api/v1/endpoints` and `/api/v1/stores`. */
  readonly endpoints: () => readonly EndpointStatus[];
  /** Effective flags, by name, for `/api/v1/status/flags`. */
  readonly flags: Readonly<Record<string, string>>;
  /** Folder of the built page; absent when there is none. */
  readonly pageFolder: string | undefined;
  readonly startTimeMs: number;
}

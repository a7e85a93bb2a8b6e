import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Engine } from "../../promql/engine.ts";
import type { Queryable } from "../../storage/queryable.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";

/** What the HTTP API v1 of the query role stands on. */
export interface QueryApiDependencies {
  readonly engine: Engine;
  readonly queryable: Queryable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where targets, shards and decisions come from; absent when a query runs without a coordinator. */
  readonly coordinator: CoordinatorClient | undefined;
  /** State of the stores asked, for `/api/v1/endpoints`. */
  readonly endpoints: () => unknown;
  /** Effective flags, by name, for `/api/v1/status/flags`. */
  readonly flags: Readonly<Record<string, string>>;
  /** `--query.lookback-delta`, ms. */
  readonly lookbackMs: number;
  /** Labels added to federated series that lack them. */
  readonly externalLabels: () => Readonly<Record<string, string>>;
  /** Folder of the built page; absent when there is none. */
  readonly pageFolder: string | undefined;
  readonly startTimeMs: number;
}

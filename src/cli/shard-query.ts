import type { FastifyInstance } from "fastify";
import { registerReadApi } from "../api/query/query-api.ts";
import { QueryBook } from "../api/query/query-book.ts";
import type { Clock } from "../base/clock.ts";
import { Engine } from "../promql/engine.ts";
import type { Database } from "../tsdb/database.ts";
import { type FEATURE_FLAGS, parserOptions } from "./feature-flags.ts";
import type { FlagValues } from "./flags.ts";
import { engineOptions } from "./query-engine.ts";
import type { EVALUATION_FLAGS } from "./query-flags.ts";

export interface ShardQueryParts {
  readonly app: FastifyInstance;
  readonly database: Database;
  /** Of the running configuration; only federated series carry them, as in Prometheus. */
  readonly externalLabels: () => Readonly<Record<string, string>>;
  readonly clock: Clock;
}

/** PromQL, labels, exemplars and `/federate` over what this shard alone has. */
export function registerShardQuery(
  flags: FlagValues<typeof EVALUATION_FLAGS & typeof FEATURE_FLAGS> & {
    readonly enableAdminApi: boolean;
  },
  { app, database, externalLabels, clock }: ShardQueryParts,
): void {
  registerReadApi(app, {
    engine: new Engine(engineOptions(flags)),
    parser: parserOptions(flags.features),
    queryable: () => database,
    exemplars: async ({ selectors, startMs, endMs }) => {
      const request = { matcherSets: selectors, minTimeMs: startMs, maxTimeMs: endMs };
      return { series: database.head.exemplars(request), warnings: [], infos: [] };
    },
    queries: new QueryBook({ clock, slowMs: flags.slowQuery, log: undefined }),
    maxAnswerBytes: flags.maxResponseBytes,
    clock,
    lookbackMs: flags.lookbackDelta,
    externalLabels,
    adminApi: flags.enableAdminApi,
  });
}

import { systemClock } from "../../src/base/clock.ts";
import { Registry } from "../../src/base/metrics.ts";
import { VERSION } from "../../src/base/version.ts";
import { createGrpcServer, type GrpcServer } from "../../src/grpc/server.ts";
import { Labels } from "../../src/model/labels.ts";
import type { Queryable } from "../../src/storage/queryable.ts";
import { createAggregateService } from "../../src/store/aggregate-server.ts";
import { createStoreServices } from "../../src/store/store-server.ts";
import { EndpointSet } from "../../src/query/endpoint-set.ts";

export interface TestShard {
  readonly queryable: Queryable;
  readonly externalLabels?: Readonly<Record<string, string>>;
  /** The version that it says it aggregates with. Default: this one. */
  readonly aggregates?: string;
}

/** Shards that aggregate, each a gRPC server, and what a query process knows of them. */
export interface TestShards {
  readonly servers: readonly GrpcServer[];
  readonly endpoints: EndpointSet;
  readonly registry: Registry;
  /** How many aggregations came to what so far. */
  outcomes(): Record<string, number>;
  stop(): Promise<void>;
}

export async function startShards(shards: readonly TestShard[]): Promise<TestShards> {
  const servers = shards.map(({ queryable, externalLabels: pairs = {}, aggregates = VERSION }) => {
    const externalLabels = (): Labels => Labels.fromObject(pairs);
    const ready = (): boolean => true;
    return createGrpcServer({
      port: 0,
      graceMs: 0,
      services: createStoreServices({
        queryable,
        externalLabels,
        minTimeMs: () => 0,
        maxTimeMs: () => Infinity,
        ready,
        aggregates,
      }).concat(createAggregateService({ queryable, externalLabels, ready, clock: systemClock })),
    });
  });
  await Promise.all(servers.map((server) => server.start()));
  const addresses = servers.map((server) => `127.0.0.1:${server.address().port}`);
  const endpoints = new EndpointSet({ provider: () => addresses, refreshMs: 3_600_000 });
  await endpoints.start();
  const registry = new Registry();
  return {
    servers,
    endpoints,
    registry,
    outcomes() {
      const found: Record<string, number> = {};
      for (const [, outcome, count] of registry
        .expose()
        .matchAll(/shoal_query_pushdown_total\{outcome="(\w+)"\} (\d+)/g))
        if (count !== "0") found[outcome!] = Number(count);
      return found;
    },
    async stop() {
      await endpoints.stop();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

import { parseListenAddress } from "../api/server.ts";
import type { Logger } from "../base/logger.ts";
import type { Service } from "../base/service.ts";
import { createGrpcServer } from "../grpc/server.ts";
import { Labels } from "../model/labels.ts";
import type { EndpointSet, EndpointStatus } from "../query/endpoint-set.ts";
import { FanoutQueryable } from "../query/fanout.ts";
import { createStoreServices } from "../store/store-server.ts";

/**
 * All that a query reads as one StoreAPI, so that queries stack. Nothing is deduplicated here: the query above does that,
 * with its own replica labels.
 */
export function createQueryStore(options: {
  readonly listen: string;
  readonly endpoints: EndpointSet;
  readonly ready: () => boolean;
  readonly logger: Logger;
}): Service {
  const { endpoints } = options;
  const { host, port } = parseListenAddress(options.listen);
  return createGrpcServer({
    host,
    port,
    logger: options.logger,
    services: createStoreServices({
      queryable: new FanoutQueryable({ endpoints }),
      componentType: "query",
      externalLabels: () => Labels.EMPTY,
      labelSets: () => labelSetsOf(endpoints.statuses()),
      minTimeMs: () => Math.min(...endpoints.statuses().map(({ minTimeMs }) => minTimeMs)),
      maxTimeMs: () => Math.max(...endpoints.statuses().map(({ maxTimeMs }) => maxTimeMs)),
      ready: options.ready,
    }),
  });
}

/** The label sets of all stores, each once; a store without labels counts, because it may hold anything. */
export function labelSetsOf(statuses: readonly EndpointStatus[]): readonly Labels[] {
  const sets = new Map<string, Labels>();
  for (const { labelSets } of statuses)
    for (const set of labelSets.length === 0 ? [Labels.EMPTY] : labelSets) sets.set(set.key(), set);
  return [...sets.values()].every((set) => set.count === 0) ? [] : [...sets.values()];
}

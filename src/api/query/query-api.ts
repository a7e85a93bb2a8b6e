import type { FastifyInstance } from "fastify";
import { registerClusterRoutes } from "./cluster-routes.ts";
import type { QueryApiDependencies, ReadApiDependencies } from "./dependencies.ts";
import { registerFederate } from "./federate.ts";
import { registerPage } from "./page.ts";
import { registerActiveQueries } from "./query-book.ts";
import { registerQueryRoutes } from "./query-routes.ts";
import { registerSeriesRoutes } from "./series-routes.ts";
import { registerStatusRoutes } from "./status-routes.ts";

/** Puts Prometheus's HTTP API v1, `/federate` and the page on `app`. */
export function registerQueryApi(app: FastifyInstance, dependencies: QueryApiDependencies): void {
  registerReadApi(app, dependencies);
  registerClusterRoutes(app, dependencies);
  registerStatusRoutes(app, dependencies);
  if (dependencies.pageFolder !== undefined) registerPage(app, dependencies.pageFolder);
}

/** The part of it that is about series alone, which a shard has too. */
export function registerReadApi(app: FastifyInstance, dependencies: ReadApiDependencies): void {
  registerQueryRoutes(app, dependencies);
  registerActiveQueries(app, dependencies);
  registerSeriesRoutes(app, dependencies);
  registerFederate(app, dependencies);
}

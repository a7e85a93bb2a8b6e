import { existsSync } from "node:fs";
import { join } from "node:path";
import { CoordinatorClient } from "../api/query/coordinator-client.ts";
import { registerQueryApi } from "../api/query/query-api.ts";
import { QueryBook } from "../api/query/query-book.ts";
import { QueryLog } from "../api/query/query-log.ts";
import { registerWriteRoutes, type WriteTarget } from "../api/query/write-routes.ts";
import { registerRemoteReadApi } from "../api/remote-read-api.ts";
import { createHttpServer } from "../api/server.ts";
import { systemClock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { Registry } from "../base/metrics.ts";
import type { Service } from "../base/service.ts";
import { compileAnchored } from "../model/regex.ts";
import { EndpointSet } from "../query/endpoint-set.ts";
import { queryExemplars } from "../query/exemplars.ts";
import { FanoutQueryable } from "../query/fanout.ts";
import { Pushdown } from "../query/pushdown.ts";
import { QUERY_ROLE_FLAGS } from "./commands.ts";
import { readShards } from "./coordinator-shards.ts";
import { REPLICA_LABEL } from "./external-labels.ts";
import { logIdleFeatures, parserOptions } from "./feature-flags.ts";
import { type FlagValues, printFlags } from "./flags.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { createQueryEngine, engineOptions } from "./query-engine.ts";
import { QueryRemote } from "./query-remote.ts";
import { createQueryStore } from "./query-store.ts";
import { loggerOf, runUntilSignal } from "./run-role.ts";

/** How often the coordinator is asked for its shards, and each shard whether it is there. */
const ENDPOINT_REFRESH_MS = 1_000;

/** When a shard does not come up, the others are served after this time. */
const READY_LATEST_MS = 60_000;

/** What a query process that is a child of `up` says once it listens. */
export interface QueryReadyMessage {
  readonly kind: "ready";
  /** `host:port`. */
  readonly address: string;
}

/** The page as `npm run page` builds it; undefined when it has not been built. */
function builtPage(): string | undefined {
  const folder = join(import.meta.dirname, "..", "..", "ui", "dist");
  return existsSync(join(folder, "index.html")) ? folder : undefined;
}

/** `shoal query`: PromQL over all shards, Prometheus's HTTP API, the page. */
export async function runQuery(flags: FlagValues<typeof QUERY_ROLE_FLAGS>): Promise<void> {
  const logger = loggerOf(flags, "query");
  const registry = new Registry();
  registerProcessMetrics(registry);
  const clock = systemClock;
  const coordinator =
    flags.coordinatorUrl === "" ? undefined : new CoordinatorClient(flags.coordinatorUrl);
  if (coordinator === undefined && (flags.enableWriteReceiver || flags.enableOtlpReceiver))
    throw new AppError(
      "bad-data",
      "cannot take what is written without a coordinator: give --coordinator.url, or write to a shard",
    );
  logIdleFeatures(flags.features, { role: "query", logger });
  let externalLabels: Readonly<Record<string, string>> = {};
  let hasReplicas = false;
  let writeTargets: readonly WriteTarget[] = [];
  const shownFlags: Record<string, string> = printFlags(QUERY_ROLE_FLAGS, flags);
  let knowsFlags = false;
  // Before the shards have replayed their logs, answers would lack old samples without a word.
  let isReady = coordinator === undefined;
  const endpoints = new EndpointSet({
    clock,
    logger,
    refreshMs: ENDPOINT_REFRESH_MS,
    async provider() {
      if (coordinator === undefined) return flags.endpoint;
      const shards = readShards(await coordinator.data("/api/v1/shards"));
      ({ externalLabels, hasReplicas, writeTargets } = shards);
      await remote.follow(shards.configHash);
      // What the whole system was started with; this process's own flags stand beside it.
      if (!knowsFlags) Object.assign(shownFlags, await coordinator.data("/api/v1/status/flags"));
      knowsFlags = true;
      if (shards.areSeen) isReady = true;
      return [...shards.endpoints, ...flags.endpoint];
    },
  });
  const remote = new QueryRemote({
    path: flags.remoteReadConfig,
    statuses: () => endpoints.statuses(),
    logger,
    registry,
  });
  // A coordinator tells when it has read the file, which is then a good one.
  if (coordinator === undefined) await remote.load();
  clock.after(READY_LATEST_MS, () => {
    isReady = true;
  });
  const abort = new AbortController();
  const allowsOrigin = compileAnchored(flags.corsOrigin);
  const reload = async (): Promise<void> => {
    if (coordinator === undefined) {
      if (flags.remoteReadConfig !== "") return remote.load();
      throw new AppError("not-found", "there is no coordinator to reload");
    }
    const response = await fetch(new URL("/-/reload", flags.coordinatorUrl), { method: "POST" });
    if (response.ok) return remote.reload();
    const text = (await response.text()).trim();
    throw new AppError("bad-data", text.replace(/^failed to reload config: /, ""));
  };
  const quit = (): void => {
    // A child of `up` ends the whole tree, as the only process the user knows.
    if (process.send === undefined) abort.abort();
    else process.send({ kind: "quit" });
  };
  const server = createHttpServer({
    listen: flags.listenAddress,
    logger,
    registry,
    ready: () => isReady,
    corsOrigin: (origin) => allowsOrigin.matches(origin),
    reload: flags.enableLifecycle ? reload : undefined,
    quit: flags.enableLifecycle ? quit : undefined,
  });
  const replicaLabelsOf = (): readonly string[] => {
    if (flags.replicaLabel.length > 0) return flags.replicaLabel;
    return hasReplicas ? [REPLICA_LABEL] : [];
  };
  const queryLog =
    flags.queryLogFile === ""
      ? undefined
      : await QueryLog.open({ path: flags.queryLogFile, clock, logger });
  const logService: Service = {
    name: "query log",
    start: async () => {},
    stop: async () => queryLog?.close(),
  };
  const { engine, service: engineService } = createQueryEngine(flags.queryThreads, {
    ...engineOptions(flags),
    // Series come without them, and what is pushed down must not know more.
    startTimes: false,
  });
  const pushdown = flags.pushdown ? { pushdown: new Pushdown({ clock, registry }) } : {};
  registerQueryApi(server.app, {
    engine,
    parser: parserOptions(flags.features),
    queryable: ({ dedup = true, replicaLabels = replicaLabelsOf(), ...wanted }) => {
      const isAbort = !(wanted.partialResponse ?? flags.partialResponse);
      const stores = new FanoutQueryable({
        endpoints,
        clock,
        partialResponse: isAbort ? "abort" : "warn",
        ...(wanted.storeMatchers !== undefined && { storeMatchers: wanted.storeMatchers }),
        ...(dedup && { dedup: { replicaLabels, func: flags.dedupFunc } }),
        ...pushdown,
      });
      const isLocal = wanted.localOnly === true || wanted.storeMatchers !== undefined;
      return isLocal ? stores : remote.reads.over(stores, { isAbort });
    },
    exemplars: (query, { replicaLabels = replicaLabelsOf(), partialResponse }) =>
      queryExemplars(query, {
        endpoints: endpoints.endpoints(),
        replicaLabels,
        partialResponse: (partialResponse ?? flags.partialResponse) ? "warn" : "abort",
      }),
    maxAnswerBytes: flags.maxResponseBytes,
    queries: new QueryBook({ clock, slowMs: flags.slowQuery, log: queryLog }),
    clock,
    logger,
    coordinator,
    endpoints: () => endpoints.endpoints().map((endpoint) => endpoint.status),
    flags: shownFlags,
    lookbackMs: flags.lookbackDelta,
    externalLabels: () => externalLabels,
    pageFolder: builtPage(),
    adminApi: flags.enableAdminApi,
    startTimeMs: clock.now(),
  });
  registerWriteRoutes(server.app, {
    targets: () => writeTargets,
    takesWrite: flags.enableWriteReceiver,
    takesOtlp: flags.enableOtlpReceiver,
    maxBodyBytes: flags.writeMaxBodySize,
    maxRequests: flags.writeMaxRequests,
  });
  registerRemoteReadApi(server.app, {
    // The protocol has no word for an answer that is not complete.
    queryable: () => {
      const stores = new FanoutQueryable({
        endpoints,
        clock,
        partialResponse: "abort",
        dedup: { replicaLabels: replicaLabelsOf(), func: flags.dedupFunc },
      });
      return remote.reads.over(stores, { isAbort: true });
    },
    externalLabels: () => externalLabels,
    registry,
    sampleLimit: flags.readSampleLimit,
    concurrentLimit: flags.readConcurrentLimit,
    maxFrameBytes: flags.readMaxBytesInFrame,
  });
  const coordinatorService: Service = {
    name: "coordinator client",
    start: async () => {},
    stop: async () => coordinator?.close(),
  };
  const remoteService: Service = {
    name: "remote read",
    start: async () => {},
    stop: async () => remote.reads.close(),
  };
  // The parent is gone: there is nothing to drain, and its successor wants the port.
  process.once("disconnect", () => process.exit(0));
  const store =
    flags.grpcAddress === ""
      ? []
      : [createQueryStore({ listen: flags.grpcAddress, endpoints, ready: () => isReady, logger })];
  await runUntilSignal(
    [logService, coordinatorService, remoteService, endpoints, engineService, ...store, server],
    {
      logger,
      abort,
      onHangup: () => void remote.reload(),
      onReady() {
        const { host, port } = server.address();
        const message: QueryReadyMessage = { kind: "ready", address: `${host}:${port}` };
        process.send?.(message);
      },
    },
  );
}

import { hostname } from "node:os";
import { join } from "node:path";
import { registerReplayStatus } from "../api/replay-api.ts";
import { registerAdminApi } from "../api/admin-api.ts";
import { addressText, createHttpServer, parseListenAddress } from "../api/server.ts";
import { registerShardApi } from "../api/shard-api.ts";
import { systemClock } from "../base/clock.ts";
import { Registry } from "../base/metrics.ts";
import type { Service } from "../base/service.ts";
import { VERSION } from "../base/version.ts";
import { applyOverrides, type Overrides } from "../config/overrides.ts";
import { printConfig } from "../config/print.ts";
import { DEFAULT_OTLP } from "../config/server.ts";
import type { Config } from "../config/types.ts";
import { createGrpcServer } from "../grpc/server.ts";
import { Labels } from "../model/labels.ts";
import { ScrapeManager } from "../scrape/scrape-manager.ts";
import { identifyProcess } from "../base/process-identity.ts";
import { describeCommand, removeShardFile, writeShardFile } from "../shard/shard-file.ts";
import { type ScrapeEngine, ShardService } from "../shard/shard-service.ts";
import { createAggregateService } from "../store/aggregate-server.ts";
import { createExemplarService } from "../store/exemplar-server.ts";
import { createStoreServices } from "../store/store-server.ts";
import type { SHARD_FLAGS } from "./commands.ts";
import { shardExternalLabels } from "./external-labels.ts";
import { logIdleFeatures } from "./feature-flags.ts";
import type { FlagValues } from "./flags.ts";
import { HeapTrim } from "./heap-trim.ts";
import { OrphanWatch } from "./orphan-watch.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { loggerOf, runUntilSignal } from "./run-role.ts";
import { openServedDatabase } from "./shard-database.ts";
import { registerShardQuery } from "./shard-query.ts";
import { createRemoteWriter, registerShardRemote } from "./shard-remote.ts";

/** A list of 100,000 targets with their labels is about 60 MB. */
const BODY_MAX_BYTES = 256 * 1024 * 1024;

/** `engine`, given each configuration as it is scraped here, after `follow` has seen it. */
function withOverrides(
  engine: ScrapeEngine,
  overrides: Overrides,
  follow: (config: Config) => void,
): ScrapeEngine {
  return {
    apply: (update) => {
      follow(update.config);
      return engine.apply({ ...update, config: applyOverrides(update.config, overrides) });
    },
    status: () => engine.status(),
    stop: () => engine.stop(),
    stopScraping: (reason) => engine.stopScraping(reason),
  };
}

/** `shoal shard`: one data folder, one database, the targets a coordinator gives it. */
export async function runShard(flags: FlagValues<typeof SHARD_FLAGS>): Promise<void> {
  const logger = loggerOf(flags, flags.shardId);
  logIdleFeatures(flags.features, { role: "shard", logger });
  const registry = new Registry();
  registerProcessMetrics(registry);
  const clock = systemClock;
  const startedAtMs = clock.now();
  const folder = flags.storagePath;
  const grpcListen = parseListenAddress(flags.grpcAddress);
  const { database, replayed } = await openServedDatabase(
    {
      folder,
      logger,
      clock,
      registry,
      retentionMs: flags.retentionTime,
      retentionBytes: flags.retentionSize,
      maxExemplars: flags.maxExemplars,
      walSync: flags.walSync,
    },
    flags.listenAddress,
  );
  const { head } = database;
  const storesCreated = flags.features.includes("created-timestamp-zero-ingestion");
  const scrape = new ScrapeManager({
    appendable: database,
    logger,
    registry,
    userAgent: `Shoal/${VERSION}`,
    keepAlive: !flags.scrapeDisableKeepAlive,
    storesCreated,
    storesMetadata: flags.features.includes("metadata-wal-records"),
    // The same on every shard: a target that moves is scraped at the same moments as before.
    jitterSeedText: hostname(),
  });
  const remoteWriter = createRemoteWriter({ folder, head, scrape, clock, logger, registry });
  // A shard on its own is a part of one Prometheus, whose answers carry no external labels.
  const externalLabels =
    flags.shardReplica === ""
      ? () => Labels.EMPTY
      : shardExternalLabels({ config: () => shard.config, replica: flags.shardReplica });
  let isReady = false;
  const abort = new AbortController();
  const grpc = createGrpcServer({
    host: grpcListen.host,
    port: grpcListen.port,
    logger,
    services: createStoreServices({
      queryable: database,
      externalLabels,
      minTimeMs: () => database.minTimeMs,
      // New samples may arrive at any moment: a querier whose knowledge is seconds old must still ask.
      maxTimeMs: () => Infinity,
      ready: () => isReady,
      exemplars: true,
      aggregates: VERSION,
    }).concat(
      createAggregateService({
        queryable: database,
        externalLabels,
        ready: () => isReady,
        clock,
      }),
      createExemplarService({
        exemplars: (request) => head.exemplars(request),
        externalLabels,
        ready: () => isReady,
      }),
    ),
  });
  const shard = new ShardService({
    id: flags.shardId,
    folder: join(folder, "shard"),
    engine: withOverrides(scrape, { ...flags, protobufFirst: storesCreated }, (config) => {
      const { storage } = config;
      void remoteWriter.apply(config);
      head.setMaxExemplars(Math.max(0, storage.maxExemplars ?? flags.maxExemplars));
      head.setOutOfOrderTimeWindow(storage.outOfOrderTimeWindowMs);
    }),
    headSeries: () => head.stats().seriesCount,
    // Nobody else has its samples: they are wanted until they expire.
    dataUntilMs: () => Math.max(0, database.maxTimeMs + flags.retentionTime),
    grpcAddress: () => addressText(grpc.address()),
    storageError: () => database.storageError,
    clock,
    logger,
    startedAtMs,
  });
  const orphanWatch = new OrphanWatch({ graceMs: flags.orphanGrace, clock, logger, abort });
  const http = createHttpServer({
    listen: flags.listenAddress,
    logger,
    registry,
    ready: () => isReady,
    bodyMaxBytes: BODY_MAX_BYTES,
  });
  registerReplayStatus(http.app, replayed);
  registerShardApi(http.app, {
    shard,
    head,
    blocks: () => database.blocks(),
    scrape,
    configText: () => (shard.config === undefined ? "" : printConfig(shard.config)),
    onContact: () => orphanWatch.contact(),
  });
  registerAdminApi(http.app, { database: flags.enableAdminApi ? database : undefined });
  registerShardQuery(flags, {
    app: http.app,
    database,
    externalLabels: () => shard.config?.global.externalLabels ?? {},
    clock,
  });
  registerShardRemote(flags, {
    app: http.app,
    database,
    externalLabels: () => shard.config?.global.externalLabels ?? {},
    otlp: () => shard.config?.otlp ?? DEFAULT_OTLP,
    takesCreated: storesCreated,
    clock,
    logger,
    registry,
  });
  const databaseService: Service = {
    name: "database",
    start: async () => {},
    stop: async () => database.close(),
    done: database.lost,
  };
  const announcement: Service = {
    name: "announcement",
    async start() {
      isReady = true;
      await writeShardFile(folder, {
        process: identifyProcess(process.pid),
        command: describeCommand(VERSION, process.argv.slice(2)),
        http: addressText(http.address()),
        grpc: addressText(grpc.address()),
      });
    },
    stop: async () => removeShardFile(folder),
  };
  const trim = new HeapTrim({ clock });
  await runUntilSignal(
    [databaseService, remoteWriter, scrape, shard, grpc, http, announcement, orphanWatch, trim],
    { logger, abort },
  );
}

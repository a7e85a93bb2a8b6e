import { join, resolve } from "node:path";
import { addressText, createHttpServer, parseListenAddress } from "../api/server.ts";
import { registerSidecarApi } from "../api/sidecar-api.ts";
import { systemClock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { Registry } from "../base/metrics.ts";
import type { Service } from "../base/service.ts";
import { VERSION } from "../base/version.ts";
import { printConfig } from "../config/print.ts";
import { createGrpcServer } from "../grpc/server.ts";
import { identifyProcess } from "../base/process-identity.ts";
import { describeCommand, removeShardFile, writeShardFile } from "../shard/shard-file.ts";
import { ShardService } from "../shard/shard-service.ts";
import type { PushedConfig } from "../shard/wire.ts";
import { ConfigFile } from "../sidecar/config-file.ts";
import { PrometheusClient } from "../sidecar/prometheus-client.ts";
import { PrometheusEngine } from "../sidecar/prometheus-engine.ts";
import { PrometheusProcess } from "../sidecar/prometheus-process.ts";
import { PrometheusQueryable } from "../sidecar/prometheus-queryable.ts";
import { createStoreServices } from "../store/store-server.ts";
import { shardExternalLabels } from "./external-labels.ts";
import { withoutOwnVariables } from "./child-command.ts";
import type { FlagValues } from "./flags.ts";
import { createDelivery } from "./sidecar-delivery.ts";
import { createKvassParts } from "./sidecar-kvass.ts";
import { OrphanWatch } from "./orphan-watch.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { defaultTsdbFolder, findPrometheus, prometheusArguments } from "./prometheus-binary.ts";
import { loggerOf, runUntilSignal } from "./run-role.ts";
import type { SIDECAR_FLAGS } from "./sidecar-flags.ts";

/** How long a Prometheus keeps samples that is not told otherwise. */
const PROMETHEUS_RETENTION_MS = 15 * 24 * 3_600_000;

/** A list of 100,000 targets with their labels is about 60 MB. */
const BODY_MAX_BYTES = 256 * 1024 * 1024;

/** `shoal sidecar`: makes the Prometheus beside it a shard, and a store that queries reach. */
export async function runSidecar(flags: FlagValues<typeof SIDECAR_FLAGS>): Promise<void> {
  const logger = loggerOf(flags, flags.shardId);
  const registry = new Registry();
  registerProcessMetrics(registry);
  const clock = systemClock;
  const folder = resolve(flags.storePath);
  const outputFile = resolve(flags.outputFile);
  const abort = new AbortController();
  const prometheus: PrometheusProcess | undefined =
    flags.prometheusBinary === ""
      ? undefined
      : new PrometheusProcess({
          binary: await findPrometheus(flags.prometheusBinary),
          configFile: outputFile,
          dataFolder: resolve(flags.tsdbPath === "" ? defaultTsdbFolder(folder) : flags.tsdbPath),
          args: prometheusArguments(flags),
          environment: withoutOwnVariables(process.env),
          stateFile: join(folder, "prometheus.json"),
          onChange: () => engine.withholdTargets(prometheus?.report().isOutOfMemoryLoop === true),
          clock,
          logger,
          registry,
        });
  const client = new PrometheusClient(
    prometheus === undefined ? flags.prometheusUrl : () => prometheus.url,
    `Shoal/${VERSION}`,
  );
  const { delivery, services: deliveryServices } = createDelivery(flags, {
    clock,
    logger,
    registry,
    userAgent: `Shoal/${VERSION}`,
  });
  const engine = new PrometheusEngine({
    client,
    delivery,
    additions: {
      replica: flags.shardReplica,
      serviceAccountPath: flags.serviceAccountPath,
      scrapeProxy: flags.scrapeProxy,
    },
    selfMonitor: flags.selfMonitor ? { labels: selfLabels(flags.shardId) } : undefined,
    outputFile,
    targetsFolder: join(folder, "targets"),
    clock,
    logger,
  });
  const shard = new ShardService({
    id: flags.shardId,
    folder: join(folder, "shard"),
    engine,
    headSeries: () => engine.headSeries,
    dataUntilMs: (idleSinceMs) =>
      prometheus === undefined
        ? undefined
        : idleSinceMs + (flags.retentionTime || PROMETHEUS_RETENTION_MS),
    grpcAddress: () => (hasStore ? addressText(grpc.address()) : ""),
    clock,
    logger,
    startedAtMs: clock.now(),
  });
  const configFile = flags.configFile === "" ? undefined : new ConfigFile(flags.configFile, shard);
  const externalLabels = shardExternalLabels({
    config: () => shard.config,
    replica: flags.shardReplica,
  });
  // An agent keeps no samples that could be asked for.
  const hasStore = flags.fetchHeadSeries === "true";
  const grpcListen = parseListenAddress(flags.grpcAddress);
  const grpc = createGrpcServer({
    host: grpcListen.host,
    port: grpcListen.port,
    logger,
    services: createStoreServices({
      queryable: new PrometheusQueryable(client),
      externalLabels,
      minTimeMs: () => engine.minTimeMs,
      // New samples may arrive at any moment: a querier whose knowledge is seconds old must still ask.
      maxTimeMs: () => Infinity,
      ready: () => engine.isUp,
    }),
  });
  const reload = async (): Promise<void> => {
    await configFile?.load();
    await engine.reload();
  };
  const http = createHttpServer({
    listen: flags.listenAddress,
    logger,
    registry,
    // The coordinator has to reach a sidecar whose Prometheus is not up yet.
    ready: () => true,
    reload,
    corsOrigin: () => false,
    bodyMaxBytes: BODY_MAX_BYTES,
  });
  const takeConfig = async (pushed: PushedConfig, epoch?: number): Promise<void> => {
    await (configFile === undefined ? shard.setConfig(pushed, epoch) : configFile.offer(pushed));
    await kvass.state.takeOver();
  };
  /** Kvass takes relative paths from where its sidecar runs. */
  const kvassBaseFolder = process.cwd();
  const kvass = createKvassParts(flags.kvassCoordinator, {
    folder,
    shard,
    async offer(rawContent) {
      await takeConfig({ rawContent, baseFolder: kvassBaseFolder, hash: "" });
      await engine.settled();
    },
    clock,
    logger,
  });
  const orphanWatch = new OrphanWatch({ graceMs: flags.orphanGrace, clock, logger, abort });
  registerSidecarApi(http.app, {
    shard,
    process: prometheus === undefined ? undefined : () => prometheus.report(),
    onContact: () => orphanWatch.contact(),
    engine,
    client,
    async offerConfig(pushed, epoch) {
      await shard.heed(epoch);
      if (pushed.hash !== "") return takeConfig(pushed, epoch);
      if (kvass.coordinator === undefined)
        logger.warn(
          "a Kvass coordinator sends its configuration, but gives no targets unless --kvass.coordinator-url says where it is",
        );
      return takeConfig({ ...pushed, baseFolder: kvassBaseFolder }, epoch);
    },
    kvassConfigHash: kvass.coordinator && (() => kvass.coordinator!.configHash()),
    configText: () => (shard.config === undefined ? "" : printConfig(shard.config)),
  });
  const startUp: Service = {
    name: "configuration",
    async start() {
      await engine.start();
      await kvass.state.find();
      await shard.start();
      await configFile?.load();
      await kvass.state.takeOver();
      // Its Prometheus starts on files that are complete; that nobody reads them yet is no trouble.
      if (prometheus !== undefined) await engine.settled().catch(() => {});
    },
    async stop() {
      await kvass.coordinator?.stop();
      await shard.stop();
    },
  };
  const announcement: Service = {
    name: "announcement",
    start: async () =>
      writeShardFile(folder, {
        process: identifyProcess(process.pid),
        command: describeCommand(VERSION, process.argv.slice(2)),
        http: addressText(http.address()),
        grpc: hasStore ? addressText(grpc.address()) : "",
      }),
    stop: async () => removeShardFile(folder),
  };
  const services: Service[] = [
    ...deliveryServices,
    startUp,
    ...(prometheus === undefined ? [] : [prometheus]),
    ...(hasStore ? [grpc] : []),
    http,
    announcement,
    orphanWatch,
  ];
  await runUntilSignal(services, {
    logger,
    abort,
    onHangup: () =>
      void reload().catch((error: unknown) =>
        logger.error("cannot reload", { error: messageOf(error) }),
      ),
  });
}

/** Kvass's labels for the shard's own metrics. */
function selfLabels(shardId: string): Record<string, string> {
  const name = process.env["POD_NAME"] ?? shardId;
  return {
    replicate: name,
    shard: name.includes("-") ? name.slice(name.lastIndexOf("-") + 1) : "0",
  };
}

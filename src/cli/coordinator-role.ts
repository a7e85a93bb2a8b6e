import { hostname } from "node:os";
import { createHttpServer, type HttpServer } from "../api/server.ts";
import { registerCoordinatorApi } from "../api/coordinator/coordinator-api.ts";
import { registerStandby } from "../api/standby.ts";
import { systemClock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import { systemRandom } from "../base/random.ts";
import type { Service } from "../base/service.ts";
import { VERSION } from "../base/version.ts";
import { withJobs } from "../config/added-jobs.ts";
import { loadConfig } from "../config/load.ts";
import { applyOverrides } from "../config/overrides.ts";
import type { Config } from "../config/types.ts";
import { DiscoveryManager } from "../discovery/manager.ts";
import { MonitorGate } from "../monitors/monitor-gate.ts";
import type { MonitorSource } from "../monitors/monitor-source.ts";
import { changedJobs, toPushedConfig } from "../shard/config-push.ts";
import { connectShard } from "../shard/control.ts";
import { adaptKvass } from "../shard/kvass-peer.ts";
import {
  Coordinator,
  type CoordinatorOptions,
  DEFAULT_COORDINATOR_TIMES,
} from "../shard/coordinator.ts";
import { DecisionFile } from "../shard/decision-file.ts";
import { DECISION_CAPACITY, DecisionLog } from "../shard/decision-log.ts";
import { ConfiguredDiscovery } from "../shard/discovery-source.ts";
import type { Target } from "../model/target.ts";
import { VolatileLabels } from "../model/target-identity.ts";
import type { ShardFleet } from "../shard/driver.ts";
import { readOnlyControl } from "../shard/dry-run.ts";
import { DEFAULT_EXPLORER_OPTIONS } from "../shard/explorer.ts";
import type { Leadership } from "../shard/leadership.ts";
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from "../shard/plan-types.ts";
import { TargetExplorer } from "../shard/target-explorer.ts";
import { AutoReload } from "./auto-reload.ts";
import type {
  ADMIN_FLAGS,
  AUTO_RELOAD_FLAGS,
  CONFIG_FLAGS,
  LIFECYCLE_FLAGS,
  SCRAPE_FLAGS,
} from "./common-flags.ts";
import type { COORDINATOR_FLAGS, INJECT_FLAGS } from "./coordinator-flags.ts";
import type { PLAN_FLAGS } from "./plan-flags.ts";
import type { FlagValues } from "./flags.ts";
import { HeapTrim } from "./heap-trim.ts";

/** A coordinator of many targets is never calm, and no scrape waits for it: its heap is collected once a minute. */
export const HEAP_TRIM_MS = 60_000;

/** How Shoal calls itself to targets and discovery servers. */
export const USER_AGENT = `Shoal/${VERSION}`;

type CoordinatorValues = FlagValues<
  typeof ADMIN_FLAGS &
    typeof CONFIG_FLAGS &
    typeof AUTO_RELOAD_FLAGS &
    typeof COORDINATOR_FLAGS &
    typeof SCRAPE_FLAGS &
    typeof INJECT_FLAGS &
    typeof LIFECYCLE_FLAGS &
    typeof PLAN_FLAGS
>;

export interface CoordinatorRoleOptions {
  readonly flags: CoordinatorValues;
  /** `--config.file`, as first read. */
  readonly config: Config;
  /** All flags as they are shown, by name. */
  readonly shownFlags: Readonly<Record<string, string>>;
  /** Where the coordinator's HTTP API listens. */
  readonly listen: string;
  readonly externalUrl: string;
  readonly fleet: ShardFleet & Service;
  readonly leadership: Leadership & Service;
  /** The file that decisions are kept in; "" for none. */
  readonly decisionLog: string;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Where further jobs come from. */
  readonly monitors?: MonitorSource | undefined;
  /** POST /-/quit. */
  readonly quit: () => void;
  /** Reads from shards and plans, and changes nothing. */
  readonly isDryRun?: boolean;
}

/** The coordinator with its discovery, explorer and HTTP API; `up` and `shoal coordinator` both run it. */
export interface CoordinatorRole {
  readonly services: readonly Service[];
  /** Those of the services that discover and measure: what a coordinator needs that is turned by hand. */
  readonly sources: readonly Service[];
  readonly coordinator: Coordinator;
  readonly server: HttpServer;
  /** Reads the configuration again; rejects, keeping the running one, when it is broken. */
  readonly reload: () => Promise<void>;
}

/** `--shard.max-series` sets both limits of series; otherwise each is taken as given. */
export function planOptionsOf(flags: FlagValues<typeof PLAN_FLAGS>): PlanOptions {
  const { maxSeries, maxHeadSeries, maxProcessSeries, maxSamplesPerSecond } = flags;
  if (flags.minShard > flags.maxShard)
    throw new AppError(
      "bad-data",
      `cannot run at least ${flags.minShard} and at most ${flags.maxShard} shards: lower --shard.min-shard`,
    );
  return {
    ...DEFAULT_PLAN_OPTIONS,
    limits:
      maxSeries > 0
        ? { maxHeadSeries: maxSeries, maxProcessSeries: maxSeries, maxSamplesPerSecond }
        : { maxHeadSeries, maxProcessSeries, maxSamplesPerSecond },
    minShards: flags.minShard,
    maxShards: flags.maxShard,
    maxIdleTimeMs: flags.maxIdleTime,
    placement: flags.placement,
    targetUtilisation: flags.targetUtilisation,
    transferScrapes: flags.moveScrapes,
    maxMoves: flags.maxMoves,
    maxMovesPerCycle: flags.maxMovesPerCycle,
    moveCooldownMs: flags.moveCooldown,
    scaleDownCooldownMs: flags.scaleDownCooldown,
    scaleUpCooldownMs: flags.scaleUpCooldown,
    failoverGraceMs: flags.failoverGrace,
    disableAlleviate: flags.disableAlleviate,
  };
}

/** For the role that runs a coordinator and the one that simulates it. */
export function coordinatorOptionsOf(
  flags: FlagValues<typeof COORDINATOR_FLAGS & typeof PLAN_FLAGS>,
): CoordinatorOptions {
  return {
    ...DEFAULT_COORDINATOR_TIMES,
    plan: planOptionsOf(flags),
    explorer: { ...DEFAULT_EXPLORER_OPTIONS, concurrency: flags.exploreConcurrence },
    intervalMs: flags.coordinatorInterval,
    minIntervalMs: Math.min(flags.coordinatorInterval, DEFAULT_COORDINATOR_TIMES.minIntervalMs),
    holdMs: flags.sdHoldTime,
    startWaitMs: flags.failoverGrace,
  };
}

export function createCoordinatorRole(options: CoordinatorRoleOptions): CoordinatorRole {
  const { flags, logger, registry, fleet, leadership, monitors, isDryRun = false } = options;
  /** As the file says, and with the jobs that come from elsewhere. */
  let base = options.config;
  let config = base;
  const { scrapeProxy, serviceAccountPath, kubernetesUrl, kubernetesProxy } = flags;
  const overrides = { scrapeProxy, serviceAccountPath, kubernetesUrl, kubernetesProxy };
  const used = (read: Config): Config => applyOverrides(read, overrides);
  const clock = systemClock;
  const manager = new DiscoveryManager({
    logger,
    clock,
    registry,
    userAgent: USER_AGENT,
    keepAlive: !flags.discoveryDisableKeepAlive,
    environment: process.env,
  });
  const explorer = new TargetExplorer(used(config), {
    logger,
    clock,
    userAgent: USER_AGENT,
    keepAlive: !flags.scrapeDisableKeepAlive,
  });
  const discovery = new ConfiguredDiscovery(used(config), {
    manager,
    onChange: () => coordinator.wake(),
    ...(flags.targetIgnoreLabels.length > 0 && {
      volatile: new VolatileLabels(flags.targetIgnoreLabels),
    }),
  });
  const decisionFile =
    options.decisionLog === ""
      ? undefined
      : new DecisionFile({ path: options.decisionLog, logger });
  const log = new DecisionLog(DECISION_CAPACITY, decisionFile);
  const coordinatorOptions = coordinatorOptionsOf(flags);
  const gate =
    monitors &&
    new MonitorGate({
      knowledge: () => monitors.knowledge,
      holdMs: coordinatorOptions.holdMs,
      clock,
    });
  const noteJobs = (): void => gate?.configure(config.scrapeConfigs.map(({ jobName }) => jobName));
  noteJobs();
  const coordinator = new Coordinator(
    toPushedConfig(config),
    // Whoever only looks does no harm without the shards that do not answer at once.
    { ...coordinatorOptions, ...(isDryRun && { startWaitMs: 0, isDryRun }) },
    {
      discovery,
      fleet,
      leadership,
      connect: (url) => {
        const known = (): Target[] => discovery.jobs().flatMap(({ targets }) => targets);
        const control = adaptKvass(connectShard(url), known);
        return isDryRun ? readOnlyControl(control) : control;
      },
      explore: (target, signal) => explorer.explore(target, signal),
      ...(gate && { withholds: (jobs) => gate.reason(jobs) }),
      log,
      clock,
      random: systemRandom,
      logger,
      registry,
    },
  );
  const success = registry.gauge(
    "prometheus_config_last_reload_successful",
    "Whether the last configuration reload attempt was successful.",
  );
  const successTime = registry.gauge(
    "prometheus_config_last_reload_success_timestamp_seconds",
    "Timestamp of the last successful configuration reload.",
  );
  const loaded = (): void => {
    success.set(1);
    successTime.set(Math.floor(clock.now() / 1000));
  };
  loaded();
  /** Carries out another configuration. Jobs in `meant` were changed by somebody who means it. */
  const apply = (next: Config, meant: Iterable<string>): void => {
    config = next;
    noteJobs();
    const changedHere = used(next);
    discovery.setConfig(changedHere);
    explorer.setConfig(changedHere);
    coordinator.setConfig(toPushedConfig(next), meant);
  };
  const merged = (): Config => withJobs(base, monitors?.jobs() ?? []);
  let areMonitorsKnown = false;
  monitors?.onChange(() => {
    const next = merged();
    // What a coordinator that starts finds is no change that anybody has made.
    const meant = areMonitorsKnown ? changedJobs(config, next) : [];
    areMonitorsKnown ||= monitors.knowledge !== "unknown";
    if (next.source === config.source) coordinator.wake();
    else {
      apply(next, meant);
      const jobs = next.scrapeConfigs.length - base.scrapeConfigs.length;
      logger.info("configuration changed by custom resources", { jobs });
    }
  });
  const reload = async (): Promise<void> => {
    try {
      base = await loadConfig(flags.configFile);
      const next = merged();
      apply(next, changedJobs(config, next));
      monitors?.setConfig(base);
      loaded();
      logger.info("configuration reloaded", { file: flags.configFile });
    } catch (error) {
      success.set(0);
      logger.error("cannot reload the configuration; the old one stays", { error });
      throw error;
    }
  };
  const server = createHttpServer({
    listen: options.listen,
    logger,
    registry,
    ready: () => true,
    reload: flags.enableLifecycle ? reload : undefined,
    quit: flags.enableLifecycle ? options.quit : undefined,
  });
  registerStandby(server.app, leadership);
  registerCoordinatorApi(server.app, {
    coordinator,
    config: () => config,
    conditions: () => monitors?.conditions() ?? [],
    flags: options.shownFlags,
    externalHost: externalHost(options.externalUrl),
    registry,
    adminApi: flags.enableAdminApi,
  });
  const discoveryService: Service = {
    name: "discovery",
    start: async () => manager.start(),
    stop: async () => manager.stop(),
  };
  const explorerService: Service = {
    name: "explorer",
    start: async () => {},
    stop: async () => explorer.close(),
  };
  const logService: Service = {
    name: "decision log",
    async start() {
      log.restore((await decisionFile?.open()) ?? []);
    },
    stop: async () => decisionFile?.close(),
  };
  const trim = new HeapTrim({ clock, busyEveryMs: HEAP_TRIM_MS });
  const autoReload = new AutoReload({
    intervalMs: flags.autoReloadInterval,
    read: async () => toPushedConfig(await loadConfig(flags.configFile)).hash,
    current: () => toPushedConfig(base).hash,
    reload,
    clock,
  });
  const sources = [
    explorerService,
    discoveryService,
    ...(monitors === undefined ? [] : [monitors]),
  ];
  return {
    services: [logService, server, fleet, ...sources, leadership, coordinator, autoReload, trim],
    sources,
    coordinator,
    server,
    reload,
  };
}

function externalHost(externalUrl: string): string {
  if (externalUrl === "") return hostname();
  try {
    return new URL(externalUrl).hostname;
  } catch (error) {
    throw new AppError("bad-data", `cannot read --web.external-url: ${messageOf(error)}`);
  }
}

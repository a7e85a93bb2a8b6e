import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { parseListenAddress } from "../api/server.ts";
import { systemClock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import { fieldOf } from "../base/field.ts";
import type { Logger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { systemRandom } from "../base/random.ts";
import type { Service } from "../base/service.ts";
import { loadConfig } from "../config/load.ts";
import type { KubeClient } from "../kubernetes/client.ts";
import { isInCluster } from "../kubernetes/connection.ts";
import { ElectedLeadership } from "../shard/elected-leadership.ts";
import type { Leadership } from "../shard/leadership.ts";
import { DEFAULT_LEASE_TIMES, LeaseElector } from "../shard/lease-elector.ts";
import { FileLeaseStore } from "../shard/lease-file.ts";
import { SoleLeadership } from "../shard/sole-leadership.ts";
import { StaticFleet, type StaticReplica } from "../shard/static-fleet.ts";
import { COORDINATOR_ROLE_FLAGS } from "./commands.ts";
import { type CoordinatorRole, createCoordinatorRole } from "./coordinator-role.ts";
import { dryRun, NOT_IN_CHARGE } from "./dry-run.ts";
import { type FlagValues, printFlags } from "./flags.ts";
import {
  connectKubernetes,
  createKubernetesFleet,
  createLeaseStore,
  createMonitorSource,
} from "./kubernetes-fleet.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { loggerOf, runUntilSignal } from "./run-role.ts";

type CoordinatorFlags = FlagValues<typeof COORDINATOR_ROLE_FLAGS>;

/** `shoal coordinator`: drives shards that others run. */
export async function runCoordinator(flags: CoordinatorFlags): Promise<void> {
  const logger = loggerOf(flags, "coordinator");
  const abort = new AbortController();
  const registry = new Registry();
  registerProcessMetrics(registry);
  const isOnKubernetes = readShardType(flags) === "k8s";
  const needsKubernetes =
    isOnKubernetes || flags.leaderLease !== "" || flags.operatorPrometheus !== "";
  const client = needsKubernetes ? await connectKubernetes(flags) : undefined;
  const leadership =
    flags.dryRun === "off" ? leadershipOf(flags, { logger, client }) : NOT_IN_CHARGE;
  let role: CoordinatorRole | undefined;
  const fleet =
    client !== undefined && isOnKubernetes
      ? createKubernetesFleet(flags, {
          client,
          leadership,
          logger,
          registry,
          onChange: () => role?.coordinator.wake(),
        })
      : await createStaticFleet(flags);
  const config = await loadConfig(flags.configFile);
  const monitors = createMonitorSource(flags, { config, client, logger, registry });
  if (flags.dryRun !== "off") {
    try {
      await dryRun({ flags, config, fleet, monitors });
    } finally {
      await client?.close();
    }
    return;
  }
  role = createCoordinatorRole({
    flags,
    config,
    shownFlags: printFlags(COORDINATOR_ROLE_FLAGS, flags),
    listen: flags.listenAddress,
    externalUrl: "",
    fleet,
    leadership,
    decisionLog: flags.decisionLog,
    monitors,
    logger,
    registry,
    quit: () => abort.abort(),
  });
  const { services, reload } = role;
  try {
    await runUntilSignal(services, {
      logger,
      abort,
      // A broken file is logged by `reload`; the old configuration stays.
      onHangup: () => void reload().catch(() => {}),
    });
  } finally {
    await client?.close();
  }
}

/** What `--shard.type=auto` comes to; refuses what contradicts itself. */
function readShardType(flags: CoordinatorFlags): "k8s" | "static" {
  const { shardType, shardUrl, staticFile } = flags;
  const given = [shardUrl.length > 0, staticFile !== ""].filter(Boolean).length;
  const isStatic = shardType === "static" || (shardType === "auto" && given > 0);
  if (isStatic && given !== 1)
    throw new AppError(
      "bad-data",
      "cannot run without shards: give either --shard.url or --shard.static-file",
    );
  if (!isStatic && given > 0)
    throw new AppError(
      "bad-data",
      "cannot take shards from two places: --shard.type=k8s goes without --shard.url and --shard.static-file",
    );
  if (shardType === "auto" && !isStatic && flags.kubeconfig === "" && !isInCluster(process.env))
    throw new AppError(
      "bad-data",
      "cannot run without shards: give --shard.url, --shard.static-file, or --kubeconfig for shards that are StatefulSets",
    );
  return isStatic ? "static" : "k8s";
}

async function createStaticFleet(flags: CoordinatorFlags): Promise<StaticFleet> {
  const read = (): Promise<readonly StaticReplica[]> => readReplicas(flags);
  await read();
  return new StaticFleet(read);
}

function leadershipOf(
  flags: CoordinatorFlags,
  { logger, client }: { logger: Logger; client: KubeClient | undefined },
): Leadership & Service {
  if (flags.leaderFolder !== "" && flags.leaderLease !== "")
    throw new AppError(
      "bad-data",
      "cannot elect a leader in two ways: give --leader-election.folder or --leader-election.lease",
    );
  const store =
    client !== undefined && flags.leaderLease !== ""
      ? createLeaseStore(flags, client)
      : flags.leaderFolder !== ""
        ? new FileLeaseStore(flags.leaderFolder)
        : undefined;
  if (store === undefined) return new SoleLeadership(systemClock, { ownsShards: false });
  const { host } = parseListenAddress(flags.listenAddress);
  if (flags.leaderIdentity === "" && (host === "0.0.0.0" || host === "::"))
    throw new AppError(
      "bad-data",
      `cannot tell coordinators apart by the address ${flags.listenAddress}: give each its --leader-election.identity, the URL under which the others reach it`,
    );
  const identity = flags.leaderIdentity || `http://${flags.listenAddress}`;
  const elector = new LeaseElector({
    identity: checkUrl(identity),
    store,
    times: DEFAULT_LEASE_TIMES,
    clock: systemClock,
    random: systemRandom,
    logger,
  });
  return new ElectedLeadership(elector, logger);
}

async function readReplicas(flags: CoordinatorFlags): Promise<readonly StaticReplica[]> {
  if (flags.staticFile === "") {
    const shards = flags.shardUrl.map((url, i) => ({ id: `shard-${i}`, url: checkUrl(url) }));
    return [{ name: "", shards }];
  }
  let document: unknown;
  try {
    document = parse(await readFile(flags.staticFile, "utf8"));
  } catch (error) {
    throw new AppError("bad-data", `cannot read ${flags.staticFile}: ${messageOf(error)}`);
  }
  return replicasOf(document, flags.staticFile);
}

/** Kvass's file: `replicas: [{shards: [{id, url}]}]`; a replica may have a `name`, which its position is by default. */
function replicasOf(document: unknown, path: string): StaticReplica[] {
  const wrong = (what: string): AppError =>
    new AppError("bad-data", `cannot read ${path}: ${what}`);
  const replicas = fieldOf(document, "replicas");
  if (!Array.isArray(replicas) || replicas.length === 0)
    throw wrong("it must have a list `replicas`");
  const seen = new Set<string>();
  const once = (kind: string, value: string): string => {
    if (seen.has(`${kind} ${value}`)) throw wrong(`two ${kind}s are ${JSON.stringify(value)}`);
    seen.add(`${kind} ${value}`);
    return value;
  };
  return replicas.map((replica: unknown, i) => {
    const shards = fieldOf(replica, "shards");
    if (!Array.isArray(shards)) throw wrong("each replica must have a list `shards`");
    const given = fieldOf(replica, "name") ?? (replicas.length === 1 ? "" : String(i));
    if (typeof given !== "string") throw wrong("the `name` of a replica must be text");
    return {
      name: once("replica name", given),
      shards: shards.map((shard: unknown) => {
        const id = fieldOf(shard, "id");
        const url = fieldOf(shard, "url");
        if (typeof id !== "string" || id === "" || typeof url !== "string")
          throw wrong("each shard must have an `id` and a `url`");
        return { id: once("shard id", id), url: once("shard url", checkUrl(url)) };
      }),
    };
  });
}

function checkUrl(url: string): string {
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new AppError(
      "bad-data",
      `cannot use ${JSON.stringify(url)}: it must be an http or https URL`,
    );
  return url;
}

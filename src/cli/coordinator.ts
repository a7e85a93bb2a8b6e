import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { systemClock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { systemRandom } from "../base/random.ts";
import type { Service } from "../base/service.ts";
import { loadConfig } from "../config/load.ts";
import { ElectedLeadership } from "../shard/elected-leadership.ts";
import type { Leadership } from "../shard/leadership.ts";
import { DEFAULT_LEASE_TIMES, LeaseElector } from "../shard/lease-elector.ts";
import { FileLeaseStore } from "../shard/lease-file.ts";
import { SoleLeadership } from "../shard/sole-leadership.ts";
import { StaticFleet, type StaticReplica } from "../shard/static-fleet.ts";
import { COORDINATOR_ROLE_FLAGS } from "./commands.ts";
import { createCoordinatorRole } from "./coordinator-role.ts";
import { type FlagValues, printFlags } from "./flags.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { loggerOf, runUntilSignal } from "./run-role.ts";

/** `shoal coordinator`: drives shards that others run. */
export async function runCoordinator(
  flags: FlagValues<typeof COORDINATOR_ROLE_FLAGS>,
): Promise<void> {
  const logger = loggerOf(flags, "coordinator");
  if ((flags.shardUrl.length === 0) === (flags.staticFile === ""))
    throw new AppError(
      "bad-data",
      "cannot run without shards: give either --shard.url or --shard.static-file",
    );
  const read = (): Promise<readonly StaticReplica[]> => readReplicas(flags);
  await read();
  const abort = new AbortController();
  const registry = new Registry();
  registerProcessMetrics(registry);
  const role = createCoordinatorRole({
    flags,
    config: await loadConfig(flags.configFile),
    shownFlags: printFlags(COORDINATOR_ROLE_FLAGS, flags),
    listen: flags.listenAddress,
    externalUrl: "",
    fleet: new StaticFleet(read),
    leadership: leadershipOf(flags, logger),
    decisionLog: flags.decisionLog,
    logger,
    registry,
    quit: () => abort.abort(),
  });
  await runUntilSignal(role.services, {
    logger,
    abort,
    // A broken file is logged by `reload`; the old configuration stays.
    onHangup: () => void role.reload().catch(() => {}),
  });
}

function leadershipOf(
  flags: FlagValues<typeof COORDINATOR_ROLE_FLAGS>,
  logger: Logger,
): Leadership & Service {
  if (flags.leaderFolder === "") return new SoleLeadership(systemClock, { ownsShards: false });
  const identity = flags.leaderIdentity || `http://${flags.listenAddress}`;
  const store = new FileLeaseStore(flags.leaderFolder);
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

async function readReplicas(
  flags: Pick<FlagValues<typeof COORDINATOR_ROLE_FLAGS>, "shardUrl" | "staticFile">,
): Promise<readonly StaticReplica[]> {
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
  const replicas = field(document, "replicas");
  if (!Array.isArray(replicas) || replicas.length === 0)
    throw wrong("it must have a list `replicas`");
  const seen = new Set<string>();
  const once = (kind: string, value: string): string => {
    if (seen.has(`${kind} ${value}`)) throw wrong(`two ${kind}s are ${JSON.stringify(value)}`);
    seen.add(`${kind} ${value}`);
    return value;
  };
  return replicas.map((replica: unknown, i) => {
    const shards = field(replica, "shards");
    if (!Array.isArray(shards)) throw wrong("each replica must have a list `shards`");
    const given = field(replica, "name") ?? (replicas.length === 1 ? "" : String(i));
    if (typeof given !== "string") throw wrong("the `name` of a replica must be text");
    return {
      name: once("replica name", given),
      shards: shards.map((shard: unknown) => {
        const id = field(shard, "id");
        const url = field(shard, "url");
        if (typeof id !== "string" || id === "" || typeof url !== "string")
          throw wrong("each shard must have an `id` and a `url`");
        return { id: once("shard id", id), url: once("shard url", checkUrl(url)) };
      }),
    };
  });
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function checkUrl(url: string): string {
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new AppError(
      "bad-data",
      `cannot use ${JSON.stringify(url)}: it must be an http or https URL`,
    );
  return url;
}

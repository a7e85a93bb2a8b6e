import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { AppError, messageOf } from "../base/errors.ts";
import { Registry } from "../base/metrics.ts";
import type { Service } from "../base/service.ts";
import { loadConfig } from "../config/load.ts";
import { StaticDriver, type StaticShard } from "../shard/static-driver.ts";
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
  const read = (): Promise<readonly StaticShard[]> => readShards(flags);
  await read();
  const driver = new StaticDriver(read);
  const driverService: StaticDriver & Service = Object.assign(driver, {
    start: async () => {},
    stop: async () => {},
  });
  const abort = new AbortController();
  const registry = new Registry();
  registerProcessMetrics(registry);
  const role = createCoordinatorRole({
    flags,
    config: await loadConfig(flags.configFile),
    shownFlags: printFlags(COORDINATOR_ROLE_FLAGS, flags),
    listen: flags.listenAddress,
    externalUrl: "",
    driver: driverService,
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

async function readShards(
  flags: Pick<FlagValues<typeof COORDINATOR_ROLE_FLAGS>, "shardUrl" | "staticFile">,
): Promise<readonly StaticShard[]> {
  if (flags.staticFile === "")
    return flags.shardUrl.map((url, ordinal) => ({ id: `shard-${ordinal}`, url: checkUrl(url) }));
  let document: unknown;
  try {
    document = parse(await readFile(flags.staticFile, "utf8"));
  } catch (error) {
    throw new AppError("bad-data", `cannot read ${flags.staticFile}: ${messageOf(error)}`);
  }
  return shardsOf(document, flags.staticFile);
}

/** Kvass's file: `replicas: [{shards: [{id, url}]}]`. One replica is driven; more are refused. */
function shardsOf(document: unknown, path: string): StaticShard[] {
  const wrong = (what: string): AppError =>
    new AppError("bad-data", `cannot read ${path}: ${what}`);
  const replicas = field(document, "replicas");
  if (!Array.isArray(replicas)) throw wrong("it must have a list `replicas`");
  if (replicas.length !== 1) throw wrong(`it has ${replicas.length} replicas, and one is driven`);
  const shards = field(replicas[0], "shards");
  if (!Array.isArray(shards)) throw wrong("its replica must have a list `shards`");
  return shards.map((shard: unknown) => {
    const id = field(shard, "id");
    const url = field(shard, "url");
    if (typeof id !== "string" || id === "" || typeof url !== "string")
      throw wrong("each shard must have an `id` and a `url`");
    return { id, url: checkUrl(url) };
  });
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function checkUrl(url: string): string {
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new AppError("bad-data", `cannot use ${JSON.stringify(url)} as a shard's URL`);
  return url;
}

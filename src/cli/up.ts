import { resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import type { Service } from "../base/service.ts";
import { VERSION } from "../base/version.ts";
import { loadConfig } from "../config/load.ts";
import { LocalFleet, replicaGroups } from "../shard/local-fleet.ts";
import { LocalShards, LocalView } from "../shard/local-view.ts";
import { ProcessDriver } from "../shard/process-driver.ts";
import { describeCommand } from "../shard/shard-file.ts";
import { SoleLeadership } from "../shard/sole-leadership.ts";
import { type ProcessCommand, SupervisedProcess } from "../base/supervised-process.ts";
import { lockFolder } from "../tsdb/lock.ts";
import { childCommand } from "./child-command.ts";
import { UP_FLAGS } from "./commands.ts";
import { type CoordinatorRole, createCoordinatorRole } from "./coordinator-role.ts";
import { ADMIN_FLAGS, LIFECYCLE_FLAGS, LOG_FLAGS } from "./common-flags.ts";
import { QUERY_FLAGS, QUERY_STORE_FLAGS, WEB_FLAGS } from "./query-flags.ts";
import { dryRun } from "./dry-run.ts";
import { FEATURE_FLAGS, featuresFor, logIdleFeatures } from "./feature-flags.ts";
import { flagArguments, type FlagValues, printFlags } from "./flags.ts";
import { REMOTE_READ_FLAGS, WRITE_PASSING_FLAGS } from "./remote-flags.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { loggerOf, runUntilSignal } from "./run-role.ts";
import { shardCommandOf } from "./shard-command.ts";

type UpValues = FlagValues<typeof UP_FLAGS>;

export interface UpOptions {
  readonly abort?: AbortController;
  /** Called with the page's address once everything is up. */
  readonly onReady?: (url: string) => void;
}

/** `shoal up`: coordinator and supervisor here; one query process and the shards as children. */
export async function runUp(flags: UpValues, options: UpOptions = {}): Promise<void> {
  const logger = loggerOf(flags);
  const registry = new Registry();
  registerProcessMetrics(registry);
  const clock = systemClock;
  const abort = options.abort ?? new AbortController();
  const config = await loadConfig(flags.configFile);
  const initialShards = Math.max(1, flags.minShard);
  const places = replicaGroups(flags.shardReplicas).map(({ name, folderName, shardId }) => ({
    name,
    folders: { folder: flags.storagePath, name: folderName, shardId },
  }));
  if (flags.dryRun !== "off") {
    const groups = places.map(({ name, folders }) => ({
      name,
      driver: new LocalShards({ ...folders, initialShards }),
    }));
    return dryRun({ flags, config, fleet: new LocalView(groups) });
  }
  const command = await shardCommandOf(flags);
  logIdleFeatures(flags.features, { role: "up", logger });
  const lock = await lockFolder(flags.storagePath, { logger });
  try {
    let role: CoordinatorRole | undefined;
    const fleet = new LocalFleet(
      places.map(({ name, folders }) => {
        const driver = new ProcessDriver({
          ...folders,
          command: (ordinal, folder) =>
            command({ id: folders.shardId(ordinal), folder, replica: name }),
          // What follows the program's own path is what the child sees as its arguments.
          describe: ({ args }) =>
            describeCommand(VERSION, args.slice(args.indexOf(process.argv[1]!) + 1)),
          initialShards,
          clock,
          logger,
          registry,
          onChange: () => role?.coordinator.wake(),
        });
        return { name, driver };
      }),
    );
    role = createCoordinatorRole({
      flags,
      config,
      shownFlags: printFlags(UP_FLAGS, flags),
      listen: "127.0.0.1:0",
      externalUrl: flags.externalUrl,
      fleet,
      leadership: new SoleLeadership(clock, { ownsShards: true }),
      decisionLog: flags.decisionLog === "" ? "" : resolve(flags.storagePath, flags.decisionLog),
      logger: logger.with({ component: "coordinator" }),
      registry,
      quit: () => abort.abort(),
    });
    const { server, reload } = role;
    const query = new QueryProcess({
      command: () =>
        queryCommand(
          { ...flags, queryLogFile: flags.queryLogFile || config.global.queryLogFile },
          server.address(),
        ),
      logger,
      registry,
      onQuit: () => abort.abort(),
    });
    const folder: Service = {
      name: "folder",
      start: async () => {},
      stop: async () => {},
      done: lock.lost,
    };
    await runUntilSignal([folder, ...role.services, query], {
      logger,
      abort,
      // A broken file is logged by `reload`; the old configuration stays.
      onHangup: () => void reload().catch(() => {}),
      onReady() {
        const url = `http://${query.address}`;
        logger.info("shoal is up", { url });
        options.onReady?.(url);
      },
    });
  } finally {
    await lock.release();
  }
}

interface QueryProcessOptions {
  readonly command: () => ProcessCommand;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly onQuit: () => void;
}

/** The query process as a service: started when it listens; one that cannot even start fails the whole tree. */
class QueryProcess implements Service {
  readonly name = "query";
  readonly #options: QueryProcessOptions;
  #process: SupervisedProcess | undefined;
  #address: string | undefined;

  constructor(options: QueryProcessOptions) {
    this.#options = options;
  }

  get address(): string {
    if (this.#address === undefined) throw new Error("BUG: the query process is not up yet");
    return this.#address;
  }

  async start(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const process = new SupervisedProcess(this.#options.command(), {
      ...this.#options,
      clock: systemClock,
      onMessage: (message) => {
        const { kind, address } = messageFields(message);
        if (kind === "quit") this.#options.onQuit();
        if (kind !== "ready" || typeof address !== "string") return;
        this.#address = address;
        resolve();
      },
      onChange: () => {
        if (process.pid === undefined && this.#address === undefined)
          reject(new AppError("unavailable", `cannot start the query process: ${process.error}`));
      },
    });
    this.#process = process;
    process.start();
    await promise;
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }
}

function messageFields(message: unknown): { kind: unknown; address: unknown } {
  if (typeof message !== "object" || message === null)
    return { kind: undefined, address: undefined };
  return { kind: Reflect.get(message, "kind"), address: Reflect.get(message, "address") };
}

function queryCommand(
  flags: UpValues,
  coordinator: { host: string; port: number },
): ProcessCommand {
  return {
    ...childCommand("query", [
      "query",
      `--coordinator.url=http://${coordinator.host}:${coordinator.port}`,
      `--config.file=${flags.configFile}`,
      ...flagArguments(WEB_FLAGS, flags),
      ...flagArguments(LIFECYCLE_FLAGS, flags),
      ...flagArguments(ADMIN_FLAGS, flags),
      ...flagArguments(QUERY_FLAGS, flags),
      ...flagArguments(FEATURE_FLAGS, { features: featuresFor("query", flags.features) }),
      ...flagArguments(WRITE_PASSING_FLAGS, flags),
      ...flagArguments(REMOTE_READ_FLAGS, flags),
      ...flagArguments(QUERY_STORE_FLAGS, flags),
      ...flagArguments(LOG_FLAGS, flags),
    ]),
    withChannel: true,
  };
}

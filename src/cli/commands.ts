import type { Command } from "commander";
import {
  addFlags,
  type FlagTable,
  flagValues,
  type FlagValues,
  readEnvironment,
  warnOfIdleFlags,
} from "./flags.ts";
import {
  ADMIN_FLAGS,
  AUTO_RELOAD_FLAGS,
  CONFIG_FLAGS,
  LIFECYCLE_FLAGS,
  LOG_FLAGS,
  SCRAPE_FLAGS,
} from "./common-flags.ts";
import {
  COORDINATOR_FLAGS,
  COORDINATOR_WEB_FLAGS,
  DECISION_FLAGS,
  DRY_RUN_FLAGS,
  INJECT_FLAGS,
  KVASS_IDLE_FLAGS,
  LEADER_FLAGS,
  STATIC_SHARD_FLAGS,
  UP_DECISION_FLAGS,
} from "./coordinator-flags.ts";
import { DEMO_RUN_FLAGS } from "./demo-flags.ts";
import { FEATURE_FLAGS } from "./feature-flags.ts";
import { KUBERNETES_FLAGS, OPERATOR_FLAGS } from "./kubernetes-flags.ts";
import { PLAN_FLAGS } from "./plan-flags.ts";
import {
  ENDPOINT_FLAGS,
  EVALUATION_FLAGS,
  QUERY_CONFIG_FLAGS,
  QUERY_FLAGS,
  QUERY_STORE_FLAGS,
  WEB_FLAGS,
} from "./query-flags.ts";
import {
  DATABASE_FLAGS,
  ORPHAN_FLAGS,
  REPLICA_FLAGS,
  SHARD_ADMIN_FLAGS,
  SHARD_WEB_FLAGS,
  STORAGE_FLAGS,
  UP_SHARD_FLAGS,
} from "./shard-flags.ts";
import { registerQuestions } from "./query-commands.ts";
import { REMOTE_READ_FLAGS, WRITE_PASSING_FLAGS, WRITE_RECEIVER_FLAGS } from "./remote-flags.ts";
import { PROMETHEUS_FLAGS, SIDECAR_FLAGS } from "./sidecar-flags.ts";
import { SIMULATE_FLAGS } from "./simulate-flags.ts";

const UP_PROMETHEUS_BINARY = {
  ...PROMETHEUS_FLAGS.prometheusBinary,
  help: "The Prometheus of engine `prometheus`: a path, or a name that is looked up in PATH.",
  fallback: "prometheus",
};

export const UP_FLAGS = {
  ...CONFIG_FLAGS,
  ...AUTO_RELOAD_FLAGS,
  ...WEB_FLAGS,
  ...LIFECYCLE_FLAGS,
  ...ADMIN_FLAGS,
  ...STORAGE_FLAGS,
  ...DATABASE_FLAGS,
  ...PLAN_FLAGS,
  ...COORDINATOR_FLAGS,
  ...SCRAPE_FLAGS,
  ...INJECT_FLAGS,
  ...UP_DECISION_FLAGS,
  ...DRY_RUN_FLAGS,
  ...UP_SHARD_FLAGS,
  ...FEATURE_FLAGS,
  ...PROMETHEUS_FLAGS,
  prometheusBinary: UP_PROMETHEUS_BINARY,
  ...QUERY_FLAGS,
  ...WRITE_RECEIVER_FLAGS,
  ...REMOTE_READ_FLAGS,
  ...QUERY_STORE_FLAGS,
  ...LOG_FLAGS,
} as const;

export const COORDINATOR_ROLE_FLAGS = {
  ...CONFIG_FLAGS,
  ...AUTO_RELOAD_FLAGS,
  ...COORDINATOR_WEB_FLAGS,
  ...LIFECYCLE_FLAGS,
  ...KUBERNETES_FLAGS,
  ...OPERATOR_FLAGS,
  ...ADMIN_FLAGS,
  ...STATIC_SHARD_FLAGS,
  ...LEADER_FLAGS,
  ...PLAN_FLAGS,
  ...COORDINATOR_FLAGS,
  ...SCRAPE_FLAGS,
  ...INJECT_FLAGS,
  ...KVASS_IDLE_FLAGS,
  ...DRY_RUN_FLAGS,
  ...DECISION_FLAGS,
  ...LOG_FLAGS,
} as const;

export const SHARD_FLAGS = {
  ...SHARD_WEB_FLAGS,
  ...REPLICA_FLAGS,
  ...STORAGE_FLAGS,
  ...DATABASE_FLAGS,
  ...SHARD_ADMIN_FLAGS,
  ...FEATURE_FLAGS,
  ...EVALUATION_FLAGS,
  ...WRITE_RECEIVER_FLAGS,
  ...REMOTE_READ_FLAGS,
  ...SCRAPE_FLAGS,
  ...ORPHAN_FLAGS,
  ...LOG_FLAGS,
} as const;

export const QUERY_ROLE_FLAGS = {
  ...QUERY_CONFIG_FLAGS,
  ...WEB_FLAGS,
  ...LIFECYCLE_FLAGS,
  ...ADMIN_FLAGS,
  ...ENDPOINT_FLAGS,
  ...FEATURE_FLAGS,
  ...QUERY_FLAGS,
  ...WRITE_PASSING_FLAGS,
  ...REMOTE_READ_FLAGS,
  ...QUERY_STORE_FLAGS,
  ...LOG_FLAGS,
} as const;

export const DEMO_FLAGS = {
  ...DEMO_RUN_FLAGS,
  ...LOG_FLAGS,
  ...PROMETHEUS_FLAGS,
  prometheusBinary: UP_PROMETHEUS_BINARY,
  listenAddress: { ...WEB_FLAGS.listenAddress, fallback: "127.0.0.1:0" },
  maxSeries: { ...PLAN_FLAGS.maxSeries, fallback: 30_000 },
  logLevel: { ...LOG_FLAGS.logLevel, fallback: "error" as const },
} as const;

export const DEMO_EXPORTER_FLAGS = {
  listenAddress: {
    ...WEB_FLAGS.listenAddress,
    help: "Where /metrics is served.",
    fallback: "127.0.0.1:9091",
  },
  ...LOG_FLAGS,
} as const;

/** The commands that serve. Their code is loaded when they run. */
export function registerRoles(program: Command): void {
  role(program, "up", UP_FLAGS, {
    description: "The whole system in one process tree: coordinator, shards, query and page.",
    run: async (values) => (await import("./up.ts")).runUp(values),
  });
  role(program, "demo", DEMO_FLAGS, {
    description:
      "Show the main job: 6 targets of 10,045 series end on 3 shards, one query over all.",
    run: async (values) => (await import("./demo.ts")).runDemo(values),
  });
  role(program, "demo-exporter", DEMO_EXPORTER_FLAGS, {
    description: "One target of the demo, to try a cluster with: 10,045 series on every path.",
    run: async (values) => (await import("./demo-exporters.ts")).runExporter(values),
  });
  program
    .command("demo-exporters", { hidden: true })
    .argument("<count>")
    .action(async (count: string) =>
      (await import("./demo-exporters.ts")).runExporters(Number(count)),
    );
  role(program, "coordinator", COORDINATOR_ROLE_FLAGS, {
    description: "Discover targets and spread them over shards that others run.",
    run: async (values) => (await import("./coordinator.ts")).runCoordinator(values),
  });
  role(program, "shard", SHARD_FLAGS, {
    description:
      "Scrape and keep what a coordinator gives it; serve it over the StoreAPI and PromQL.",
    run: async (values) => (await import("./shard.ts")).runShard(values),
  });
  role(program, "sidecar", SIDECAR_FLAGS, {
    description:
      "Make the Prometheus beside it a shard that a coordinator fills and queries reach.",
    run: async (values) => (await import("./sidecar.ts")).runSidecar(values),
  });
  const query = role(program, "query", QUERY_ROLE_FLAGS, {
    description: "Answer PromQL over all shards, with Prometheus's HTTP API and the page.",
    run: async (values) => (await import("./query.ts")).runQuery(values),
  });
  registerQuestions(query);
  role(program, "simulate", SIMULATE_FLAGS, {
    description:
      "Try planner and coordinator on a fleet, real or made up, through a day in a minute.",
    run: async (values) => (await import("./simulate.ts")).runSimulate(values),
  });
}

function role<T extends FlagTable>(
  program: Command,
  name: string,
  table: T,
  options: { description: string; run: (values: FlagValues<T>) => Promise<void> },
): Command {
  const command = program.command(name).description(options.description);
  command
    .addHelpText(
      "after",
      "\nEvery flag is also an environment variable: --config.file is SHOAL_CONFIG_FILE.",
    )
    .action(async () => {
      readEnvironment(command, table);
      warnOfIdleFlags(command, table, (line) => process.stderr.write(`shoal: ${line}\n`));
      await options.run(flagValues(table, command.opts()));
    });
  addFlags(command, table);
  return command;
}

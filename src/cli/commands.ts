import type { Command } from "commander";
import {
  addFlags,
  type FlagTable,
  flagValues,
  type FlagValues,
  readEnvironment,
  warnOfIdleFlags,
} from "./flags.ts";
import * as tables from "./flag-tables.ts";
import { REMOTE_READ_FLAGS, WRITE_RECEIVER_FLAGS } from "./remote-flags.ts";
import { PROMETHEUS_FLAGS, SIDECAR_FLAGS } from "./sidecar-flags.ts";
import { SIMULATE_FLAGS } from "./simulate-flags.ts";

const UP_PROMETHEUS_BINARY = {
  ...PROMETHEUS_FLAGS.prometheusBinary,
  help: "The Prometheus of engine `prometheus`: a path, or a name that is looked up in PATH.",
  fallback: "prometheus",
};

export const UP_FLAGS = {
  ...tables.CONFIG_FLAGS,
  ...tables.AUTO_RELOAD_FLAGS,
  ...tables.WEB_FLAGS,
  ...tables.LIFECYCLE_FLAGS,
  ...tables.ADMIN_FLAGS,
  ...tables.STORAGE_FLAGS,
  ...tables.DATABASE_FLAGS,
  ...tables.PLAN_FLAGS,
  ...tables.COORDINATOR_FLAGS,
  ...tables.SCRAPE_FLAGS,
  ...tables.INJECT_FLAGS,
  ...tables.UP_DECISION_FLAGS,
  ...tables.DRY_RUN_FLAGS,
  ...tables.UP_SHARD_FLAGS,
  ...PROMETHEUS_FLAGS,
  prometheusBinary: UP_PROMETHEUS_BINARY,
  ...tables.QUERY_FLAGS,
  ...REMOTE_READ_FLAGS,
  ...tables.QUERY_STORE_FLAGS,
  ...tables.LOG_FLAGS,
} as const;

export const COORDINATOR_ROLE_FLAGS = {
  ...tables.CONFIG_FLAGS,
  ...tables.AUTO_RELOAD_FLAGS,
  ...tables.COORDINATOR_WEB_FLAGS,
  ...tables.LIFECYCLE_FLAGS,
  ...tables.KUBERNETES_FLAGS,
  ...tables.OPERATOR_FLAGS,
  ...tables.ADMIN_FLAGS,
  ...tables.STATIC_SHARD_FLAGS,
  ...tables.LEADER_FLAGS,
  ...tables.PLAN_FLAGS,
  ...tables.COORDINATOR_FLAGS,
  ...tables.SCRAPE_FLAGS,
  ...tables.INJECT_FLAGS,
  ...tables.KVASS_IDLE_FLAGS,
  ...tables.DRY_RUN_FLAGS,
  ...tables.DECISION_FLAGS,
  ...tables.LOG_FLAGS,
} as const;

export const SHARD_FLAGS = {
  ...tables.SHARD_WEB_FLAGS,
  ...tables.REPLICA_FLAGS,
  ...tables.STORAGE_FLAGS,
  ...tables.DATABASE_FLAGS,
  ...WRITE_RECEIVER_FLAGS,
  ...REMOTE_READ_FLAGS,
  ...tables.SCRAPE_FLAGS,
  ...tables.ORPHAN_FLAGS,
  ...tables.LOG_FLAGS,
} as const;

export const QUERY_ROLE_FLAGS = {
  ...tables.WEB_FLAGS,
  ...tables.LIFECYCLE_FLAGS,
  ...tables.ADMIN_FLAGS,
  ...tables.ENDPOINT_FLAGS,
  ...tables.QUERY_FLAGS,
  ...REMOTE_READ_FLAGS,
  ...tables.QUERY_STORE_FLAGS,
  ...tables.LOG_FLAGS,
} as const;

export const DEMO_FLAGS = {
  ...tables.DEMO_FLAGS,
  ...tables.LOG_FLAGS,
  ...PROMETHEUS_FLAGS,
  prometheusBinary: UP_PROMETHEUS_BINARY,
  listenAddress: { ...tables.WEB_FLAGS.listenAddress, fallback: "127.0.0.1:0" },
  maxSeries: { ...tables.PLAN_FLAGS.maxSeries, fallback: 30_000 },
  logLevel: { ...tables.LOG_FLAGS.logLevel, fallback: "error" as const },
} as const;

export const DEMO_EXPORTER_FLAGS = {
  listenAddress: {
    ...tables.WEB_FLAGS.listenAddress,
    help: "Where /metrics is served.",
    fallback: "127.0.0.1:9091",
  },
  ...tables.LOG_FLAGS,
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
    description: "Scrape and keep what a coordinator gives it; serve it over the StoreAPI.",
    run: async (values) => (await import("./shard.ts")).runShard(values),
  });
  role(program, "sidecar", SIDECAR_FLAGS, {
    description:
      "Make the Prometheus beside it a shard that a coordinator fills and queries reach.",
    run: async (values) => (await import("./sidecar.ts")).runSidecar(values),
  });
  role(program, "query", QUERY_ROLE_FLAGS, {
    description: "Answer PromQL over all shards, with Prometheus's HTTP API and the page.",
    run: async (values) => (await import("./query.ts")).runQuery(values),
  });
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
): void {
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
}

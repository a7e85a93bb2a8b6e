import { join } from "node:path";
import { AppError } from "../base/errors.ts";
import type { ProcessCommand } from "../base/supervised-process.ts";
import { childCommand } from "./child-command.ts";
import type { UP_FLAGS } from "./commands.ts";
import { LOG_FLAGS, SCRAPE_FLAGS } from "./common-flags.ts";
import { FEATURE_FLAGS, featuresFor } from "./feature-flags.ts";
import { DATABASE_FLAGS, SHARD_ADMIN_FLAGS } from "./shard-flags.ts";
import { flagArguments, type FlagValues } from "./flags.ts";
import { EVALUATION_FLAGS } from "./query-flags.ts";
import { findPrometheus, prometheusArguments } from "./prometheus-binary.ts";
import { WRITE_RECEIVER_FLAGS } from "./remote-flags.ts";
import { PROMETHEUS_FLAGS } from "./sidecar-flags.ts";

/** How `shoal up` starts its shards. */

/** Nobody asks a sidecar queries: a small nursery costs it no time and saves some 20 MB. */
const SIDECAR_NODE_FLAGS = ["--max-semi-space-size=2"];

/**
 * For glibc's malloc; others ignore it. A shard's memory is large arrays: each in a mapping of its own goes back to the
 * system when it is freed, and few arenas leave few holes. Measured with 100,000 series: 20 to 40 MB less.
 */
const SHARD_ENVIRONMENT = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: String(256 << 10),
  MALLOC_TRIM_THRESHOLD_: String(1 << 20),
};

type UpValues = FlagValues<typeof UP_FLAGS>;

export interface ShardPlace {
  readonly id: string;
  readonly folder: string;
  /** The replica group's name; "" when it is alone. */
  readonly replica: string;
}

/** How `--shard.engine`'s shards are started; rejects when they cannot be. */
export async function shardCommandOf(
  flags: UpValues,
): Promise<(shard: ShardPlace) => ProcessCommand> {
  if (flags.shardEngine === "embedded") return (shard) => shardCommand(flags, shard);
  if (flags.enableWriteReceiver || flags.enableOtlpReceiver)
    throw new AppError(
      "bad-data",
      "cannot take what is written with --shard.engine=prometheus: leave out --web.enable-remote-write-receiver and --web.enable-otlp-receiver",
    );
  const ofQueries = featuresFor("query", flags.features);
  const others = flags.features.filter((feature) => !ofQueries.includes(feature));
  if (others.length > 0)
    throw new AppError(
      "bad-data",
      `cannot enable ${others.join(", ")} with --shard.engine=prometheus: write --prometheus.args=--enable-feature=${others.join(",")} instead`,
    );
  const prometheusBinary = await findPrometheus(flags.prometheusBinary);
  // Arguments that no Prometheus may get are refused now, not by each shard.
  prometheusArguments(flags);
  return (shard) => sidecarCommand({ ...flags, prometheusBinary }, shard);
}

/** A coordinator that is only slow must not look like one that is gone. */
function orphanGraceOf({ orphanGrace, coordinatorInterval }: UpValues): number {
  return orphanGrace === 0 ? 0 : Math.max(orphanGrace, 6 * coordinatorInterval);
}

function identityArguments({ id, replica }: ShardPlace): string[] {
  return [`--shard.id=${id}`, ...(replica === "" ? [] : [`--shard.replica=${replica}`])];
}

const { scrapeProxy: _proxy, ...OTHER_SCRAPE_FLAGS } = SCRAPE_FLAGS;

/** A proxy's password is not for the list of processes: it goes by the environment. */
function scrapeParts(flags: UpValues): {
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
} {
  const { scrapeProxy } = flags;
  return (URL.parse(scrapeProxy)?.password ?? "") === ""
    ? { args: flagArguments(SCRAPE_FLAGS, flags), environment: {} }
    : {
        args: flagArguments(OTHER_SCRAPE_FLAGS, flags),
        environment: { SCRAPE_PROXY: scrapeProxy },
      };
}

/** A sidecar with a Prometheus of its own; all of the shard is in its folder. */
function sidecarCommand(flags: UpValues, shard: ShardPlace): ProcessCommand {
  const { id, folder } = shard;
  const scrape = scrapeParts(flags);
  const command = childCommand(
    id,
    [
      "sidecar",
      ...identityArguments(shard),
      `--store.path=${folder}`,
      `--config.output-file=${join(folder, "prometheus.yml")}`,
      ...flagArguments(PROMETHEUS_FLAGS, flags),
      `--storage.tsdb.retention.time=${flags.retentionTime}ms`,
      `--storage.tsdb.retention.size=${flags.retentionSize}B`,
      `--shard.orphan-grace=${orphanGraceOf(flags)}ms`,
      "--web.listen-address=127.0.0.1:0",
      "--grpc-address=127.0.0.1:0",
      ...scrape.args,
      ...flagArguments(LOG_FLAGS, flags),
    ],
    SIDECAR_NODE_FLAGS,
  );
  return { ...command, environment: { ...command.environment, ...scrape.environment } };
}

function shardCommand(flags: UpValues, shard: ShardPlace): ProcessCommand {
  const { retentionTime, retentionSize } = flags;
  const scrape = scrapeParts(flags);
  const command = childCommand(shard.id, [
    "shard",
    ...identityArguments(shard),
    `--storage.tsdb.path=${shard.folder}`,
    `--storage.tsdb.retention.time=${retentionTime}ms`,
    `--storage.tsdb.retention.size=${retentionSize}B`,
    ...flagArguments(DATABASE_FLAGS, flags),
    ...flagArguments(SHARD_ADMIN_FLAGS, flags),
    ...flagArguments(FEATURE_FLAGS, { features: featuresFor("shard", flags.features) }),
    ...flagArguments(EVALUATION_FLAGS, flags),
    ...flagArguments(WRITE_RECEIVER_FLAGS, flags),
    `--shard.orphan-grace=${orphanGraceOf(flags)}ms`,
    "--web.listen-address=127.0.0.1:0",
    "--grpc.address=127.0.0.1:0",
    ...scrape.args,
    ...flagArguments(LOG_FLAGS, flags),
  ]);
  return {
    ...command,
    environment: { ...SHARD_ENVIRONMENT, ...command.environment, ...scrape.environment },
  };
}

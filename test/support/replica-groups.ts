/** Embedded shards in two replica groups over targets of their own, for system tests. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { freePort, type RunningProcess, startShoal } from "./processes.ts";

/** Series that each target has, besides the report series of its scrape. */
export const TARGET_SERIES = 20;

const STARTED_MS = Date.now();

/** A target whose counters grow by 1 to 20 a second, and whose gauges stand still. */
export async function startExporter(): Promise<{ server: Server; address: string }> {
  const server = createServer((_, response) => {
    const seconds = (Date.now() - STARTED_MS) / 1000;
    let body = "# TYPE work_total counter\n# TYPE level gauge\n";
    for (let i = 1; i <= TARGET_SERIES / 2; i++)
      body += `work_total{i="${i}"} ${1000 * i + i * seconds}\nlevel{i="${i}"} ${i / 4}\n`;
    response.setHeader("Content-Type", "text/plain; version=0.0.4").end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("BUG: no TCP address");
  return { server, address: `127.0.0.1:${address.port}` };
}

export function replicaConfig(addresses: readonly string[]): string {
  return `global: {scrape_interval: 1s, external_labels: {cluster: eu}}
scrape_configs:
  - job_name: work
    static_configs: [{targets: [${addresses.map((address) => `"${address}"`).join(", ")}]}]
`;
}

export interface ReplicaShard extends RunningProcess {
  readonly id: string;
  readonly grpc: string;
}

export interface ReplicaGroups {
  /** By replica, then ordinal. */
  readonly shards: readonly ReplicaShard[];
  readonly coordinator: RunningProcess;
}

/** Starts shards `a-0`, `a-1`, …, `b-0`, … and the coordinator that gives both groups the targets. */
export async function startReplicaGroups(options: {
  folder: string;
  config: string;
  shardsEach: number;
  running: RunningProcess[];
}): Promise<ReplicaGroups> {
  const { folder, running } = options;
  const ids = ["a", "b"].flatMap((replica) =>
    Array.from({ length: options.shardsEach }, (_, ordinal) => ({ replica, ordinal })),
  );
  const shards = await Promise.all(
    ids.map(async ({ replica, ordinal }): Promise<ReplicaShard> => {
      const id = `${replica}-${ordinal}`;
      const grpc = `127.0.0.1:${await freePort()}`;
      const shard = await startShoal({
        args: [
          "shard",
          `--shard.id=${id}`,
          `--shard.replica=${replica}`,
          `--storage.tsdb.path=${join(folder, id)}`,
          `--grpc.address=${grpc}`,
        ],
      });
      running.push(shard);
      return { ...shard, id, grpc };
    }),
  );
  const listOf = (replica: string): string =>
    shards
      .filter(({ id }) => id.startsWith(replica))
      .map(({ id, url }) => `{id: ${id}, url: "${url}"}`)
      .join(", ");
  const staticFile = join(folder, "shards.yml");
  writeFileSync(
    staticFile,
    `replicas:\n${["a", "b"].map((name) => `  - {name: ${name}, shards: [${listOf(name)}]}\n`).join("")}`,
  );
  const configFile = join(folder, "prometheus.yml");
  writeFileSync(configFile, options.config);
  const coordinator = await startShoal({
    args: [
      "coordinator",
      `--config.file=${configFile}`,
      `--shard.static-file=${staticFile}`,
      "--coordinator.interval=1s",
      "--shard.failover-grace=1h",
    ],
  });
  running.push(coordinator);
  return { shards, coordinator };
}

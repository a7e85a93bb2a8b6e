/** Real Prometheus servers with a `shoal sidecar` each, for system tests. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  apiData,
  freePort,
  type RunningProcess,
  startPrometheus,
  startShoal,
  until,
} from "./processes.ts";

export interface Active {
  readonly labels: Record<string, string>;
  readonly scrapeUrl: string;
  readonly health: string;
  readonly scrapeInterval: string;
  readonly lastError: string;
}

export interface Shard {
  sidecar: RunningProcess;
  prometheus: RunningProcess;
  readonly output: string;
  readonly prometheusPort: number;
  readonly args: readonly string[];
  readonly port: number;
  readonly grpc: string;
}

export async function startShard(
  folder: string,
  index: number,
  running: RunningProcess[],
  more: readonly string[] = [],
): Promise<Shard> {
  const output = join(folder, `out-${index}`, "injected.yml");
  const [port, prometheusPort, grpcPort] = [await freePort(), await freePort(), await freePort()];
  const args = [
    "sidecar",
    `--shard.id=shard-${index}`,
    `--prometheus.url=http://127.0.0.1:${prometheusPort}`,
    `--config.output-file=${output}`,
    `--store.path=${join(folder, `store-${index}`)}`,
    `--grpc-address=127.0.0.1:${grpcPort}`,
    ...more,
  ];
  // It is ready when its Prometheus is, which starts on the file that it writes.
  const starting = startShoal({ args, port });
  await until("the first configuration is there", async () => existsSync(output) || undefined);
  const prometheus = await startBeside({ output, prometheusPort });
  running.push(prometheus);
  const sidecar = await starting;
  running.push(sidecar);
  return { sidecar, prometheus, output, prometheusPort, args, port, grpc: `127.0.0.1:${grpcPort}` };
}

export async function activeTargets(url: string): Promise<Active[]> {
  const data = await apiData<{ activeTargets: Active[] }>(`${url}/api/v1/targets?state=active`);
  return data.activeTargets;
}

export async function value(url: string, query: string): Promise<number> {
  const data = await apiData<{ result: { value: [number, string] }[] }>(
    `${url}/api/v1/query?query=${encodeURIComponent(query)}`,
  );
  return Number(data.result[0]?.value[1] ?? Number.NaN);
}

export async function startBeside(
  shard: Pick<Shard, "output" | "prometheusPort">,
): Promise<RunningProcess> {
  const prometheus = await startPrometheus({
    configFile: shard.output,
    port: shard.prometheusPort,
    flags: ["--web.enable-lifecycle"],
  });
  assert.ok(prometheus !== undefined);
  return prometheus;
}

/** Writes Kvass's file of static shards. */
export function shardsFile(folder: string, shards: readonly Shard[]): string {
  const list = shards.map(({ port }, i) => `{id: shard-${i}, url: "http://127.0.0.1:${port}"}`);
  const path = join(folder, "shards.yml");
  writeFileSync(path, `replicas: [{shards: [${list.join(", ")}]}]`);
  return path;
}

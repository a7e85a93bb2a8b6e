/** What scrapes for benchmarks, and how much it has stored. */
import { apiData, type RunningProcess, startShoal, until } from "../../test/support/processes.ts";

/** The counter of stored samples, of Prometheus and of Shoal's shards. */
export const APPENDED = "prometheus_tsdb_head_samples_appended_total";

/** The sum of the series of a metric that `url` tells of itself. */
export async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  let sum = 0;
  for (const line of text.split("\n"))
    if (line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      sum += Number(line.slice(line.lastIndexOf(" ")));
  return sum;
}

/** `shoal up` with one shard for all `targets`: the whole work is in the one process that scrapes. */
export async function startOneShard(
  config: string,
  targets: number,
): Promise<{ readonly shoal: RunningProcess; readonly pid: number; readonly url: string }> {
  const shoal = await startShoal({
    config,
    args: [
      "up",
      "--shard.min-shard=1",
      "--shard.max-shard=1",
      "--coordinator.interval=1s",
      "--log.level=error",
    ],
  });
  try {
    const shard = await until("one shard has all targets", async () => {
      const { shards } = await apiData<{
        shards: { http: string; pid: number; targets: number }[];
      }>(`${shoal.url}/api/v1/shards`);
      return shards.find((one) => one.targets === targets);
    });
    return { shoal, pid: shard.pid, url: `http://${shard.http}` };
  } catch (error) {
    await shoal.stop();
    throw error;
  }
}

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { startListedExporter } from "./support/listed-exporter.ts";
import { apiData, startShoal, until } from "./support/processes.ts";

interface Shard {
  readonly id: string;
  readonly pid: number;
  readonly state: string;
  readonly targets: number;
}

interface Target {
  readonly scrapeUrl: string;
  readonly shard: string;
  readonly health: string;
}

test("a shard that hangs holds up neither the others nor the coordinator", async () => {
  const { folder, configFile, list, stop } = await startListedExporter("hung", 4);
  const up = await startShoal({
    args: [
      "up",
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      "--coordinator.interval=1s",
      "--shard.min-shard=2",
      "--shard.failover-grace=1m",
    ],
  });
  let stopped: number | undefined;
  try {
    const shards = async (): Promise<Shard[]> =>
      (await apiData<{ shards: Shard[] }>(`${up.url}/api/v1/shards`)).shards;
    const targets = async (): Promise<Target[]> =>
      (await apiData<{ activeTargets: Target[] }>(`${up.url}/api/v1/targets`)).activeTargets;
    await until("two shards have two targets each", async () =>
      (await shards()).map((shard) => shard.targets).join() === "2,2" ? true : undefined,
    );
    const [hung, well] = await shards();
    stopped = hung!.pid;
    process.kill(stopped, "SIGSTOP");
    await until("the coordinator knows", async () =>
      (await shards())[0]!.state === "lost" ? true : undefined,
    );
    list(5);
    const added = await until(
      "a new target is scraped by the other shard",
      async () =>
        (await targets()).find(
          ({ scrapeUrl, health }) => scrapeUrl.endsWith("/4") && health === "up",
        ),
      20_000,
    );
    assert.equal(added.shard, well!.id);
    // Within the grace the hung shard's targets stay its own, and nobody else's are touched.
    const owners = (await targets()).map(({ shard }) => shard).sort();
    assert.deepEqual(owners, [hung!.id, hung!.id, well!.id, well!.id, well!.id]);
    process.kill(stopped, "SIGCONT");
    stopped = undefined;
    await until("it is back with what it had", async () => {
      const [back] = await shards();
      return back!.state === "ready" && back!.targets === 2 ? true : undefined;
    });
  } finally {
    if (stopped !== undefined) process.kill(stopped, "SIGCONT");
    await up.stop();
    stop();
  }
});

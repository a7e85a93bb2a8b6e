import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { startListedExporter } from "./support/listed-exporter.ts";
import { apiData, freePort, type RunningProcess, startShoal, until } from "./support/processes.ts";

/** How long the shards may be without a leader. */
const FAILOVER_MS = 20_000;

interface Target {
  readonly shard: string;
  readonly health: string;
}

test("of two coordinators one leads; the other takes over when it is killed or stopped", async () => {
  const { folder, configFile, list, stop } = await startListedExporter("leader", 2);
  const running: RunningProcess[] = [];
  try {
    const shards: string[] = [];
    for (let i = 0; i < 2; i++) {
      const shard = await startShoal({
        args: [
          "shard",
          `--shard.id=shard-${i}`,
          `--storage.tsdb.path=${join(folder, `shard-${i}`)}`,
          "--grpc.address=127.0.0.1:0",
        ],
      });
      running.push(shard);
      shards.push(shard.url);
    }
    const startCoordinator = async (): Promise<RunningProcess> => {
      const port = await freePort();
      const coordinator = await startShoal({
        port,
        args: [
          "coordinator",
          `--config.file=${configFile}`,
          ...shards.map((url) => `--shard.url=${url}`),
          `--leader-election.folder=${join(folder, "lease")}`,
          "--coordinator.interval=1s",
          "--web.enable-admin-api",
        ],
      });
      running.push(coordinator);
      return coordinator;
    };
    const drained = async ({ url }: RunningProcess): Promise<readonly string[]> =>
      (await apiData<{ shards: string[] }>(`${url}/api/v1/shards/drain`)).shards;
    const targetsOf = async ({ url }: RunningProcess): Promise<Target[]> => {
      const answer = await apiData<{ activeTargets: Target[] }>(`${url}/api/v1/targets`);
      return answer.activeTargets;
    };
    const untilScraped = (coordinator: RunningProcess, count: number): Promise<true> =>
      until(`${count} targets are scraped`, async () => {
        const targets = await targetsOf(coordinator).catch(() => []);
        const isRight =
          targets.length === count &&
          targets.every(({ shard, health }) => shard !== "" && health === "up");
        return isRight ? true : undefined;
      });
    const epochs = async (): Promise<number[]> =>
      Promise.all(
        shards.map(
          async (url) =>
            (await apiData<{ epoch: number }>(`${url}/api/v1/shard/runtimeinfo`)).epoch,
        ),
      );
    const untilLater = async (before: number): Promise<number> => {
      const startedMs = performance.now();
      const later = await until("a later leader is heard of", async () => {
        const heard = await epochs();
        return heard.every((epoch) => epoch > before) ? heard[0] : undefined;
      });
      const tookMs = performance.now() - startedMs;
      assert.ok(tookMs <= FAILOVER_MS, `the failover took ${tookMs} ms`);
      return later;
    };

    const first = await startCoordinator();
    await untilScraped(first, 2);
    const second = await startCoordinator();
    await untilScraped(second, 2);
    const [firstEpoch] = await epochs();

    const path = "/api/v1/shards/drain?shard=shard-0&drain=true";
    const marked = await fetch(`${first.url}${path}`, { method: "POST" });
    assert.equal(marked.status, 200, await marked.text());
    process.kill(first.pid, "SIGKILL");
    const secondEpoch = await untilLater(firstEpoch!);
    await until("the mark is there still", async () =>
      (await drained(second)).join() === "shard-0" ? true : undefined,
    );
    list(3);
    await untilScraped(second, 3);
    await until("the marked shard is empty", async () =>
      (await targetsOf(second)).every(({ shard }) => shard === "shard-1") ? true : undefined,
    );

    const third = await startCoordinator();
    await untilScraped(third, 3);
    assert.deepEqual(await epochs(), [secondEpoch, secondEpoch], "a standby asked the shards");
    process.kill(second.pid, "SIGSTOP");
    const thirdEpoch = await untilLater(secondEpoch);
    await until("the mark is there still", async () =>
      (await drained(third)).join() === "shard-0" ? true : undefined,
    );
    list(4);
    await untilScraped(third, 4);
    process.kill(second.pid, "SIGCONT");
    // What is asked of the former leader comes from the present one, once it has seen that it is one no more.
    await untilScraped(second, 4);
    assert.deepEqual(await epochs(), [thirdEpoch, thirdEpoch]);
  } finally {
    for (const one of running.reverse()) await one.stop();
    stop();
  }
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import {
  apiData,
  freePort,
  type RunningProcess,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";

/** How long the shards may be without a leader. */
const FAILOVER_MS = 20_000;

interface Target {
  readonly shard: string;
  readonly health: string;
}

test("of two coordinators one leads; the other takes over when it is killed or stopped", async () => {
  const folder = temporaryFolder("leader");
  const exporter = createServer((_request, response) => {
    response.setHeader("Content-Type", "text/plain; version=0.0.4");
    response.end("up_here 1\n");
  });
  exporter.listen(0, "127.0.0.1");
  await once(exporter, "listening");
  const address = exporter.address();
  assert.ok(address !== null && typeof address === "object");
  const configFile = join(folder, "prometheus.yml");
  writeFileSync(
    configFile,
    `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs: [{ job_name: a, file_sd_configs: [{ files: [targets.json], refresh_interval: 1s }] }]
`,
  );
  const listed = (count: number): void => {
    const groups = Array.from({ length: count }, (_, i) => ({
      targets: [`127.0.0.1:${address.port}`],
      labels: { __metrics_path__: `/${i}` },
    }));
    writeFileSync(join(folder, "targets.json"), JSON.stringify(groups));
  };
  const running: RunningProcess[] = [];
  try {
    listed(2);
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
        ],
      });
      running.push(coordinator);
      return coordinator;
    };
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

    process.kill(first.pid, "SIGKILL");
    const secondEpoch = await untilLater(firstEpoch!);
    listed(3);
    await untilScraped(second, 3);

    const third = await startCoordinator();
    await untilScraped(third, 3);
    assert.deepEqual(await epochs(), [secondEpoch, secondEpoch], "a standby asked the shards");
    process.kill(second.pid, "SIGSTOP");
    const thirdEpoch = await untilLater(secondEpoch);
    listed(4);
    await untilScraped(third, 4);
    process.kill(second.pid, "SIGCONT");
    // What is asked of the former leader comes from the present one, once it has seen that it is one no more.
    await untilScraped(second, 4);
    assert.deepEqual(await epochs(), [thirdEpoch, thirdEpoch]);
  } finally {
    for (const one of running.reverse()) await one.stop();
    exporter.closeAllConnections();
    exporter.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { apiData, startShoal, temporaryFolder, until } from "./support/processes.ts";

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
  const folder = temporaryFolder("hung");
  const exporter = createServer((_request, response) => {
    response.setHeader("Content-Type", "text/plain; version=0.0.4");
    response.end("answered 1\n");
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
  const list = (count: number): void => {
    const groups = Array.from({ length: count }, (_, i) => ({
      targets: [`127.0.0.1:${address.port}`],
      labels: { __metrics_path__: `/${i}` },
    }));
    writeFileSync(join(folder, "targets.json"), JSON.stringify(groups));
  };
  list(4);
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
    exporter.closeAllConnections();
    exporter.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

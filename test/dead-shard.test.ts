import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
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
import { type RecordingExporter, startRecordingExporter } from "./support/recording-exporter.ts";

const INTERVAL_MS = 2_000;
const GRACE_MS = 3_000;
const TARGETS = 4;

test("the targets of a shard that dies miss two scrapes and what the grace costs, at most", async () => {
  const folder = temporaryFolder("dead-shard");
  const exporters: RecordingExporter[] = [];
  for (let i = 0; i < TARGETS; i++) exporters.push(await startRecordingExporter());
  const configFile = join(folder, "prometheus.yml");
  const addresses = exporters.map(({ address }) => `"${address}"`).join(", ");
  writeFileSync(
    configFile,
    `global: {scrape_interval: ${INTERVAL_MS}ms, scrape_timeout: 1s}
scrape_configs: [{job_name: a, static_configs: [{targets: [${addresses}]}]}]
`,
  );
  const running: RunningProcess[] = [];
  try {
    const shards: RunningProcess[] = [];
    for (const name of ["shard-0", "shard-1"]) {
      const shard = await startShoal({
        args: [
          "shard",
          `--shard.id=${name}`,
          `--storage.tsdb.path=${join(folder, name)}`,
          `--grpc.address=127.0.0.1:${await freePort()}`,
        ],
      });
      shards.push(shard);
      running.push(shard);
    }
    const list = shards.map(({ url }, i) => `{id: shard-${i}, url: "${url}"}`).join(", ");
    writeFileSync(join(folder, "shards.yml"), `replicas: [{shards: [${list}]}]\n`);
    const coordinator = await startShoal({
      args: [
        "coordinator",
        `--config.file=${configFile}`,
        `--shard.static-file=${join(folder, "shards.yml")}`,
        "--coordinator.interval=1s",
        `--shard.failover-grace=${GRACE_MS}ms`,
      ],
    });
    running.push(coordinator);
    const targets = async (): Promise<{ discoveredAddress: string; shard: string }[]> => {
      const { activeTargets } = await apiData<{
        activeTargets: { scrapeUrl: string; shard: string; health: string }[];
      }>(`${coordinator.url}/api/v1/targets`);
      return activeTargets
        .filter(({ health }) => health === "up")
        .map(({ scrapeUrl, shard }) => ({ discoveredAddress: new URL(scrapeUrl).host, shard }));
    };
    const before = await until("two targets are up on each", async () => {
      const found = await targets();
      const of = (shard: string): number => found.filter((each) => each.shard === shard).length;
      return of("shard-0") === 2 && of("shard-1") === 2 ? found : undefined;
    });
    const orphans = exporters.filter(({ address }) =>
      before.some((each) => each.discoveredAddress === address && each.shard === "shard-0"),
    );
    assert.equal(orphans.length, 2);
    shards[0]!.child.kill("SIGKILL");
    const killedMs = performance.now();
    for (const { requests } of orphans) {
      const next = await until(
        "it is scraped again",
        async () => requests.find(({ timeMs }) => timeMs > killedMs + 100),
        30_000,
      );
      const last = requests.findLast(({ timeMs }) => timeMs <= killedMs + 100)!;
      const missedMs = next.timeMs - last.timeMs - INTERVAL_MS;
      assert.ok(missedMs <= 2 * INTERVAL_MS + GRACE_MS, `${Math.round(missedMs)} ms without it`);
    }
    await until("all are up on the other one", async () => {
      const found = await targets();
      return found.length === TARGETS && found.every(({ shard }) => shard === "shard-1")
        ? true
        : undefined;
    });
  } finally {
    await Promise.all(running.map(async ({ stop }) => stop()));
    for (const exporter of exporters) exporter.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

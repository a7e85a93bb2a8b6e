import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { apiData, sleep, startShoal } from "./support/processes.ts";
import { seriesText, startRecordedJob } from "./support/recording-exporter.ts";

const INTERVAL_MS = 60_000;
/** How late a scrape may start. */
const LATE_MS = 2_000;

test("a target that is scraped once a minute moves without a missed scrape", async () => {
  let series = 30;
  const body = (): string => seriesText("grown", series);
  const { exporters, folder, configFile, close } = await startRecordedJob("slow-move", {
    count: 2,
    body,
    interval: "1m",
  });
  const up = await startShoal({
    args: [
      "up",
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      "--coordinator.interval=5s",
      "--shard.max-series=100",
    ],
  });
  const targetsPerShard = async (): Promise<string> =>
    (await apiData<{ shards: { targets: number }[] }>(`${up.url}/api/v1/shards`)).shards
      .map(({ targets }) => targets)
      .join();
  const reach = async (targets: string): Promise<void> => {
    const startedMs = Date.now();
    while ((await targetsPerShard()) !== targets) {
      assert.ok(Date.now() - startedMs < 5 * INTERVAL_MS, `never ${targets}`);
      await sleep(1_000);
    }
  };
  try {
    await reach("2");
    // The first one to explore may come sooner than the interval; from here on they are regular.
    await sleep(INTERVAL_MS + LATE_MS);
    const fromMs = performance.now();
    series = 60;
    await reach("1,1");
    await sleep(2 * INTERVAL_MS + LATE_MS);
    const toMs = performance.now();
    const figures = exporters.map(({ requests }) => {
      const scrapes = requests.map(({ timeMs }) => timeMs);
      const first = scrapes.findLastIndex((at) => at <= fromMs);
      const seen = scrapes.slice(first).filter((at) => at <= toMs);
      const gaps = seen.slice(1).map((at, i) => at - seen[i]!);
      const expected = Math.round((seen.at(-1)! - seen[0]!) / INTERVAL_MS) + 1;
      return { longestGapMs: Math.max(...gaps), twice: seen.length - expected };
    });
    console.log(JSON.stringify(figures));
    for (const { longestGapMs, twice } of figures) {
      assert.ok(longestGapMs <= INTERVAL_MS + LATE_MS, `${longestGapMs} ms without a scrape`);
      assert.ok(twice <= 5, `${twice} intervals were scraped twice`);
    }
    const moved = figures.filter(({ twice }) => twice > 0);
    assert.equal(moved.length, 1, "one of the two moved, under both owners for a while");
  } finally {
    await up.stop();
    close();
  }
});

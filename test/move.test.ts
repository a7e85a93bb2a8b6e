import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { apiData, sleep, startShoal, until } from "./support/processes.ts";
import { seriesText, startRecordedJob } from "./support/recording-exporter.ts";

/** A target that moves between living shards is answered for at every moment, once. */

test("targets that outgrow a shard move without a gap and without being counted twice", async () => {
  let series = 30;
  const body = (): string => seriesText("grown", series);
  const { folder, configFile, close } = await startRecordedJob("move", { count: 2, body });
  const up = await startShoal({
    args: [
      "up",
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      "--coordinator.interval=1s",
      "--shard.max-series=100",
    ],
  });
  try {
    const value = async (query: string): Promise<number> => {
      const url = `${up.url}/api/v1/query?query=${encodeURIComponent(query)}`;
      const data = await apiData<{ result: { value: [number, string] }[] }>(url);
      return Number(data.result[0]?.value[1] ?? 0);
    };
    const targetsPerShard = async (): Promise<number[]> =>
      (await apiData<{ shards: { targets: number }[] }>(`${up.url}/api/v1/shards`)).shards.map(
        (shard) => shard.targets,
      );
    await until("both are up on one shard", async () =>
      (await value("sum(up)").catch(() => 0)) === 2 && (await targetsPerShard()).join() === "2"
        ? true
        : undefined,
    );
    series = 60;
    const seen: number[] = [];
    await until("each has its own shard", async () => {
      seen.push(await value("count(up)"));
      return (await targetsPerShard()).join() === "1,1" ? true : undefined;
    });
    // The old owner's series must not end the new one's: watch on for a few intervals.
    for (let i = 0; i < 30; i++) {
      seen.push(await value("count(up)"));
      await sleep(100);
    }
    assert.ok(
      seen.every((count) => count === 2),
      `count(up) was ${seen.join(" ")}`,
    );
    assert.equal(await value("count(grown)"), 120);
    const { decisions } = await apiData<{ decisions: { kind: string }[] }>(
      `${up.url}/api/v1/decisions`,
    );
    const kinds = decisions.map(({ kind }) => kind);
    assert.deepEqual(kinds, ["assign", "assign", "scale-up", "move", "moved"]);
  } finally {
    await up.stop();
    close();
  }
});

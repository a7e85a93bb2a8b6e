import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { apiData, SHOAL_COMMAND, startShoal, until } from "./support/processes.ts";
import { startRecordedJob } from "./support/recording-exporter.ts";
import { value } from "./support/sidecar-shards.ts";

interface Known {
  readonly health: string;
  readonly lastError: string;
}

test("the emergency switch stops all shards, outlives a restart of everything, and lets go", async () => {
  const { exporters, folder, configFile, close } = await startRecordedJob("stop", { count: 3 });
  const start = () =>
    startShoal({
      args: [
        "up",
        `--config.file=${configFile}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        "--coordinator.interval=1s",
        "--shard.min-shard=2",
        "--web.enable-admin-api",
      ],
    });
  let up = await start();
  try {
    const targets = async (): Promise<Known[]> =>
      (await apiData<{ activeTargets: Known[] }>(`${up.url}/api/v1/targets?state=active`))
        .activeTargets;
    const shoal = async (...args: string[]): Promise<string> => {
      const command = [...SHOAL_COMMAND, ...args, `--url=${up.url}`];
      return (await promisify(execFile)(process.execPath, command)).stdout;
    };
    const isStopped = async (): Promise<true | undefined> => {
      const all = await targets();
      const isDone = all.every(
        ({ health, lastError }) => health === "down" && lastError === "too much",
      );
      return (all.length === 3 && isDone) || undefined;
    };
    const asked = (): number => exporters.reduce((sum, { requests }) => sum + requests.length, 0);
    await until("all are up", async () =>
      (await value(up.url, "count(up == 1)")) === 3 ? true : undefined,
    );
    const { shards } = await apiData<{ shards: { http: string }[] }>(`${up.url}/api/v1/shards`);
    const fromPage = await fetch(`http://${shards[0]!.http}/api/v1/status/extra_config`, {
      method: "POST",
      headers: { "Content-Type": "text/plain", Origin: "http://evil.example" },
      body: '{"stopScrapeReason":"a page says so"}',
    });
    assert.equal(fromPage.status, 403);
    assert.match(
      await shoal("stop-scraping", "too much"),
      /^nothing is scraped since \S+; (all shards know|not yet told: .+)\n$/,
    );
    await until("nothing is scraped, and it is said why", isStopped);
    await until("up says so, and the series have ended", async () =>
      (await value(up.url, "count(up == 0)")) === 3 && Number.isNaN(await value(up.url, "one"))
        ? true
        : undefined,
    );
    const conditions = await apiData<{ conditions: { kind: string; reason: string }[] }>(
      `${up.url}/api/v1/conditions`,
    );
    assert.match(
      conditions.conditions.find(({ kind }) => kind === "stop")?.reason ?? "",
      /^nothing is scraped since .*: too much$/,
    );
    const before = asked();
    await up.stop();
    up = await start();
    await until("it is so after a restart", isStopped);
    assert.equal(asked(), before, "nobody was asked meanwhile");
    const response = await fetch(`${up.url}/api/v1/status/extra_config`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: '{"stopScrapeReason":""}',
    });
    assert.equal(response.status, 200, await response.text());
    await until("all are up again", async () =>
      (await value(up.url, "count(up == 1)")) === 3 ? true : undefined,
    );
    assert.ok(asked() > before);
    assert.match(await shoal("resume-scraping"), /^targets are scraped again; all shards know\n$/);
    assert.equal(await shoal("drain", "shard-1"), "drained: shard-1\n");
    assert.equal(await shoal("undrain", "shard-1"), "drained: none\n");
    await assert.rejects(shoal("drain", "shard-9"), /cannot find shard "shard-9": there are /);
    await assert.rejects(shoal("stop-scraping", " "), /cannot stop scraping: say why/);
  } finally {
    await up.stop();
    close();
  }
});

/** A target whose URL is signed anew again and again is one target, on one shard, scraped once an interval. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { apiData, startShoal, temporaryFolder, until } from "./support/processes.ts";
import { startRecordingExporter } from "./support/recording-exporter.ts";

const ROTATIONS = 3;
const INTERVAL_MS = 1000;

test("a rotating token moves nothing and is never scraped twice", async (t) => {
  const exporters = await Promise.all([1, 2].map(() => startRecordingExporter()));
  t.after(() => exporters.forEach((exporter) => exporter.close()));
  const folder = temporaryFolder("volatile");
  const rotate = (token: number): void => {
    const groups = exporters.map(({ address }) => ({
      targets: [address],
      labels: { __param_token: String(token), pod_uid: `uid-${token}` },
    }));
    writeFileSync(join(folder, "targets.json"), JSON.stringify(groups));
  };
  rotate(0);
  const up = await startShoal({
    args: [
      "up",
      "--coordinator.interval=1s",
      "--shard.min-shard=2",
      "--target.ignore-labels=pod_uid",
      "--target.ignore-labels=__param_(token|signature)",
    ],
    config: `global: {scrape_interval: ${INTERVAL_MS}ms}
scrape_configs: [{job_name: signed, file_sd_configs: [{files: ["${folder}/*.json"]}]}]
`,
  });
  t.after(() => up.stop());
  const owners = async (): Promise<string> => {
    const { activeTargets } = await apiData<{
      activeTargets: { scrapeUrl: string; health: string; shards: string[] }[];
    }>(`${up.url}/api/v1/targets`);
    return activeTargets
      .map(
        ({ scrapeUrl, health, shards }) =>
          `${scrapeUrl.split("?")[0]} ${health} ${shards.join("+")}`,
      )
      .sort()
      .join("; ");
  };
  const first = await until("both are up on a shard", async () => {
    const text = await owners();
    return /^\S+ up shard-\d; \S+ up shard-\d$/.test(text) ? text : undefined;
  });
  const decisions = async (): Promise<string[]> =>
    (await apiData<{ decisions: { kind: string }[] }>(`${up.url}/api/v1/decisions`)).decisions
      .map(({ kind }) => kind)
      .filter((kind) => kind !== "scale-up");
  const made = await decisions();
  const settled = exporters.map(({ requests }) => requests.length);

  for (let token = 1; token <= ROTATIONS; token++) {
    rotate(token);
    const isUsed = (): boolean =>
      exporters.every(({ requests }) => requests.at(-1)?.url === `/metrics?token=${token}`);
    await until(`token ${token} is used`, async () => isUsed() || undefined);
    assert.equal(await owners(), first);
  }
  assert.deepEqual(await decisions(), made, "nothing was decided anew");
  for (const [i, { requests }] of exporters.entries()) {
    const times = requests.slice(settled[i]).map(({ timeMs }) => timeMs);
    const intervals = (times.at(-1)! - times[0]!) / INTERVAL_MS;
    // A second scraper adds one in each interval it lives; on a busy machine a single scrape may be late.
    assert(times.length - 1 < intervals + 1, `${times.length} scrapes in ${intervals} intervals`);
    assert(times.length > ROTATIONS);
  }
  const { result } = await apiData<{ result: { metric: Record<string, string> }[] }>(
    `${up.url}/api/v1/query?query=up`,
  );
  assert.deepEqual(
    result.map(({ metric }) => metric["pod_uid"]),
    exporters.map(() => `uid-${ROTATIONS}`),
    "former labels are stale",
  );
});

/** `target_limit` counts a job's targets over all shards, and what is beyond fails as in the real Prometheus. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  apiData,
  type RunningProcess,
  startPrometheus,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";
import { startRecordingExporter } from "./support/recording-exporter.ts";

interface Shown {
  readonly activeTargets: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly health: string;
    readonly lastError: string;
    readonly shards?: readonly string[];
  }[];
}

/** Every target with how it is, once `count` of them all are `health`. */
function targets(of: RunningProcess, count: number, health: string): Promise<Shown> {
  return until(`${count} targets are ${health}`, async () => {
    const shown = await apiData<Shown>(`${of.url}/api/v1/targets?state=active`);
    const { activeTargets } = shown;
    const isSo = activeTargets.length === count && activeTargets.every((t) => t.health === health);
    return isSo ? shown : undefined;
  });
}

const errorsOf = ({ activeTargets }: Shown): string[] =>
  activeTargets.map(({ labels, lastError }) => `${labels["instance"]}: ${lastError}`).sort();

test("more targets than target_limit over all shards fail all of the job, as in Prometheus", async (t) => {
  const exporters = await Promise.all([1, 2, 3, 4].map(() => startRecordingExporter()));
  t.after(() => exporters.forEach((exporter) => exporter.close()));
  const folder = temporaryFolder("target-limit");
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const list = (count: number): void => {
    const addresses = exporters.slice(0, count).map(({ address }) => address);
    writeFileSync(join(folder, "targets.json"), JSON.stringify([{ targets: addresses }]));
  };
  const config = `global: {scrape_interval: 1s}
scrape_configs: [{job_name: few, target_limit: 3, file_sd_configs: [{files: ["${folder}/*.json"]}]}]
`;
  list(3);
  const up = await startShoal({
    args: ["up", "--coordinator.interval=1s", "--shard.min-shard=2"],
    config,
  });
  t.after(() => up.stop());
  const { activeTargets } = await targets(up, 3, "up");
  assert.equal(new Set(activeTargets.flatMap(({ shards = [] }) => shards)).size, 2);

  list(4);
  const ours = await targets(up, 4, "down");
  const peer = await startPrometheus({ config });
  t.after(() => peer?.stop());
  const theirs = peer === undefined ? undefined : await targets(peer, 4, "down");
  const error = "target_limit exceeded (number of targets: 4, limit: 3)";
  assert.deepEqual(errorsOf(ours), exporters.map(({ address }) => `${address}: ${error}`).sort());
  if (theirs !== undefined) assert.deepEqual(errorsOf(ours), errorsOf(theirs));
  assert.equal(exporters[3]!.requests.length, 0, "a refused target was asked");
  await until("up is 0 for all", async () => {
    const query = encodeURIComponent("count(up == 0)");
    const { result } = await apiData<{ result: { value: [number, string] }[] }>(
      `${up.url}/api/v1/query?query=${query}`,
    );
    return result[0]?.value[1] === "4" || undefined;
  });

  list(3);
  await targets(up, 3, "up");
});

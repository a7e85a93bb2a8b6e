/** The demonstration checks itself; this runs it as a user does and reads its figures. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { partPath, SHOAL_COMMAND, skipWithoutParts, startChild } from "./support/processes.ts";

interface Figures {
  readonly shards: number;
  readonly targets: number;
  readonly targetsPerShard: readonly number[];
  readonly headSeriesPerShard: readonly number[];
  readonly prometheusVersions?: readonly string[];
  readonly settleSeconds: number;
}

async function runDemo(flags: readonly string[]): Promise<Figures> {
  const child = startChild(process.execPath, [...SHOAL_COMMAND, "demo", "--check", ...flags]);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 0, stdout + stderr);
  const figures = JSON.parse(stdout.trim().split("\n").at(-1)!) as Figures;
  assert.equal(figures.shards, 3);
  assert.equal(figures.targets, 6);
  assert.ok(figures.settleSeconds > 0);
  return figures;
}

test(
  "shoal demo --check settles on 3 shards and verifies itself",
  { timeout: 180_000 },
  async () => {
    assert.equal((await runDemo([])).prometheusVersions, undefined);
  },
);

test(
  "the same on real Prometheus servers",
  { timeout: 240_000, skip: skipWithoutParts() },
  async () => {
    const figures = await runDemo([
      "--engine=prometheus",
      `--prometheus.binary=${partPath("prometheus")}`,
    ]);
    assert.deepEqual(figures.targetsPerShard, [2, 2, 2]);
    assert.deepEqual(figures.headSeriesPerShard, [20_100, 20_100, 20_100]);
    assert.equal(figures.prometheusVersions?.length, 3);
    for (const version of figures.prometheusVersions) assert.match(version, /^\d+\.\d+\.\d+/);
  },
);

/**
 * Adjacent blocks of two hours merged into one, by us and by Prometheus's own engine, each in a process of its own: CPU time
 * of all its threads and memory at most. Ours has merged before, as one that runs for days has. The same with twice the
 * series, and with four times the samples, tells what that grows with.
 * Run: node bench/block/merge-peer.bench.ts [series, default 100000]
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { randomInt, seededRandom, systemRandom } from "../../src/base/random.ts";
import { openBlock } from "../../src/block/block.ts";
import { mergeBlocks } from "../../src/block/merge.ts";
import { isUlid, newUlid } from "../../src/block/ulid.ts";
import { Labels } from "../../src/model/labels.ts";
import { report } from "../support/report.ts";
import { openTimedDatabase } from "../support/timed-database.ts";
import { runTsdbPeer } from "../support/tsdb-peer.ts";

const HOUR = 3_600_000;
const STEP_MS = 60_000;
const SHORT_STEP_MS = STEP_MS / 4;
const BLOCKS = 4;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (8 * HOUR));

/** Of the peer, or of a process of ours. */
interface Merged {
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
}

async function main(series: number): Promise<void> {
  const base = await measure({ series, stepMs: STEP_MS }, [3, BLOCKS]);
  const others = [
    ["four times the samples", { series, stepMs: SHORT_STEP_MS }],
    ["twice the series", { series: series * 2, stepMs: STEP_MS }],
  ] as const;
  for (const [what, shape] of others) {
    const { ours, peer } = await measure(shape, [BLOCKS]);
    report({
      name: `memory at most of a merge of ${BLOCKS} blocks, ${what} beside once`,
      unit: "×",
      ours: ours.peakRssBytes / base.ours.peakRssBytes,
      ...(base.peer === undefined || peer === undefined
        ? {}
        : { peer: peer.peakRssBytes / base.peer.peakRssBytes }),
      better: "less",
    });
  }
}

interface Shape {
  readonly series: number;
  /** Between samples. */
  readonly stepMs: number;
}

/** Merges the first so many of the blocks for each of `counts`; the figures of the last. */
async function measure(
  { series, stepMs }: Shape,
  counts: readonly number[],
): Promise<{ ours: Merged; peer: Merged | undefined }> {
  const folder = mkdtempSync(join(tmpdir(), "shoal-bench-merge-"));
  try {
    await makeBlocks(join(folder, "data"), { series, stepMs });
    const blocks = readdirSync(join(folder, "data")).filter(isUlid).sort();
    const paths = blocks.slice(0, BLOCKS).map((name) => join(folder, "data", name));
    let figures: { ours: Merged; peer: Merged | undefined } | undefined;
    for (const count of counts) {
      const inputs = paths.slice(0, count);
      const [out, peerOut] = [join(folder, `ours-${count}`), join(folder, `peer-${count}`)];
      mkdirSync(out);
      const args = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=2"];
      const said = execFileSync(process.execPath, [
        ...args,
        fileURLToPath(import.meta.url),
        "merge",
        out,
        ...inputs,
      ]);
      const ours = JSON.parse(said.toString()) as Merged;
      const samples = await samplesOf(inputs);
      const [merged] = readdirSync(out);
      if ((await samplesOf([join(out, merged!)])) !== samples) throw new Error("merged wrongly");
      const peer = runTsdbPeer<Merged>("merge", peerOut, ...inputs);
      figures = { ours, peer };
      report({
        name: `merge of ${count} blocks of ${series} series every ${stepMs / 1000} s, per core`,
        unit: "M samples/s",
        ours: samples / ours.cpuSeconds / 1e6,
        ...(peer === undefined ? {} : { peer: samples / peer.cpuSeconds / 1e6 }),
        better: "more",
        gate: "≥ 2×",
      });
      report({
        name: `memory at most of a merge of ${count} blocks of ${series} series every ${stepMs / 1000} s`,
        unit: "MB",
        ours: ours.peakRssBytes / 2 ** 20,
        ...(peer === undefined ? {} : { peer: peer.peakRssBytes / 2 ** 20 }),
        better: "less",
      });
    }
    return figures!;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function samplesOf(folders: readonly string[]): Promise<number> {
  let samples = 0;
  for (const folder of folders) {
    const block = await openBlock(folder);
    samples += block.meta.stats.numSamples!;
    await block.close();
  }
  return samples;
}

/** The process that merges; prints its figures. */
async function merge(parent: string, folders: readonly string[]): Promise<void> {
  const mergeOnce = async (): Promise<string> => {
    const blocks = await Promise.all(folders.map((folder) => openBlock(folder)));
    const ulid = newUlid({ clock: systemClock, random: systemRandom });
    const merged = await mergeBlocks(blocks, { parent, ulid });
    for (const block of blocks) await block.close();
    return merged!;
  };
  rmSync(await mergeOnce(), { recursive: true });
  const before = process.cpuUsage();
  await mergeOnce();
  const { user, system } = process.cpuUsage(before);
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  const merged: Merged = {
    cpuSeconds: (user + system) / 1e6,
    peakRssBytes: Number(peak) * 1024,
  };
  console.log(JSON.stringify(merged));
}

/** Blocks of two hours. */
async function makeBlocks(path: string, { series, stepMs }: Shape): Promise<void> {
  const random = seededRandom(1);
  let nowMs = START;
  const db = await openTimedDatabase(path, () => nowMs);
  const refs = Int32Array.from({ length: series }, (_, i) =>
    db.resolve(
      Labels.fromObject({
        __name__: `metric_${i % 500}`,
        namespace: `ns-${i % 40}`,
        job: `job-${i % 20}`,
        instance: `10.0.${(i >> 8) & 255}.${i & 255}:9100`,
        pod: `pod-${i % 5000}`,
        le: String(i),
      }),
    ),
  );
  const times = new Float64Array(series);
  const values = Float64Array.from(refs, () => randomInt(random, 1e6));
  while (db.blocks().length < BLOCKS) {
    times.fill(nowMs);
    for (let i = 0; i < series; i++) values[i] = values[i]! + (i % 3 === 0 ? 0 : i % 100);
    await db.append({ refs, times, values, count: series });
    nowMs += stepMs;
    if (nowMs % HOUR === 0) await db.maintain();
  }
  await db.close();
}

const [task, ...rest] = process.argv.slice(2);
if (task === "merge") await merge(rest[0]!, rest.slice(1));
else await main(Number(task ?? 100_000));

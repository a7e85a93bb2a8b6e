/**
 * A full head, beside Prometheus's: memory per series with 9 labels × 120 samples, all in, and how many samples a second one
 * core appends, without the write-ahead log and with it.
 * Run: node --expose-gc bench/tsdb/head-memory.bench.ts [series, default 1000000]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { createMatcher } from "../../src/model/matcher.ts";
import { openHead } from "../../src/tsdb/open-head.ts";
import { APPENDED, HeadStore } from "../../src/tsdb/head-store.ts";
import { firstValues, growth, labelsOf, SCRAPE_SAMPLES, STEP_MS } from "../support/head-load.ts";
import { report } from "../support/report.ts";
import { runTsdbPeer } from "../support/tsdb-peer.ts";

const SERIES = Number(process.argv[2] ?? 1_000_000);
const SAMPLES = 120;
/** Without the log fewer series are enough: none of it grows with their number. */
const MEMORY_SERIES = Math.min(SERIES, 200_000);
const START = Math.floor(systemClock.now() / 7_200_000) * 7_200_000;

/** Of the peer, or of a head here; CPU time is of all threads, the collectors' too. */
interface Filled {
  readonly appended: number;
  readonly appendSeconds: number;
  readonly rssBytes: number;
}

const folder = mkdtempSync(join(tmpdir(), "head-bench-"));
try {
  const ours = await fillHead(join(folder, "ours"));
  rmSync(join(folder, "ours"), { recursive: true });
  const peer = runTsdbPeer<Filled>("head", String(SERIES), String(SAMPLES), join(folder, "peer"));
  reportAppend("append with write-ahead log", { ours, peer, gate: "≥ 1 M/s a core" });
  report({
    name: `head memory per series, ${SERIES} series × 9 labels × ${SAMPLES} samples`,
    unit: "B",
    ours: ours.rssBytes / SERIES,
    ...(peer === undefined ? {} : { peer: peer.rssBytes / SERIES }),
    better: "less",
    gate: "≤ 1,500 B, goal 1,000 B",
  });
  // Last: what it leaves behind would be taken for free memory.
  reportAppend("append in memory", {
    ours: fillStore(MEMORY_SERIES),
    peer: runTsdbPeer<Filled>("head", String(MEMORY_SERIES), String(SAMPLES), ""),
    gate: "≥ 5 M/s a core",
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function reportAppend(
  name: string,
  { ours, peer, gate }: { ours: Filled; peer: Filled | undefined; gate: string },
): void {
  const rate = ({ appended, appendSeconds }: Filled): number => appended / appendSeconds / 1e6;
  report({
    name: `${name}, per core`,
    unit: "M samples/s",
    ours: rate(ours),
    ...(peer === undefined ? {} : { peer: rate(peer) }),
    better: "more",
    gate,
  });
}

/** Appends to what a head keeps its samples in, without log or files. */
function fillStore(seriesCount: number): Filled {
  const store = new HeadStore({ chunkSamples: 120, chunkRangeMs: 7_200_000, maxExemplars: 0 });
  const refs = Int32Array.from({ length: seriesCount }, (_, i) => store.resolve(labelsOf(i)).ref);
  const values = firstValues(seriesCount);
  const words = new Int32Array(values.buffer);
  let [appended, cpuMicros] = [0, 0];
  for (let k = 0; k < SAMPLES; k++) {
    for (let i = 0; i < seriesCount; i++) values[i] = values[i]! + growth(i, k);
    const before = process.cpuUsage();
    let stored = 0;
    const t = START + k * STEP_MS;
    for (let i = 0; i < seriesCount; i++)
      if (store.append(refs[i]!, t, words[2 * i]!, words[2 * i + 1]!) === APPENDED) stored++;
    const { user, system } = process.cpuUsage(before);
    if (stored !== seriesCount) throw new Error(`only ${stored} samples were stored`);
    // The first sample of a series is part of making it.
    if (k === 0) continue;
    appended += stored;
    cpuMicros += user + system;
  }
  return { appended, appendSeconds: cpuMicros / 1e6, rssBytes: 0 };
}

async function fillHead(dataFolder: string): Promise<Filled> {
  const head = await openHead({
    folder: dataFolder,
    logger: silentLogger,
    clock: systemClock,
    registry: new Registry(),
    retentionMs: 86_400_000,
  });
  const baseRss = rss();
  let start = mark();
  const refs = new Int32Array(SERIES);
  for (let i = 0; i < SERIES; i++) refs[i] = head.resolve(labelsOf(i));
  print("create series", SERIES, start);
  console.log(`  ${((rss() - baseRss) / SERIES).toFixed(0)} bytes RSS per series so far`);
  const current = firstValues(SERIES);
  const times = new Float64Array(SCRAPE_SAMPLES);
  const values = new Float64Array(SCRAPE_SAMPLES);
  let [appended, cpuMicros] = [0, 0];
  for (let k = 0; k < SAMPLES; k++)
    for (let from = 0; from < SERIES; from += SCRAPE_SAMPLES) {
      const count = Math.min(SCRAPE_SAMPLES, SERIES - from);
      times.fill(START + k * STEP_MS);
      for (let i = 0; i < count; i++)
        values[i] = current[from + i] = current[from + i]! + growth(from + i, k);
      const columns = { refs: refs.subarray(from, from + count), times, values, count };
      const before = process.cpuUsage();
      const result = await head.append(columns);
      const { user, system } = process.cpuUsage(before);
      if (result.appended !== count) throw new Error(`only ${result.appended} were stored`);
      if (k === 0) continue;
      appended += count;
      cpuMicros += user + system;
    }
  const filled = { appended, appendSeconds: cpuMicros / 1e6, rssBytes: rss() - baseRss };
  for (const [name, matchers] of [
    ["select all", [createMatcher("__name__", "=~", ".+")]],
    ["select one metric", [createMatcher("__name__", "=", "container_stat_3")]],
  ] as const) {
    start = mark();
    let count = 0;
    let size = 0;
    for await (const batch of head.select({ matchers, minTimeMs: 0, maxTimeMs: Infinity }))
      for (const series of batch.series) {
        count++;
        for (const chunk of series.chunks) size += chunk.data.length;
      }
    print(name, count, start);
    console.log(`  ${(size / count / SAMPLES).toFixed(2)} bytes per sample`);
  }
  await head.close();
  return filled;
}

function rss(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

interface Mark {
  readonly wallMs: number;
  readonly cpu: NodeJS.CpuUsage;
}

function mark(): Mark {
  return { wallMs: performance.now(), cpu: process.cpuUsage() };
}

/** Prints the rate by the wall clock, and CPU time (all threads, the collector's too), which a busy machine distorts less. */
function print(what: string, count: number, start: Mark): void {
  const ms = performance.now() - start.wallMs;
  const { user, system } = process.cpuUsage(start.cpu);
  console.log(
    `${what.padEnd(20)} ${count} in ${ms.toFixed(0)} ms = ${(count / ms / 1000).toFixed(2)} M/s, ${(((user + system) * 1000) / count).toFixed(0)} ns of CPU each`,
  );
}

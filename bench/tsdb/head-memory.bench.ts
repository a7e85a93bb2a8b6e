/**
 * The head: memory per series and append speed at 9 labels × 120 samples.
 * Run: node --expose-gc bench/tsdb/head-memory.bench.ts [series, default 200000]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { Labels } from "../../src/model/labels.ts";
import { createMatcher } from "../../src/model/matcher.ts";
import { openHead } from "../../src/tsdb/head.ts";
import { report } from "../support/report.ts";

const SERIES = Number(process.argv[2] ?? 200_000);
const SAMPLES = 120;
/** Samples of one scrape. */
const SCRAPE = 10_000;
const folder = mkdtempSync(join(tmpdir(), "head-bench-"));
const random = seededRandom(7);
const head = await openHead({
  folder,
  logger: silentLogger,
  clock: systemClock,
  registry: new Registry(),
  retentionMs: 86_400_000,
});
try {
  const baseRss = rss();
  let start = mark();
  const refs = new Int32Array(SERIES);
  for (let i = 0; i < SERIES; i++) refs[i] = head.resolve(labelsOf(i));
  print("create series", SERIES, start);
  const createdRss = rss();
  console.log(`  ${((createdRss - baseRss) / SERIES).toFixed(0)} bytes RSS per series so far`);

  const current = new Float64Array(SERIES);
  for (let i = 0; i < SERIES; i++) current[i] = randomInt(random, 1e6);
  const times = new Float64Array(SCRAPE);
  const values = new Float64Array(SCRAPE);
  const t0 = Math.floor(systemClock.now() / 7_200_000) * 7_200_000;
  let appended = 0;
  start = mark();
  for (let k = 0; k < SAMPLES; k++)
    for (let from = 0; from < SERIES; from += SCRAPE) {
      const count = Math.min(SCRAPE, SERIES - from);
      for (let i = 0; i < count; i++) {
        times[i] = t0 + k * 15_000;
        if ((from + i) % 3 !== 0) current[from + i]! += randomInt(random, 100);
        values[i] = current[from + i]!;
      }
      const columns = { refs: refs.subarray(from, from + count), times, values, count };
      appended += (await head.append(columns)).appended;
    }
  print("append with WAL", SERIES * SAMPLES, start);
  if (appended !== SERIES * SAMPLES) throw new Error(`only ${appended} samples were stored`);
  const fullRss = rss();
  report({
    name: `head memory per series, 9 labels × ${SAMPLES} samples`,
    unit: "B",
    ours: (fullRss - baseRss) / SERIES,
    better: "less",
    gate: "≤ 1,500 B, goal 1,000 B",
  });

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
  start = mark();
  await head.close();
  const again = await openHead({
    folder,
    logger: silentLogger,
    clock: systemClock,
    registry: new Registry(),
    retentionMs: 86_400_000,
  });
  print("replay", again.stats().sampleCount, start);
  await again.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Labels shaped like those of cAdvisor: 50 series a pod. */
function labelsOf(i: number): Labels {
  const pod = Math.floor(i / 50);
  const k = i % 50;
  return Labels.fromSorted([
    "__name__",
    `container_stat_${Math.floor(k / 5)}`,
    "cluster",
    "c1",
    "container",
    `c${k % 5}`,
    "instance",
    `10.0.${pod >> 8}.${pod & 255}:10250`,
    "job",
    "cadvisor",
    "namespace",
    `ns-${pod % 200}`,
    "node",
    `node-${pod % 500}`,
    "pod",
    `app-${(Math.imul(pod, 0x9e3779b1) >>> 0).toString(16)}-${pod}`,
    "stat",
    `stat_${k % 7}`,
  ]);
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

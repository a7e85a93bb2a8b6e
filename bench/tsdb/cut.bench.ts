/**
 * A head of a million series is cut while its targets are scraped: how late their samples are in, and how long the cut takes.
 * Run: node --expose-gc bench/tsdb/cut.bench.ts [series, default 1000000]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../../src/tsdb/database.ts";
import { firstValues, growth, labelsOf, SCRAPE_SAMPLES } from "../support/head-load.ts";
import { report, round } from "../support/report.ts";
import { openTimedDatabase } from "../support/timed-database.ts";

const SERIES = Number(process.argv[2] ?? 1_000_000);
const HOUR = 3_600_000;
/** Of the samples before the cut: 120 a series in the two hours that go to the block. */
const STEP_MS = 60_000;
/** While the cut is under way each target is scraped so often. */
const INTERVAL_MS = 15_000;
const BEFORE_MS = 10_000;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (2 * HOUR));

const folder = mkdtempSync(join(tmpdir(), "shoal-bench-cut-"));
let nowMs = START;
const targets = Math.ceil(SERIES / SCRAPE_SAMPLES);
const values = firstValues(SERIES);
let refs = new Int32Array(0);

try {
  const db = await openTimedDatabase(folder, () => nowMs);
  refs = Int32Array.from({ length: SERIES }, (_, i) => db.resolve(labelsOf(i)));
  for (let k = 0; nowMs - START <= 3 * HOUR; k++, nowMs += STEP_MS)
    for (let target = 0; target < targets; target++) await scrape(db, target, k);
  const filledRss = process.memoryUsage.rss();
  const quiet = await scrapeDuring(db, () => sleep(BEFORE_MS));
  const cpu = process.cpuUsage();
  let tookMs = 0;
  let peakRss = 0;
  const timer = setInterval(() => (peakRss = Math.max(peakRss, process.memoryUsage.rss())), 100);
  const busy = await scrapeDuring(db, async () => {
    const started = performance.now();
    await db.maintain();
    tookMs = performance.now() - started;
  });
  clearInterval(timer);
  const { user, system } = process.cpuUsage(cpu);
  const [meta] = db.blocks();
  if (meta?.stats.numSeries !== SERIES) throw new Error("the block is not as it should be");
  console.log(
    `${busy.length} scrapes in ${round(tookMs)} ms of cut; lateness p50 ${round(at(busy, 0.5))} ms, worst ${round(at(busy, 1))} ms; without a cut p99 ${round(at(quiet, 0.99))} ms; RSS ${round(filledRss / 2 ** 20)} MB, at most ${round(peakRss / 2 ** 20)} MB`,
  );
  report({
    name: `lateness of scrapes during a cut of ${SERIES} series, p99`,
    unit: "ms",
    ours: at(busy, 0.99),
    better: "less",
    gate: "≤ 500 ms",
  });
  report({
    name: `cut of ${SERIES} series, scrapes included`,
    unit: "ns CPU/sample",
    ours: ((user + system) * 1000) / meta.stats.numSamples!,
    better: "less",
  });
  report({
    name: "RSS at most during the cut, beside before",
    unit: "×",
    ours: peakRss / filledRss,
    better: "less",
  });
  await db.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function scrape(db: Database, target: number, k: number): Promise<void> {
  const from = target * SCRAPE_SAMPLES;
  const count = Math.min(SCRAPE_SAMPLES, SERIES - from);
  for (let i = from; i < from + count; i++) values[i] = values[i]! + growth(i, k);
  const result = await db.append({
    refs: refs.subarray(from, from + count),
    times: new Float64Array(count).fill(nowMs),
    values: values.slice(from, from + count),
    count,
  });
  if (result.appended !== count) throw new Error(`refused: ${JSON.stringify(result)}`);
}

/** Scrapes the targets in turn, each once an interval, while `act` runs; how late each scrape was in, ascending. */
async function scrapeDuring(db: Database, act: () => Promise<unknown>): Promise<number[]> {
  const lateness: number[] = [];
  const scrapes: Promise<void>[] = [];
  const beganMs = performance.now();
  const baseMs = nowMs;
  let isDone = false;
  const acting = act().finally(() => (isDone = true));
  for (let n = 0; !isDone; n++) {
    const dueMs = beganMs + (n * INTERVAL_MS) / targets;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    nowMs = Math.max(nowMs, baseMs + Math.round(dueMs - beganMs));
    scrapes.push(
      scrape(db, n % targets, n).then(() => void lateness.push(performance.now() - dueMs)),
    );
  }
  await acting;
  await Promise.all(scrapes);
  nowMs += STEP_MS;
  return lateness.sort((a, b) => a - b);
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

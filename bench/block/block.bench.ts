/**
 * Blocks: cutting a head (and how late the event loop is meanwhile), opening, reading and merging. 100,000 series of 9
 * labels by default. Run: node --expose-gc bench/block/block.bench.ts [series]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { createLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { type Block, openBlock } from "../../src/block/block.ts";
import { mergeBlocks } from "../../src/block/merge.ts";
import { newUlid } from "../../src/block/ulid.ts";
import { Labels } from "../../src/model/labels.ts";
import { createMatcher } from "../../src/model/matcher.ts";
import { openDatabase } from "../../src/tsdb/database.ts";
import { median, report, round } from "../support/report.ts";

const SERIES = Number(process.argv[2] ?? 100_000);
const HOUR = 3_600_000;
const STEP_MS = 60_000;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (2 * HOUR));
const random = seededRandom(1);
const folder = mkdtempSync(join(tmpdir(), "shoal-bench-block-"));
const logger = createLogger({ level: "error" });

function rss(): string {
  globalThis.gc?.();
  return `${round(process.memoryUsage().rss / 2 ** 20)} MB`;
}

try {
  let nowMs = START;
  const clock = { ...systemClock, now: () => nowMs, after: () => () => {} };
  const db = await openDatabase({
    folder,
    logger,
    clock,
    registry: new Registry(),
    retentionMs: 1e12,
    maxBlockMs: 2 * HOUR,
  });
  const refs = Int32Array.from({ length: SERIES }, (_, i) =>
    db.resolve(
      Labels.fromObject({
        __name__: `metric_${i % 500}`,
        cluster: "eu-1",
        namespace: `ns-${i % 40}`,
        job: `job-${i % 20}`,
        instance: `10.0.${(i >> 8) & 255}.${i & 255}:9100`,
        pod: `pod-${i % 5000}`,
        container: "main",
        code: String(200 + (i % 7)),
        le: String(i % 11),
      }),
    ),
  );
  const times = new Float64Array(SERIES);
  const values = new Float64Array(SERIES);
  for (let i = 0; i < SERIES; i++) values[i] = randomInt(random, 1e6);
  const append = async (): Promise<void> => {
    nowMs += STEP_MS;
    times.fill(nowMs);
    for (let i = 0; i < SERIES; i++) values[i] = values[i]! + (i % 3 === 0 ? 0 : i % 100);
    await db.append({ refs, times, values, count: SERIES });
  };
  const blocks: Block[] = [];
  for (let round_ = 0; round_ < 4; round_++) {
    while (db.head.stats().maxTimeMs - db.head.stats().minTimeMs <= 3 * HOUR) await append();
    let worst = 0;
    let last = performance.now();
    const lateness: number[] = [];
    const timer = setInterval(() => {
      const now = performance.now();
      lateness.push(now - last - 10);
      worst = Math.max(worst, now - last - 10);
      last = now;
    }, 10);
    const started = performance.now();
    const cpu = process.cpuUsage();
    await db.maintain();
    clearInterval(timer);
    const tookMs = performance.now() - started;
    const used = process.cpuUsage(cpu);
    const meta = db.blocks().at(-1)!;
    blocks.push(await openBlock(join(folder, meta.ulid)));
    if (round_ !== 3) continue;
    const samples = meta.stats.numSamples!;
    lateness.sort((a, b) => a - b);
    console.log(
      `cut of ${SERIES} series, ${samples} samples: ${round(tookMs)} ms, RSS ${rss()}, lateness p99 ${round(lateness[Math.floor(lateness.length * 0.99)]!)} ms, worst ${round(worst)} ms`,
    );
    report({
      name: `Head cut, ${SERIES} series`,
      unit: "ns CPU/sample",
      ours: ((used.user + used.system) * 1000) / samples,
      better: "less",
    });
    report({
      name: "Lateness of the event loop during a cut, worst",
      unit: "ms",
      ours: worst,
      better: "less",
      gate: "p99 ≤ 500 ms",
    });
  }

  const opens: number[] = [];
  for (let i = 0; i < 9; i++) {
    const started = performance.now();
    const block = await openBlock(blocks[0]!.folder);
    opens.push(performance.now() - started);
    await block.close();
  }
  report({ name: `Block open, ${SERIES} series`, unit: "ms", ours: median(opens), better: "less" });

  const read = async (name: string, expression: string): Promise<void> => {
    const matchers = [createMatcher("__name__", "=~", expression)];
    const spent: number[] = [];
    let found = 0;
    for (let i = 0; i < 5; i++) {
      found = 0;
      const started = performance.now();
      for await (const batch of blocks[0]!.select({ matchers, minTimeMs: 0, maxTimeMs: Infinity }))
        found += batch.series.length;
      spent.push(performance.now() - started);
    }
    report({
      name: `Block select, ${name} (${found} series)`,
      unit: "µs/series",
      ours: (median(spent) * 1000) / found,
      better: "less",
    });
  };
  await read("one metric", "metric_7");
  await read("all", ".+");

  const merge = async (name: string, inputs: readonly Block[], expected: number): Promise<void> => {
    const started = performance.now();
    const cpu = process.cpuUsage();
    const merged = await mergeBlocks(inputs, {
      parent: folder,
      ulid: newUlid({ clock: systemClock, random }),
    });
    const used = process.cpuUsage(cpu);
    const tookMs = performance.now() - started;
    const block = await openBlock(merged!);
    const samples = inputs.reduce((total, { meta }) => total + meta.stats.numSamples!, 0);
    if (block.meta.stats.numSamples !== expected)
      throw new Error(`merged wrongly: ${block.meta.stats.numSamples} samples`);
    await block.close();
    console.log(`merge of ${name}: ${round(tookMs)} ms, RSS ${rss()}`);
    report({
      name: `Merge of ${name}, per core`,
      unit: "M samples/s",
      ours: samples / (used.user + used.system),
      better: "more",
    });
  };
  const all = blocks.reduce((total, { meta }) => total + meta.stats.numSamples!, 0);
  await merge("4 adjacent blocks", blocks, all);
  // The same block twice with its samples shifted by nothing is one chunk; one deleted sample makes each chunk differ.
  const { withoutDeleted } = await import("../../src/block/recode.ts");
  const shifted = await rewrite(blocks[0]!, (chunk) =>
    withoutDeleted(chunk, [{ minTime: chunk.minTimeMs, maxTime: chunk.minTimeMs }]),
  );
  await merge("2 overlapping blocks", [shifted, blocks[0]!], blocks[0]!.meta.stats.numSamples!);
  for (const block of [...blocks, shifted]) await block.close();
  await db.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** A copy of a block with each chunk changed. */
async function rewrite(
  block: Block,
  change: (
    chunk: import("../../src/storage/queryable.ts").Chunk,
  ) => readonly import("../../src/storage/queryable.ts").Chunk[],
): Promise<Block> {
  const { BlockWriter } = await import("../../src/block/writer.ts");
  const writer = await BlockWriter.create({
    parent: folder,
    ulid: newUlid({ clock: systemClock, random }),
  });
  const { symbols } = block.index;
  await writer.addSymbols(Array.from({ length: symbols.count }, (_, i) => symbols.bytesOf(i)));
  for await (const batch of block.select({ matchers: [], minTimeMs: 0, maxTimeMs: Infinity }))
    for (const { labels, chunks } of batch.series) {
      for (const chunk of chunks.flatMap(change)) await writer.addChunk(chunk);
      const places = Uint32Array.from([...labels].flat(), (text) => symbols.find(text));
      await writer.endSeries({ symbols: places, labelCount: labels.count });
    }
  const { minTime, maxTime, compaction } = block.meta;
  return openBlock(await writer.finish({ minTime, maxTime, compaction }));
}

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { createMatcher } from "../model/matcher.ts";
import { newHistogram } from "../model/histogram.ts";
import { decodeHistogramChunk } from "../storage/chunk-encodings.ts";
import { ENCODING_XOR, type Series } from "../storage/queryable.ts";
import { type Database, type DatabaseOptions, openDatabase } from "./database.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";
import { histogramColumns } from "./testing/histogram-fixture.ts";

/** What many at once, odd values and a clock that jumps must not do to a database. */
const HOUR = 3_600_000;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (18 * HOUR));
const root = await mkdtemp(join(tmpdir(), "isolation-test-"));
after(() => rm(root, { recursive: true, force: true }));
const any = [createMatcher("__name__", "=~", ".+")];

function settings(name: string, changes: Partial<DatabaseOptions> = {}): DatabaseOptions {
  return {
    folder: join(root, name),
    logger: silentLogger,
    clock: stoppedClock(START),
    registry: new Registry(),
    retentionMs: 1e12,
    ...changes,
  };
}

/** The times of all samples of a series. */
function timesOf(series: Series): number[] {
  return series.chunks.flatMap((chunk) =>
    chunk.encoding === ENCODING_XOR
      ? samples({ labels: series.labels, chunks: [chunk] }).map(([t]) => t)
      : [...decodeHistogramChunk(chunk).times],
  );
}

test("no select sees half a scrape, whatever is scraped meanwhile", async () => {
  const db = await openDatabase(settings("scrapes", { outOfOrderTimeWindowMs: HOUR }));
  const random = seededRandom(12);
  const targets = Array.from({ length: 4 }, (_, target) =>
    Array.from({ length: 300 }, (__, i) =>
      db.resolve(labels({ __name__: `m${i % 7}`, target: String(target), i: String(i) })),
    ),
  );
  let isDone = false;
  let scrapes = 0;
  const scraper = async (target: number): Promise<void> => {
    for (let k = 0; !isDone; k++) {
      const t = START + k * 1000;
      const isLate = k > 20 && random.next() < 0.1;
      const timeMs = isLate ? t - 10_500 : t;
      const [histogramRef, ...refs] = targets[target]!;
      const histogram = newHistogram({ count: k, zeroCount: k, sum: k });
      const result = await db.append({
        ...columns(refs.map((ref) => [ref, timeMs, k] as const)),
        histograms: histogramColumns([{ ref: histogramRef!, timeMs, histogram, isFloat: true }]),
      });
      assert.equal(result.appended + result.appendedHistograms, 300);
      scrapes++;
      if (random.next() < 0.3) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const scraping = Promise.all(targets.map((_, target) => scraper(target)));
  while (scrapes < 40) await new Promise((resolve) => setImmediate(resolve));
  for (let k = 0; k < 40; k++) {
    const wanted = new Map<string, string>();
    let seen = 0;
    for await (const { series } of db.select({
      matchers: any,
      minTimeMs: -Infinity,
      maxTimeMs: Infinity,
    })) {
      for (const one of series) {
        const target = one.labels.get("target");
        const times = timesOf(one).join(" ");
        if (!wanted.has(target)) wanted.set(target, times);
        assert.equal(times, wanted.get(target), `select ${k}: ${one.labels.toString()}`);
        seen++;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(seen, 1200);
  }
  isDone = true;
  await scraping;
  assert.ok(scrapes > 100);
  await db.close();
});

test("a million random bit patterns stay as they are, in head, log, files and block", async () => {
  const count = Number(process.env["SHOAL_VALUES"] ?? 1_000_000);
  const options = settings("bits", { chunkMemoryBytes: 0 });
  let db = await openDatabase(options);
  const random = seededRandom(31);
  const seriesCount = 200;
  const perSeries = Math.ceil(count / seriesCount);
  const refs = Array.from({ length: seriesCount }, (_, i) =>
    db.resolve(labels({ __name__: "m", i: String(i).padStart(3, "0") })),
  );
  const words = new Uint32Array(2 * seriesCount * perSeries);
  for (let i = 0; i < words.length; i++) words[i] = randomInt(random, 2 ** 32);
  // Every second one is a NaN, of either sign, quiet or signalling.
  for (let i = 1; i < words.length; i += 4) words[i] = (words[i]! | 0x7ff00000) >>> 0;
  const values = new Float64Array(words.buffer);
  for (let k = 0; k < perSeries; k++) {
    const own = new Float64Array(seriesCount);
    own.set(values.subarray(k * seriesCount, (k + 1) * seriesCount));
    const result = await db.append({
      refs: Int32Array.from(refs),
      times: new Float64Array(seriesCount).fill(START + k * 1000),
      values: own,
      count: seriesCount,
    });
    assert.equal(result.appended, seriesCount);
  }
  const check = async (where: string): Promise<void> => {
    let found = 0;
    for (const [i, series] of (await read(db, any)).entries()) {
      for (const chunk of series.chunks) {
        const bits = bitsOf(chunk.data);
        for (const [t, low, high] of bits) {
          const at = 2 * (((t - START) / 1000) * seriesCount + i);
          if (low !== words[at] || high !== words[at + 1])
            assert.fail(`${where}: series ${i} at ${t}: ${low} ${high}`);
          found++;
        }
      }
    }
    assert.equal(found, seriesCount * perSeries, where);
  };
  await check("head");
  await db.close();
  await rm(join(options.folder, "chunks_head"), { recursive: true });
  db = await openDatabase(options);
  await check("log");
  await db.close();
  db = await openDatabase(options);
  await check("files");
  // One sample hours later, and what was before is cut to blocks.
  await db.append(columns([[refs[0]!, START + 7 * HOUR, 1]]));
  await db.maintain();
  assert.ok(db.blocks().length > 0);
  const range = { maxTimeMs: START + 6 * HOUR };
  const blocks = await read(db, any, range);
  assert.equal(blocks.length, seriesCount);
  let found = 0;
  for (const [i, series] of blocks.entries())
    for (const chunk of series.chunks)
      for (const [t, low, high] of bitsOf(chunk.data)) {
        if (t > range.maxTimeMs) continue;
        const at = 2 * (((t - START) / 1000) * seriesCount + i);
        if (low !== words[at] || high !== words[at + 1])
          assert.fail(`block: series ${i} at ${t}: ${low} ${high}`);
        found++;
      }
  assert.equal(found, seriesCount * perSeries);
  await db.close();
});

function bitsOf(data: Uint8Array): [t: number, low: number, high: number][] {
  const count = xorSampleCount(data);
  const into = { times: new Float64Array(count), values: new Float64Array(count), offset: 0 };
  decodeXor(data, into);
  const words = new Uint32Array(into.values.buffer);
  return Array.from(into.times, (t, i) => [t, words[2 * i]!, words[2 * i + 1]!]);
}

test("a clock that jumps loses nothing that was there, and counts what it makes late", async () => {
  const clock = stoppedClock(START + 24 * HOUR);
  const options = settings("clock", { clock, retentionMs: 48 * HOUR });
  const db = await openDatabase(options);
  const ref = db.resolve(labels({ __name__: "m" }));
  const scrape = async (): Promise<string> => {
    const result = await db.append(columns([[ref, clock.nowMs, clock.nowMs]]));
    await db.maintain();
    if (result.appended === 1) return "stored";
    assert.equal(result.outOfOrder + result.outOfBounds, 1);
    return "late";
  };
  const run = async (steps: number): Promise<string> => {
    const found = new Set<string>();
    for (let k = 0; k < steps; k++) {
      clock.nowMs += 15_000;
      found.add(await scrape());
    }
    return [...found].join(" ");
  };
  const stored = async (): Promise<number> =>
    (await read(db, any)).flatMap((one) => timesOf(one)).length;
  assert.equal(await run(100), "stored");
  clock.nowMs -= HOUR;
  assert.equal(await run(20), "late");
  clock.nowMs += HOUR;
  assert.equal(await run(100), "stored");
  clock.nowMs += HOUR;
  assert.equal(await run(10), "stored");
  // Back to the right time: all is late until it has caught up, but for who allows that.
  clock.nowMs -= HOUR;
  assert.equal(await run(10), "late");
  db.head.setOutOfOrderTimeWindow(2 * HOUR);
  assert.equal(await run(10), "stored");
  assert.equal(await stored(), 100 + 100 + 10 + 10);
  await db.close();
});

test("a database of another process is refused with that one's pid", async () => {
  const options = settings("owned");
  const first: Database = await openDatabase(options);
  await assert.rejects(openDatabase(options), {
    code: "already-exists",
    message: new RegExp(`process ${process.pid} is using it`),
  });
  await first.close();
});

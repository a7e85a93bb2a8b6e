import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import type { BlockMeta } from "../block/meta.ts";
import { writeMeta } from "../block/writer.ts";
import { verifyBlock } from "../block/verify.ts";
import { createMatcher } from "../model/matcher.ts";
import { type Database, type DatabaseOptions, openDatabase } from "./database.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";

const HOUR = 3_600_000;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (54 * HOUR));
const any = [createMatcher("__name__", "=~", ".+")];
const root = await mkdtemp(join(tmpdir(), "database-test-"));
after(() => rm(root, { recursive: true, force: true }));
let folders = 0;

function settings(changes: Partial<DatabaseOptions> = {}): DatabaseOptions & {
  clock: ReturnType<typeof stoppedClock>;
} {
  return {
    folder: join(root, `db-${folders++}`),
    logger: silentLogger,
    clock: stoppedClock(START),
    registry: new Registry(),
    retentionMs: 1000 * HOUR,
    ...changes,
  } as never;
}

/** Appends a sample every minute to each of `count` series, from `from` to `to` (exclusive); what is there after. */
async function fill(
  db: Database,
  clock: { nowMs: number },
  range: { from: number; to: number; count: number },
): Promise<void> {
  for (let t = range.from; t < range.to; t += 60_000) {
    clock.nowMs = t;
    const rows = Array.from({ length: range.count }, (_, i) => {
      const ref = db.resolve(labels({ __name__: `m${i % 5}`, i: String(i) }));
      return [ref, t + i, valueAt(t, i)] as const;
    });
    const result = await db.append(columns(rows));
    assert.equal(result.appended, range.count, JSON.stringify(result));
  }
}

function valueAt(t: number, i: number): number {
  return (t / 60_000) * (i + 1);
}

/** Checks that each of the series has every sample from `from` to `to` once. */
async function check(
  db: Database,
  range: { from: number; to: number; count: number },
): Promise<void> {
  const all = await read(db, any, { minTimeMs: range.from });
  assert.equal(all.length, range.count);
  for (const series of all) {
    const i = Number(series.labels.get("i"));
    const rows = samples(series).filter(([t]) => t >= range.from);
    assert.equal(rows.length, Math.ceil((range.to - range.from) / 60_000));
    for (const [k, [t, v]] of rows.entries())
      assert.deepEqual([t, v], [range.from + k * 60_000 + i, valueAt(t - i, i)]);
  }
}

describe("a database", () => {
  test("cuts its head to blocks, merges them, and finds every sample once", async () => {
    const options = settings();
    let db = await openDatabase(options);
    const range = { from: START, to: START + 21 * HOUR, count: 20 };
    for (let t = START; t < range.to; t += HOUR) {
      await fill(db, options.clock, { from: t, to: t + HOUR, count: 20 });
      await db.maintain();
    }
    await check(db, range);
    const blocks = db.blocks();
    assert.deepEqual(
      blocks.map(({ minTime, maxTime, compaction }) => [
        (minTime - START) / HOUR,
        (maxTime - START) / HOUR,
        compaction.level,
      ]),
      // The newest block waits, and with it those that could become 6 h with it.
      [
        [0, 6, 2],
        [6, 12, 2],
        [12, 14, 1],
        [14, 16, 1],
        [16, 18, 1],
      ],
    );
    assert.equal(blocks[0]!.compaction.sources.length, 3);
    assert.equal(db.head.lowestTimeMs, blocks.at(-1)!.maxTime);
    const everywhere = { minTimeMs: 0, maxTimeMs: Infinity };
    assert.deepEqual((await db.labelNames({ matchers: [], ...everywhere })).values, [
      "__name__",
      "i",
    ]);
    assert.equal((await db.labelValues("i", { matchers: any, ...everywhere })).values.length, 20);
    for (const { ulid } of blocks)
      assert.deepEqual((await verifyBlock(join(options.folder, ulid))).problems, []);
    // What is in blocks is refused, as by Prometheus.
    const ref = db.resolve(labels({ __name__: "late" }));
    assert.equal((await db.append(columns([[ref, START, 1]]))).outOfBounds, 1);
    await db.close();
    const wal = await readdir(join(options.folder, "wal"));
    assert.ok(wal.some((name) => name.startsWith("checkpoint.")) && wal.length < 6, wal.join());
    db = await openDatabase(options);
    await check(db, range);
    assert.deepEqual(db.blocks(), blocks);
    await db.close();
  });

  test("takes appends and answers queries while it cuts", async () => {
    const options = settings({ chunkRangeMs: 2 * HOUR });
    const db = await openDatabase(options);
    await fill(db, options.clock, { from: START, to: START + 3 * HOUR + 120_000, count: 200 });
    const cutting = db.maintain();
    let appends = 0;
    let done = false;
    void cutting.then(() => (done = true));
    let to = START + 3 * HOUR + 120_000;
    while (!done) {
      await fill(db, options.clock, { from: to, to: to + 60_000, count: 200 });
      to += 60_000;
      appends++;
      await check(db, { from: START, to, count: 200 });
    }
    assert.ok(appends >= 2, `${appends}`);
    assert.equal(db.blocks().length, 1);
    await check(db, { from: START, to, count: 200 });
    await db.close();
  });

  test("lets a query that began before the cut finish", async () => {
    const options = settings();
    const db = await openDatabase(options);
    const range = { from: START, to: START + 4 * HOUR, count: 600 };
    await fill(db, options.clock, range);
    const reading = db.select({ matchers: any, minTimeMs: START, maxTimeMs: Infinity });
    let count = 0;
    let samplesRead = 0;
    const cutting = db.maintain();
    for await (const batch of reading) {
      count += batch.series.length;
      for (const series of batch.series) samplesRead += samples(series).length;
    }
    await cutting;
    assert.deepEqual([count, samplesRead], [600, 600 * 240]);
    assert.equal(db.blocks().length, 1);
    await db.close();
  });

  test("drops blocks by age and by size", async () => {
    const options = settings({ retentionMs: 9 * HOUR, maxBlockMs: 2 * HOUR });
    let db = await openDatabase(options);
    await fill(db, options.clock, { from: START, to: START + 16 * HOUR, count: 3 });
    await db.maintain();
    await db.maintain();
    // The newest block ends at 14 h; blocks that end at 5 h or before are gone.
    assert.deepEqual(
      db.blocks().map(({ minTime }) => (minTime - START) / HOUR),
      [4, 6, 8, 10, 12],
    );
    await db.close();
    // At the start already, as Prometheus.
    db = await openDatabase({ ...options, registry: new Registry(), retentionMs: 5 * HOUR });
    assert.deepEqual(
      db.blocks().map(({ minTime }) => (minTime - START) / HOUR),
      [8, 10, 12],
    );
    await db.close();
    db = await openDatabase({ ...options, registry: new Registry(), retentionBytes: 1 });
    assert.equal(db.blocks().length, 0);
    await check(db, { from: START + 14 * HOUR, to: START + 16 * HOUR, count: 3 });
    await db.close();
  });

  test("metrics tell what was written, opened and cut off", async () => {
    const registry = new Registry();
    const options = settings({ registry, maxBlockMs: 6 * HOUR });
    const db = await openDatabase(options);
    // The log lets go of a segment when all of it is in blocks.
    for (const [from, to] of [
      [0, 8],
      [8, 16],
      [16, 24],
    ] as const) {
      await fill(db, options.clock, { from: START + from * HOUR, to: START + to * HOUR, count: 3 });
      await db.maintain();
    }
    const text = registry.expose();
    const value = (name: string): number =>
      Number(new RegExp(`^prometheus_tsdb_${name} (.*)$`, "m").exec(text)?.[1]);
    const written = value("compactions_total");
    assert.equal(value("compactions_triggered_total"), 3);
    assert.ok(written > db.blocks().length, `${written}`);
    assert.equal(value("reloads_total"), written);
    assert.equal(value("head_max_time_seconds"), db.maxTimeMs / 1000);
    assert.equal(value("head_min_time_seconds"), value("head_min_time") / 1000);
    assert.equal(value("lowest_timestamp_seconds"), db.minTimeMs / 1000);
    assert.equal(value("retention_limit_seconds"), options.retentionMs / 1000);
    assert.ok(value("wal_truncations_total") > 0);
    for (const what of ["reloads_failures", "wal_truncations_failed", "head_truncations_failed"])
      assert.equal(value(`${what}_total`), 0, what);
    let size = 0;
    const wal = join(options.folder, "wal");
    for (const entry of await readdir(wal, { withFileTypes: true, recursive: true }))
      if (entry.isFile()) size += (await stat(join(entry.parentPath, entry.name))).size;
    assert.equal(value("wal_storage_size_bytes"), size);
    await db.close();
  });

  test("sets a damaged block aside, at start and while it is read, and serves the rest", async () => {
    const options = settings({ maxBlockMs: 2 * HOUR });
    let db = await openDatabase(options);
    await fill(db, options.clock, { from: START, to: START + 8 * HOUR, count: 4 });
    await db.maintain();
    const ulids = db.blocks().map(({ ulid }) => ulid);
    assert.equal(ulids.length, 3);
    const damage = async (path: string): Promise<void> => {
      const bytes = await readFile(path);
      bytes[bytes.length - 20]! ^= 8;
      await writeFile(path, bytes);
    };
    await damage(join(options.folder, ulids[1]!, "chunks/000001"));
    const warnings: string[] = [];
    let found = 0;
    for await (const batch of db.select({ matchers: any, minTimeMs: 0, maxTimeMs: Infinity })) {
      warnings.push(...(batch.warnings ?? []));
      for (const series of batch.series) found += samples(series).length;
    }
    assert.equal(found, 4 * 6 * 60);
    assert.match(
      warnings.join(),
      new RegExp(`block ${ulids[1]} is damaged.*000001.*wrong checksum`),
    );
    assert.deepEqual(
      db.quarantined().map(({ ulid }) => ulid),
      [ulids[1]],
    );
    assert.equal(db.blocks().length, 2);
    await check(db, { from: START + 4 * HOUR, to: START + 8 * HOUR, count: 4 });
    await db.close();
    await damage(join(options.folder, ulids[0]!, "index"));
    db = await openDatabase({ ...options, registry: new Registry() });
    assert.deepEqual(
      db.quarantined().map(({ ulid }) => ulid),
      [ulids[0]],
    );
    await check(db, { from: START + 4 * HOUR, to: START + 8 * HOUR, count: 4 });
    assert.equal((await readdir(join(options.folder, "quarantine"))).length, 2);
    await db.close();
  });

  test("deletes what a crash left and blocks that a merge has replaced", async () => {
    const options = settings();
    let db = await openDatabase(options);
    await fill(db, options.clock, { from: START, to: START + 8 * HOUR, count: 2 });
    await db.maintain();
    const [first, second, third] = db.blocks() as [BlockMeta, BlockMeta, BlockMeta];
    await db.close();
    const { compaction } = third;
    const parents = [{ ulid: first.ulid, minTime: first.minTime, maxTime: first.maxTime }];
    await writeMeta(join(options.folder, third.ulid), {
      ...third,
      compaction: { ...compaction, parents },
    });
    const half = join(options.folder, "01M7XGBQ4WVPNEYM4RR5MTCJ96.tmp-for-creation");
    await mkdir(half);
    await writeFile(join(half, "index"), "x");
    await mkdir(join(options.folder, "01M7XGBQ4WVPNEYM4RR5MTCJ97.tmp-for-deletion"));
    await mkdir(join(options.folder, "unrelated.tmp-for-creation"));
    db = await openDatabase({ ...options, registry: new Registry() });
    assert.deepEqual(
      db.blocks().map(({ ulid }) => ulid),
      [second.ulid, third.ulid],
    );
    assert.deepEqual(
      (await readdir(options.folder)).filter((name) => name.includes(".tmp")),
      ["unrelated.tmp-for-creation"],
    );
    await assert.rejects(openDatabase(options), { code: "already-exists" });
    await db.close();
  });

  test("agrees with a plain list on random series, churn and restarts", async () => {
    const random = seededRandom(3);
    const options = settings({ chunkRangeMs: HOUR });
    let db = await openDatabase(options);
    const truth = new Map<string, [number, number][]>();
    for (let t = START; t < START + 12 * HOUR; t += 120_000) {
      options.clock.nowMs = t;
      const generation = Math.floor((t - START) / (3 * HOUR));
      const names = Array.from({ length: 12 }, () => `g${generation}-${randomInt(random, 30)}`);
      const rows = [...new Set(names)].map((name) => {
        const ls = labels({
          __name__: "m",
          name,
          x: ["\u{1F600}", "\uFFFD"][randomInt(random, 2)]!,
        });
        const row = [t + randomInt(random, 1000), random.next()] as const;
        const key = ls.toString();
        truth.set(key, [...(truth.get(key) ?? []), [...row]]);
        return [db.resolve(ls), ...row] as const;
      });
      assert.equal((await db.append(columns(rows))).appended, rows.length);
      if (random.next() < 0.1) await db.maintain();
      if (random.next() < 0.02) {
        await db.close();
        db = await openDatabase({ ...options, registry: new Registry() });
      }
    }
    await db.maintain();
    const found = new Map(
      (await read(db, any)).map((one) => [one.labels.toString(), samples(one)]),
    );
    assert.equal(found.size, truth.size);
    for (const [key, rows] of truth) assert.deepEqual(found.get(key), rows, key);
    assert.ok(db.blocks().some(({ compaction }) => compaction.level > 1));
    await db.close();
  });
});

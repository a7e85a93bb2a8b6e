import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { partPath, skipWithoutParts } from "../../test/support/processes.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { verifyBlock } from "../block/verify.ts";
import { createMatcher } from "../model/matcher.ts";
import { type Database, type DatabaseOptions, openDatabase } from "./database.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (18 * HOUR));
const root = await mkdtemp(join(tmpdir(), "delete-test-"));
after(() => rm(root, { recursive: true, force: true }));
const any = [createMatcher("__name__", "=~", ".+")];
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

/** A sample every minute of series 0 to 3. */
async function fill(
  db: Database,
  clock: { nowMs: number },
  range: { from: number; to: number },
): Promise<void> {
  for (let t = range.from; t < range.to; t += MINUTE) {
    clock.nowMs = t;
    await append(
      db,
      [0, 1, 2, 3].map((i) => [i, t] as const),
    );
  }
}

async function append(
  db: Database,
  rows: readonly (readonly [i: number, timeMs: number])[],
): Promise<void> {
  const refs = rows.map(([i]) => db.resolve(labels({ __name__: "m", i: String(i) })));
  const result = await db.append(columns(rows.map(([i, t], k) => [refs[k]!, t, t + i])));
  assert.equal(result.appended, rows.length, JSON.stringify(result));
}

/** "i:minutes since START" of every sample. */
async function found(db: Database): Promise<Set<string>> {
  const all = new Set<string>();
  for (const series of await read(db, any))
    for (const [t, v] of samples(series)) {
      const i = Number(series.labels.get("i"));
      assert.equal(v, t + i);
      all.add(`${i}:${(t - START) / MINUTE}`);
    }
  return all;
}

function expected(minutes: number, isThere: (i: number, minute: number) => boolean): Set<string> {
  const all = new Set<string>();
  for (let i = 0; i < 4; i++)
    for (let minute = 0; minute < minutes; minute++)
      if (isThere(i, minute)) all.add(`${i}:${minute}`);
  return all;
}

async function remove(
  db: Database,
  i: string,
  { from, to }: { from: number; to: number },
): Promise<void> {
  const [minTimeMs, maxTimeMs] = [START + from * MINUTE, START + to * MINUTE];
  await db.deleteSeries({ matchers: [createMatcher("i", "=~", i)], minTimeMs, maxTimeMs });
}

async function reopened(db: Database, options: DatabaseOptions): Promise<Database> {
  await db.close();
  return openDatabase({ ...options, registry: new Registry() });
}

test("what is deleted from head and blocks stays deleted through cuts, merges and starts", async () => {
  const options = settings();
  let db = await openDatabase(options);
  const isThere = (i: number, minute: number): boolean =>
    !(
      (i === 1 && minute >= 30 && minute <= 200) ||
      (i === 2 && minute <= 500) ||
      (i === 3 && minute >= 400 && minute <= 419)
    );
  await fill(db, options.clock, { from: START, to: START + 6 * HOUR });
  await db.maintain();
  assert.ok(db.blocks().length > 0);
  const before = db.blocks().map(({ ulid }) => ulid);
  await remove(db, "1", { from: 30, to: 200 });
  // Later samples are not deleted: it is minute 359 now.
  await remove(db, "2", { from: -1000, to: 100_000 });
  await remove(db, "nobody", { from: 0, to: 100_000 });
  assert.deepEqual(
    db.blocks().map(({ ulid }) => ulid),
    before,
  );
  assert.equal(db.blocks()[0]!.stats.numTombstones, 2);
  assert.deepEqual(await found(db), expected(360, isThere));
  // A series without any sample left is no series.
  assert.equal((await read(db, any, { skipChunks: true })).length, 3);
  db = await reopened(db, options);
  assert.deepEqual(await found(db), expected(360, isThere));
  await fill(db, options.clock, { from: START + 6 * HOUR, to: START + 7 * HOUR });
  // 18 of 20 minutes of the deletion are in the head only.
  await remove(db, "2", { from: 0, to: 500 });
  await remove(db, "3", { from: 400, to: 419 });
  db = await reopened(db, options);
  assert.deepEqual(await found(db), expected(420, isThere));
  for (let hour = 7; hour < 24; hour++) {
    const from = START + hour * HOUR;
    // Series 2 is deleted up to minute 500.
    if (hour === 8) {
      await fill(db, options.clock, { from, to: START + 501 * MINUTE });
      await remove(db, "2", { from: 0, to: 500 });
      await fill(db, options.clock, { from: START + 501 * MINUTE, to: from + HOUR });
    } else await fill(db, options.clock, { from, to: from + HOUR });
    await db.maintain();
  }
  assert.deepEqual(await found(db), expected(24 * 60, isThere));
  db = await reopened(db, options);
  assert.deepEqual(await found(db), expected(24 * 60, isThere));
  await db.close();
});

test("tombstones are cleaned, and an emptied block goes for good", async () => {
  const options = settings();
  let db = await openDatabase(options);
  await fill(db, options.clock, { from: START, to: START + 5 * HOUR });
  await db.maintain();
  await remove(db, "0", { from: 0, to: 59 });
  const [block, ...others] = db.blocks();
  await db.cleanTombstones();
  const [cleaned, ...rest] = db.blocks();
  assert.deepEqual(rest, others);
  assert.notEqual(cleaned!.ulid, block!.ulid);
  assert.equal(cleaned!.stats.numTombstones, undefined);
  assert.equal(cleaned!.stats.numSamples, block!.stats.numSamples! - 60);
  assert.deepEqual(
    cleaned!.compaction.parents?.map(({ ulid }) => ulid),
    [block!.ulid],
  );
  assert.deepEqual((await verifyBlock(join(options.folder, cleaned!.ulid))).problems, []);
  // Nothing to do.
  await db.cleanTombstones();
  assert.equal(db.blocks()[0]!.ulid, cleaned!.ulid);
  const kept = (_i: number, minute: number): boolean => minute >= db.blocks().length * 120;
  await remove(db, ".*", { from: 0, to: db.blocks().length * 120 - 1 });
  const there = expected(300, kept);
  assert.deepEqual(await found(db), there);
  await db.cleanTombstones();
  assert.equal(db.blocks().length, 0);
  assert.deepEqual(await found(db), there);
  // The log had all samples since the start; nothing says any more that the oldest were in blocks.
  db = await reopened(db, options);
  assert.deepEqual(await found(db), there);
  await db.cleanTombstones();
  await db.close();
});

test("deletes what came out of order, in memory, in its blocks and after a start", async () => {
  const options = settings({ outOfOrderTimeWindowMs: 24 * HOUR });
  let db = await openDatabase(options);
  await fill(db, options.clock, { from: START + 2 * HOUR, to: START + 4 * HOUR });
  for (let minute = 0; minute < 60; minute++)
    await append(db, [
      [0, START + minute * MINUTE],
      [1, START + minute * MINUTE],
    ]);
  const there = expected(
    240,
    (i, minute) =>
      (minute >= 120 || (minute < 60 && i < 2)) && !(i === 0 && minute >= 10 && minute <= 130),
  );
  await remove(db, "0", { from: 10, to: 130 });
  assert.deepEqual(await found(db), there);
  db = await reopened(db, options);
  assert.deepEqual(await found(db), there);
  await fill(db, options.clock, { from: START + 4 * HOUR, to: START + 8 * HOUR });
  await db.maintain();
  assert.ok(!db.head.hasOutOfOrder({ minTimeMs: 0, maxTimeMs: START + 24 * HOUR }));
  const all = new Set([...there, ...expected(480, (_i, minute) => minute >= 240)]);
  assert.deepEqual(await found(db), all);
  db = await reopened(db, options);
  assert.deepEqual(await found(db), all);
  await db.close();
});

test("promtool reads what our log says is deleted", { skip: skipWithoutParts() }, async () => {
  const options = settings({ walSegmentBytes: 32 * 1024 });
  const db = await openDatabase(options);
  await fill(db, options.clock, { from: START, to: START + 15 * HOUR });
  await remove(db, "1", { from: 730, to: 740 });
  await remove(db, "2", { from: -Infinity, to: Infinity });
  // Log and tombstones go through a checkpoint.
  await db.maintain();
  assert.ok((await readdir(join(options.folder, "wal"))).some((name) => name.startsWith("check")));
  const there = await found(db);
  await db.close();
  const folder = join(root, "for-promtool");
  await cp(options.folder, folder, { recursive: true });
  const { stdout } = await promisify(execFile)(partPath("promtool")!, ["tsdb", "dump", folder], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const dumped = new Set(
    stdout
      .trim()
      .split("\n")
      .map((line) => {
        const [, i, t] = /i="(\d)"\} \S+ (\d+)$/.exec(line)!;
        return `${i}:${(Number(t) - START) / MINUTE}`;
      }),
  );
  assert.deepEqual(dumped, there);
  assert.deepEqual(
    there,
    expected(900, (i, minute) => i !== 2 && !(i === 1 && minute >= 730 && minute <= 740)),
  );
});

test("a snapshot is a data folder of its own with all samples of now", async () => {
  const options = settings({ outOfOrderTimeWindowMs: 24 * HOUR });
  const db = await openDatabase(options);
  await fill(db, options.clock, { from: START + 2 * HOUR, to: START + 6 * HOUR });
  await append(db, [[0, START + MINUTE]]);
  await db.maintain();
  await remove(db, "1", { from: 130, to: 350 });
  await append(db, [[0, START + 2 * MINUTE]]);
  const there = await found(db);
  // Of what comes while it is taken, it has the first minutes, whole.
  const taking = db.snapshot({ skipHead: false });
  await fill(db, options.clock, { from: START + 6 * HOUR, to: START + 6 * HOUR + 5 * MINUTE });
  const name = await taking;
  assert.match(name, /^2023\d{4}T\d{6}Z-[0-9a-f]{16}$/);
  const bare = await db.snapshot({ skipHead: true });
  await remove(db, ".*", { from: 0, to: 1000 });
  await db.cleanTombstones();
  assert.equal((await found(db)).size, 0);
  await db.close();
  const folder = join(options.folder, "snapshots");
  assert.deepEqual((await readdir(folder)).sort(), [name, bare].sort());
  const copy = await openDatabase({ ...settings(), folder: join(folder, name) });
  const inCopy = await found(copy);
  const extra = [...inCopy.difference(there)];
  assert.deepEqual(
    new Set(extra),
    expected(360 + extra.length / 4, (_i, minute) => minute >= 360),
  );
  assert.ok(there.isSubsetOf(inCopy));
  await copy.close();
  const blocks = await openDatabase({ ...settings(), folder: join(folder, bare) });
  const inBlocks = await found(blocks);
  assert.ok(inBlocks.size > 0 && inBlocks.size < there.size);
  assert.ok(inBlocks.isSubsetOf(there));
  await blocks.close();
});

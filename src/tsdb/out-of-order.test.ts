import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  apiData,
  type RunningProcess,
  skipWithoutParts,
  startPrometheus,
} from "../../test/support/processes.ts";
import { renderQueryResult } from "../api/query/render.ts";
import { isOutOfOrder } from "../block/meta.ts";
import { formatSampleValue } from "../base/float.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { type Random, randomInt, seededRandom } from "../base/random.ts";
import { type FloatHistogram, newHistogram } from "../model/histogram.ts";
import { createMatcher } from "../model/matcher.ts";
import { Engine } from "../promql/engine.ts";
import { remoteWrite } from "../promql/testing/remote-write.fixture.ts";
import type { AppendResult } from "../storage/appender.ts";
import { type Database, type DatabaseOptions, openDatabase } from "./database.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";
import { histogramColumns, type HistogramRow } from "./testing/histogram-fixture.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (18 * HOUR));
const WINDOW = 90 * MINUTE;
const root = await mkdtemp(join(tmpdir(), "out-of-order-test-"));
after(() => rm(root, { recursive: true, force: true }));
const any = [createMatcher("__name__", "=~", ".+")];

function settings(name: string, changes: Partial<DatabaseOptions> = {}): DatabaseOptions {
  return {
    folder: join(root, name),
    logger: silentLogger,
    clock: stoppedClock(START + 12 * HOUR),
    registry: new Registry(),
    retentionMs: 1e12,
    outOfOrderTimeWindowMs: WINDOW,
    ...changes,
  };
}

const seriesOf = (i: number): Record<string, string> => ({ __name__: "m", i: String(i) });

interface Sample {
  readonly i: number;
  readonly timeMs: number;
  readonly value: number | FloatHistogram;
}

/**
 * A histogram that tells which sample it is by its count. All have the same bucket: of one that had to be fitted into a
 * chunk Prometheus does not know that it is the same when it comes again.
 */
function histogramOf(count: number): FloatHistogram {
  return newHistogram({
    count,
    sum: count,
    positiveSpans: Int32Array.of(3, 1),
    positiveBuckets: Float64Array.of(count),
    counterResetHint: "gauge",
  });
}

async function append(
  db: Database,
  batch: readonly Sample[],
  options: { isWhole?: boolean } = {},
): Promise<AppendResult> {
  const floats: [number, number, number][] = [];
  const rows: HistogramRow[] = [];
  for (const { i, timeMs, value } of batch) {
    const ref = db.resolve(labels(seriesOf(i)));
    if (typeof value === "number") floats.push([ref, timeMs, value]);
    else rows.push({ ref, timeMs, histogram: value, isFloat: true });
  }
  return db.append({
    ...columns(floats),
    histograms: histogramColumns(rows),
    listRefused: true,
    ...options,
  });
}

/** All samples as `i time value`, sorted; of a histogram its count. */
async function ours(db: Database): Promise<string[]> {
  const at = { query: "m[18h]", timeMs: START + 16 * HOUR };
  const result = await new Engine().instant(db, at);
  const body = Buffer.concat([...renderQueryResult(result, { limit: 0, stats: false })]);
  return rowsOf((JSON.parse(body.toString()) as { data: Matrix }).data);
}

async function theirs(server: RunningProcess): Promise<string[]> {
  const text = new URLSearchParams({
    query: "m[18h]",
    time: String((START + 16 * HOUR) / 1000),
  }).toString();
  return rowsOf(await apiData<Matrix>(`${server.url}/api/v1/query?${text}`));
}

interface Matrix {
  readonly result: readonly {
    readonly metric: Record<string, string>;
    readonly values?: readonly [number, string][];
    readonly histograms?: readonly [number, { count: string }][];
  }[];
}

function rowsOf({ result }: Matrix): string[] {
  return result
    .flatMap(({ metric, values = [], histograms = [] }) => [
      ...values.map(([t, v]) => `${metric["i"]} ${Math.round(t * 1000)} ${v}`),
      ...histograms.map(([t, h]) => `${metric["i"]} ${Math.round(t * 1000)} h${h.count}`),
    ])
    .sort();
}

function start(dataFolder: string): Promise<RunningProcess | undefined> {
  return startPrometheus({
    config: "storage: {tsdb: {out_of_order_time_window: 90m}}\n",
    dataFolder,
    flags: [
      "--storage.tsdb.retention.time=100y",
      "--web.enable-remote-write-receiver",
      "--enable-feature=native-histograms",
    ],
  });
}

test("each sample goes where its time and the window say", async () => {
  const db = await openDatabase(settings("rules"));
  const f = async (
    sample: readonly [i: number, minutes: number, value: number],
    reason?: string,
  ): Promise<void> => {
    const [i, minutes, value] = sample;
    const result = await append(db, [{ i, timeMs: START + minutes * MINUTE, value }]);
    const name = `${i} at ${minutes} min`;
    assert.deepEqual([result.appended, result.refused[0]?.reason], [reason ? 0 : 1, reason], name);
  };
  await f([0, 300, 1]);
  await f([1, 299, 1]);
  await f([0, 299, 2]);
  await f([0, 300, 1]); // the same again
  await f([0, 300, 2], "duplicate"); // only at the newest time
  await f([0, 299, 2]);
  await f([0, 210, 3]); // the last minute of the window
  await f([0, 209, 3], "too-old");
  await f([2, 211, 1]); // a new series, more than an hour behind all others
  await f([2, 209, 1], "too-old");
  await f([2, 241, 1]);
  db.head.setOutOfOrderTimeWindow(0);
  await f([0, 299, 2], "out-of-order");
  await f([0, 211, 2], "out-of-bounds");
  const all = (await ours(db)).map((row) => {
    const [i, t, v] = row.split(" ").map(Number);
    return [i, (t! - START) / MINUTE, v];
  });
  assert.deepEqual(all, [
    [0, 210, 3],
    [0, 299, 2],
    [0, 300, 1],
    [1, 299, 1],
    [2, 211, 1],
    [2, 241, 1],
  ]);
  await db.close();
});

test("a batch out of order in itself is stored, whatever its order", async () => {
  const db = await openDatabase(settings("within"));
  const rows = [5, 1, 3, 2, 9, 4].map((minute) => ({
    i: 0,
    timeMs: START + minute * MINUTE,
    value: minute % 2 === 0 ? minute : histogramOf(minute),
  }));
  const result = await append(db, rows);
  assert.deepEqual([result.appended, result.appendedHistograms, result.refused], [2, 4, []]);
  const before = await ours(db);
  assert.equal(before.length, 6);
  await db.close();
  const again = await openDatabase(settings("within"));
  assert.deepEqual(await ours(again), before);
  await again.close();
});

test("a select does not see what comes out of order after it began", async () => {
  const db = await openDatabase(settings("isolation"));
  const all = Array.from({ length: 600 }, (_, i) => i);
  await append(
    db,
    all.flatMap((i) => [
      { i, timeMs: START + 60 * MINUTE, value: 1 },
      { i, timeMs: START + 30 * MINUTE, value: 1 },
    ]),
  );
  const batches = db.select({ matchers: any, minTimeMs: -Infinity, maxTimeMs: Infinity });
  let seen = 0;
  let appended = 0;
  for await (const { series } of batches) {
    for (const one of series) seen += samples(one).length;
    appended += (
      await append(
        db,
        all.map((i) => ({ i, timeMs: START + (31 + appended / 600) * MINUTE, value: 2 })),
      )
    ).appended;
  }
  assert.equal(seen, 1200);
  assert.ok(appended >= 600);
  assert.equal((await ours(db)).length, 1200 + appended);
  await db.close();
});

/** Batches around a moving now: most samples are new, the others late, repeated or contradicting what is there. */
function makeBatch(random: Random, k: number, sent: readonly Sample[]): Sample[] {
  const nowMs = START + 3 * HOUR + k * 3000;
  return Array.from({ length: 1 + randomInt(random, 5) }, () => {
    const i = randomInt(random, 12);
    const kind = random.next();
    const earlier = sent[randomInt(random, Math.max(1, sent.length))];
    if (kind < 0.05 && earlier !== undefined) return earlier;
    if (kind < 0.1 && earlier !== undefined && typeof earlier.value === "number")
      return { ...earlier, value: earlier.value + 0.5 };
    const backMs =
      kind < 0.6 ? randomInt(random, 3000) : randomInt(random, kind < 0.8 ? 20 * MINUTE : 2 * HOUR);
    const timeMs = nowMs - backMs;
    const value = (timeMs - START) / 1000 + i / 16;
    // Two of the series change between floats and histograms.
    const isHistogram = i >= 10 && Math.floor(timeMs / (7 * MINUTE)) % 2 === 0;
    return { i, timeMs, value: isHistogram ? histogramOf(Math.round(timeMs - START)) : value };
  });
}

test("Prometheus refuses and keeps the same samples", { skip: skipWithoutParts() }, async () => {
  const count = Number(process.env["SHOAL_BATCHES"] ?? 2000);
  const seed = Number(process.env["SHOAL_SEED"] ?? 21);
  const random = seededRandom(seed);
  const folder = join(root, "theirs");
  const server = (await start(folder))!;
  let db = await openDatabase(settings("ours"));
  const sent: Sample[] = [];
  let refused = 0;
  let answers: string[];
  const accepted = new Map<string, Set<string>>();
  try {
    for (let k = 0; k < count; k++) {
      const batch = makeBatch(random, (k * 2000) / count, sent);
      const result = await append(db, batch, { isWhole: true });
      const message = await remoteWrite(
        server.url,
        batch.map(({ i, ...sample }) => ({ labels: labels(seriesOf(i)), samples: [sample] })),
      ).then(
        () => "",
        (error: unknown) => String(error),
      );
      const context = `seed ${seed}, batch ${k}: ${JSON.stringify(result.refused)} ${message}`;
      assert.equal(result.refused.length > 0, message !== "", context);
      if (message !== "") {
        refused++;
        continue;
      }
      for (const one of batch) {
        if (sent.push(one) > 500) sent.shift();
        const place = `${one.i} ${one.timeMs}`;
        const value =
          typeof one.value === "number" ? formatSampleValue(one.value) : `h${one.value.count}`;
        if (!accepted.has(place)) accepted.set(place, new Set());
        accepted.get(place)!.add(value);
      }
    }
    answers = await theirs(server);
  } finally {
    await server.stop();
  }
  assert.ok(refused > count / 50 && refused < count, `${refused} of ${count} batches refused`);
  const place = (row: string): string => row.slice(0, row.lastIndexOf(" "));
  const check = (rows: readonly string[]): void => {
    assert.deepEqual(rows.map(place), answers.map(place));
    for (const row of rows)
      assert.ok(accepted.get(place(row))?.has(row.slice(row.lastIndexOf(" ") + 1)), row);
  };
  check(answers);
  check(await ours(db));
  await db.close();
  db = await openDatabase(settings("ours"));
  check(await ours(db));
  await db.close();
  // Each reads the other's folder, log of what came out of order included.
  const copies = await Promise.all(
    ["ours", "theirs"].map(async (name) => {
      const copy = join(root, `copy-${name}`);
      await cp(join(root, name), copy, { recursive: true });
      assert.ok((await readdir(join(copy, "wbl"))).length > 0);
      // Its head chunks say the same as its logs, but for the samples below.
      await rm(join(copy, "chunks_head"), { recursive: true, force: true });
      return copy;
    }),
  );
  const [rowsOfOurs, rowsOfTheirs] = await readByPrometheus(copies);
  check(rowsOfOurs!);
  db = await openDatabase(settings("copy-theirs"));
  // Prometheus logs the histograms of requests that it refuses, and has them after a start: they are not in `answers`.
  assert.deepEqual((await ours(db)).map(place), rowsOfTheirs!.map(place));
  await db.close();
});

/** What a Prometheus that starts on each of the folders has. */
async function readByPrometheus(folders: readonly string[]): Promise<string[][]> {
  const all: string[][] = [];
  for (const folder of folders) {
    const server = (await start(folder))!;
    try {
      all.push(await theirs(server));
    } finally {
      await server.stop();
    }
  }
  return all;
}

test("what came out of order goes to blocks of its own, and its log goes", async () => {
  const options = settings("blocks");
  const clock = stoppedClock(START);
  const random = seededRandom(3);
  let db = await openDatabase({ ...options, clock });
  const places = new Set<string>();
  for (let t = START; t < START + 9 * HOUR; t += MINUTE) {
    clock.nowMs = t;
    const batch = Array.from({ length: 6 }, (_, i) => ({ i, timeMs: t, value: t / 1000 }));
    const late = t - randomInt(random, WINDOW / 1000) * 1000 - 500;
    batch.push({ i: 2, timeMs: late, value: late / 1000 });
    if (t > START + WINDOW) batch.push({ i: 7, timeMs: t - WINDOW, value: 7 });
    assert.deepEqual((await append(db, batch)).refused, []);
    for (const { i, timeMs } of batch) places.add(`${i} ${timeMs}`);
    if (t % (20 * MINUTE) === 0) await db.maintain();
  }
  const wanted = await ours(db);
  assert.equal(wanted.length, places.size);
  const cut = db.blocks().filter((meta) => isOutOfOrder(meta));
  assert.ok(cut.length > 0 || db.blocks().some((meta) => meta.compaction.level > 1));
  await db.close();
  db = await openDatabase(options);
  assert.deepEqual(await ours(db), wanted);
  const before = (await readdir(join(options.folder, "wbl"))).length;
  for (let times = 0; times < 3; times++) await db.maintain();
  assert.deepEqual(await ours(db), wanted);
  assert.ok(before >= 1);
  await db.close();
  if (skipWithoutParts() !== false) return;
  const copy = join(root, "blocks-copy");
  await cp(options.folder, copy, { recursive: true });
  const server = (await start(copy))!;
  try {
    assert.deepEqual(await theirs(server), wanted);
  } finally {
    await server.stop();
  }
});

test("a series that has only samples out of order stays, and its labels are found", async () => {
  const options = settings("only-late");
  const clock = stoppedClock(START + 4 * HOUR);
  const db = await openDatabase({ ...options, clock });
  await append(db, [{ i: 0, timeMs: START + 4 * HOUR, value: 1 }]);
  await append(db, [{ i: 1, timeMs: START + 2.6 * HOUR, value: 2 }]);
  await db.head.truncateBefore(START + 3 * HOUR);
  const range = { minTimeMs: START, maxTimeMs: START + 2.7 * HOUR };
  const found = await read(db, any, range);
  assert.deepEqual(
    found.map((one) => samples(one)),
    [[[START + 2.6 * HOUR, 2]]],
  );
  const { values } = await db.labelValues("i", { matchers: any, ...range });
  assert.ok(values.includes("1"));
  await db.close();
});

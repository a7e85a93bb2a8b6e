import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { writeStale } from "../base/float.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { pick, type Random, randomInt, seededRandom } from "../base/random.ts";
import { newHistogram } from "../model/histogram.ts";
import { createMatcher } from "../model/matcher.ts";
import { SeriesHashes } from "../model/series-hash.ts";
import { Engine } from "../promql/engine.ts";
import { type GroupedBatch, type GroupedRequest, NotInColumnsError } from "../storage/grouped.ts";
import type { Queryable } from "../storage/queryable.ts";
import { type Database, openDatabase } from "./database.ts";
import { columns, labels, read, stoppedClock } from "./testing/head-fixture.ts";
import { histogramColumns } from "./testing/histogram-fixture.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (18 * HOUR));
const SERIES = 3000;
const folder = await mkdtemp(join(tmpdir(), "select-grouped-test-"));
const any = [createMatcher("__name__", "=~", ".+")];
let db: Database;

const VALUES = [0, -0, 1, 0.1, 1e300, -1e300, 1e-300, NaN, Infinity, 3, 1 / 3, -7.25, 2 ** 53];

/** Names, values and how many labels there are differ; some values are no ASCII. */
function labelsOf(i: number): Record<string, string> {
  return {
    __name__: `m${i % 3}`,
    job: `job-${i % 7}`,
    ...(i % 5 > 0 && { zone: i % 2 === 0 ? "süd" : "nord" }),
    ...(i % 11 > 0 && { a: String(i % 13) }),
    pod: `pod-${i}`,
  };
}

/**
 * Samples each minute or so, the last ones between minutes 115 and 130. Some series end as stale, some are histograms at last,
 * some have samples out of order, and of some is deleted.
 */
async function fill(random: Random): Promise<void> {
  const refs = Array.from({ length: SERIES }, (_, i) => db.resolve(labels(labelsOf(i))));
  const ends = refs.map(() => 115 + randomInt(random, 15));
  for (let minute = 90; minute < 130; minute++) {
    const timeMs = START + minute * MINUTE;
    const rows = refs
      .map((ref, i) => [ref, timeMs + (i % 50), pick(random, VALUES), i] as const)
      .filter(([, , , i]) => minute <= ends[i]! && random.next() < 0.9);
    const floats = columns(rows.map(([ref, t, v]) => [ref, t, v] as const));
    for (const [at, [, , , i]] of rows.entries())
      if (i % 9 === 4 && minute === ends[i]) writeStale(floats.values, at);
    await db.append(floats);
  }
  const timeMs = START + 131 * MINUTE;
  const histogram = newHistogram({
    count: 5,
    sum: 7,
    positiveSpans: Int32Array.of(0, 1),
    positiveBuckets: Float64Array.of(5),
  });
  const some = refs.filter((_, i) => i % 40 === 3);
  const histograms = histogramColumns(
    some.map((ref) => ({ ref, timeMs, histogram, isFloat: true })),
  );
  await db.append({ ...columns([]), histograms });
  const late = refs.filter((_, i) => i % 40 === 7);
  await db.append(columns(late.map((ref) => [ref, START + 95 * MINUTE + 1, 42] as const)));
  const matchers = [createMatcher("a", "=", "5"), createMatcher("zone", "=", "nord")];
  const from = START + 105 * MINUTE;
  await db.deleteSeries({ matchers, minTimeMs: from, maxTimeMs: from + 12 * MINUTE });
}

function open(): Promise<Database> {
  return openDatabase({
    folder,
    logger: silentLogger,
    clock: stoppedClock(START + 132 * MINUTE),
    registry: new Registry(),
    retentionMs: 1e12,
    outOfOrderTimeWindowMs: 60 * MINUTE,
  });
}

before(async () => {
  db = await open();
  await fill(seededRandom(11));
});
after(async () => {
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

/** `db` without columns. */
const inSeries: Queryable = {
  select: (request) => db.select(request),
  labelNames: (request) => db.labelNames(request),
  labelValues: (name, request) => db.labelValues(name, request),
};

/** `db` with columns, and how often they were had. */
function inColumns(): Queryable & { count: number } {
  return {
    ...inSeries,
    count: 0,
    selectGrouped(request) {
      const batches = db.selectGrouped(request);
      if (batches !== undefined) this.count++;
      return batches;
    },
  };
}

async function bits(source: Queryable, query: string, timeMs: number): Promise<unknown> {
  const { value, warnings, infos } = await new Engine().instant(source, { query, timeMs });
  assert.equal(value.kind, "vector");
  const rows = value.samples.map(({ labels: own, value: v, histogram }) => [
    own.toString(),
    Number.isNaN(v) ? "NaN" : Buffer.from(Float64Array.of(v).buffer).toString("hex"),
    histogram?.count,
  ]);
  return { rows, warnings, infos };
}

const OPERATORS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"].concat([
  "topk",
  "bottomk",
]);
const GROUPINGS = [
  "",
  "by (job)",
  "by (zone, a)",
  "by (nowhere)",
  "by (__name__)",
  "by (pod)",
].concat(["without (pod)", "without (pod, a, zone)", "without ()"]);
const SELECTORS = [
  "m1",
  '{__name__=~"m.*"}',
  'm2{zone="süd"}',
  'm0{a!=""}',
  '{job="job-3"}',
  "none",
];
const MODIFIERS = ["", " offset 3m", ` @ ${(START + 112 * MINUTE) / 1000}`];

/** How many of so many random queries had columns; all are answered as without. */
async function compare(random: Random, count: number, minutes: () => number): Promise<number> {
  const columned = inColumns();
  for (let i = 0; i < count; i++) {
    const operator = pick(random, OPERATORS);
    const parameter = operator.endsWith("k") ? `${1 + randomInt(random, 5)}, ` : "";
    const operand = pick(random, SELECTORS) + pick(random, MODIFIERS);
    const query = `${operator} ${pick(random, GROUPINGS)} (${parameter}${operand})`;
    const timeMs = START + Math.round(minutes() * MINUTE);
    const wanted = await bits(inSeries, query, timeMs);
    assert.deepEqual(await bits(columned, query, timeMs), wanted, `${query} at ${timeMs}`);
  }
  return columned.count;
}

async function batchesOf(request: Partial<GroupedRequest>): Promise<GroupedBatch[] | undefined> {
  const batches = db.selectGrouped({
    matchers: any,
    minTimeMs: START + 126 * MINUTE,
    maxTimeMs: START + 131 * MINUTE,
    grouping: [],
    without: false,
    wantsHashes: false,
    foreignNames: [],
    ...request,
  });
  if (batches === undefined) return undefined;
  const all: GroupedBatch[] = [];
  // Columns are lent.
  for await (const batch of batches) all.push({ ...batch, hashes: batch.hashes.slice() });
  return all;
}

/** The hashes that series come with are those of their labels. */
async function checkHashes(minute: number): Promise<void> {
  const range = { minTimeMs: START + (minute - 5) * MINUTE, maxTimeMs: START + minute * MINUTE };
  const hashes = new SeriesHashes();
  for (const series of await read(db, any, range)) hashes.add(series.labels);
  const batches = await batchesOf({ wantsHashes: true, ...range });
  const found = new SeriesHashes();
  for (const batch of batches!) found.addAll(batch.hashes);
  assert.deepEqual(found.halves, hashes.halves);
  assert.ok(hashes.halves.length > SERIES / 2);
}

describe("an aggregation in columns is the same to the last bit", () => {
  it("over a head, with samples after the moment, stale ones, histograms, late and deleted ones", async () => {
    const random = seededRandom(5);
    const used = await compare(random, 250, () =>
      pick(random, [131, 133, 105 + random.next() * 35]),
    );
    assert.ok(used > 100, `${used} had columns`);
  });

  it("comes with the hashes of all series", () => checkHashes(131));

  it("is not had where a reader's labels would not leave the order as it is", async () => {
    assert.equal(await batchesOf({ foreignNames: ["zone"] }), undefined);
    // Series differ in names: one more could change their order.
    assert.equal(await batchesOf({ foreignNames: ["cluster"] }), undefined);
    const matchers = [createMatcher("zone", "=", "nord"), createMatcher("a", "!=", "")];
    const batches = await batchesOf({ foreignNames: ["cluster"], matchers });
    assert.ok(batches!.some(({ count }) => count > 50));
  });

  it("sees nothing of later appends, and of no series that went meanwhile", async () => {
    const ref = db.resolve(labels({ __name__: "later" }));
    const timeMs = START + 131 * MINUTE;
    await db.append(columns([[ref, timeMs, 1]]));
    const batches = db.selectGrouped({
      matchers: [createMatcher("__name__", "=", "later")],
      minTimeMs: timeMs,
      maxTimeMs: timeMs + MINUTE,
      grouping: [],
      without: false,
      wantsHashes: false,
      foreignNames: [],
    })!;
    await db.append(columns([[ref, timeMs + 1, 2]]));
    const values: number[] = [];
    for await (const batch of batches) values.push(...batch.values.subarray(0, batch.count));
    assert.deepEqual(values, [1]);
  });

  it("over a block, also after what is in it was deleted", async () => {
    // From here on the head's samples are in a block.
    await db.append(
      columns([[db.resolve(labels({ __name__: "now" })), START + 400 * MINUTE, 1] as const]),
    );
    await db.maintain();
    assert.ok(db.blocks().length > 0);
    const random = seededRandom(6);
    const used = await compare(random, 250, () => 95 + random.next() * 20);
    assert.ok(used > 100, `${used} had columns`);
    await checkHashes(115);
    const range = { minTimeMs: START + 110 * MINUTE, maxTimeMs: START + 115 * MINUTE };
    await assert.rejects(batchesOf({ foreignNames: ["cluster"], ...range }), NotInColumnsError);
    await assert.rejects(batchesOf({ foreignNames: ["zone"], ...range }), NotInColumnsError);
    const matchers = [createMatcher("job", "=", "job-2")];
    const from = START + 100 * MINUTE;
    await db.deleteSeries({ matchers, minTimeMs: from, maxTimeMs: from + 7 * MINUTE });
    assert.ok((await compare(random, 100, () => 95 + random.next() * 20)) > 40);
  });
});

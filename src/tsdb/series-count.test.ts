import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { createMatcher } from "../model/matcher.ts";
import type { SelectRequest, SeriesCount } from "../storage/queryable.ts";
import { type Database, openDatabase } from "./database.ts";
import { columns, labels, stoppedClock } from "./testing/head-fixture.ts";

/** What a database says of how many series a select has, before it reads them. */
const HOUR = 3_600_000;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (18 * HOUR));
const root = await mkdtemp(join(tmpdir(), "series-count-test-"));
after(() => rm(root, { recursive: true, force: true }));
const matchers = [createMatcher("__name__", "=~", ".+")];

async function counted(
  db: Database,
  request: Omit<SelectRequest, "matchers">,
): Promise<{ told: SeriesCount | undefined; found: number }> {
  let told: SeriesCount | undefined;
  let found = 0;
  let isFirst = true;
  for await (const { series, expected } of db.select({ ...request, matchers })) {
    if (isFirst) told = expected;
    else assert.equal(expected, undefined, "it is told once");
    isFirst = false;
    found += series.length;
  }
  return { told, found };
}

async function open(name: string): Promise<{ db: Database; clock: { nowMs: number } }> {
  const clock = stoppedClock(START);
  const db = await openDatabase({
    folder: join(root, name),
    logger: silentLogger,
    clock,
    registry: new Registry(),
    retentionMs: 1000 * HOUR,
    outOfOrderTimeWindowMs: HOUR,
  });
  return { db, clock };
}

test("it is between what is surely there and what may be", async () => {
  const random = seededRandom(31);
  const { db, clock } = await open("random");
  const count = 700;
  for (let t = START; t < START + 9 * HOUR; t += HOUR / 6) {
    clock.nowMs = t;
    const rows: [ref: number, timeMs: number, value: number][] = [];
    for (let i = 0; i < count; i++) {
      // Series come and go.
      if ((i % 9) * HOUR > t - START || random.next() < 0.3) continue;
      const late = random.next() < 0.05 ? randomInt(random, HOUR) : 0;
      rows.push([db.resolve(labels({ __name__: "m", i: String(i) })), t - late, 1]);
    }
    await db.append(columns(rows));
    if (random.next() < 0.1) await db.maintain();
  }
  let exact = 0;
  const check = async (): Promise<void> => {
    for (let round = 0; round < 60; round++) {
      const minTimeMs = START + randomInt(random, 9) * HOUR;
      const maxTimeMs = minTimeMs + randomInt(random, 9 * HOUR);
      const { told, found } = await counted(db, { minTimeMs, maxTimeMs });
      const range = JSON.stringify({ minTimeMs, maxTimeMs, told, found });
      assert.ok(found === 0 || told !== undefined, range);
      if (told === undefined) continue;
      assert.ok(told.atLeast <= found && found <= told.atMost, range);
      if (told.atLeast > 0.9 * found) exact++;
    }
  };
  await check();
  assert.ok(exact > 10, `${exact} were near`);
  const few = [createMatcher("i", "=~", "1.*")];
  await db.deleteSeries({
    matchers: few,
    minTimeMs: START + HOUR,
    maxTimeMs: START + 9 * HOUR,
  });
  await check();
  await db.maintain();
  await check();
  await db.close();
});

test("series that lose what tells them apart are not counted on", async () => {
  const { db } = await open("stripped");
  const rows = ["a", "b"].flatMap((replica) =>
    [0, 1, 2].map((i) => db.resolve(labels({ __name__: "m", i: String(i), replica }))),
  );
  await db.append(columns(rows.map((ref) => [ref, START, 1])));
  const range = { minTimeMs: START, maxTimeMs: START };
  assert.deepEqual(await counted(db, range), { told: { atLeast: 6, atMost: 6 }, found: 6 });
  assert.deepEqual(await counted(db, { ...range, withoutReplicaLabels: ["replica"] }), {
    told: { atLeast: 0, atMost: 6 },
    found: 3,
  });
  assert.deepEqual(await counted(db, { ...range, withoutReplicaLabels: ["another"] }), {
    told: { atLeast: 6, atMost: 6 },
    found: 6,
  });
  assert.deepEqual(await counted(db, { ...range, limit: 2 }), { told: undefined, found: 2 });
  await db.close();
});

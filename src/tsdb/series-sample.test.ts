import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { xorSampleCount } from "../chunk/xor.ts";
import { createMatcher } from "../model/matcher.ts";
import { Engine } from "../promql/engine.ts";
import type { SelectRequest, SeriesSample } from "../storage/queryable.ts";
import { type Database, openDatabase } from "./database.ts";
import { columns, labels, stoppedClock } from "./testing/head-fixture.ts";

/** Samples of series that head and blocks tell of before they read the rest, and what they refuse. */
const HOUR = 3_600_000;
const MINUTE = 60_000;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (18 * HOUR));
const SERIES = 1100;
const root = await mkdtemp(join(tmpdir(), "series-sample-test-"));
after(() => rm(root, { recursive: true, force: true }));
const matchers = [createMatcher("__name__", "=", "m")];

async function samplesIn(
  db: Database,
  request: Omit<SelectRequest, "matchers">,
): Promise<readonly SeriesSample[]> {
  const samples: SeriesSample[] = [];
  let found = 0;
  for await (const { series, expected } of db.select({ ...request, matchers })) {
    samples.push(...(expected?.samples ?? []));
    found += series.length;
  }
  assert.equal(found, (request.limit ?? 0) || SERIES, "a sample takes nothing from the series");
  return samples;
}

function samplesPerSeries({ chunkLists }: SeriesSample): number[] {
  return chunkLists.map((chunks) =>
    chunks.reduce((sum, { data }) => sum + xorSampleCount(data), 0),
  );
}

test("series of a head may go while a sample of them is looked at", async () => {
  const clock = stoppedClock(START);
  const db = await openDatabase({
    folder: join(root, "gone"),
    logger: silentLogger,
    clock,
    registry: new Registry(),
    retentionMs: 1000 * HOUR,
  });
  // Whole pages of them: half are not scraped any more.
  const refs = Array.from({ length: 8 * SERIES }, (_, i) =>
    db.resolve(labels({ __name__: "m", i: String(i) })),
  );
  await db.append(columns(refs.map((ref) => [ref, START, 1])));
  const left = refs.slice(refs.length / 2);
  clock.nowMs = START + 2 * HOUR;
  await db.append(columns(left.map((ref) => [ref, clock.nowMs, 2])));
  const request = { matchers, minTimeMs: START, maxTimeMs: clock.nowMs, sampleAbove: 100 };
  const batches = db.head.select(request)[Symbol.asyncIterator]();
  const first = await batches.next();
  assert.equal(first.done === true ? 0 : first.value.expected?.samples?.length, 1);
  await db.head.truncateBefore(START + HOUR);
  const found: string[] = [];
  for (let next = await batches.next(); next.done !== true; next = await batches.next())
    for (const series of next.value.series) found.push(series.labels.get("i"));
  const wanted = left.map((_, i) => String(left.length + i)).sort();
  assert.deepEqual(found, wanted);
  await db.close();
});

test("head and blocks tell of samples, which refuse what is far above the budget", async () => {
  const clock = stoppedClock(START);
  const db = await openDatabase({
    folder: join(root, "db"),
    logger: silentLogger,
    clock,
    registry: new Registry(),
    retentionMs: 1000 * HOUR,
  });
  const refs = Array.from({ length: SERIES }, (_, i) =>
    db.resolve(labels({ __name__: "m", i: String(i) })),
  );
  for (let t = START; t < START + 4 * HOUR; t += 5 * MINUTE) {
    clock.nowMs = t;
    await db.append(columns(refs.map((ref) => [ref, t, t])));
  }
  await db.maintain();
  const endMs = START + 4 * HOUR;
  const sampleAbove = 100;
  const whole = { minTimeMs: START, maxTimeMs: endMs };
  const parts = await samplesIn(db, { ...whole, sampleAbove });
  assert.deepEqual(
    parts.map(({ size, of }) => ({ size, of })),
    [
      { size: 128, of: SERIES },
      { size: 128, of: SERIES },
    ],
  );
  // 48 samples of each series, those of the block and those of the head.
  const [block, head] = parts.map(samplesPerSeries);
  assert.equal(block![0]! + head![0]!, 48);
  for (const counts of [block!, head!])
    assert.deepEqual(counts, Array<number>(128).fill(counts[0]!));
  for (const request of [
    whole,
    { ...whole, sampleAbove: SERIES },
    { ...whole, sampleAbove, limit: 1050 },
    { ...whole, sampleAbove, skipChunks: true },
  ])
    assert.deepEqual(await samplesIn(db, request), []);

  // 2 h of the block, the rest of the head, and both.
  const query = { query: "m", stepMs: MINUTE };
  const one = "by 128 of 1100 series";
  const two = "by 256 series in 2 parts of the storage";
  for (const { part, by, ...range } of [
    { startMs: START, endMs: START + HOUR, part: 0.03, by: one },
    { startMs: endMs - HOUR, endMs: endMs - MINUTE, part: 0.03, by: one },
    { startMs: START, endMs: endMs - MINUTE, part: 0.03, by: two },
    // None of both would be too much.
    { startMs: START, endMs: endMs - MINUTE, part: 0.27, by: two },
  ]) {
    const points = SERIES * (Math.floor((range.endMs - range.startMs) / MINUTE) + 1);
    const few = new Engine({ maxSamples: Math.floor(points * part) });
    await assert.rejects(few.range(db, { ...query, ...range }), {
      code: "execution",
      message: new RegExp(
        `too many samples into memory .*: about \\d+ ${by}, the limit is ${Math.floor(points * part)} `,
      ),
    });
    const all = await new Engine({ maxSamples: points }).range(db, { ...query, ...range });
    assert.ok(all.stats.peakSamples <= points && all.stats.peakSamples > 0.9 * points);
  }
  await db.close();
});

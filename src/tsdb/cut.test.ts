import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { systemRandom } from "../base/random.ts";
import { openBlock } from "../block/block.ts";
import { readSeries, samplesOf } from "../block/testing/block-fixture.ts";
import { newUlid } from "../block/ulid.ts";
import { verifyBlock } from "../block/verify.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { newHistogram } from "../model/histogram.ts";
import { Labels } from "../model/labels.ts";
import { createMatcher } from "../model/matcher.ts";
import { decodeHistogramChunk } from "../storage/chunk-encodings.ts";
import {
  type Chunk,
  ENCODING_HISTOGRAM,
  ENCODING_XOR,
  type Queryable,
} from "../storage/queryable.ts";
import { cutBlock } from "./cut.ts";
import { openDatabase } from "./database.ts";
import { CHUNK_RANGE_MS, HeadStore } from "./head-store.ts";
import { columns, read, stoppedClock } from "./testing/head-fixture.ts";
import { histogramColumns } from "./testing/histogram-fixture.ts";

test("a chunk that cannot be decoded is left out of a cut and told of once; all else is cut", async () => {
  const parent = await mkdtemp(join(tmpdir(), "cut-test-"));
  const store = new HeadStore({ chunkSamples: 120, chunkRangeMs: CHUNK_RANGE_MS });
  const refs = ["a", "b", "c"].map((n) => store.resolve(Labels.fromObject({ n })).ref);
  const times = Float64Array.of(1000, 2000, 3000);
  const whole: Chunk = {
    encoding: ENCODING_XOR,
    minTimeMs: 1000,
    maxTimeMs: 3000,
    data: encodeXor(times, Float64Array.of(1, 2, 3), { start: 0, end: 3 }),
  };
  // It reaches out of the range, so that it has to be cut itself.
  const broken: Chunk = {
    encoding: ENCODING_HISTOGRAM,
    minTimeMs: 4000,
    maxTimeMs: 6000,
    data: Uint8Array.of(0, 3, 0, 0),
  };
  const source = {
    refs,
    chunksOf: (ref: number): readonly Chunk[] => (ref === refs[1] ? [whole, broken] : [whole]),
  };
  const options = { clock: systemClock, parent, minTimeMs: 0, maxTimeMs: 5000 };
  const ulid = (): string => newUlid({ clock: systemClock, random: systemRandom });
  await assert.rejects(cutBlock(store, { ...options, ulid: ulid() }, source), { code: "corrupt" });
  const told: number[] = [];
  const onUnreadable = (ref: number): void => void told.push(ref);
  const folder = await cutBlock(store, { ...options, ulid: ulid(), onUnreadable }, source);
  assert.deepEqual(told, [refs[1]]);
  const block = await openBlock(folder!);
  const { series } = await readSeries(block, [createMatcher("n", "=~", ".+")]);
  await block.close();
  assert.deepEqual(
    series.map((one) => [one.labels.get("n"), samplesOf(one).times]),
    ["a", "b", "c"].map((n) => [n, [1000, 2000, 3000]]),
  );
  await rm(parent, { recursive: true });
});

test("a histogram whose indexes go beyond 32 bits is deleted in part, in a snapshot, and cut", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cut-test-"));
  const hourMs = 3_600_000;
  const startMs = 1_700_006_400_000;
  const clock = stoppedClock(startMs);
  const registry = new Registry();
  const options = { folder, clock, registry, logger: silentLogger, retentionMs: 1000 * hourMs };
  const db = await openDatabase(options);
  const ref = db.resolve(Labels.fromObject({ __name__: "far" }));
  const histogram = newHistogram({
    count: 3,
    sum: 1,
    positiveSpans: Int32Array.of(2 ** 31 - 1, 2, 7, 1),
    positiveBuckets: Float64Array.of(1, 1, 1),
  });
  const minutes = 6 * 60;
  for (let i = 0; i < minutes; i++) {
    clock.nowMs = startMs + i * 60_000;
    const row = { ref, timeMs: clock.nowMs, histogram, isFloat: false };
    const histograms = histogramColumns([row]);
    assert.equal((await db.append({ ...columns([]), histograms })).appendedHistograms, 1);
  }
  const matchers = [createMatcher("__name__", "=", "far")];
  await db.deleteSeries({ matchers, minTimeMs: startMs + 600_000, maxTimeMs: startMs + 1_200_000 });
  const held = async (from: Queryable): Promise<number> => {
    let count = 0;
    for (const { chunks } of await read(from, matchers))
      for (const chunk of chunks)
        for (const one of decodeHistogramChunk(chunk).histograms) {
          assert.deepEqual(one.positiveSpans, histogram.positiveSpans);
          count++;
        }
    return count;
  };
  assert.equal(await held(db), minutes - 11);
  const name = await db.snapshot({ skipHead: false });
  await db.maintain();
  assert.ok(db.blocks().length > 0);
  assert.equal(await held(db), minutes - 11);
  assert.match(registry.expose(), /^prometheus_tsdb_compactions_failed_total 0$/m);
  for (const { ulid } of db.blocks())
    assert.deepEqual((await verifyBlock(join(folder, ulid))).problems, []);
  await db.close();
  const copy = await openDatabase({
    ...options,
    folder: join(folder, "snapshots", name),
    registry: new Registry(),
  });
  assert.equal(await held(copy), minutes - 11);
  await copy.close();
  await rm(folder, { recursive: true });
});

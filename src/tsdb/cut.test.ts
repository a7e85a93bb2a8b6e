import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { openBlock } from "../block/block.ts";
import { readSeries, samplesOf } from "../block/testing/block-fixture.ts";
import { newUlid } from "../block/ulid.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { Labels } from "../model/labels.ts";
import { createMatcher } from "../model/matcher.ts";
import { type Chunk, ENCODING_HISTOGRAM, ENCODING_XOR } from "../storage/queryable.ts";
import { cutBlock } from "./cut.ts";
import { CHUNK_RANGE_MS, HeadStore } from "./head-store.ts";

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

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { formatSeries, type Labels } from "../model/labels.ts";
import { createMatcher } from "../model/matcher.ts";
import { type Chunk, ENCODING_HISTOGRAM, ENCODING_XOR } from "../storage/queryable.ts";
import { openBlock } from "./block.ts";
import { mergeBlocks } from "./merge.ts";
import { readSeries, samplesOf } from "./testing/block-fixture.ts";
import { TOMBSTONES_FILE, writeTombstones } from "./tombstones.ts";
import { newUlid } from "./ulid.ts";
import { verifyBlock } from "./verify.ts";
import { BlockWriter } from "./writer.ts";

const root = await mkdtemp(join(tmpdir(), "unreadable-test-"));
after(() => rm(root, { recursive: true, force: true }));

const ulid = (): string => newUlid({ clock: systemClock, random: systemRandom });

/** Three samples a second apart. */
const floats = (fromMs: number): Chunk => {
  const times = Float64Array.of(fromMs, fromMs + 1000, fromMs + 2000);
  const data = encodeXor(times, Float64Array.of(1, 2, 3), { start: 0, end: 3 });
  return { encoding: ENCODING_XOR, minTimeMs: fromMs, maxTimeMs: fromMs + 2000, data };
};
/** One that says it has three samples and ends in its layout. */
const broken = (fromMs: number): Chunk => ({
  encoding: ENCODING_HISTOGRAM,
  minTimeMs: fromMs,
  maxTimeMs: fromMs + 2000,
  data: Uint8Array.of(0, 3, 0, 0),
});

/** A block of the series `{n="…"}`. */
async function writeBlock(series: Record<string, readonly Chunk[]>): Promise<string> {
  const id = ulid();
  const writer = await BlockWriter.create({ parent: root, ulid: id });
  const names = Object.keys(series).sort();
  await writer.addSymbols(["", ...names, "n"].map((text) => Buffer.from(text)));
  for (const [i, name] of names.entries()) {
    for (const chunk of series[name]!) await writer.addChunk(chunk);
    await writer.endSeries({ symbols: Uint32Array.of(names.length + 1, i + 1), labelCount: 1 });
  }
  const compaction = { level: 1, sources: [id] };
  return writer.finish({ minTime: 0, maxTime: 10_000, compaction });
}

test("a series that cannot be decoded is left out of a merge and named; all else is merged", async () => {
  const first = await writeBlock({ a: [floats(0)], b: [broken(0), floats(5000)], c: [floats(0)] });
  const second = await writeBlock({ a: [floats(500)], b: [floats(1000)], c: [floats(500)] });
  const blocks = [await openBlock(first), await openBlock(second)];
  await assert.rejects(mergeBlocks(blocks, { parent: root, ulid: ulid() }), { code: "corrupt" });
  const told: string[] = [];
  const onUnreadable = (labels: Labels): void => void told.push(formatSeries(labels));
  const folder = (await mergeBlocks(blocks, { parent: root, ulid: ulid(), onUnreadable }))!;
  for (const block of blocks) await block.close();
  assert.deepEqual(told, ['{n="b"}']);
  const merged = await openBlock(folder);
  const { series } = await readSeries(merged, [createMatcher("n", "=~", ".+")]);
  await merged.close();
  assert.deepEqual(
    series.map((one) => [one.labels.get("n"), samplesOf(one).times]),
    [
      ["a", [0, 500, 1000, 1500, 2000, 2500]],
      ["b", [1000, 2000, 3000, 5000, 6000, 7000]],
      ["c", [0, 500, 1000, 1500, 2000, 2500]],
    ],
  );
  assert.deepEqual((await verifyBlock(folder)).problems, []);
});

test("a deletion within what cannot be decoded stops no merge", async () => {
  const folder = await writeBlock({ a: [floats(0)], b: [broken(0), floats(5000)] });
  const block = await openBlock(folder);
  const [, ref] = await block.index.allPostings();
  await rm(join(folder, TOMBSTONES_FILE), { force: true });
  await writeTombstones(
    join(folder, TOMBSTONES_FILE),
    new Map([[ref!, [{ minTime: 1500, maxTime: 5500 }]]]),
  );
  await block.close();
  const deleted = await openBlock(folder);
  const told: string[] = [];
  const onUnreadable = (labels: Labels): void => void told.push(formatSeries(labels));
  const cleaned = await mergeBlocks([deleted], { parent: root, ulid: ulid(), onUnreadable });
  await deleted.close();
  assert.deepEqual(told, ['{n="b"}']);
  const read = await openBlock(cleaned!);
  const { series } = await readSeries(read, [createMatcher("n", "=~", ".+")]);
  await read.close();
  assert.deepEqual(
    series.map((one) => samplesOf(one).times),
    [
      [0, 1000, 2000],
      [6000, 7000],
    ],
  );
});

test("verifying a block decodes its histograms", async () => {
  const folder = await writeBlock({ a: [floats(0)], b: [broken(0)] });
  const { problems } = await verifyBlock(folder);
  assert.equal(problems.length, 1);
  assert.match(problems[0]!, /^series {n="b"} has a chunk that cannot be read: /);
});

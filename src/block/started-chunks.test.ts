import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { bytesOf, GOLDEN, type GoldenChunk } from "../chunk/testdata/start-times.ts";
import { createMatcher } from "../model/matcher.ts";
import { Engine } from "../promql/engine.ts";
import { ENCODING_XOR2, isStartedChunk } from "../storage/started-chunk.ts";
import { type Block, openBlock } from "./block.ts";
import { mergeBlocks } from "./merge.ts";
import { readSeries, samplesOf } from "./testing/block-fixture.ts";
import { writeTombstones } from "./tombstones.ts";
import { newUlid } from "./ulid.ts";
import { verifyBlock } from "./verify.ts";
import { BlockWriter } from "./writer.ts";

const root = await mkdtemp(join(tmpdir(), "started-chunks-"));
after(() => rm(root, { recursive: true, force: true }));
const any = [createMatcher("__name__", "=", "x")];
const newName = (): string => newUlid({ clock: systemClock, random: systemRandom });

/** A block of one series x that has `chunks` as they are. */
async function writeStarted(chunks: readonly GoldenChunk[]): Promise<string> {
  const ulid = newName();
  const writer = await BlockWriter.create({ parent: root, ulid });
  await writer.addSymbols(["", "__name__", "x"].map((text) => Buffer.from(text)));
  for (const chunk of chunks)
    await writer.addChunk({
      encoding: ENCODING_XOR2,
      data: bytesOf(chunk),
      minTimeMs: chunk.times[0]!,
      maxTimeMs: chunk.times.at(-1)!,
    });
  await writer.endSeries({ symbols: Uint32Array.of(1, 2), labelCount: 1 });
  return writer.finish({
    minTime: chunks[0]!.times[0]!,
    maxTime: chunks.at(-1)!.times.at(-1)! + 1,
    compaction: { level: 1, sources: [ulid] },
  });
}

async function merge(folders: readonly string[]): Promise<Block> {
  const blocks = await Promise.all(folders.map((folder) => openBlock(folder)));
  const merged = await mergeBlocks(blocks, { parent: root, ulid: newName(), labelIndices: false });
  for (const block of blocks) await block.close();
  return openBlock(merged!);
}

/** Encodings of the chunks as they lie in the block's files. */
async function storedEncodings(block: Block): Promise<number[]> {
  const refs = await block.index.matching(any);
  const places: { ref: number; minTimeMs: number; maxTimeMs: number }[] = [];
  await block.index.forEachSeries(refs, { from: 0, to: refs.length }, (entry) => {
    for (let i = 0; i < entry.chunkCount; i++)
      places.push({
        ref: entry.chunkRefs[i]!,
        minTimeMs: entry.minTimes[i]!,
        maxTimeMs: entry.maxTimes[i]!,
      });
  });
  return (await block.chunks.read(places)).map(({ encoding }) => encoding);
}

/** Chunks of floats from after 2023 on, those with start times first. */
const later = GOLDEN.chunks.filter(({ times }) => times[0]! > 0 && times.length > 5);
const started = later.filter(({ starts }) => starts.some((start) => start !== 0));

describe("a block of XOR2 chunks", () => {
  test("gives their samples as XOR, with start times beside them", async () => {
    for (const golden of later) {
      const folder = await writeStarted([golden]);
      const block = await openBlock(folder);
      const { series } = await readSeries(block, any);
      const { times, bits } = samplesOf(series[0]!);
      assert.deepEqual(times, golden.times);
      assert.deepEqual(
        bits.map((one) => one.padStart(16, "0")),
        golden.bits,
      );
      const [chunk] = series[0]!.chunks;
      const starts = isStartedChunk(chunk!) ? [...chunk.startTimes] : golden.times.map(() => 0);
      assert.deepEqual(starts, golden.starts);
      await block.close();
      assert.deepEqual((await verifyBlock(folder)).problems, []);
    }
  });

  test("is merged: chunks that overlap no other stay as they are, others become XOR", async () => {
    const [first] = started;
    const alone = await merge([await writeStarted([first!])]);
    assert.deepEqual(await storedEncodings(alone), [ENCODING_XOR2]);
    await alone.close();
    const second = later.find(
      (one) =>
        one !== first &&
        one.times[0]! <= first!.times.at(-1)! &&
        one.times.at(-1)! >= first!.times[0]!,
    );
    const overlapping = [first!, second!];
    const both = await merge(await Promise.all(overlapping.map((one) => writeStarted([one]))));
    assert.ok((await storedEncodings(both)).every((encoding) => encoding === 1));
    const { series } = await readSeries(both, any);
    const wanted = new Set(overlapping.flatMap(({ times }) => times));
    assert.deepEqual(
      samplesOf(series[0]!).times,
      [...wanted].sort((a, b) => a - b),
    );
    await both.close();
  });

  test("keeps what is not deleted", async () => {
    const [golden] = started;
    const folder = await writeStarted([golden!]);
    const index = await openBlock(folder);
    const [ref] = await index.index.matching(any);
    await index.close();
    const middle = golden!.times[3]!;
    await rm(join(folder, "tombstones"));
    await writeTombstones(
      join(folder, "tombstones"),
      new Map([[ref!, [{ minTime: 0, maxTime: middle }]]]),
    );
    const block = await openBlock(folder);
    const { series, warnings } = await readSeries(block, any);
    assert.deepEqual(warnings, []);
    assert.deepEqual(
      samplesOf(series[0]!).times,
      golden!.times.filter((time) => time > middle),
    );
    await block.close();
  });

  test("tells queries when samples started to be counted", async () => {
    const golden = started.find(({ starts, bits }) => {
      const newest = bits.findLastIndex((one) => one !== "7ff0000000000002");
      return newest === bits.length - 1 && starts[newest] !== 0;
    })!;
    const block = await openBlock(await writeStarted([golden]));
    const engine = new Engine({ startTimes: true, parser: { experimentalFunctions: true } });
    const { value } = await engine.instant(block, {
      query: "start_timestamp(x)",
      timeMs: golden.times.at(-1)!,
    });
    assert.ok(value.kind === "vector");
    assert.deepEqual(
      value.samples.map((sample) => sample.value),
      [golden.starts.at(-1)! / 1000],
    );
    await block.close();
  });
});

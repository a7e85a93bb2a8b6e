import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { randomInt, seededRandom } from "../base/random.ts";
import { MemorySource } from "../index/byte-source.ts";
import { ChunkFiles, ChunkFilesWriter, CHUNKS_FOLDER } from "./chunk-files.ts";

interface Written {
  readonly segment: Uint8Array;
  readonly refs: readonly number[];
  readonly data: readonly Uint8Array[];
}

/** A segment of chunks of the given sizes, with bytes that tell them apart. */
async function write(sizes: readonly number[]): Promise<Written> {
  const folder = mkdtempSync(join(tmpdir(), "shoal-chunk-files-"));
  try {
    const writer = await ChunkFilesWriter.create(folder);
    const data = sizes.map((size, i) => Uint8Array.from({ length: size }, (_, k) => i * 7 + k));
    const refs: number[] = [];
    for (const one of data) {
      const ref = writer.add(1, one);
      assert.ok(ref !== undefined);
      refs.push(ref);
      if (writer.isFull) await writer.drain();
    }
    await writer.flush();
    await writer.close();
    return { segment: readFileSync(join(folder, CHUNKS_FOLDER, "000001")), refs, data };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const open = (segment: Uint8Array): Promise<ChunkFiles> =>
  ChunkFiles.open([new MemorySource("segment", segment)]);

const placesOf = ({ refs }: Written, wanted: readonly number[]) =>
  wanted.map((i) => ({ ref: refs[i]!, minTimeMs: i, maxTimeMs: i + 1 }));

test("chunks are what was written, whichever are wanted, of whatever size", async () => {
  const random = seededRandom(5);
  const written = await write(
    Array.from({ length: 3000 }, () =>
      randomInt(random, 20) === 0 ? 5000 : randomInt(random, 400),
    ),
  );
  const files = await open(written.segment);
  for (const oneOf of [1, 2, 10, 40, 300])
    for (let round = 0; round < 5; round++) {
      const wanted = written.refs.map((_, i) => i).filter(() => randomInt(random, oneOf) === 0);
      // The last one is longer than what is read behind it in the hope that it suffices.
      const long = written.data.findLastIndex(({ length }) => length === 5000);
      const all = [...new Set([...wanted.filter((i) => i < long), long])];
      const chunks = await files.read(placesOf(written, all));
      assert.deepEqual(
        chunks.map(({ data, minTimeMs, maxTimeMs }) => [Buffer.from(data), minTimeMs, maxTimeMs]),
        all.map((i) => [Buffer.from(written.data[i]!), i, i + 1]),
      );
    }
});

test("each of several pieces that are read at the same time may end in a long chunk", async () => {
  const written = await write(Array.from({ length: 1000 }, (_, i) => (i % 100 === 1 ? 5000 : 300)));
  const files = await open(written.segment);
  const wanted = written.refs.map((_, i) => i).filter((i) => i % 100 < 2);
  const chunks = await files.read(placesOf(written, wanted));
  assert.deepEqual(
    chunks.map(({ data }) => Buffer.from(data)),
    wanted.map((i) => Buffer.from(written.data[i]!)),
  );
});

test("chunks that lie far apart do not hold what lies between them", async () => {
  const written = await write(Array.from({ length: 2000 }, () => 300));
  const files = await open(written.segment);
  const wanted = written.refs.map((_, i) => i).filter((i) => i % 20 < 2);
  const chunks = await files.read(placesOf(written, wanted));
  const held = new Set(chunks.map(({ data }) => data.buffer));
  const bytes = [...held].reduce((sum, { byteLength }) => sum + byteLength, 0);
  assert.ok(bytes < wanted.length * 320, `${bytes} bytes for ${wanted.length} chunks`);
});

test("a chunk that was damaged is told by its place, far apart or not", async () => {
  for (const apart of [1, 20]) {
    const written = await write(Array.from({ length: 1000 }, () => 300));
    const files = await open(written.segment);
    const wanted = written.refs.map((_, i) => i).filter((i) => i % apart === 0);
    const victim = wanted[3]!;
    written.segment[written.refs[victim]! + 100]! ^= 1;
    await assert.rejects(files.read(placesOf(written, wanted)), {
      code: "corrupt",
      message: `cannot read segment: a chunk has a wrong checksum at offset ${written.refs[victim]}`,
    });
    // Those that are not wanted are not looked at.
    assert.equal((await files.read(placesOf(written, [victim - 1, victim + 1]))).length, 2);
  }
});

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { randomInt, seededRandom } from "../base/random.ts";
import { type ByteSource, openFileSource } from "../index/byte-source.ts";
import { Labels } from "../model/labels.ts";
import { openBlock } from "./block.ts";
import { ChunkFiles } from "./chunk-files.ts";
import { GroupedEntries } from "./grouped-entries.ts";
import { NewestSamples } from "./newest-samples.ts";
import { type Sample, writeTestBlock } from "./testing/block-fixture.ts";

const root = await mkdtemp(join(tmpdir(), "newest-samples-test-"));
after(() => rm(root, { recursive: true, force: true }));

function counted(source: ByteSource): { source: ByteSource; reads: () => number } {
  let reads = 0;
  return {
    reads: () => reads,
    source: {
      name: source.name,
      size: source.size,
      read: (offset, length) => source.read(offset, length),
      readInto: (target, offset) => {
        reads++;
        return source.readInto(target, offset);
      },
      close: () => source.close(),
    },
  };
}

test("chunks that lie together are read at once, though the kernel takes them in many pieces", async () => {
  const random = seededRandom(8);
  const rows = Array.from({ length: 1500 }, (_, i) => ({
    labels: Labels.fromObject({ __name__: "m", i: String(i).padStart(4, "0") }),
    samples: Array.from({ length: 120 }, (__, k): Sample => [k * 15_000, randomInt(random, 1e9)]),
  }));
  const folder = await writeTestBlock(root, rows);
  const block = await openBlock(folder);
  const { source, reads } = counted(await openFileSource(join(folder, "chunks", "000001")));
  assert.ok(source.size > 4 * 64 * 1024 && source.size < 1024 * 1024);
  const chunks = await ChunkFiles.open([source]);
  const range = { minTimeMs: 0, maxTimeMs: 1e9 };
  const grouped = { ...range, matchers: [], grouping: [], foreignNames: [] };
  const request = { ...grouped, without: false, wantsHashes: false };
  const entries = new GroupedEntries(block.index, request, rows.length);
  const refs = await block.index.allPostings();
  await entries.read(refs, { from: 0, to: refs.length }, () => false);
  const samples = new NewestSamples(rows.length);
  await samples.read(entries, chunks, range);
  assert.deepEqual(
    [...samples.values],
    rows.map((row) => row.samples.at(-1)![1]),
  );
  assert.deepEqual([samples.chunkCount, samples.sampleCount], [1500, 180_000]);
  // Behind the last chunk less may have been read along than it is long.
  assert.ok(reads() <= 2, `${reads()} reads`);
  await chunks.close();
  await block.close();
});

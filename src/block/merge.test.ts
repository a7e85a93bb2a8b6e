import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { promisify } from "node:util";
import fc from "fast-check";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { partPath, skipWithoutParts } from "../../test/support/processes.ts";
import { systemClock } from "../base/clock.ts";
import { randomInt, seededRandom, systemRandom } from "../base/random.ts";
import { Labels } from "../model/labels.ts";
import { type FloatHistogram, newHistogram } from "../model/histogram.ts";
import { createMatcher } from "../model/matcher.ts";
import type { Chunk } from "../storage/queryable.ts";
import { type Block, openBlock } from "./block.ts";
import { mergeBlocks } from "./merge.ts";
import { readSeries, type Sample, samplesOf, writeTestBlock } from "./testing/block-fixture.ts";
import { decodeHistogramChunk, encodeHistogramRun } from "../storage/chunk-encodings.ts";
import { withoutDeleted } from "./recode.ts";
import { newUlid } from "./ulid.ts";
import { verifyBlock } from "./verify.ts";
import { writeTombstones } from "./tombstones.ts";

const root = await mkdtemp(join(tmpdir(), "merge-test-"));
after(() => rm(root, { recursive: true, force: true }));
const any = [createMatcher("n", "=~", ".*")];

async function merge(blocks: readonly Block[], labelIndices = false): Promise<string | undefined> {
  const ulid = newUlid({ clock: systemClock, random: systemRandom });
  return mergeBlocks(blocks, { parent: root, ulid, labelIndices });
}

async function rowsOf(folder: string): Promise<Map<string, Sample[]>> {
  const block = await openBlock(folder);
  const { series } = await readSeries(block, any);
  await block.close();
  return new Map(
    series.map((one) => {
      const { times, values } = samplesOf(one);
      return [one.labels.toString(), times.map((t, i): Sample => [t, values[i]!])];
    }),
  );
}

describe("mergeBlocks", () => {
  test("of any blocks gives the union of their samples", async () => {
    const sample = fc.tuple(fc.integer({ min: 0, max: 400 }), fc.double({ noNaN: true }));
    const row = fc.record({
      n: fc.constantFrom("a", "b", "c", "\u{1F600}", "\uFFFD", "__proto__"),
      samples: fc.uniqueArray(sample, { minLength: 1, maxLength: 30, selector: ([t]) => t }),
    });
    const content = fc.uniqueArray(row, { minLength: 1, maxLength: 5, selector: ({ n }) => n });
    await fc.assert(
      fc.asyncProperty(fc.array(content, { minLength: 1, maxLength: 4 }), async (contents) => {
        const truth = new Map<string, Map<number, number>>();
        const blocks: Block[] = [];
        for (const rows of contents) {
          const series = rows.map(({ n, samples }) => {
            const labels = Labels.fromObject({ n });
            const sorted = [...samples].sort((a, b) => a[0] - b[0]);
            const known = truth.get(labels.toString()) ?? new Map<number, number>();
            for (const [t, v] of sorted) if (!known.has(t)) known.set(t, v);
            truth.set(labels.toString(), known);
            return { labels, samples: sorted };
          });
          blocks.push(await openBlock(await writeTestBlock(root, series, { chunkSamples: 7 })));
        }
        const folder = (await merge(blocks))!;
        for (const block of blocks) await block.close();
        const merged = await rowsOf(folder);
        assert.deepEqual(
          new Map([...merged].map(([key, rows]) => [key, new Map(rows)])),
          new Map(
            [...truth].map(([key, rows]) => [key, new Map([...rows].sort((a, b) => a[0] - b[0]))]),
          ),
        );
        const report = await verifyBlock(folder);
        assert.deepEqual(report.problems, []);
      }),
      { numRuns: 40 },
    );
  });

  test("copies chunks that do not overlap, and names what it was made from", async () => {
    const labels = Labels.fromObject({ n: "x" });
    const samples = (from: number): Sample[] =>
      Array.from({ length: 300 }, (_, i) => [from + i, i]);
    const first = await openBlock(
      await writeTestBlock(root, [{ labels, samples: samples(0) }], { level: 2 }),
    );
    const second = await openBlock(
      await writeTestBlock(root, [{ labels, samples: samples(1000) }]),
    );
    const folder = (await merge([first, second]))!;
    const block = await openBlock(folder);
    const chunks = async (from: Block): Promise<Buffer[]> =>
      (await readSeries(from, any)).series[0]!.chunks.map(({ data }) => Buffer.from(data));
    assert.deepEqual(await chunks(block), [...(await chunks(first)), ...(await chunks(second))]);
    const { meta } = block;
    assert.deepEqual([meta.minTime, meta.maxTime, meta.compaction.level], [0, 1300, 3]);
    assert.deepEqual(meta.compaction.sources, [first.meta.ulid, second.meta.ulid].sort());
    assert.deepEqual(
      meta.compaction.parents?.map(({ ulid }) => ulid),
      [first.meta.ulid, second.meta.ulid],
    );
    assert.deepEqual(
      [meta.stats.numSamples, meta.stats.numSeries, meta.stats.numChunks],
      [600, 1, 6],
    );
    for (const one of [first, second, block]) await one.close();
  });

  test("goes through many series, long chunks and segments in pieces", async () => {
    const random = seededRandom(11);
    const truth = new Map<string, Sample[]>();
    const blocks: Block[] = [];
    for (let from = 0; from < 2000; from += 1000) {
      const rows = Array.from({ length: 2500 }, (_, i) => {
        const labels = Labels.fromObject({ n: String(i) });
        const samples = Array.from({ length: i % 500 === 0 ? 700 : 2 }, (__, k): Sample => [
          from + k,
          random.next(),
        ]);
        truth.set(labels.toString(), [...(truth.get(labels.toString()) ?? []), ...samples]);
        return { labels, samples };
      });
      const options = { chunkSamples: 600, segmentMaxBytes: 16 * 1024 };
      blocks.push(await openBlock(await writeTestBlock(root, rows, options)));
    }
    const ulid = newUlid({ clock: systemClock, random: systemRandom });
    const options = { parent: root, ulid, segmentMaxBytes: 20 * 1024 };
    const folder = (await mergeBlocks(blocks, options))!;
    for (const block of blocks) await block.close();
    assert.deepEqual((await verifyBlock(folder)).problems, []);
    const segments = await readdir(join(folder, "chunks"));
    assert.ok(segments.length > 3, String(segments));
    assert.deepEqual(await rowsOf(folder), truth);
  });

  test("leaves deleted samples out, and gives no block when none are left", async () => {
    const rows = ["a", "b"].map((n) => ({
      labels: Labels.fromObject({ n }),
      samples: Array.from({ length: 200 }, (_, i): Sample => [i, i]),
    }));
    const folder = await writeTestBlock(root, rows);
    const bare = await openBlock(folder);
    const refs = await bare.index.allPostings();
    await bare.close();
    await rm(join(folder, "tombstones"));
    await writeTombstones(
      join(folder, "tombstones"),
      new Map([[refs[0]!, [{ minTime: 10, maxTime: 19 }]]]),
    );
    const block = await openBlock(folder);
    const cut = await rowsOf((await merge([block]))!);
    await block.close();
    assert.deepEqual(
      [...cut.values()].map((list) => list.length),
      [190, 200],
    );
    await rm(join(folder, "tombstones"));
    const everything = [{ minTime: 0, maxTime: 1e9 }];
    await writeTombstones(
      join(folder, "tombstones"),
      new Map([...refs].map((ref) => [ref, everything])),
    );
    const emptied = await openBlock(folder);
    assert.equal(await merge([emptied]), undefined);
    await emptied.close();
    assert.deepEqual(
      (await readdir(root)).filter((name) => name.includes(".tmp")),
      [],
    );
  });

  test(
    "carries histograms untouched, and equal ones once",
    { skip: skipWithout("golden") },
    async () => {
      const shared = sharedPath("golden")!;
      const golden = join(
        shared,
        (await readdir(shared)).find((name) => name.startsWith("block-"))!,
      );
      const [a, b] = [await openBlock(golden), await openBlock(golden)];
      const folder = (await merge([a, b], true))!;
      for (const one of [a, b]) await one.close();
      // The same content in the same order is the same file.
      assert.deepEqual(
        await readFile(join(folder, "index")),
        await readFile(join(golden, "index")),
      );
      assert.deepEqual(
        await readFile(join(folder, "chunks/000001")),
        await readFile(join(golden, "chunks/000001")),
      );
    },
  );

  test("stops when told to and leaves nothing", async () => {
    const rows = Array.from({ length: 300 }, (_, i) => ({
      labels: Labels.fromObject({ n: String(i) }),
      samples: [[1, 1]] as Sample[],
    }));
    const block = await openBlock(await writeTestBlock(root, rows));
    const ulid = newUlid({ clock: systemClock, random: systemRandom });
    const merging = mergeBlocks([block], { parent: root, ulid, signal: AbortSignal.abort() });
    await assert.rejects(merging, { name: "AbortError" });
    assert.deepEqual(
      (await readdir(root)).filter((name) => name.includes(".tmp")),
      [],
    );
    await block.close();
  });
});

describe("withoutDeleted", () => {
  const histogram = (count: number): FloatHistogram =>
    newHistogram({
      count,
      sum: count * 2,
      positiveSpans: Int32Array.of(0, 2),
      positiveBuckets: Float64Array.of(1, count - 1),
    });
  const histograms = (times: readonly number[]): readonly Chunk[] =>
    encodeHistogramRun(2, {
      times: Float64Array.from(times),
      histograms: times.map((t) => histogram(t + 1)),
    });
  test("cuts histograms", () => {
    const [chunk] = histograms([10, 20, 30, 40]);
    const left = withoutDeleted(chunk!, [{ minTime: 15, maxTime: 30 }]);
    assert.deepEqual(
      left.flatMap((one) => [...decodeHistogramChunk(one).times]),
      [10, 40],
    );
    assert.deepEqual(withoutDeleted(chunk!, [{ minTime: 0, maxTime: 100 }]), []);
  });
});

test("promtool's blocks are copied byte for byte", { skip: skipWithoutParts() }, async () => {
  const random = seededRandom(4);
  let text = "";
  for (let m = 0; m < 40; m++) {
    text += `# TYPE metric_${m} gauge\n`;
    for (let i = 0; i < 25; i++)
      for (let k = 0; k < 20; k++) {
        const time = 1_700_000_000 + k * 15;
        text += `metric_${m}{i="${i}",dc="d${i % 3}","é"="\u{1F600}${m % 7}"} ${randomInt(random, 1e6)} ${time}\n`;
      }
  }
  await mkdir(join(root, "promtool"));
  await writeFile(join(root, "input"), `${text}# EOF\n`);
  await promisify(execFile)(partPath("promtool")!, [
    "tsdb",
    "create-blocks-from",
    "openmetrics",
    join(root, "input"),
    join(root, "promtool"),
  ]);
  for (const name of await readdir(join(root, "promtool"))) {
    const theirs = join(root, "promtool", name);
    assert.deepEqual((await verifyBlock(theirs)).problems, []);
    const block = await openBlock(theirs);
    const ours = (await merge([block], true))!;
    await block.close();
    for (const file of ["index", "chunks/000001", "tombstones"])
      assert.deepEqual(await readFile(join(ours, file)), await readFile(join(theirs, file)), file);
  }
});

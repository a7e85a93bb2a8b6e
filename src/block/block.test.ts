import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { systemClock } from "../base/clock.ts";
import { formatSampleValue } from "../base/float.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { compareLabels, Labels } from "../model/labels.ts";
import { createMatcher } from "../model/matcher.ts";
import { type Block, openBlock } from "./block.ts";
import { formatMeta, parseMeta, readMeta } from "./meta.ts";
import { readSeries, type Sample, samplesOf, writeTestBlock } from "./testing/block-fixture.ts";
import { addInterval, parseTombstones, readTombstones, writeTombstones } from "./tombstones.ts";
import { isUlid, newUlid, ulidTimeMs } from "./ulid.ts";
import { verifyBlock } from "./verify.ts";
import { BlockWriter } from "./writer.ts";

const FLIPS = Number(process.env["SHOAL_FLIPS"] ?? 200);
const root = await mkdtemp(join(tmpdir(), "block-test-"));
after(() => rm(root, { recursive: true, force: true }));
const any = [createMatcher("__name__", "=~", ".+")];
const skip = skipWithout("golden");

async function goldenFolder(): Promise<string> {
  const folder = sharedPath("golden")!;
  return join(
    folder,
    (await readdir(folder)).find((name) => name.startsWith("block-"))!,
  );
}

function rowsOf(count: number, samples: number): { labels: Labels; samples: Sample[] }[] {
  const random = seededRandom(count);
  return Array.from({ length: count }, (_, i) => ({
    labels: Labels.fromObject({ __name__: `m${i % 3}`, i: String(i), job: i % 2 ? "a" : "b" }),
    samples: Array.from({ length: samples }, (__, k): Sample => [
      1_000_000 + k * 15_000,
      randomInt(random, 1000),
    ]),
  }));
}

describe("blocks that Prometheus wrote", { skip }, () => {
  test("give every sample of the golden block", async () => {
    const folder = await goldenFolder();
    const block = await openBlock(folder);
    const dump = (await readFile(join(folder, "../dump.txt"), "utf8")).trim().split("\n");
    const { series, warnings } = await readSeries(block, any);
    assert.deepEqual(warnings, []);
    const floats = series.filter(({ chunks }) => chunks.every(({ encoding }) => encoding === 1));
    const rows = floats.flatMap((one) => {
      const { times, values } = samplesOf(one);
      return times.map((t, i) => `${one.labels.toString()} ${formatSampleValue(values[i]!)} ${t}`);
    });
    const wanted = dump.filter((line) => !/\} \{/.test(line));
    assert.ok(rows.length > 300);
    assert.deepEqual(rows.sort(), wanted.sort());
    assert.ok(series.length > floats.length, "there are histograms in it");
    await block.close();
    assert.deepEqual((await verifyBlock(folder)).problems, []);
  });

  test("of index version 1 are read and verified", async () => {
    const folder = join(sharedPath("blocks")!, "index_format_v1");
    const block = await openBlock(folder);
    const { series } = await readSeries(block, [createMatcher("foo", "=~", ".*")]);
    assert.equal(series.length, 102);
    assert.deepEqual(
      await block.labelValues("bar", { matchers: [], minTimeMs: 0, maxTimeMs: 9e12 }),
      {
        values: await block.index.labelValues("bar"),
        warnings: [],
      },
    );
    await block.close();
    const report = await verifyBlock(folder);
    assert.deepEqual([report.problems, report.sampleCount], [[], 102]);
  });
});

type Wanted = ReadonlyMap<string, readonly Sample[]>;

async function checkSeries(block: Block, want: Wanted): Promise<void> {
  const { series } = await readSeries(block, any);
  for (const one of series) {
    const { times, values } = samplesOf(one);
    assert.deepEqual(
      times.map((t, i) => [t, values[i]]),
      want.get(one.labels.toString()),
    );
  }
}

/** As `checkSeries`, of the newest samples in columns. */
async function checkNewest(block: Block, want: Wanted): Promise<void> {
  const batches = block.selectGrouped({
    matchers: any,
    minTimeMs: -Infinity,
    maxTimeMs: Infinity,
    grouping: [],
    without: false,
    wantsHashes: false,
    foreignNames: [],
  });
  let count = 0;
  for await (const batch of batches)
    for (let place = 0; place < batch.count; place++, count++) {
      const labels = batch.labelsOf(place);
      const chunks = batch.chunks.get(place);
      const newest =
        chunks === undefined ? batch.values[place] : samplesOf({ labels, chunks }).values.at(-1);
      assert.equal(newest, want.get(labels.toString())?.at(-1)?.[1]);
    }
  assert.equal(count, want.size);
}

describe("a block we write", () => {
  test("gives a wide select in order and in pieces, up to its limit", async () => {
    const rows = rowsOf(2600, 250);
    const folder = await writeTestBlock(root, rows);
    const block = await openBlock(folder);
    let batches = 0;
    const given: string[] = [];
    const range = { minTimeMs: 0, maxTimeMs: 1e12 };
    for await (const { series } of block.select({ matchers: any, ...range })) {
      batches++;
      for (const one of series) {
        assert.equal(samplesOf(one).times.length, 250);
        given.push(one.labels.toString());
      }
    }
    assert.ok(batches > 2);
    const wanted = rows.map(({ labels }) => labels).sort(compareLabels);
    assert.deepEqual(
      given,
      wanted.map((labels) => labels.toString()),
    );
    for (const limit of [1, 1023, 1025, 2599, 2601]) {
      const { series } = await readSeries(block, any, { limit });
      assert.equal(series.length, Math.min(limit, 2600));
    }
    await block.close();
  });

  test("gives back its samples by matchers, range and limit", async () => {
    const rows = rowsOf(600, 300);
    const block = await openBlock(await writeTestBlock(root, rows));
    const { series } = await readSeries(block, any);
    assert.equal(series.length, 600);
    for (const one of series) {
      const row = rows.find(({ labels }) => labels.equals(one.labels))!;
      const { times, values } = samplesOf(one);
      assert.deepEqual(
        times.map((t, i) => [t, values[i]]),
        row.samples,
      );
    }
    const request = { minTimeMs: 1_000_000 + 120 * 15_000, maxTimeMs: 1_000_000 + 239 * 15_000 };
    const part = await readSeries(block, [createMatcher("job", "=", "a")], request);
    assert.equal(part.series.length, 300);
    assert.ok(part.series.every(({ chunks }) => chunks.length === 1));
    assert.equal((await readSeries(block, any, { limit: 7 })).series.length, 7);
    const bare = await readSeries(block, any, { skipChunks: true, minTimeMs: 2_000_000 });
    assert.ok(bare.series.length === 600 && bare.series.every(({ chunks }) => chunks.length === 0));
    assert.equal((await readSeries(block, any, { minTimeMs: 1e12 })).series.length, 0);
    const stripped = await readSeries(block, any, { withoutReplicaLabels: ["i"], limit: 5 });
    assert.deepEqual(
      stripped.series.map(({ labels }) => labels.toString()),
      ["m0", "m1", "m2"]
        .flatMap((m) => [`{__name__="${m}", job="a"}`, `{__name__="${m}", job="b"}`])
        .slice(0, 5),
    );
    const everywhere = { minTimeMs: 0, maxTimeMs: 1e13 };
    assert.deepEqual((await block.labelNames({ matchers: [], ...everywhere })).values, [
      "__name__",
      "i",
      "job",
    ]);
    const few = { matchers: [createMatcher("i", "=~", "1|2")], ...everywhere };
    assert.deepEqual((await block.labelValues("__name__", few)).values, ["m1", "m2"]);
    assert.deepEqual((await block.labelValues("__name__", { ...few, limit: 1 })).values, ["m1"]);
    await block.close();
  });

  test("spans several segments, and its files outlive its closing while they are read", async () => {
    const rows = rowsOf(40, 500);
    const folder = await writeTestBlock(root, rows, { segmentMaxBytes: 4096 });
    assert.ok((await readdir(join(folder, "chunks"))).length > 5);
    const report = await verifyBlock(folder);
    assert.deepEqual([report.problems, report.seriesCount, report.sampleCount], [[], 40, 20_000]);
    const block = await openBlock(folder);
    const reading = block.select({ matchers: any, minTimeMs: 0, maxTimeMs: 1e13 });
    const first = reading[Symbol.asyncIterator]().next();
    await block.close();
    await rm(folder, { recursive: true });
    assert.equal((await first).value.series.length, 40);
    await reading.return(undefined);
    await assert.rejects(readSeries(block, any), { code: "unavailable" });
  });

  test("keeps the bits of every value", async () => {
    const random = seededRandom(7);
    const values = new Float64Array(20_000);
    const words = new Uint32Array(values.buffer);
    for (let i = 0; i < words.length; i++) words[i] = randomInt(random, 2 ** 32);
    words.set([2, 0x7ff00000, 1, 0x7ff80000], 0);
    const { encodeXor } = await import("../chunk/xor-encode.ts");
    const times = Float64Array.from(values, (_, i) => i);
    const ulid = newUlid({ clock: systemClock, random });
    const writer = await BlockWriter.create({ parent: root, ulid });
    await writer.addSymbols([new Uint8Array(0), Buffer.from("a"), Buffer.from("b")]);
    await writer.addChunk({
      encoding: 1,
      minTimeMs: 0,
      maxTimeMs: times.length - 1,
      data: encodeXor(times, values, { start: 0, end: times.length }),
    });
    await writer.endSeries({ symbols: Uint32Array.of(1, 2), labelCount: 1 });
    const folder = await writer.finish({
      minTime: 0,
      maxTime: times.length,
      compaction: { level: 1, sources: [ulid] },
    });
    const block = await openBlock(folder);
    const { series } = await readSeries(block, [createMatcher("a", "=", "b")]);
    const wanted = [...new BigUint64Array(values.buffer)].map((bits) => bits.toString(16));
    assert.deepEqual(samplesOf(series[0]!).bits, wanted);
    await block.close();
  });

  test("leaves out what was deleted", async () => {
    const rows = rowsOf(3, 300);
    const folder = await writeTestBlock(root, rows);
    let block = await openBlock(folder);
    const refs = await block.index.allPostings();
    await block.close();
    await rm(join(folder, "tombstones"));
    const minTime = 1_000_000;
    await writeTombstones(
      join(folder, "tombstones"),
      new Map([
        [refs[0]!, [{ minTime, maxTime: minTime + 130 * 15_000 }]],
        [refs[2]!, [{ minTime: 0, maxTime: 1e13 }]],
      ]),
    );
    block = await openBlock(folder);
    const { series } = await readSeries(block, any);
    assert.deepEqual(
      series.map((one) => samplesOf(one).times.length),
      [169, 300],
    );
    assert.equal(samplesOf(series[0]!).times[0], minTime + 131 * 15_000);
    assert.equal((await readSeries(block, any, { skipChunks: true })).series.length, 2);
    await block.close();
  });

  test("that is damaged is reported and never gives a wrong value", async () => {
    const rows = rowsOf(60, 300);
    const folder = await writeTestBlock(root, rows);
    const want = new Map(rows.map(({ labels, samples }) => [labels.toString(), samples]));
    const random = seededRandom(11);
    let reported = 0;
    for (let k = 0; k < FLIPS; k++) {
      const copy = join(root, `damaged-${k}`);
      await cp(folder, copy, { recursive: true });
      const name = ["index", "chunks/000001", "meta.json", "tombstones"][randomInt(random, 4)]!;
      const bytes = await readFile(join(copy, name));
      const at = randomInt(random, bytes.length);
      const was = bytes[at]!;
      bytes[at]! ^= 1 << randomInt(random, 8);
      await writeFile(join(copy, name), bytes);
      try {
        const block = await openBlock(copy);
        try {
          if (k % 2 === 0) await checkSeries(block, want);
          else await checkNewest(block, want);
        } finally {
          await block.close();
        }
      } catch (error) {
        assert.ok(
          ["corrupt", "not-found"].includes((error as { code: string }).code),
          `${name} ${at}: ${String(error)}`,
        );
        assert.match(String(error), /damaged-\d+/);
        reported++;
      }
      const report = await verifyBlock(copy);
      // A flip in the text of meta.json may leave a legal meta: another ULID or level. Zeros between series mean nothing.
      const isPadding = name === "index" && was === 0;
      if (name !== "meta.json" && !isPadding && !(name === "index" && at < 5))
        assert.ok(report.problems.length > 0, `${name} ${at}`);
      await rm(copy, { recursive: true });
    }
    assert.ok(reported > FLIPS / 2, `${reported}`);
  });

  test("that lies under another block's name is refused", async () => {
    const folder = await writeTestBlock(root, rowsOf(2, 5));
    const other = join(root, "01M7XGBQ4WVPNEYM4RR5MTCJ96");
    await cp(folder, other, { recursive: true });
    await assert.rejects(openBlock(other), { code: "corrupt" });
  });

  test("with files cut short, empty or gone is reported", async () => {
    const folder = await writeTestBlock(root, rowsOf(5, 200));
    for (const name of ["index", "chunks/000001", "meta.json", "tombstones"])
      for (const size of [-1, 0, 4, 9, 100]) {
        const copy = join(root, "cut");
        await cp(folder, copy, { recursive: true });
        const bytes = await readFile(join(copy, name));
        if (size >= bytes.length) continue;
        await rm(join(copy, name));
        if (size >= 0) await writeFile(join(copy, name), bytes.subarray(0, size));
        const { problems } = await verifyBlock(copy);
        // A block without tombstones is legal.
        assert.equal(problems.length > 0, name !== "tombstones" || size >= 0, `${name} ${size}`);
        await rm(copy, { recursive: true });
      }
  });
});

test(
  "meta.json is laid out as Prometheus does and keeps what it does not know",
  { skip },
  async () => {
    const path = join(await goldenFolder(), "meta.json");
    const text = await readFile(path, "utf8");
    assert.equal(formatMeta(parseMeta(text, path)), text);
    const thanos = parseMeta(
      text.replace('"version"', '"thanos": {"labels": {"__proto__": "x"}}, "version"'),
      path,
    );
    assert.match(formatMeta(thanos), /"thanos": \{\s+"labels": \{\s+"__proto__": "x"/);
    for (const bad of [
      "",
      "[]",
      "{}",
      text.replace('"version": 1', '"version": 3'),
      text.replace("1700004485001", "0"),
    ])
      assert.throws(() => parseMeta(bad, path), { code: "corrupt" });
    await assert.rejects(readMeta(join(root, "none")), { code: "not-found" });
  },
);

test("tombstones are joined, written and read", async () => {
  const f = (list: [number, number][], want: [number, number][]): void => {
    let joined: { minTime: number; maxTime: number }[] = [];
    for (const [minTime, maxTime] of list) joined = addInterval(joined, { minTime, maxTime });
    assert.deepEqual(
      joined.map(({ minTime, maxTime }) => [minTime, maxTime]),
      want,
    );
  };
  f(
    [
      [1, 2],
      [3, 4],
    ],
    [[1, 4]],
  );
  f(
    [
      [5, 6],
      [1, 2],
    ],
    [
      [1, 2],
      [5, 6],
    ],
  );
  f(
    [
      [1, 2],
      [9, 9],
      [5, 6],
      [2, 5],
    ],
    [
      [1, 6],
      [9, 9],
    ],
  );
  const folder = join(root, "stones");
  await mkdir(folder);
  const stones = new Map([
    [5, [{ minTime: -9, maxTime: 2 }]],
    [
      2,
      [
        { minTime: 0, maxTime: 1e13 },
        { minTime: 2e13, maxTime: 3e13 },
      ],
    ],
  ]);
  await writeTombstones(join(folder, "tombstones"), stones);
  assert.deepEqual(await readTombstones(folder), stones);
  assert.throws(() => parseTombstones(Buffer.from("0130ba300100000001", "hex"), "x"), {
    code: "corrupt",
  });
  assert.equal(parseTombstones(Buffer.from("0130ba300100000000", "hex"), "x").size, 0);
  await rm(join(folder, "tombstones"));
  assert.equal((await readTombstones(folder)).size, 0);
});

test("ULIDs carry the time and sort by it", () => {
  const random = seededRandom(1);
  const at = (ms: number): string => newUlid({ clock: { now: () => ms }, random });
  assert.ok(isUlid(at(1_700_000_000_000)));
  assert.equal(ulidTimeMs(at(1_700_000_000_000)), 1_700_000_000_000);
  assert.ok(at(1_700_000_000_000) < at(1_700_000_000_001));
  assert.equal(ulidTimeMs("01M7XGBQ4WVPNEYM4RR5MTCJ96") > 1.7e12, true);
  for (const bad of [
    "",
    "01M7XGBQ4WVPNEYM4RR5MTCJ9",
    "81M7XGBQ4WVPNEYM4RR5MTCJ96",
    "01M7XGBQ4WVPNEYM4RR5MTCJIL",
  ])
    assert.equal(isUlid(bad), false);
});

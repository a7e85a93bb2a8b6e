import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { crc32c } from "../base/crc32c.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { compareLabels, Labels } from "../model/labels.ts";
import { createMatcher, formatMatcher, type Matcher } from "../model/matcher.ts";
import { MemorySource, openFileSource, planWindows } from "./byte-source.ts";
import { IndexReader } from "./reader.ts";
import { IndexWriter, symbolBytes } from "./writer.ts";

const root = await mkdtemp(join(tmpdir(), "block-index-test-"));
after(() => rm(root, { recursive: true, force: true }));
const skip = skipWithout("golden");
let written = 0;

interface Row {
  readonly labels: Labels;
  /** Min time, max time and ref of each chunk. */
  readonly chunks: readonly (readonly [number, number, number])[];
}

/** Writes `rows` (any order) as an index; the file's path. */
async function write(rows: readonly Row[], labelIndices = false): Promise<string> {
  const path = join(root, `index-${written++}`);
  const writer = await IndexWriter.create(path, { labelIndices });
  const sorted = [...rows].sort((a, b) => compareLabels(a.labels, b.labels));
  const texts = symbolBytes(sorted.flatMap(({ labels }) => [...labels].flat()));
  const places = new Map(texts.map((bytes, i) => [Buffer.from(bytes).toString(), i]));
  await writer.addSymbols(texts);
  for (const { labels, chunks } of sorted) {
    const symbols = Uint32Array.from([...labels].flat(), (text) => places.get(text)!);
    writer.addSeries(
      { symbols, labelCount: labels.count },
      {
        count: chunks.length,
        minTimes: Float64Array.from(chunks, ([min]) => min),
        maxTimes: Float64Array.from(chunks, ([, max]) => max),
        refs: Float64Array.from(chunks, ([, , ref]) => ref),
      },
    );
    await writer.drain();
  }
  await writer.finish();
  await writer.close();
  return path;
}

async function readAll(reader: IndexReader, refs?: Int32Array): Promise<Row[]> {
  const rows: Row[] = [];
  const list = refs ?? (await reader.allPostings());
  await reader.forEachSeries(list, { from: 0, to: list.length }, (entry) => {
    const chunks: [number, number, number][] = [];
    for (let i = 0; i < entry.chunkCount; i++)
      chunks.push([entry.minTimes[i]!, entry.maxTimes[i]!, entry.chunkRefs[i]!]);
    rows.push({ labels: reader.labelsOf(entry.symbols, 0, 2 * entry.labelCount), chunks });
  });
  return rows;
}

async function goldenIndex(): Promise<string> {
  const folder = sharedPath("golden")!;
  const block = (await readdir(folder)).find((name) => name.startsWith("block-"))!;
  return join(folder, block, "index");
}

describe("an index that Prometheus wrote", { skip }, () => {
  test("is read, and written again byte for byte", async () => {
    const path = await goldenIndex();
    const reader = await IndexReader.open(await openFileSource(path));
    assert.deepEqual(reader.labelNames(), ["__name__", "i", "label with space", "u"]);
    assert.deepEqual((await reader.labelValues("u")).length, 1);
    const rows = await readAll(reader);
    assert.equal(rows.length, 12);
    assert.equal(rows[0]!.labels.toString(), '{__name__="constant", i="0"}');
    assert.deepEqual(rows[0]!.chunks[0]!.slice(0, 1), [1_700_000_000_000]);
    const again = await write(rows, true);
    assert.deepEqual(await readFile(again), await readFile(path));
    await reader.close();
  });

  test("of version 1 is read", async () => {
    const path = join(sharedPath("blocks")!, "index_format_v1/index");
    const reader = await IndexReader.open(await openFileSource(path));
    assert.equal(reader.version, 1);
    const rows = await readAll(reader);
    assert.equal(rows.length, 102);
    assert.deepEqual(
      rows.map(({ labels }) => labels.toString()),
      rows
        .map(({ labels }) => labels)
        .sort(compareLabels)
        .map(String),
    );
    const found = await readAll(reader, await reader.matching([createMatcher("foo", "=~", "b.*")]));
    assert.deepEqual(
      found.map(({ labels }) => labels.get("foo")),
      rows.map(({ labels }) => labels.get("foo")).filter((value) => value.startsWith("b")),
    );
    await reader.close();
  });

  test("with the wrong version in front is read when that is known", async () => {
    const path = join(
      sharedPath("blocks")!,
      "repair_index_version/01BZJ9WJQPWHGNC2W4J9TA62KC/index",
    );
    const reader = await IndexReader.open(await openFileSource(path), { version: 2 });
    const rows = await readAll(reader, await reader.postings("b", "1"));
    assert.deepEqual(
      rows.map(({ labels }) => labels.toString()),
      ['{a="1", b="1"}', '{a="2", b="1"}'],
    );
    await reader.close();
  });

  test("that is damaged anywhere is refused or reads the same", async () => {
    const bytes = await readFile(await goldenIndex());
    const expected = JSON.stringify(
      await readAll(await IndexReader.open(new MemorySource("x", bytes))),
    );
    let refused = 0;
    for (let bit = 0; bit < bytes.length * 8; bit += 7) {
      const damaged = Uint8Array.from(bytes);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      try {
        const reader = await IndexReader.open(new MemorySource("damaged", damaged));
        assert.equal(JSON.stringify(await readAll(reader)), expected, `bit ${bit}`);
        for (const name of reader.labelNames()) await reader.labelValues(name);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "corrupt", `bit ${bit}: ${String(error)}`);
        assert.match(String(error), /damaged|offset|postings/);
        refused++;
      }
    }
    assert.ok(refused > 800, `${refused}`);
    for (const size of [0, 5, 56, 57, 700, bytes.length - 1]) {
      const source = new MemorySource("cut", bytes.subarray(0, size));
      await assert.rejects(IndexReader.open(source), { code: "corrupt" });
    }
  });
});

test("sections with a right checksum and a wrong inside are read or refused, never more", async () => {
  const rows = Array.from({ length: 200 }, (_, i): Row => ({
    labels: Labels.fromObject({ __name__: `m${i % 3}`, i: `value-${i}`, long: "y".repeat(i * 2) }),
    chunks: [],
  }));
  const bytes = await readFile(await write(rows));
  const { toc } = await IndexReader.open(new MemorySource("whole", bytes));
  const random = seededRandom(3);
  let refused = 0;
  for (let k = 0; k < 400; k++) {
    const changed = Buffer.from(bytes);
    const section = k % 2 === 0 ? toc.symbols : toc.postingsTable;
    const length = changed.readUInt32BE(section);
    const at = section + 4 + randomInt(random, k % 4 < 2 ? 40 : length);
    changed[at] = randomInt(random, 2) === 0 ? randomInt(random, 256) : changed[at]! ^ 128;
    const end = section + 4 + length;
    changed.writeUInt32BE(crc32c(changed, section + 4, end), end);
    try {
      const reader = await IndexReader.open(new MemorySource("changed", changed));
      for (const name of reader.labelNames()) await reader.labelValues(name);
      await readAll(reader);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "corrupt", `${at}: ${String(error)}`);
      assert.match(String(error), /changed/);
      refused++;
    }
  }
  assert.ok(refused > 100, `${refused}`);
});

const word = fc.oneof(
  fc.constantFrom("a", "b", "ab", "__proto__", "\u{1F600}", "\uFFFD", "x".repeat(300)),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 }).filter((text) => text.isWellFormed()),
);

class CountingSource extends MemorySource {
  byteCount = 0;

  constructor(bytes: Uint8Array) {
    super("x", bytes);
  }

  override read(offset: number, length: number): Uint8Array {
    this.byteCount += length;
    return super.read(offset, length);
  }
}

describe("an index we write", () => {
  test("gives back what was put in, and its matchers agree with a plain loop", async () => {
    const series = fc
      .uniqueArray(fc.array(fc.tuple(word, word), { minLength: 1, maxLength: 4 }), {
        maxLength: 40,
        selector: (pairs) => Labels.fromPairs(pairs).key(),
      })
      .map((list) => list.map((pairs) => Labels.fromPairs(pairs)));
    const matcher = fc
      .tuple(
        word,
        fc.constantFrom("=", "!=", "=~", "!~"),
        fc.oneof(word, fc.constantFrom("", "a|b", ".+", ".*", "a.*|")),
      )
      .map(([name, operator, value]): Matcher | undefined => {
        try {
          return createMatcher(name, operator as "=", value);
        } catch {
          return undefined;
        }
      });
    await fc.assert(
      fc.asyncProperty(series, fc.array(matcher, { maxLength: 3 }), async (all, maybe) => {
        const sorted = [...all].sort(compareLabels);
        const rows = sorted.map((labels, i): Row => ({
          labels,
          chunks: [
            [-5000 + i, i * 1e6, 8 + i * 100],
            // Chunk refs ascend over the file, so only the last series may use a later segment.
            ...(i === sorted.length - 1 ? ([[1e9, 1e13, 2 ** 32 * 3 + 8]] as const) : []),
          ],
        }));
        const reader = await IndexReader.open(await openFileSource(await write(rows)));
        assert.deepEqual(await readAll(reader), rows);
        const matchers = maybe.filter((one) => one !== undefined);
        const refs = await reader.matching(matchers);
        const found = (await readAll(reader, refs)).map(({ labels }) => labels.key());
        const wanted = sorted.filter((labels) =>
          matchers.every((one) => one.matches(labels.get(one.name))),
        );
        assert.deepEqual(
          found,
          wanted.map((labels) => labels.key()),
        );
        await reader.close();
      }),
      { numRuns: 60 },
    );
  });

  test("with many values finds each of them through the samples", async () => {
    const random = seededRandom(5);
    const rows = Array.from({ length: 3000 }, (_, i): Row => ({
      labels: Labels.fromObject({
        __name__: `m${i % 7}`,
        i: `v${i}`,
        long: "y".repeat(randomInt(random, 900)),
      }),
      chunks: [],
    }));
    const reader = await IndexReader.open(await openFileSource(await write(rows)));
    for (const i of [0, 1, 31, 32, 33, 1024, 2999]) {
      const list = await reader.postings("i", `v${i}`);
      assert.deepEqual(
        (await readAll(reader, list)).map(({ labels }) => labels.get("i")),
        [`v${i}`],
      );
    }
    for (const absent of ["", "v", "v3000", "zzz"])
      assert.equal((await reader.postings("i", absent)).length, 0);
    assert.equal((await reader.postings("none", "x")).length, 0);
    assert.equal((await reader.labelValues("i")).length, 3000);
    const counts = new Map<string, number>();
    await reader.forEachValueCount("__name__", (value, count) => counts.set(value, count));
    assert.deepEqual([...counts.keys()], ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
    assert.equal(counts.get("m0"), 429);
    await reader.close();
  });

  test("keeps what a matcher found", async () => {
    const values = Array.from({ length: 3000 }, (_, i) => `v${i}`);
    const rows = values.map((many, i): Row => {
      return { labels: Labels.fromObject({ few: `v${i % 1000}`, many }), chunks: [] };
    });
    const source = new CountingSource(await readFile(await write(rows)));
    const reader = await IndexReader.open(source);
    const other = await IndexReader.open(await openFileSource(await write(rows.slice(0, 2000))));
    const bytesFor = async (matcher: Matcher): Promise<number> => {
      const before = source.byteCount;
      const refs = await reader.matching([matcher]);
      const byteCount = source.byteCount - before;
      const wanted = values.filter((_, i) => matcher.matches(rows[i]!.labels.get(matcher.name)));
      const found = (await readAll(reader, refs)).map(({ labels }) => labels.get("many"));
      assert.deepEqual(found.sort(), wanted.sort());
      return byteCount;
    };
    for (const matcher of [
      createMatcher("few", "=", "v7"),
      createMatcher("few", "=~", "v7|v999|w"),
      createMatcher("few", "=~", "v.*7."),
      createMatcher("many", "=~", "v.*7."),
      createMatcher("many", "!~", "v.*7.|"),
    ]) {
      assert.ok((await bytesFor(matcher)) > 0);
      assert.equal(await bytesFor(matcher), 0, formatMatcher(matcher));
      const ofOther = (await readAll(other, await other.matching([matcher]))).length;
      assert.equal(
        ofOther,
        rows.slice(0, 2000).filter(({ labels }) => matcher.matches(labels.get(matcher.name)))
          .length,
      );
    }
    await reader.close();
    await other.close();
  });

  test("with many values finds those that a regular expression wants", async () => {
    const values = Array.from({ length: 3000 }, (_, i) => `v${i}`);
    const rows = values
      .map((i): Row => ({ labels: Labels.fromObject({ i }), chunks: [] }))
      .sort((a, b) => compareLabels(a.labels, b.labels));
    const source = new CountingSource(await readFile(await write(rows)));
    const reader = await IndexReader.open(source);
    const sources = ["v1.*", "v.*", "u.*", "w.*", "v29.*", "v.*9[0-4]", "v(1|2)99", ".*", ".+7.?"];
    for (const regex of [...sources, "v2999.*", "v99[^4]+", "(?i)V1.*"])
      for (const operator of ["=~", "!~"] as const) {
        const matcher = createMatcher("i", operator, regex);
        const found = await readAll(reader, await reader.matching([matcher]));
        assert.deepEqual(
          found.map(({ labels }) => labels.get("i")),
          values.filter((value) => matcher.matches(value)).sort(),
          `${operator} ${regex}`,
        );
      }
    const readFor = async (regex: string): Promise<number> => {
      source.byteCount = 0;
      await reader.matching([createMatcher("i", "=~", regex)]);
      return source.byteCount;
    };
    assert.ok((await readFor("v29x.*")) * 10 < (await readFor(".*29x")));
    await reader.close();
  });

  test("refuses series out of order and unknown symbols", async () => {
    for (const [i, texts] of [["b", "a"], ["a", "a"], ["ab", "a"], [""]].entries()) {
      const refusing = await IndexWriter.create(join(root, `symbols-${i}`));
      const symbols = ["", ...texts].map((text) => Buffer.from(text));
      await assert.rejects(refusing.addSymbols(symbols), /symbols are not in order/);
      await refusing.close();
    }
    const writer = await IndexWriter.create(join(root, "refused"));
    await writer.addSymbols(symbolBytes(["a", "b"]));
    const none = {
      count: 0,
      minTimes: new Float64Array(0),
      maxTimes: new Float64Array(0),
      refs: new Float64Array(0),
    };
    writer.addSeries({ symbols: Uint32Array.of(1, 2), labelCount: 1 }, none);
    assert.throws(
      () => writer.addSeries({ symbols: Uint32Array.of(1, 2), labelCount: 1 }, none),
      /order/,
    );
    assert.throws(
      () => writer.addSeries({ symbols: Uint32Array.of(1, 1), labelCount: 1 }, none),
      /order/,
    );
    assert.throws(
      () => writer.addSeries({ symbols: Uint32Array.of(1, 9), labelCount: 1 }, none),
      /table/,
    );
    await writer.close();
    await assert.rejects(IndexWriter.create(join(root, "refused")), { code: "unavailable" });
  });
});

test("records near each other are read together", () => {
  const offsets = Float64Array.of(0, 10, 20, 500, 510, 2000);
  const options = { from: 0, to: 6, gap: 100, tail: 50, maxBytes: 1000, limit: 2010 };
  assert.deepEqual(
    planWindows(offsets, options).map(({ from, to, start, end }) => [from, to, start, end]),
    [
      [0, 3, 0, 70],
      [3, 5, 500, 560],
      [5, 6, 2000, 2010],
    ],
  );
  assert.equal(planWindows(offsets, { ...options, gap: 1e9, maxBytes: 15 }).length, 4);
});

import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { isCompiled } from "../base/testdata/compile-kernel.ts";
import { crc32c } from "../base/crc32c.ts";
import { AppError } from "../base/errors.ts";
import { pick, type Random, randomInt, seededRandom } from "../base/random.ts";
import { SeriesColumns } from "./series-columns.ts";
import { SeriesEntry } from "./series-entry.ts";
import { SERIES_WALK_SOURCE_SHA256 } from "./series-walk.gen.ts";
import { type EntriesAt, walkSeries } from "./series-walk.ts";
import { SERIES_WALK } from "./testdata/series-walk-kernel.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = SERIES_WALK_SOURCE_SHA256;
  if (await isCompiled(SERIES_WALK, { sha256, writer: "series-walk.test.ts" })) return;
  assert.fail(
    "series-walk.gen.ts was out of date and has been written anew: look at it, run again",
  );
});

const SYMBOLS = 70_000;
const TIMES = [0, 1, -1, 1_700_000_000_000, -1_700_000_000_000, 2 ** 52];

function uvarint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

const varint = (value: number): number[] => uvarint(value < 0 ? -2 * value - 1 : 2 * value);

/** An entry with its length and its checksum, whose labels are any symbols. */
function entryOf(random: Random, counts: { labels: number; chunks: number }): number[] {
  const body = uvarint(counts.labels);
  for (let i = 0; i < 2 * counts.labels; i++) body.push(...uvarint(randomInt(random, SYMBOLS)));
  body.push(...uvarint(counts.chunks));
  for (let i = 0; i < counts.chunks; i++) {
    body.push(...(i === 0 ? varint(pick(random, TIMES)) : uvarint(randomInt(random, 1e6))));
    body.push(...uvarint(randomInt(random, 1e7)));
    body.push(
      ...(i === 0 ? uvarint(randomInt(random, 3) * 2 ** 32) : varint(randomInt(random, 1e6))),
    );
  }
  return withFrame(body);
}

function withFrame(body: readonly number[]): number[] {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32c(Uint8Array.from(body)));
  return [...uvarint(body.length), ...body, ...checksum];
}

/** Entries one behind the other, each at a multiple of 16. */
function lay(entries: readonly (readonly number[])[]): EntriesAt {
  const starts: number[] = [];
  const bytes: number[] = [];
  for (const entry of entries) {
    while (bytes.length % 16 > 0) bytes.push(0);
    starts.push(bytes.length);
    for (const byte of entry) bytes.push(byte);
  }
  return {
    bytes: Uint8Array.from(bytes),
    starts: Float64Array.from(starts),
    refs: Int32Array.from(starts, (start) => start / 16 + 1),
  };
}

/** What is read with the walk and, where it stops, without; and how often it stopped. */
function walked(
  entries: EntriesAt,
  range: { minTimeMs: number; maxTimeMs: number },
): { columns: SeriesColumns; stops: number } {
  const columns = new SeriesColumns();
  const { length } = entries.refs;
  let stops = 0;
  for (let i = 0; i < length;) {
    i += walkSeries(entries, { from: i, to: length }, { symbolCount: SYMBOLS, ...range }, columns);
    if (i === length) break;
    stops++;
    columns.add(decoded(entries, i++), range);
  }
  return { columns, stops };
}

function decoded({ bytes, starts, refs }: EntriesAt, i: number): SeriesEntry {
  const entry = new SeriesEntry("test");
  entry.decode(bytes, starts[i]!, (reference) => {
    if (reference >= SYMBOLS) throw new AppError("corrupt", "no such symbol");
    return reference;
  });
  entry.ref = refs[i]!;
  return entry;
}

function plain(entries: EntriesAt, range: { minTimeMs: number; maxTimeMs: number }): SeriesColumns {
  const columns = new SeriesColumns();
  for (let i = 0; i < entries.refs.length; i++) columns.add(decoded(entries, i), range);
  return columns;
}

function shown(columns: SeriesColumns): unknown {
  const series = [];
  for (let i = 0; i < columns.count; i++) {
    const chunks = [columns.chunksFrom(i), columns.chunkEnds[i]!] as const;
    series.push([
      columns.refs[i],
      [...columns.symbols.subarray(columns.symbolsFrom(i), columns.symbolEnds[i])],
      [...columns.minTimes.subarray(...chunks)],
      [...columns.maxTimes.subarray(...chunks)],
      [...columns.chunkRefs.subarray(...chunks)],
    ]);
  }
  return series;
}

describe("entries of series", () => {
  it("are read as one by one", () => {
    const random = seededRandom(3);
    for (let run = 0; run < 60; run++) {
      const entries = lay(
        Array.from({ length: 1 + randomInt(random, 2000) }, () =>
          entryOf(random, { labels: randomInt(random, 12), chunks: randomInt(random, 6) }),
        ),
      );
      const minTimeMs = pick(random, [-Infinity, 0, 1_700_000_000_000]);
      const maxTimeMs = pick(random, [Infinity, 5e6, 1_700_000_005_000]);
      const { columns, stops } = walked(entries, { minTimeMs, maxTimeMs });
      assert.deepEqual(shown(columns), shown(plain(entries, { minTimeMs, maxTimeMs })));
      // It stops where a piece of 64 KiB ends within an entry, and at times that are not exact.
      assert.ok(stops <= entries.bytes.length / 60_000 + entries.refs.length / 3, `${stops} stops`);
    }
  });

  it("that are longer than a piece are left to the caller", () => {
    const random = seededRandom(4);
    const sizes = [3, 100_000, 2, 400, 5, 30_000, 1];
    const entries = lay(sizes.map((chunks) => entryOf(random, { labels: 4, chunks })));
    const range = { minTimeMs: -Infinity, maxTimeMs: Infinity };
    const { columns, stops } = walked(entries, range);
    assert.deepEqual(shown(columns), shown(plain(entries, range)));
    assert.ok(stops <= 4, `${stops} stops`);
  });

  it("that are damaged in any one bit are not passed", () => {
    const random = seededRandom(5);
    const range = { minTimeMs: -Infinity, maxTimeMs: Infinity };
    for (let run = 0; run < 300; run++) {
      const entry = entryOf(random, { labels: 1 + randomInt(random, 5), chunks: 2 });
      const entries = lay([entry, entry, entry]);
      const at = entries.starts[1]! + randomInt(random, entry.length);
      entries.bytes[at] = entries.bytes[at]! ^ (1 << randomInt(random, 8));
      const options = { symbolCount: SYMBOLS, ...range };
      const columns = new SeriesColumns();
      assert.equal(walkSeries(entries, { from: 0, to: 3 }, options, columns), 1);
      assert.equal(columns.count, 1);
      assert.throws(() => decoded(entries, 1), { code: "corrupt" });
    }
  });

  it("with a right checksum and nonsense within are not passed", () => {
    const good = [1, 5, 6, 1, 2, 4, 8];
    const nonsense = [
      [],
      [1],
      [1, 5],
      [100, 5, 6],
      [1, ...uvarint(SYMBOLS), 6, 0],
      [1, 5, 6, 100, 2, 4, 8],
      [1, 5, 6, 1, 2, 4],
      [1, 5, 6, 1, 2, 4, 8, 9],
      [1, 5, 6, 2, 2, 4, 8, 1, 1, 99],
      [1, 5, 6, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 4, 8],
      [255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0],
    ];
    const range = { minTimeMs: -Infinity, maxTimeMs: Infinity };
    for (const body of nonsense) {
      const entries = lay([withFrame(good), withFrame(body), withFrame(good)]);
      const options = { symbolCount: SYMBOLS, ...range };
      const columns = new SeriesColumns();
      assert.equal(walkSeries(entries, { from: 0, to: 3 }, options, columns), 1, body.join());
      assert.throws(() => decoded(entries, 1), { code: "corrupt" }, body.join());
    }
  });
});

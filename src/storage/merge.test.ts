import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Labels, compareLabels } from "../model/labels.ts";
import { mergeChunks, mergeSelect, mergeTexts, sortSeries } from "./merge.ts";
import type { Chunk, Series, SeriesBatch } from "./queryable.ts";

const chunk = (minTimeMs: number, data: number, length = 10): Chunk => ({
  encoding: 1,
  minTimeMs,
  maxTimeMs: minTimeMs + length,
  data: Uint8Array.of(data),
});
const series = (name: string, ...chunks: Chunk[]): Series => ({
  labels: Labels.fromObject({ name }),
  chunks,
});

interface Watched extends AsyncIterable<SeriesBatch> {
  closed: boolean;
}

/** Yields the batches, then throws `error` if there is one. */
function source(batches: readonly SeriesBatch[], error?: Error): Watched {
  const watched: Watched = {
    closed: false,
    async *[Symbol.asyncIterator]() {
      try {
        yield* batches;
        if (error !== undefined) throw error;
      } finally {
        watched.closed = true;
      }
    },
  };
  return watched;
}

const of1 = (name: string): SeriesBatch => ({ series: [series(name)] });
const of = (...all: Series[]): Watched => source([{ series: all }]);

async function collect(merged: AsyncIterable<SeriesBatch>): Promise<SeriesBatch[]> {
  const batches: SeriesBatch[] = [];
  for await (const batch of merged) batches.push(batch);
  return batches;
}

const shown = (batches: readonly SeriesBatch[]): string =>
  batches
    .flatMap(({ series: all }) => all)
    .map(
      ({ labels, chunks }) => `${labels.get("name")}:${chunks.map(({ data }) => data).join("+")}`,
    )
    .join(" ");

describe("mergeSelect", () => {
  it("expects at least what one source has, and at most all of them", async () => {
    const told = async (...sources: readonly SeriesBatch[][]): Promise<unknown[]> =>
      (await collect(mergeSelect(sources.map((batches) => source(batches))))).map(
        ({ expected }) => expected,
      );
    const a = { series: [series("a")], expected: { atLeast: 1, atMost: 7 } };
    const b = { series: [series("b")], expected: { atLeast: 2, atMost: 3 } };
    assert.deepEqual(await told([a], [b], []), [{ atLeast: 2, atMost: 10 }]);
    assert.deepEqual(await told([a], [{ series: [series("c")] }]), [
      { atLeast: 1, atMost: Infinity },
    ]);
    assert.deepEqual(await told([of1("a")], [of1("b")]), [undefined]);
    const limited = await collect(mergeSelect([source([a]), source([b])], { limit: 1 }));
    assert.deepEqual(
      limited.map(({ expected }) => expected),
      [undefined],
    );
  });

  it("joins equal series and keeps the order", async () => {
    const merged = mergeSelect([
      of(series("a", chunk(0, 1)), series("c", chunk(20, 2), chunk(40, 3))),
      source([]),
      of(series("b", chunk(0, 4)), series("c", chunk(0, 5), chunk(40, 3)), series("d")),
    ]);
    assert.equal(shown(await collect(merged)), "a:1 b:4 c:5+2+3 d:");
  });

  it("passes a single source through as it is", () => {
    const only = of(series("a"));
    assert.equal(mergeSelect([only]), only);
  });

  it("of nothing is nothing", async () => {
    assert.deepEqual(await collect(mergeSelect([])), []);
  });

  it("collects the warnings of all sources, also of empty ones", async () => {
    const batches = await collect(
      mergeSelect([
        source([
          { series: [], warnings: ["one"] },
          { series: [series("a")], warnings: ["two"] },
        ]),
        source([{ series: [], warnings: ["three"] }]),
        source([{ series: [series("b")] }, { series: [], warnings: ["last"] }]),
      ]),
    );
    assert.equal(shown(batches), "a: b:");
    assert.deepEqual(batches.flatMap(({ warnings }) => warnings ?? []).sort(), [
      "last",
      "one",
      "three",
      "two",
    ]);
  });

  it("cuts batches to size and series to the limit, and then closes the sources", async () => {
    const first = of(...Array.from({ length: 10 }, (_, i) => series(`a${i}`)));
    const second = of(...Array.from({ length: 10 }, (_, i) => series(`b${i}`)));
    const batches = await collect(mergeSelect([first, second], { limit: 12, batchSize: 5 }));
    assert.deepEqual(
      batches.map((batch) => batch.series.length),
      [5, 5, 2],
    );
    assert.ok(first.closed && second.closed);
    assert.equal(
      shown(await collect(mergeSelect([of(series("a"), series("b"))], { limit: 1 }))),
      "a:",
    );
  });

  it("fails with the first error and closes the others", async () => {
    const good = of(series("a"), series("b"));
    const bad = source([{ series: [series("a")] }], new Error("gone"));
    await assert.rejects(collect(mergeSelect([good, bad])), /gone/);
    assert.ok(good.closed && bad.closed);
  });

  it("closes all sources when the reader leaves", async () => {
    const sources = [of(series("a"), series("b")), of(series("c"))];
    for await (const _ of mergeSelect(sources, { batchSize: 1 })) break;
    assert.ok(sources.every(({ closed }) => closed));
  });

  it("gives what sorting and joining all series gives", async () => {
    const name = fc.string({
      unit: fc.constantFrom("a", "b", "\u{1F600}", "\uFFFD"),
      maxLength: 3,
    });
    const sorted = fc
      .uniqueArray(fc.tuple(name, fc.nat({ max: 3 })), { selector: ([n]) => n, maxLength: 8 })
      .map((list) =>
        list
          .map(([n, t]) => series(n, chunk(t * 10, t)))
          .sort((a, b) => compareLabels(a.labels, b.labels)),
      );
    await fc.assert(
      fc.asyncProperty(
        fc.array(sorted, { maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        async (lists, size) => {
          const sources = lists.map((list) =>
            source(
              Array.from({ length: Math.ceil(list.length / size) }, (_, i) => ({
                series: list.slice(i * size, (i + 1) * size),
              })),
            ),
          );
          const batches = await collect(mergeSelect(sources, { batchSize: size }));
          assert.equal(shown(batches), shown([{ series: sortSeries(lists.flat()) }]));
        },
      ),
    );
  });
});

describe("mergeChunks", () => {
  it("sorts by time and content and drops identical chunks only", () => {
    const merged = mergeChunks([
      [chunk(0, 1), chunk(20, 2)],
      [chunk(0, 1), chunk(0, 3), chunk(20, 2, 11)],
      [],
    ]);
    assert.deepEqual(
      merged.map(({ minTimeMs, maxTimeMs, data }) => [minTimeMs, maxTimeMs, data[0]]),
      [
        [0, 10, 1],
        [0, 10, 3],
        [20, 30, 2],
        [20, 31, 2],
      ],
    );
  });
});

describe("mergeTexts", () => {
  it("is sorted by bytes, unique and cut", () => {
    assert.deepEqual(mergeTexts([["a", "\u{1F600}"], ["\uFFFD", "a"], []]), [
      "a",
      "\uFFFD",
      "\u{1F600}",
    ]);
    assert.deepEqual(mergeTexts([["a", "c"], ["b"]], 2), ["a", "b"]);
    assert.deepEqual(mergeTexts([["a", "b"]], 1), ["a"]);
    assert.deepEqual(mergeTexts([]), []);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { pick, type Random, randomInt, seededRandom } from "../../base/random.ts";
import { Labels } from "../../model/labels.ts";
import { MemoryQueryable } from "../../storage/memory-queryable.ts";
import type { AggregatedRow } from "../../storage/aggregate.ts";
import type { Series } from "../../storage/queryable.ts";
import { pushXorChunks } from "../../storage/xor-chunks.ts";
import { Engine } from "../engine.ts";
import { evaluatePartial } from "./evaluate-partial.ts";
import { mergePartials } from "./merge-partials.ts";
import { partialOperator } from "./series-local.ts";

const AT_MS = 1000;

/** One series a value, named so that they sort in the order given. */
function seriesOf(values: readonly number[]): Series[] {
  return values.map((value, i) => ({
    labels: Labels.fromObject({ __name__: "x", i: String(i).padStart(6, "0") }),
    chunks: pushXorChunks([], {
      times: Float64Array.of(AT_MS),
      values: Float64Array.of(value),
    }),
  }));
}

/** What the shards' parts come to: rows, or why nothing. */
async function mergedRows(
  query: string,
  shards: readonly (readonly Series[])[],
  { isOnly }: { isOnly: boolean },
): Promise<readonly AggregatedRow[] | string> {
  const [, word = "", count = "0"] = /^(\w+)(?: by \(\w+\) )?\((?:(\d+),)?/.exec(query)!;
  const operator = partialOperator(word)!;
  const parts = await Promise.all(
    shards.map((series) =>
      evaluatePartial(
        new MemoryQueryable(series),
        {
          query,
          startMs: AT_MS,
          endMs: AT_MS,
          stepMs: 0,
          lookbackMs: 300_000,
          subqueryStepMs: 60_000,
          steps: 1,
          features: [],
          limits: { samples: 1e6, series: 1e6, bytes: 1e9, timeMs: 60_000 },
          isOnly,
        },
        { clock: systemClock, signal: new AbortController().signal },
      ),
    ),
  );
  const limit = Number(count);
  return mergePartials(parts, { operator, limit, steps: 1, delayedNameRemoval: false, isOnly });
}

/** As values. */
async function merge(query: string, shards: readonly (readonly Series[])[]): Promise<unknown> {
  const rows = await mergedRows(query, shards, { isOnly: false });
  return typeof rows === "string" ? rows : rows.map(({ values }) => values[0]);
}

/** Values by shard, the `i`th of all on shard `shardOf(i)`. */
function split(values: readonly number[], shardOf: (i: number) => number): Series[][] {
  const shards: Series[][] = [[], [], []];
  for (const [i, series] of seriesOf(values).entries()) shards[shardOf(i)]!.push(series);
  return shards;
}

const inTurn = (i: number): number => i % 3;

async function engineValue(query: string, values: readonly number[]): Promise<unknown> {
  const { value } = await new Engine().instant(new MemoryQueryable(seriesOf(values)), {
    query,
    timeMs: AT_MS,
  });
  assert.ok(value.kind === "vector");
  return value.samples.map((sample) => sample.value);
}

describe("parts of an aggregation", () => {
  const cases: readonly (readonly [query: string, values: readonly number[], expected: unknown])[] =
    [
      ["sum(x)", [1, 2, 3, 4], [10]],
      ["sum(x)", [0.5, 0.25, 0.125], [0.875]],
      // Whole numbers cancel out exactly; fractions that nearly do are not decided.
      ["sum(x)", [5, -7, 2], [0]],
      ["sum(x)", [0.1, 0.2, -0.3], "rounding"],
      ["sum(x)", [-0, -0, -0], [0]],
      // The sum is half way between two floats: the last bit hangs on what the parts cannot tell.
      ["sum(x)", [2 ** 53 + 2, 0.5, 0.5], "rounding"],
      ["sum(x)", [2 ** 53, 1, 0.25], [2 ** 53 + 2]],
      ["sum(x)", [2 ** 53 + 2, 0.25, 0.25], [2 ** 53 + 2]],
      ["sum(x)", [1e-300, 1e-301, 1.5e-300], "rounding"],
      ["sum(x)", [NaN, 1, 2], [NaN]],
      ["sum(x)", [Infinity, 1.5, 2], [Infinity]],
      ["sum(x)", [1, -Infinity, 2], [-Infinity]],
      ["sum(x)", [Infinity, -Infinity, 2], [NaN]],
      ["sum(x)", [1.7e308, 1.7e308, -1.7e308], "rounding"],
      ["sum(x)", [Infinity, 1.7e308, 1.7e308], "rounding"],
      ["avg(x)", [1, 2, 5], [8 / 3]],
      ["avg(x)", [0.1, 0.2, 0.4], "rounding"],
      ["avg(x)", [Infinity, 0.5, 1], [Infinity]],
      ["avg(x)", [NaN, 0.5, 1], [NaN]],
      ["avg(x)", [1.7e308, 1.7e308, 1], "rounding"],
      ["min(x)", [3, NaN, 2], [2]],
      ["min(x)", [NaN, NaN, NaN], [NaN]],
      ["min(x)", [0, 1, -0], "ties"],
      ["min(x)", [-0, -0, 1], [-0]],
      ["max(x)", [NaN, -Infinity, 7], [7]],
      ["max(x)", [-0, 0, -1], "ties"],
      ["count(x)", [NaN, 1, 2, 3], [4]],
      ["group(x)", [5, 6], [1]],
      ["topk(2,x)", [1, 9, 5, 7], [9, 7]],
      ["topk(2,x)", [9, 7, 7, 1], "ties"],
      ["topk(2,x)", [9, 9, 7, 1], "ties"],
      ["topk(1,x)", [9, 7, 7, 7], [9]],
      ["topk(5,x)", [1, 9, 5], [9, 5, 1]],
      ["topk(3,x)", [1, NaN, 5], [5, 1, NaN]],
      ["topk(2,x)", [1, NaN, NaN], "ties"],
      ["topk(1,x)", [0, -0, -1], "ties"],
      ["bottomk(2,x)", [1, 9, 5, 7], [1, 5]],
      ["bottomk(2,x)", [3, NaN, 1], [1, 3]],
      ["bottomk(1,x)", [2, 2, 3], "ties"],
    ];
  for (const [query, values, expected] of cases)
    it(`${query} of ${values.join(", ")}`, async () => {
      const merged = await merge(query, split(values, inTurn));
      assert.deepEqual(merged, expected);
      if (typeof expected !== "string") assert.deepEqual(merged, await engineValue(query, values));
    });

  it("an equal of the last chosen one that its own shard would not give is found", async () => {
    // Both 7s are on one shard: without one more than it needs, it would give one of them.
    const shards = split([9, 7, 7, 1], (i) => (i === 0 || i === 3 ? 0 : 1));
    assert.equal(await merge("topk(2,x)", shards), "ties");
  });

  it("groups come in the order of their first series", async () => {
    const values = [1, 2, 3, 4, 5, 6];
    // By label i the first of all is on shard 2, the second on shard 0.
    const merged = await merge(
      "sum by (i) (x)",
      split(values, (i) => (i + 2) % 3),
    );
    assert.deepEqual(merged, values);
  });

  it("what one shard alone has is taken as it has added it up", async () => {
    const values = [0.1, 0.2, 0.4, 0.7, 1e16, -1e16];
    const onOne = split(values, () => 1);
    for (const query of ["avg(x)", "sum(x)"])
      assert.deepEqual(await merge(query, onOne), await engineValue(query, values));
  });
});

describe("sums that are decided", () => {
  const shapes: Readonly<Record<string, (random: Random) => number>> = {
    "positive fractions": (random) => random.next() * 1000,
    "fractions of both signs": (random) => (random.next() - 0.5) * 1e3,
    "of very different size": (random) => random.next() * 10 ** randomInt(random, 30),
    "whole numbers": (random) => randomInt(random, 1_000_000) - 500_000,
    "that cancel out": (random) => (randomInt(random, 2) - 0.5) * 2 ** randomInt(random, 60),
  };
  for (const [shape, next] of Object.entries(shapes))
    it(`are the engine's in every order: ${shape}`, async () => {
      const random = seededRandom(11);
      let decided = 0;
      for (let round = 0; round < 120; round++) {
        const values = Array.from({ length: 2 + randomInt(random, 60) }, () => next(random));
        const shards = split(values, () => randomInt(random, 3));
        const merged = await merge("sum(x)", shards);
        if (merged === "rounding") continue;
        decided++;
        assert.deepEqual(merged, await engineValue("sum(x)", values));
        // The same series under other names, so that the engine adds in another order.
        for (let i = 0; i < 3; i++) {
          const shuffled = values.toSorted(() => random.next() - 0.5);
          assert.deepEqual(merged, await engineValue("sum(x)", shuffled));
        }
      }
      // Those that cancel out are where the order does count.
      assert.ok(decided > (shape === "that cancel out" ? 10 : 100), `${decided} decided`);
    });

  it("of the only shard are chosen as the engine chooses, equal ones too", async () => {
    const random = seededRandom(9);
    for (let run = 0; run < 200; run++) {
      const values = Array.from({ length: randomInt(random, 30) }, () =>
        pick(random, [0, -0, 1, 2, NaN, Infinity]),
      );
      const word = pick(random, ["topk", "bottomk"]);
      const query = `${word}(${1 + randomInt(random, 6)},x)`;
      const rows = await mergedRows(query, [seriesOf(values)], { isOnly: true });
      assert.ok(typeof rows !== "string");
      const { value } = await new Engine().instant(new MemoryQueryable(seriesOf(values)), {
        query,
        timeMs: AT_MS,
      });
      assert.ok(value.kind === "vector");
      assert.deepEqual(
        rows.map((row) => [row.labels.toString(), row.values[0]]),
        value.samples.map((sample) => [sample.labels.toString(), sample.value]),
        `${query} of ${values.join()}`,
      );
    }
  });
});

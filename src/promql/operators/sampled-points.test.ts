import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemorySource } from "../../../bench/promql/memory-source.ts";
import { messageOf } from "../../base/errors.ts";
import { writeStale } from "../../base/float.ts";
import { randomInt, seededRandom } from "../../base/random.ts";
import { Labels } from "../../model/labels.ts";
import type { Queryable } from "../../storage/queryable.ts";
import { Engine } from "../engine.ts";
import { WorkerEngine } from "../worker-engine.ts";
import { largestApart, surelyAbove } from "./sample-bound.ts";

/** The chance that of `size` series, each full with the chance `share`, so many are that the query is refused. */
function chanceOfRefusal(share: number, size: number): number {
  let chance = 0;
  let ways = 1;
  for (let full = 0; full <= size; full++) {
    if (surelyAbove(full / size, { size }) > share)
      chance += ways * share ** full * (1 - share) ** (size - full);
    ways *= (size - full) / (full + 1);
  }
  return chance;
}

test("a sample errs less than once in 1e15 where series are full or empty", () => {
  for (const size of [1, 10, 128, 500])
    for (const share of [1e-6, 0.001, 0.01, 0.05, 0.2, 0.5, 0.9, 0.999, 1])
      assert.ok(chanceOfRefusal(share, size) <= 1e-15, `${size} of a share of ${share}`);
  // And it does see what is far above.
  assert.ok(surelyAbove(1, { size: 128 }) > 0.5);
  assert.ok(surelyAbove(0.1, { size: 128 }) > 0.001);
  assert.ok(surelyAbove(1, { size: 128 }) < 1);
  assert.ok(surelyAbove(0.1, { size: 128 }) < 0.1);
  assert.equal(surelyAbove(0, { size: 128 }), 0);
});

const SERIES = 1100;
const STEP_MS = 15_000;
/** Which of the series are full: nearly none, some, all. */
const SHARES = [0.002, 0.05, 0.3, 1];
const TOO_MANY = /^query processing would load too many samples into memory in query execution: /;
const range = { startMs: 0, endMs: 99 * STEP_MS, stepMs: STEP_MS };

/** Series that are full with the chance `share`, and have a few samples else; markers of staleness among them. */
function skewed(
  seed: number,
  { share, samples }: { share: number; samples: boolean },
): MemorySource {
  const random = seededRandom(seed);
  const source = new MemorySource({ batchSize: 100, samples });
  for (let i = 0; i < SERIES; i++) {
    const count = random.next() < share ? 400 : randomInt(random, 3);
    const times = Float64Array.from(
      { length: count },
      (_, k) => k * 4000 + randomInt(random, 4000),
    );
    const values = times.slice();
    const stale = random.next();
    for (let k = 0; k < count; k++) if (random.next() < stale) writeStale(values, k);
    source.add(Labels.fromObject({ __name__: "x", i: String(i) }), times, values);
  }
  return source;
}

/** What one row makes each, what holds both sides of an operation, and what looks through subqueries. */
const QUERIES = [
  "x",
  "rate(x[1m])",
  "-x offset 1m",
  "max_over_time(x[20s])",
  "x @ end()",
  "max_over_time(rate(x[1m])[2m:15s])",
  "x * x offset 1m",
  "sum(rate(x[1m]) / on (i) group_left x)",
  "y or x",
  "max_over_time((x - x)[30s:15s])",
  "quantile(0.5, x)",
  "sum(label_replace(x, 'j', '$1', 'i', '(.)'))",
];

describe("a random query is refused exactly if all of it would be too much, by a sample or by counting", () => {
  for (let seed = 1; seed <= 8; seed++)
    test(`seed ${seed}`, async () => {
      const share = SHARES[seed % SHARES.length]!;
      const source = skewed(seed, { share, samples: true });
      const counting = skewed(seed, { share, samples: false });
      const sampled = new Set<string>();
      for (const query of QUERIES) {
        // An analysis reads nothing ahead.
        const whole = await new Engine().range(source, { query, ...range, analyze: true });
        const needed = whole.stats.peakSamples;
        for (const factor of [1, 0.999, 0.3, 0.03]) {
          const maxSamples = Math.max(400, Math.floor(needed * factor));
          for (const one of [source, counting]) {
            const outcome = await new Engine({ maxSamples }).range(one, { query, ...range }).then(
              () => "answered",
              (error: unknown) => messageOf(error),
            );
            const what = `${query}: ${needed} of ${maxSamples}`;
            if (needed <= maxSamples) assert.equal(outcome, "answered", what);
            else assert.match(outcome, TOO_MANY, what);
            if (outcome.includes(`by 128 of ${SERIES} series`)) sampled.add(query);
          }
        }
      }
      if (share === 1) assert.deepEqual([...sampled], QUERIES);
    });
});

test("of parts that have no time in common those that may have the most points are taken", () => {
  const random = seededRandom(3);
  for (let round = 0; round < 200; round++) {
    const parts = Array.from({ length: 1 + randomInt(random, 8) }, () => {
      const minTimeMs = randomInt(random, 20);
      return {
        minTimeMs: randomInt(random, 9) === 0 ? -Infinity : minTimeMs,
        maxTimeMs: randomInt(random, 9) === 0 ? Infinity : minTimeMs + randomInt(random, 8),
        atMost: randomInt(random, 5),
      };
    });
    const areApart = (chosen: typeof parts): boolean =>
      chosen.every((a, i) =>
        chosen.every((b, j) => i >= j || a.maxTimeMs < b.minTimeMs || b.maxTimeMs < a.minTimeMs),
      );
    const sum = (chosen: readonly { atMost: number }[]): number =>
      chosen.reduce((points, { atMost }) => points + atMost, 0);
    let most = 0;
    for (let bits = 0; bits < 2 ** parts.length; bits++) {
      const chosen = parts.filter((_, i) => (bits >> i) & 1);
      if (areApart(chosen)) most = Math.max(most, sum(chosen));
    }
    const found = largestApart(parts);
    assert.ok(areApart([...found]));
    assert.equal(sum(found), most);
  }
});

test("a query far above its budget is refused by a sample, in other threads as well", async (context) => {
  const source = new MemorySource({ batchSize: 100, samples: true });
  const times = Float64Array.from({ length: 100 }, (_, k) => k * STEP_MS);
  for (let i = 0; i < 2000; i++)
    source.add(Labels.fromObject({ __name__: "x", i: String(i) }), times, times);
  const threads = new WorkerEngine({ workerCount: 1, maxSamples: 40_000 });
  context.after(() => threads[Symbol.asyncDispose]());
  const message =
    /^query processing would load too many samples into memory in query execution: about 198000 by 128 of 2000 series, the limit is 40000 \(--query\.max-samples\)\. Narrow/;
  for (const engine of [new Engine({ maxSamples: 40_000 }), threads]) {
    source.batchCount = 0;
    const refused = engine.range(source, { query: "x", ...range });
    await assert.rejects(refused, { code: "execution", message });
    // One more was asked for ahead, at most.
    assert.ok(source.batchCount <= 2, String(source.batchCount));
  }
  const enough = new Engine({ maxSamples: 200_000 });
  assert.equal((await enough.range(source, { query: "x", ...range })).stats.peakSamples, 200_000);
});

test("what was read ahead for one side ends when the other side is refused", async () => {
  const source = new MemorySource({ batchSize: 100, samples: true });
  const times = Float64Array.from({ length: 100 }, (_, k) => k * STEP_MS);
  for (const [name, count] of Object.entries({ few: 300, many: 2000 }))
    for (let i = 0; i < count; i++)
      source.add(Labels.fromObject({ __name__: name, i: String(i) }), times, times);
  let open = 0;
  const watched: Queryable = {
    async *select(request) {
      open++;
      try {
        yield* source.select(request);
      } finally {
        open--;
      }
    },
    labelNames: (request) => source.labelNames(request),
    labelValues: (name, request) => source.labelValues(name, request),
  };
  const engine = new Engine({ maxSamples: 40_000 });
  await assert.rejects(engine.range(watched, { query: "few / ignoring (x) many", ...range }), {
    message: /by 128 of 2000 series/,
  });
  assert.equal(source.selectCount, 2);
  assert.ok(source.batchCount <= 4, "neither is read to its end");
  assert.equal(open, 0);
});

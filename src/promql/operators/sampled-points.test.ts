import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemorySource } from "../../../bench/promql/memory-source.ts";
import { messageOf } from "../../base/errors.ts";
import { writeStale } from "../../base/float.ts";
import { randomInt, seededRandom } from "../../base/random.ts";
import { Labels } from "../../model/labels.ts";
import { Engine } from "../engine.ts";
import { WorkerEngine } from "../worker-engine.ts";
import { isSurelyAbove } from "./sampled-points.ts";

/** The chance that of `size` series, each full with the chance `share`, so many are that the query is refused. */
function chanceOfRefusal(share: number, size: number): number {
  let chance = 0;
  let ways = 1;
  for (let full = 0; full <= size; full++) {
    if (isSurelyAbove(full / size, { share, size }))
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
  assert.ok(isSurelyAbove(1, { share: 0.5, size: 128 }));
  assert.ok(isSurelyAbove(0.1, { share: 0.001, size: 128 }));
  assert.ok(!isSurelyAbove(1, { share: 1, size: 128 }));
  assert.ok(!isSurelyAbove(0.1, { share: 0.1, size: 128 }));
});

const SERIES = 1500;
const STEP_MS = 15_000;
/** Which of the series are full: nearly none, some, all. */
const SHARES = [0.002, 0.05, 0.3, 1];
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

describe("a random query is refused by a sample only if it would be by counting", () => {
  for (let seed = 1; seed <= 12; seed++)
    test(`seed ${seed}`, async () => {
      const share = SHARES[seed % SHARES.length]!;
      const source = skewed(seed, { share, samples: true });
      const counting = skewed(seed, { share, samples: false });
      let refused = 0;
      for (const query of ["x", "rate(x[1m])", "-x offset 1m", "max_over_time(x[20s])"]) {
        const { value } = await new Engine().range(source, { query, ...range });
        assert.ok(value.kind === "matrix");
        const points = value.series.reduce((sum, { times }) => sum + times.length, 0);
        for (const factor of [1.01, 1, 0.9, 0.5, 0.3, 0.1]) {
          const maxSamples = Math.max(400, Math.floor(points * factor));
          const [outcome, counted] = await Promise.all(
            [source, counting].map((one) =>
              new Engine({ maxSamples }).range(one, { query, ...range }).then(
                () => "answered",
                (error: unknown) => messageOf(error),
              ),
            ),
          );
          if (outcome === "answered" || counted === "answered") assert.equal(outcome, counted);
          else assert.match(outcome!, /too many samples/);
          if (outcome!.includes(`by 128 of ${SERIES} series`)) refused++;
        }
      }
      if (share === 1) assert.ok(refused > 0, "none was refused by a sample");
    });
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

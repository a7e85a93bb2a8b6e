import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemorySource } from "../../../bench/promql/memory-source.ts";
import { systemClock } from "../../base/clock.ts";
import { writeStale } from "../../base/float.ts";
import { randomInt, seededRandom } from "../../base/random.ts";
import { Labels } from "../../model/labels.ts";
import { createMatcher } from "../../model/matcher.ts";
import type { Series } from "../../storage/queryable.ts";
import { Annotations } from "../annotations.ts";
import { Budget } from "../budget.ts";
import { Engine } from "../engine.ts";
import { parseExpression } from "../parser.ts";
import { planQuery } from "../plan.ts";
import { countCovered, coverageOf, mostCovered } from "./covered-points.ts";
import type { QueryContext } from "./row.ts";

const END_MS = 2_000_000;
const QUERIES = [
  "x",
  "-x offset 40s * 2",
  "abs(x offset -70s)",
  "x @ 700",
  "x > bool 5",
  "round(5 <= bool x, 2)",
  "clamp_min(clamp_max(x, 9), 3)",
  "timestamp(x offset 10s)",
  "timestamp(sort_desc(-x))",
  "rate(x[2m])",
  "2 ^ -rate(x[90s] offset 1m)",
  "max_over_time(x[37s])",
  "irate(x[1m])",
  "idelta(x[1m])",
  "deriv(x[2m])",
  "changes(x[20s])",
  "stddev_over_time(x[1m] @ 900)",
  "max_over_time(x[5m:13s])",
  "rate(rate(x[1m])[3m:30s])",
  "count_over_time(max_over_time(x[1m:7s] offset 20s)[2m:20s] offset -1m)",
  "sum_over_time((x @ 700)[2m:30s])",
  "last_over_time((-increase(x[1m:]))[4m:11s])",
] as const;

/** Series with gaps, markers of staleness and single samples. */
async function seriesOf(seed: number): Promise<{ source: MemorySource; all: readonly Series[] }> {
  const random = seededRandom(seed);
  const source = new MemorySource();
  for (let i = 0; i < 30; i++) {
    const times: number[] = [];
    const gap = random.next() * 0.2;
    for (let t = randomInt(random, END_MS); t < END_MS && times.length < 500;) {
      times.push(t);
      t += 1 + randomInt(random, random.next() < gap ? 600_000 : 20_000);
      if (random.next() < 0.003) break;
    }
    const values = Float64Array.from(times, (_, k) => k);
    const stale = random.next() * random.next() * 0.3;
    for (let k = 0; k < times.length; k++) if (random.next() < stale) writeStale(values, k);
    source.add(
      Labels.fromObject({ __name__: "x", i: String(i) }),
      Float64Array.from(times),
      values,
    );
  }
  const all: Series[] = [];
  const matchers = [createMatcher("__name__", "=", "x")];
  for await (const { series } of source.select({ matchers, minTimeMs: -1e15, maxTimeMs: 1e15 }))
    all.push(...series);
  return { source, all };
}

function context(source: MemorySource): QueryContext {
  const { signal } = new AbortController();
  return {
    queryable: source,
    budget: new Budget({ maxSamples: Infinity, clock: systemClock, signal }),
    trace: undefined,
    samples: undefined,
    pushdown: undefined,
    annotations: new Annotations(),
    clock: systemClock,
    delayedNameRemoval: false,
    startTimes: false,
    sharedSeries: new Map(),
    repeatedSelectors: new Set(),
    readAhead: undefined,
    storageWarnings: new Set(),
    storageInfos: new Set(),
    stats: { samplesRead: 0, seriesRead: 0, chunksRead: 0, bytesRead: 0 },
  };
}

describe("points are as many as times of samples say, and no fewer than those of parts", () => {
  for (let seed = 1; seed <= 20; seed++)
    test(`seed ${seed}`, async () => {
      const random = seededRandom(seed);
      const { source, all } = await seriesOf(seed);
      for (const query of QUERIES) {
        const stepMs = 1 + randomInt(random, 30_000);
        const range = { startMs: randomInt(random, END_MS) - 100_000, stepMs };
        const endMs = range.startMs + randomInt(random, 200) * stepMs;
        const { value } = await new Engine().range(source, { query, ...range, endMs });
        assert.ok(value.kind === "matrix");
        const points = value.series.reduce((sum, { times }) => sum + times.length, 0);
        const plan = planQuery(parseExpression(query), {
          ...range,
          endMs,
          lookbackMs: 300_000,
          subqueryStepMs: 60_000,
        });
        const coverage = coverageOf(plan);
        assert.ok(coverage !== undefined, query);
        const what = `${query} from ${range.startMs} by ${stepMs} to ${endMs}`;
        assert.equal(await countCovered(all, coverage, context(source)), points, what);

        // Parts of the times, in any of which a series has its own samples only.
        const cuts = Array.from({ length: 3 }, () => randomInt(random, END_MS)).sort(
          (a, b) => a - b,
        );
        let inParts = 0;
        for (const [i, maxTimeMs] of [...cuts, Infinity].entries()) {
          const part = { minTimeMs: (cuts[i - 1] ?? -Infinity) + 1, maxTimeMs };
          const most = mostCovered(coverage, part);
          for (const one of all) {
            const own = await countCovered([one], coverage, context(source), part);
            assert.ok(own <= most, `${what}: ${own} of a series in a part, at most ${most}`);
            inParts += own;
          }
        }
        assert.ok(inParts <= points, `${what}: ${inParts} in parts, ${points} in all`);
      }
    });
});

test("other plans are not counted by times", () => {
  const options = {
    startMs: 0,
    endMs: 1000,
    stepMs: 10,
    lookbackMs: 300_000,
    subqueryStepMs: 60_000,
  };
  for (const query of [
    "x > 1",
    "clamp(x, 5, 3)",
    "round(x, time())",
    "x + y",
    "sum(x)",
    "absent_over_time(x[1m])",
    "predict_linear(x[1m] @ 0, time())",
    "max_over_time(sum(x)[1m:])",
    "max_over_time(vector(1)[1m:])",
    "x * time()",
  ])
    assert.equal(coverageOf(planQuery(parseExpression(query), options)), undefined, query);
});

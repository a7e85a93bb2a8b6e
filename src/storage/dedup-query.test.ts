import assert from "node:assert/strict";
import { test } from "node:test";
import { Labels } from "../model/labels.ts";
import { Engine } from "../promql/engine.ts";
import { isCounterFunction } from "./dedup.ts";
import { chunksOf, point } from "./dedup.fixture.ts";
import { dedupSelect, ofReplica } from "./dedup-select.ts";
import { MemoryQueryable } from "./memory-queryable.ts";
import type { Queryable } from "./queryable.ts";

test("one query may read a series as a counter and as it is", async () => {
  const replica = (...values: readonly (readonly [number, number])[]): MemoryQueryable =>
    new MemoryQueryable([
      {
        labels: Labels.fromObject({ __name__: "x" }),
        chunks: chunksOf(values.map(([t, v]) => point(t * 1000, v))),
      },
    ]);
  // The second replica is behind: as a counter it is lifted to 20, as it is it goes down to 10.
  const a = replica([0, 0], [10, 10], [20, 20]);
  const b = replica([2, 0], [12, 5], [22, 10], [32, 15], [42, 20]);
  const both: Queryable = {
    select: (request) =>
      dedupSelect([ofReplica(a.select(request), "a"), ofReplica(b.select(request), "b")], {
        isCounter: isCounterFunction(request.hints?.func ?? ""),
      }),
    labelNames: (request) => a.labelNames(request),
    labelValues: (name, request) => a.labelValues(name, request),
  };
  const ask = async (query: string): Promise<number | undefined> => {
    const { value } = await new Engine().instant(both, { query, timeMs: 45_000 });
    return value.kind === "vector" ? value.samples[0]?.value : undefined;
  };
  assert.equal(await ask("min_over_time(x[30s]) + 0 * increase(x[30s])"), 10);
  assert.equal(await ask("min_over_time(x[30s])"), 10);
  assert.equal(await ask("resets(x[30s])"), 0);
  assert.equal(await ask("resets(x[30s]) + 0 * min_over_time(x[30s])"), 0);
  assert.equal(await ask("0 * min_over_time(x[30s]) + resets(x[30s])"), 0);
  assert.equal(await ask("0 * resets(x[30s]) + min_over_time(x[30s])"), 10);
  assert.equal(await ask("changes(x[30s]) + 0 * resets(x[30s])"), 3);
});

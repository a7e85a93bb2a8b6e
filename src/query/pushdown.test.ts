import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { systemClock, type Clock } from "../base/clock.ts";
import { Labels } from "../model/labels.ts";
import { Engine } from "../promql/engine.ts";
import { MemoryQueryable } from "../storage/memory-queryable.ts";
import type { Queryable } from "../storage/queryable.ts";
import { pushXorChunks } from "../storage/xor-chunks.ts";
import { FanoutQueryable } from "./fanout.ts";
import {
  startShards,
  type TestShard,
  type TestShards,
} from "../../test/support/aggregating-shards.ts";
import { Pushdown } from "./pushdown.ts";

const AT = { timeMs: 1000 };

function shard(id: string, value: number): Queryable {
  const times = Float64Array.of(AT.timeMs);
  const chunks = pushXorChunks([], { times, values: Float64Array.of(value) });
  return new MemoryQueryable([{ labels: Labels.fromObject({ __name__: "x", id }), chunks }]);
}

async function start(context: TestContext, shards: readonly TestShard[]): Promise<TestShards> {
  const started = await startShards(shards);
  context.after(() => started.stop());
  return started;
}

async function ask(
  { endpoints, registry }: TestShards,
  options: { query?: string; pushdown?: Pushdown; replicaLabels?: string[]; engine?: Engine } = {},
): Promise<number | undefined> {
  const { query = "sum(x)", engine = new Engine(), replicaLabels } = options;
  const pushdown = options.pushdown ?? new Pushdown({ clock: systemClock, registry });
  const dedup = replicaLabels && { replicaLabels, func: "gapless" as const };
  const stores = new FanoutQueryable({ endpoints, pushdown, ...(dedup && { dedup }) });
  const { value } = await engine.instant(stores, { query, ...AT });
  assert.ok(value.kind === "vector");
  return value.samples[0]?.value;
}

const TWO = [{ queryable: shard("a", 1) }, { queryable: shard("b", 2) }];

describe("a fan-out that may push aggregations", () => {
  it("pushes when all stores can", async (context) => {
    const shards = await start(context, TWO);
    assert.equal(await ask(shards), 3);
    assert.deepEqual(shards.outcomes(), { pushed: 1 });
  });

  it("reads when a store runs another version, or none", async (context) => {
    for (const aggregates of ["0.0.1", ""]) {
      const shards = await start(context, [TWO[0]!, { ...TWO[1]!, aggregates }]);
      assert.equal(await ask(shards), 3);
      assert.deepEqual(shards.outcomes(), { stores: 1 });
    }
  });

  it("reads when stores are of different replicas", async (context) => {
    const shards = await start(
      context,
      ["a", "b"].map((replica) => ({
        queryable: shard("same", 2),
        externalLabels: { replica },
      })),
    );
    assert.equal(await ask(shards, { replicaLabels: ["replica"] }), 2);
    assert.deepEqual(shards.outcomes(), { replicas: 1 });
  });

  it("reads a series that two stores have, and remembers it for five minutes", async (context) => {
    const shards = await start(context, [TWO[0]!, TWO[0]!]);
    let nowMs = 0;
    const clock: Clock = { ...systemClock, monotonic: () => nowMs };
    const pushdown = new Pushdown({ clock, registry: shards.registry });
    assert.equal(await ask(shards, { pushdown }), 1);
    assert.equal(await ask(shards, { pushdown }), 1);
    assert.deepEqual(shards.outcomes(), { duplicates: 1, recent: 1 });
    nowMs = 300_001;
    assert.equal(await ask(shards, { pushdown }), 1);
    assert.deepEqual(shards.outcomes(), { duplicates: 2, recent: 1 });
  });

  it("says what is missing when a store has gone", async (context) => {
    const shards = await start(context, TWO);
    await shards.servers[1]!.stop();
    assert.equal(await ask(shards), 1);
    assert.deepEqual(shards.outcomes(), { declined: 1 });
  });

  it("fails as reading does above a limit", async (context) => {
    const shards = await start(context, TWO);
    const engine = new Engine({ maxSeries: 1 });
    await assert.rejects(ask(shards, { engine }), /too many series/);
    assert.deepEqual(shards.outcomes(), { limits: 1 });
  });

  it("reads what two parts of a query have in common once", async (context) => {
    const shards = await start(context, TWO);
    assert.equal(await ask(shards, { query: "sum(x) - max(x)" }), 1);
    assert.deepEqual(shards.outcomes(), {});
  });
});

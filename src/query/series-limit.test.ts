import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { startShards, type TestShard } from "../../test/support/aggregating-shards.ts";
import { Labels } from "../model/labels.ts";
import { Engine, type QueryEngine } from "../promql/engine.ts";
import { WorkerEngine } from "../promql/worker-engine.ts";
import { MemoryQueryable } from "../storage/memory-queryable.ts";
import type { Queryable, SeriesBatch } from "../storage/queryable.ts";
import { pushXorChunks } from "../storage/xor-chunks.ts";
import { FanoutQueryable, type FanoutOptions } from "./fanout.ts";

/** `--query.max-series` is held against what the indexes of stores say, before their series are read. */

const CHUNKS = pushXorChunks([], { times: Float64Array.of(0), values: Float64Array.of(1) });

function memory(...all: Record<string, string>[]): Queryable {
  return new MemoryQueryable(
    all.map((pairs) => ({
      labels: Labels.fromObject({ __name__: "x", ...pairs }),
      chunks: CHUNKS,
    })),
    { batchSize: 10 },
  );
}

/** Series `x{id="0"}` and so on, which may be read up to their first batch. */
function unread(count: number): { queryable: Queryable; batches: () => number } {
  const all = memory(...Array.from({ length: count }, (_, i) => ({ id: String(i) })));
  let batches = 0;
  return {
    queryable: {
      async *select(request): AsyncGenerator<SeriesBatch> {
        for await (const batch of all.select(request)) {
          batches++;
          yield batch;
        }
      },
      labelNames: (request) => all.labelNames(request),
      labelValues: (name, request) => all.labelValues(name, request),
    },
    batches: () => batches,
  };
}

async function stores(
  context: TestContext,
  shards: readonly TestShard[],
  options: Partial<FanoutOptions> = {},
): Promise<Queryable> {
  const started = await startShards(shards);
  context.after(() => started.stop());
  return new FanoutQueryable({ endpoints: started.endpoints, ...options });
}

async function count(
  queryable: Queryable,
  engine: QueryEngine,
  query = "count(x)",
): Promise<number | undefined> {
  const { value } = await engine.instant(queryable, { query, timeMs: 1000 });
  assert.ok(value.kind === "vector");
  return value.samples[0]?.value;
}

const REFUSED =
  /^query processing would read too many series in query execution: at least 2000 by the index, the limit is 1999 \(--query\.max-series\)\. Narrow/;

describe("a query of more series than it may read", () => {
  for (const labels of [{}, { region: "x" }])
    it(`is refused by what a store with the labels ${JSON.stringify(labels)} expects`, async (context) => {
      const [large, small] = [unread(2000), unread(5)];
      const queryable = await stores(
        context,
        [large, small].map((one) => ({ ...one, externalLabels: labels })),
      );
      const threads = new WorkerEngine({ workerCount: 1, maxSeries: 1999 });
      context.after(() => threads[Symbol.asyncDispose]());
      for (const engine of [new Engine({ maxSeries: 1999 }), threads])
        await assert.rejects(count(queryable, engine), { code: "execution", message: REFUSED });
      assert.equal(await count(queryable, new Engine({ maxSeries: 2000 })), 2000);
    });

  it("does not ask a store of others for anything that it need not know", async (context) => {
    const { queryable } = unread(20);
    const shard: Queryable = {
      async *select(request) {
        for await (const { series } of queryable.select(request)) yield { series };
      },
      labelNames: () => assert.fail("names are of no use"),
      labelValues: () => assert.fail("no count, no question"),
    };
    const from = await stores(context, [{ queryable: shard, externalLabels: { region: "x" } }]);
    assert.equal(await count(from, new Engine({ maxSeries: 20 })), 20);
    await assert.rejects(count(from, new Engine({ maxSeries: 19 })), { message: /20 so far/ });
  });

  it("is refused by all that it reads together", async () => {
    const { queryable, batches } = unread(2000);
    const message = /at least 4000 by the index, the limit is 3999/;
    const engine = new Engine({ maxSeries: 3999 });
    await assert.rejects(count(queryable, engine, "count(x) + count(x offset 1s)"), { message });
    assert.equal(batches(), 201, "the second time up to the first batch");
  });
});

describe("a query of more points than it may hold", () => {
  const steps = 100;
  const times = Float64Array.from({ length: steps }, (_, k) => k * 15_000);
  const chunks = pushXorChunks([], { times, values: times });
  const shard = (count: number, name: string): Queryable =>
    new MemoryQueryable(
      Array.from({ length: count }, (_, i) => ({
        labels: Labels.fromObject({ __name__: "x", id: String(i), name }),
        chunks,
      })),
    );
  const range = { query: "x", startMs: 0, endMs: (steps - 1) * 15_000, stepMs: 15_000 };
  const message =
    /too many samples into memory in query execution: about 198000 by 128 of 2000 series, the limit is 40000 /;

  for (const externalLabels of [{}, { region: "x" }, { region: "x", replica: "a" }])
    it(`is refused by the sample of a store with ${JSON.stringify(externalLabels)}`, async (context) => {
      const dedup = { replicaLabels: ["replica"], func: "gapless" } as const;
      const queryable = await stores(
        context,
        [
          { queryable: shard(2000, "a"), externalLabels },
          { queryable: shard(5, "b"), externalLabels },
        ],
        "replica" in externalLabels ? { dedup } : {},
      );
      const threads = new WorkerEngine({ workerCount: 1, maxSamples: 40_000 });
      context.after(() => threads[Symbol.asyncDispose]());
      for (const engine of [new Engine({ maxSamples: 40_000 }), threads])
        await assert.rejects(engine.range(queryable, range), { code: "execution", message });
      const enough = new Engine({ maxSamples: 2005 * steps });
      const { stats } = await enough.range(queryable, range);
      assert.equal(stats.peakSamples, 2005 * steps);
    });

  it("gets all series of a store whose sample is not enough to refuse it", async (context) => {
    // One sample each: a point, where twenty would be too many.
    const { queryable, batches } = unread(2000);
    const from = await stores(context, [
      { queryable, externalLabels: {} },
      { queryable: shard(5, "b"), externalLabels: {} },
    ]);
    const sparse = { ...range, lookbackMs: 15_000 };
    const { value, stats } = await new Engine({ maxSamples: 2500 }).range(from, sparse);
    assert.ok(value.kind === "matrix");
    assert.equal(value.series.length, 2005);
    assert.equal(stats.peakSamples, 2000 + 5 * steps);
    // First nothing but the sample.
    assert.equal(batches(), 1 + 200);
  });

  it("is not refused by series that external labels make one", async (context) => {
    const queryable = await stores(context, [
      { queryable: shard(2000, "a"), externalLabels: { id: "1" } },
    ]);
    const { stats } = await new Engine({ maxSamples: 1000 }).range(queryable, range);
    assert.equal(stats.peakSamples, steps);
  });
});

describe("a query of no more series than it may read is answered", () => {
  const engine = new Engine({ maxSeries: 2 });

  it("if external labels make fewer of them", async (context) => {
    const queryable = memory(
      ...["1", "2"].flatMap((id) => ["a", "b"].map((region) => ({ id, region }))),
    );
    const shard = { queryable, externalLabels: { region: "x" } };
    assert.equal(await count(await stores(context, [shard]), engine), 2);
  });

  it("if stores have the same ones", async (context) => {
    const queryable = memory({ id: "1" }, { id: "2" });
    assert.equal(await count(await stores(context, [{ queryable }, { queryable }]), engine), 2);
  });

  it("if they are those of replicas", async (context) => {
    const dedup = { replicaLabels: ["replica"], func: "gapless" } as const;
    const together = memory(
      ...["1", "2"].flatMap((id) => ["a", "b"].map((replica) => ({ id, replica }))),
    );
    assert.equal(
      await count(await stores(context, [{ queryable: together }], { dedup }), engine),
      2,
    );
    const apart = ["a", "b"].map((replica) => ({
      queryable: memory({ id: "1" }, { id: "2" }),
      externalLabels: { replica },
    }));
    assert.equal(await count(await stores(context, apart, { dedup }), engine), 2);
  });
});

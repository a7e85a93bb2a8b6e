import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, it, type TestContext } from "node:test";
import { startShards, type TestShards } from "../../test/support/aggregating-shards.ts";
import { systemClock } from "../base/clock.ts";
import { Labels } from "../model/labels.ts";
import { Engine } from "../promql/engine.ts";
import { MAX_PARTIAL_BYTES, MAX_PARTIAL_GROUPS, POINT_BYTES } from "../promql/pushdown/partial.ts";
import type { MatrixSeries } from "../promql/result.ts";
import { MemoryQueryable } from "../storage/memory-queryable.ts";
import type { Queryable, Series, SeriesBatch } from "../storage/queryable.ts";
import { pushXorChunks } from "../storage/xor-chunks.ts";
import { MAX_AGGREGATIONS } from "../store/aggregate-server.ts";
import { FanoutQueryable } from "./fanout.ts";
import { Pushdown } from "./pushdown.ts";

/** What a shard declines to answer or to go on with; the series are read then, and the answer is the same. */

const STEP_MS = 10_000;

/** Series `i` with one sample: `i`, at `timeMs`. */
function series(i: number, timeMs = 0): Series {
  const chunks = pushXorChunks([], {
    times: Float64Array.of(timeMs),
    values: Float64Array.of(i),
  });
  return { labels: Labels.fromObject({ __name__: "x", id: String(i) }), chunks };
}

function storage(count: number, timeOf: (i: number) => number = () => 0): Queryable {
  return new MemoryQueryable(Array.from({ length: count }, (_, i) => series(i, timeOf(i))));
}

async function start(context: TestContext, queryables: readonly Queryable[]): Promise<TestShards> {
  const shards = await startShards(queryables.map((queryable) => ({ queryable })));
  context.after(() => shards.stop());
  return shards;
}

function pushing({ endpoints, registry }: TestShards): Queryable {
  return new FanoutQueryable({
    endpoints,
    pushdown: new Pushdown({ clock: systemClock, registry }),
  });
}

/** What became of asking a shard with `queryable` for `query`, whose answer is checked against one that is read. */
async function outcomeOf(
  context: TestContext,
  queryable: Queryable,
  { query, steps, lookbackMs = 3_600_000 }: { query: string; steps: number; lookbackMs?: number },
): Promise<Record<string, number>> {
  const shards = await start(context, [queryable]);
  const engine = new Engine({ lookbackMs });
  const ask = async (from: Queryable): Promise<string[]> => {
    const range = { startMs: 0, endMs: (steps - 1) * STEP_MS, stepMs: STEP_MS };
    const { value } = await engine.range(from, { query, ...range });
    assert.ok(value.kind === "matrix");
    return value.series.map(shown);
  };
  const answer = await ask(pushing(shards));
  assert.ok(answer.length > 0);
  assert.deepEqual(answer, await ask(queryable));
  return shards.outcomes();
}

const shown = ({ labels, times, values }: MatrixSeries): string =>
  `${labels.toString()} ${times.join()} ${values.join()}`;

describe("a shard's part of an aggregation", () => {
  for (const [count, outcome] of [
    [MAX_PARTIAL_GROUPS, "pushed"],
    [MAX_PARTIAL_GROUPS + 1, "declined"],
  ] as const)
    it(`of ${count} groups is ${outcome}`, async (context) => {
      const query = "sum by (id) (x)";
      assert.deepEqual(await outcomeOf(context, storage(count), { query, steps: 1 }), {
        [outcome]: 1,
      });
    });

  for (const operator of ["sum", "max", "count"] as const) {
    const steps = 10_000;
    const most = Math.floor(MAX_PARTIAL_BYTES / (steps * POINT_BYTES[operator]));
    it(`of more bytes of ${operator} than an answer may have is declined`, async (context) => {
      const query = `${operator} by (id) (x)`;
      assert.deepEqual(await outcomeOf(context, storage(most), { query, steps }), { pushed: 1 });
      assert.deepEqual(await outcomeOf(context, storage(most + 1), { query, steps }), {
        declined: 1,
      });
    });
  }

  it("of too many candidates is declined", async (context) => {
    const each = 1001;
    const ask = (steps: number): Promise<Record<string, number>> =>
      // Each step has series of its own to choose from.
      outcomeOf(
        context,
        storage(each * steps, (i) => Math.floor(i / each) * STEP_MS),
        { query: "topk(1000, x)", steps, lookbackMs: 1 },
      );
    // The only shard chooses for good: no more than are asked for.
    const most = Math.floor(MAX_PARTIAL_GROUPS / 1000);
    assert.deepEqual(await ask(most), { pushed: 1 });
    assert.deepEqual(await ask(most + 1), { declined: 1 });
  });

  it("of too many chosen points is declined", async (context) => {
    const query = "bottomk(1000, x)";
    const ask = (steps: number): Promise<Record<string, number>> =>
      outcomeOf(context, storage(1001), { query, steps });
    assert.deepEqual(await ask(100), { pushed: 1 });
    assert.deepEqual(await ask(1500), { declined: 1 });
  });
});

/** A shard whose series never end, and what it has been asked for. */
class Endless implements Queryable {
  open = 0;
  batches = 0;
  readonly #ended: (() => void)[] = [];
  /** Whether batches come at all. */
  readonly #gives: boolean;

  constructor({ gives }: { gives: boolean }) {
    this.#gives = gives;
  }

  async *select(): AsyncGenerator<SeriesBatch> {
    this.open++;
    try {
      for (let i = 0; ; i++) {
        if (this.#gives) await nextTurn();
        else await new Promise<never>(() => {});
        this.batches++;
        yield { series: [series(i)] };
      }
    } finally {
      this.open--;
      for (const tell of this.#ended.splice(0)) tell();
    }
  }

  async untilAllEnded(): Promise<void> {
    while (this.open > 0) await new Promise<void>((resolve) => this.#ended.push(resolve));
  }

  labelNames = (): never => assert.fail("nobody asks for names");
  labelValues = (): never => assert.fail("nobody asks for values");
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

describe("a shard that aggregates for a client that leaves", () => {
  it("stops reading", async (context) => {
    const shard = new Endless({ gives: true });
    const shards = await start(context, [shard]);
    const client = new AbortController();
    const answer = new Engine().instant(pushing(shards), {
      query: "sum(x)",
      timeMs: 0,
      signal: client.signal,
    });
    await until(() => shard.batches > 10);
    client.abort();
    await assert.rejects(answer, { code: "canceled" });
    await shard.untilAllEnded();
    const { batches } = shard;
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    assert.equal(shard.batches, batches);
  });

  it("has room for others, even if its storage hangs", async (context) => {
    const hangs = new Endless({ gives: false });
    const fixed = storage(3);
    const shards = await start(context, [
      {
        select: (request) =>
          request.matchers.some(({ value }) => value === "hangs")
            ? hangs.select()
            : fixed.select(request),
        labelNames: (request) => fixed.labelNames(request),
        labelValues: (name, request) => fixed.labelValues(name, request),
      },
    ]);
    const client = new AbortController();
    const engine = new Engine({ maxConcurrency: MAX_AGGREGATIONS + 1 });
    const ask = (query: string, signal?: AbortSignal): Promise<unknown> =>
      engine.instant(pushing(shards), { query, timeMs: 0, ...(signal && { signal }) });
    const hung = Array.from({ length: MAX_AGGREGATIONS }, () => ask("sum(hangs)", client.signal));
    const failed = Promise.allSettled(hung);
    await until(() => hangs.open === MAX_AGGREGATIONS);
    const waiting = ask("sum(x)");
    client.abort();
    for (const { status } of await failed) assert.equal(status, "rejected");
    await waiting;
    assert.deepEqual(shards.outcomes(), { pushed: 1 });
  });
});

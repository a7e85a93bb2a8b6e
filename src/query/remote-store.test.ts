import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { createChannel } from "../grpc/channel.ts";
import { createGrpcServer } from "../grpc/server.ts";
import { Labels } from "../model/labels.ts";
import { createMatcher } from "../model/matcher.ts";
import { decodeSeriesRequest, type SeriesRequestMessage } from "../proto/series-request.ts";
import { SeriesEncoder } from "../proto/series-response.ts";
import type { Chunk, SelectRequest, Series } from "../storage/queryable.ts";
import { RemoteStore, type RemoteStoreOptions } from "./remote-store.ts";
import { Watchdog } from "./watchdog.ts";

const encoder = new SeriesEncoder();
const chunk = (minTimeMs: number, byte: number): Chunk => ({
  encoding: 1,
  minTimeMs,
  maxTimeMs: minTimeMs + 9,
  data: Uint8Array.of(byte),
});
const series = (labels: Record<string, string>, ...chunks: Chunk[]): Series => ({
  labels: Labels.fromObject(labels),
  chunks,
});
const frame = (...all: Series[]): Uint8Array => Uint8Array.from(encoder.batch(all));
const REQUEST: SelectRequest = {
  matchers: [createMatcher("a", "!~", "x|y")],
  minTimeMs: -5.5,
  maxTimeMs: 10.5,
};

/** A store that answers every Series call with `frames`. */
async function open(
  context: TestContext,
  frames: readonly Uint8Array[],
  options: Partial<RemoteStoreOptions> = {},
): Promise<{ store: RemoteStore; requests: SeriesRequestMessage[] }> {
  const requests: SeriesRequestMessage[] = [];
  const server = createGrpcServer({
    port: 0,
    graceMs: 0,
    services: [
      {
        name: "thanos.Store",
        methods: {
          Series: {
            kind: "server-stream",
            async *handle(request) {
              requests.push(decodeSeriesRequest(request));
              yield* frames;
            },
          },
        },
      },
    ],
  });
  await server.start();
  const channel = createChannel({ address: `127.0.0.1:${server.address().port}` });
  context.after(async () => {
    await channel.close();
    await server.stop();
  });
  return { store: new RemoteStore({ channel, ...options }), requests };
}

async function collect(
  store: RemoteStore,
  request: Partial<SelectRequest> = {},
): Promise<{ series: string[]; warnings: string[] }> {
  const all: { series: string[]; warnings: string[] } = { series: [], warnings: [] };
  for await (const batch of store.select({ ...REQUEST, ...request })) {
    for (const { labels, chunks } of batch.series)
      all.series.push(`${labels.toString()} ${chunks.map(({ data }) => data[0]).join(" ")}`);
    all.warnings.push(...(batch.warnings ?? []));
  }
  return all;
}

describe("RemoteStore", () => {
  it("asks as it is asked", async (context) => {
    const { store, requests } = await open(context, [], { partialResponse: "abort" });
    await collect(store, {
      skipChunks: true,
      limit: 7,
      sampleAbove: 5000,
      withoutReplicaLabels: ["r"],
      hints: {
        stepMs: 15,
        func: "rate",
        rangeMs: 300,
        grouping: ["job"],
        by: true,
        newestOnly: true,
      },
    });
    const { hints: _, shardInfo: __, ...request } = requests[0]!;
    assert.deepEqual(request, {
      minTimeMs: -6,
      maxTimeMs: 11,
      matchers: [{ type: 3, name: "a", value: "x|y" }],
      maxResolutionWindowMs: 0,
      aggregates: [0],
      partialResponseDisabled: true,
      partialResponseStrategy: 1,
      skipChunks: true,
      queryHints: {
        stepMs: 15,
        func: "rate",
        rangeMs: 300,
        grouping: { by: true, labels: ["job"] },
        newestOnly: true,
        wantsCount: true,
        sampleAbove: 5000,
      },
      withoutReplicaLabels: ["r"],
      limit: 7,
      responseBatchSize: 64,
    });
  });

  it("puts series together that go on over frames, and sorts their chunks", async (context) => {
    const { store } = await open(context, [
      frame(series({ a: "1" }, chunk(0, 1)), series({ a: "2" }, chunk(20, 3))),
      frame(series({ a: "2" }, chunk(10, 2))),
      Uint8Array.from(encoder.warning("careful")),
      frame(series({ a: "2" }, chunk(30, 4)), series({ a: "3" }, chunk(20, 6), chunk(10, 5))),
    ]);
    assert.deepEqual(await collect(store), {
      series: ['{a="1"} 1', '{a="2"} 2 3 4', '{a="3"} 5 6'],
      warnings: ["careful"],
    });
  });

  it("refuses series out of order and damaged frames", async (context) => {
    const unsorted = await open(context, [frame(series({ a: "2" })), frame(series({ a: "1" }))]);
    await assert.rejects(collect(unsorted.store), {
      code: "corrupt",
      message: `the store's series are not sorted: {a="1"} comes after {a="2"}`,
    });
    const damaged = await open(context, [Uint8Array.of(0x22, 0x7f, 0)]);
    await assert.rejects(collect(damaged.store), { code: "corrupt" });
  });

  it("ends with the reason of the signal", async (context) => {
    const { store } = await open(context, [frame(series({ a: "1" }))]);
    const signal = AbortSignal.abort(new AppError("timeout", "the query took too long"));
    await assert.rejects(collect(store, { signal }), {
      code: "timeout",
      message: "the query took too long",
    });
  });
});

describe("Watchdog", () => {
  /** Time that moves when told. */
  function manualClock(): Clock & { advance(ms: number): void } {
    let now = 0;
    let timers: { at: number; callback: () => void }[] = [];
    return {
      now: () => now,
      monotonic: () => now,
      sleep: () => Promise.reject(new Error("unused")),
      after(delayMs, callback) {
        const timer = { at: now + delayMs, callback };
        timers.push(timer);
        return () => (timers = timers.filter((other) => other !== timer));
      },
      advance(ms) {
        now += ms;
        const due = timers.filter(({ at }) => at <= now);
        timers = timers.filter(({ at }) => at > now);
        for (const { callback } of due) callback();
      },
    };
  }

  it("counts the waits, not the reader's own time", async () => {
    const clock = manualClock();
    const watchdog = new Watchdog({ clock, timeoutMs: 100, signal: undefined });
    const first = Promise.withResolvers<number>();
    const waiting = watchdog.wait(first.promise);
    clock.advance(90);
    first.resolve(1);
    assert.equal(await waiting, 1);
    clock.advance(1000);
    assert.equal(watchdog.fired, false);
    const second = Promise.withResolvers<number>();
    const again = watchdog.wait(second.promise);
    clock.advance(60);
    assert.equal(watchdog.fired, false);
    clock.advance(60);
    assert.equal(watchdog.fired, true);
    assert.equal(watchdog.signal.aborted, true);
    second.resolve(2);
    assert.equal(await again, 2);
    watchdog.stop();
  });
});

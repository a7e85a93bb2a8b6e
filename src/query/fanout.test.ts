import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it, type TestContext } from "node:test";
import { AppError } from "../base/errors.ts";
import { createGrpcServer, type GrpcServer } from "../grpc/server.ts";
import { Labels } from "../model/labels.ts";
import { createMatcher } from "../model/matcher.ts";
import { chunksOf, point, pointsOf } from "../storage/dedup.fixture.ts";
import { MemoryQueryable } from "../storage/memory-queryable.ts";
import type {
  Chunk,
  LabelResult,
  Queryable,
  SelectRequest,
  Series,
  SeriesBatch,
} from "../storage/queryable.ts";
import { createStoreServices, type StoreServiceOptions } from "../store/store-server.ts";
import { EndpointSet } from "./endpoint-set.ts";
import type { Completeness } from "./completeness.ts";
import { FanoutQueryable, type FanoutOptions } from "./fanout.ts";

const RANGE = { minTimeMs: 0, maxTimeMs: 1_000_000 };
const ALL = [createMatcher("__name__", "=~", ".+")];

function chunk(minTimeMs: number, ...bytes: number[]): Chunk {
  return { encoding: 1, minTimeMs, maxTimeMs: minTimeMs + 99, data: Uint8Array.from(bytes) };
}

function series(labels: Record<string, string>, ...chunks: Chunk[]): Series {
  return {
    labels: Labels.fromObject({ __name__: "up", ...labels }),
    chunks: chunks.length === 0 ? [chunk(100, 0, 1, 7)] : chunks,
  };
}

async function serve(
  context: TestContext,
  queryable: Queryable,
  options: Partial<StoreServiceOptions> & { port?: number } = {},
): Promise<{ address: string; server: GrpcServer }> {
  const server = createGrpcServer({
    port: options.port ?? 0,
    graceMs: 0,
    services: createStoreServices({
      queryable,
      externalLabels: () => Labels.EMPTY,
      minTimeMs: () => 0,
      maxTimeMs: () => 2 ** 63,
      ready: () => true,
      ...options,
    }),
  });
  await server.start();
  context.after(() => server.stop());
  const { host, port } = server.address();
  return { address: `${host}:${port}`, server };
}

async function endpointSet(
  context: TestContext,
  addresses: readonly (string | { address: string; strict: boolean })[],
): Promise<EndpointSet> {
  const endpoints = new EndpointSet({ provider: () => addresses, refreshMs: 3_600_000 });
  await endpoints.start();
  context.after(() => endpoints.stop());
  return endpoints;
}

async function fanout(
  context: TestContext,
  addresses: readonly (string | { address: string; strict: boolean })[],
  options: Partial<FanoutOptions> = {},
): Promise<FanoutQueryable> {
  return new FanoutQueryable({ endpoints: await endpointSet(context, addresses), ...options });
}

async function collect(
  queryable: Queryable,
  request: Partial<SelectRequest> = {},
): Promise<{ series: Series[]; warnings: string[]; infos: string[] }> {
  const all: { series: Series[]; warnings: string[]; infos: string[] } = {
    series: [],
    warnings: [],
    infos: [],
  };
  for await (const batch of queryable.select({ matchers: ALL, ...RANGE, ...request })) {
    all.series.push(...batch.series);
    all.warnings.push(...(batch.warnings ?? []));
    all.infos.push(...(batch.infos ?? []));
  }
  return all;
}

const shown = (found: { series: Series[] }): string[] =>
  found.series.map(
    ({ labels, chunks }) => `${labels.toString()} ${chunks.map((c) => c.data.join(".")).join(" ")}`,
  );

/** A store that misbehaves after `before`. */
function broken(
  before: readonly Series[],
  then: (signal?: AbortSignal) => Promise<never>,
): Queryable {
  const fail = async (signal?: AbortSignal): Promise<LabelResult> => then(signal);
  return {
    async *select(request): AsyncGenerator<SeriesBatch> {
      if (before.length > 0) yield { series: before };
      await then(request.signal);
    },
    labelNames: ({ signal }) => fail(signal),
    labelValues: (_name, { signal }) => fail(signal),
  };
}

describe("FanoutQueryable over EndpointSet", () => {
  it("merges the series of several stores", async (context) => {
    const a = await serve(
      context,
      new MemoryQueryable([series({ i: "1" }), series({ i: "3" }, chunk(100, 3))]),
    );
    const b = await serve(
      context,
      new MemoryQueryable([series({ i: "2" }), series({ i: "3" }, chunk(200, 5), chunk(300, 4))]),
    );
    let told: Completeness | undefined;
    const queryable = await fanout(context, [a.address, b.address], {
      onComplete: (completeness) => (told = completeness),
    });
    const found = await collect(queryable);
    assert.deepEqual(shown(found), [
      '{__name__="up", i="1"} 0.1.7',
      '{__name__="up", i="2"} 0.1.7',
      '{__name__="up", i="3"} 3 5 4',
    ]);
    assert.deepEqual(found.warnings, []);
    assert.deepEqual(told, {
      storesAsked: 2,
      storesAnswered: 2,
      isComplete: true,
      warnings: [],
      infos: [],
    });
    assert.deepEqual(await queryable.labelNames({ matchers: [], ...RANGE }), {
      values: ["__name__", "i"],
      warnings: [],
      infos: [],
    });
    assert.deepEqual(await queryable.labelValues("i", { matchers: [], ...RANGE, limit: 2 }), {
      values: ["1", "2"],
      warnings: [],
      infos: [],
    });
    assert.equal((await collect(queryable, { limit: 2 })).series.length, 2);
    const bare = await collect(queryable, { skipChunks: true });
    assert.deepEqual(
      bare.series.map(({ chunks }) => chunks.length),
      [0, 0, 0],
    );
  });

  it("joins replicas when their label is stripped", async (context) => {
    const store = (replica: string): Promise<{ address: string }> =>
      serve(context, new MemoryQueryable([series({ z: "1" }), series({ a: "2" })]), {
        externalLabels: () => Labels.fromObject({ cluster: "eu", replica }),
      });
    const addresses = [(await store("a")).address, (await store("b")).address];
    const queryable = await fanout(context, addresses);
    assert.equal((await collect(queryable)).series.length, 4);
    const joined = await fanout(context, addresses, {
      dedup: { replicaLabels: ["replica"], func: "gapless" },
    });
    assert.deepEqual(shown(await collect(joined)), [
      '{__name__="up", a="2", cluster="eu"} 0.1.7',
      '{__name__="up", cluster="eu", z="1"} 0.1.7',
    ]);
    assert.deepEqual(
      shown(await collect(queryable, { withoutReplicaLabels: ["replica", "cluster"] })),
      ['{__name__="up", a="2"} 0.1.7', '{__name__="up", z="1"} 0.1.7'],
    );
  });

  it("tells replicas apart wherever the store has put their label", async (context) => {
    const replicaSeries = (replica: string, ...times: number[]): Series => ({
      labels: Labels.fromObject({ __name__: "up", replica, z: "1" }),
      chunks: chunksOf(times.map((t) => point(t * 1000, t))),
    });
    const a = replicaSeries("a", 0, 10, 20, 30);
    const b = replicaSeries("b", 7, 17, 27, 37, 47);
    const bare = (one: Series): Series => ({
      ...one,
      labels: one.labels.without(["replica"]),
    });
    const external = (replica: string) => ({
      externalLabels: () => Labels.fromObject({ replica }),
    });
    const layouts = [
      // One store has all, as a store without external labels and as a querier that announces those of its stores.
      [await serve(context, new MemoryQueryable([a, b]))],
      [
        await serve(context, new MemoryQueryable([b, a]), {
          labelSets: () => ["a", "b"].map((replica) => Labels.fromObject({ replica })),
        }),
      ],
      [
        await serve(context, new MemoryQueryable([bare(a)]), external("a")),
        await serve(context, new MemoryQueryable([bare(b)]), external("b")),
      ],
      // A move: two stores of one replica have a part each, and overlap.
      [
        await serve(context, new MemoryQueryable([replicaSeries("a", 0, 10, 20)]), external("a")),
        await serve(context, new MemoryQueryable([replicaSeries("a", 20, 30)]), external("a")),
        await serve(context, new MemoryQueryable([b])),
      ],
    ];
    for (const layout of layouts) {
      const addresses = layout.map(({ address }) => address);
      const dedup = { replicaLabels: ["replica", "ruler"], func: "gapless" } as const;
      const newest = { stepMs: 0, func: "", rangeMs: 0, grouping: [], by: false, newestOnly: true };
      const { series: found } = await collect(await fanout(context, addresses, { dedup }), {
        hints: newest,
      });
      assert.deepEqual(
        found.map(({ labels, chunks }) => [labels.toString(), pointsOf(chunks).map(({ v }) => v)]),
        [['{__name__="up", z="1"}', [0, 10, 20, 30, 37, 47]]],
      );
      const chain = await fanout(context, addresses, { dedup: { ...dedup, func: "chain" } });
      assert.deepEqual(
        (await collect(chain)).series.map(({ chunks }) =>
          pointsOf(chunks)
            .map(({ v }) => v)
            .filter((v, i, all) => all.indexOf(v) === i)
            .sort((x, y) => x - y),
        ),
        [[0, 7, 10, 17, 20, 27, 30, 37, 47]],
      );
    }
  });

  it("counts a silent replica as nothing lost while its sibling answers", async (context) => {
    const external = (replica: string) => ({
      externalLabels: () => Labels.fromObject({ replica }),
    });
    const a = await serve(context, new MemoryQueryable([series({ i: "1" })]), external("a"));
    const b = await serve(
      context,
      broken([], () => Promise.reject(new AppError("corrupt", "a chunk is damaged"))),
      external("b"),
    );
    const endpoints = await endpointSet(context, [a.address, b.address]);
    const dedup = { replicaLabels: ["replica"], func: "gapless" } as const;
    const info = (what: string): string =>
      `replica b did not answer (store ${b.address}: ${what} ${b.address}: a chunk is damaged); replica a did`;
    for (const partialResponse of ["warn", "abort"] as const) {
      const queryable = new FanoutQueryable({ endpoints, dedup, partialResponse });
      const found = await collect(queryable);
      assert.deepEqual(shown(found), ['{__name__="up", i="1"} 0.1.7']);
      assert.deepEqual(found.warnings, []);
      assert.deepEqual(found.infos, [info("receive series from")]);
      assert.deepEqual(await queryable.labelNames({ matchers: [], ...RANGE }), {
        values: ["__name__", "i", "replica"],
        warnings: [],
        infos: [info("fetch label names from store")],
      });
    }
    const apart = await collect(new FanoutQueryable({ endpoints }));
    assert.equal(apart.warnings.at(-1), "the answer is incomplete: 1 of 2 stores answered");
    await a.server.stop();
    const abort = new FanoutQueryable({ endpoints, dedup, partialResponse: "abort" });
    await assert.rejects(collect(abort), { code: "unavailable", message: /receive series from/ });
  });

  it("asks only stores that can have an answer", async (context) => {
    let asked = 0;
    const counting = (): Queryable => {
      const inner = new MemoryQueryable([series({ i: "1" })]);
      return {
        select(request) {
          asked++;
          return inner.select(request);
        },
        labelNames: (request) => inner.labelNames(request),
        labelValues: (name, request) => inner.labelValues(name, request),
      };
    };
    const label = (cluster: string) => ({ externalLabels: () => Labels.fromObject({ cluster }) });
    const old = { ...label("us"), maxTimeMs: () => 50 };
    const addresses = [
      (await serve(context, counting(), label("eu"))).address,
      (await serve(context, counting(), label("us"))).address,
      (await serve(context, counting(), old)).address,
    ];
    const queryable = await fanout(context, addresses);
    const us = [...ALL, createMatcher("cluster", "=", "us")];
    assert.equal((await collect(queryable, { matchers: us, minTimeMs: 60 })).series.length, 1);
    assert.equal(asked, 1);
    assert.equal((await collect(queryable)).series.length, 2);
    assert.equal(asked, 4);
  });

  it("asks only stores whose address fits, one of several selectors being enough", async (context) => {
    const a = await serve(context, new MemoryQueryable([series({ at: "a" })]));
    const b = await serve(context, new MemoryQueryable([series({ at: "b" })]));
    const endpoints = await endpointSet(context, [a.address, b.address, "127.0.0.1:1"]);
    const f = async (
      storeMatchers: FanoutOptions["storeMatchers"],
      want: readonly string[],
      isWhole = true,
    ): Promise<void> => {
      const found = await collect(
        new FanoutQueryable({ endpoints, ...(storeMatchers && { storeMatchers }) }),
      );
      assert.deepEqual(
        found.series.map(({ labels }) => labels.get("at")),
        want,
      );
      // A store that was not meant is not missing.
      assert.equal(found.warnings.length === 0, isWhole, found.warnings.join());
    };
    const at = (operator: "=" | "=~", value: string) =>
      createMatcher("__address__", operator, value);
    await f(undefined, ["a", "b"], false);
    await f([[at("=", b.address)]], ["b"]);
    await f([[at("=", a.address)], [at("=", b.address)]], ["a", "b"]);
    await f([[at("=", a.address), createMatcher("cluster", "=", "eu")]], ["a"]);
    await f([[at("=~", "127.*")]], ["a", "b"], false);
    await f([[at("=", a.address), at("=", b.address)]], []);
    await f([[at("=", "elsewhere:1")]], []);
  });

  it("asks a store without samples, which says no time range", async (context) => {
    const empty = await serve(context, new MemoryQueryable([]), {
      minTimeMs: () => Infinity,
      maxTimeMs: () => -Infinity,
    });
    const endpoints = await endpointSet(context, [empty.address]);
    const [status] = endpoints.statuses();
    assert.deepEqual([status?.minTimeMs, status?.maxTimeMs], [-(2 ** 63), 2 ** 63]);
  });

  it("names a store that is down, fails midway, or stays silent; aborts when told to", async (context) => {
    const good = await serve(context, new MemoryQueryable([series({ i: "1" })]));
    const midway = await serve(
      context,
      broken([series({ i: "2" })], () =>
        Promise.reject(new AppError("corrupt", "a chunk is damaged")),
      ),
    );
    const silent = await serve(
      context,
      broken([series({ i: "3" })], async (signal) => {
        await once(signal!, "abort");
        throw AppError.from(signal!.reason);
      }),
    );
    const gone = await serve(context, new MemoryQueryable([]));
    await gone.server.stop();
    const addresses = [good, midway, silent, gone].map(({ address }) => address);
    const endpoints = await endpointSet(context, addresses);
    let told: Completeness | undefined;
    const warn = new FanoutQueryable({
      endpoints,
      storeTimeoutMs: 100,
      onComplete: (completeness) => (told = completeness),
    });
    const found = await collect(warn);
    assert.deepEqual(
      found.series.map(({ labels }) => labels.get("i")),
      // The last series of an interrupted stream may be incomplete, so it is not given out.
      ["1"],
    );
    assert.equal(told?.storesAsked, 4);
    assert.equal(told.storesAnswered, 1);
    assert.equal(told.isComplete, false);
    assert.equal(found.warnings.length, 4);
    const rest = [...found.warnings];
    assert.equal(rest.pop(), "the answer is incomplete: 1 of 4 stores answered");
    assert.match(rest.pop()!, new RegExp(`^store ${gone.address} is unhealthy: cannot connect`));
    assert.deepEqual(
      rest.sort(),
      [
        `receive series from ${midway.address}: a chunk is damaged`,
        `receive series from ${silent.address}: no data for 100 ms`,
      ].sort(),
    );
    const names = await warn.labelNames({ matchers: [], ...RANGE });
    assert.deepEqual(names.values, ["__name__", "i"]);
    assert.equal(names.warnings.length, 4);

    const abort = new FanoutQueryable({ endpoints, partialResponse: "abort" });
    await assert.rejects(collect(abort), { code: "unavailable", message: /is unhealthy/ });
    const strict = await fanout(context, [good.address, midway.address], {
      partialResponse: "abort",
    });
    await assert.rejects(collect(strict), {
      message: `receive series from ${midway.address}: a chunk is damaged`,
    });
    await assert.rejects(strict.labelNames({ matchers: [], ...RANGE }), {
      message: `fetch label names from store ${midway.address}: a chunk is damaged`,
    });
  });

  it("never calls an answer of no stores complete", async (context) => {
    let told: Completeness | undefined;
    const onComplete = (completeness: Completeness): void => void (told = completeness);
    const found = await collect(await fanout(context, [], { onComplete }));
    assert.equal(told?.isComplete, false);
    assert.deepEqual(found, { series: [], warnings: ["no stores are known"], infos: [] });
    await assert.rejects(collect(await fanout(context, [], { partialResponse: "abort" })), {
      code: "unavailable",
      message: "no stores are known",
    });
  });

  it("follows stores that leave, come back and change", async (context) => {
    let ready = false;
    const first = await serve(context, new MemoryQueryable([series({ i: "1" })]), {
      ready: () => ready,
    });
    let listed: readonly string[] = [first.address, first.address, "nonsense"];
    let failing = false;
    const endpoints = new EndpointSet({
      provider: () => {
        if (failing) throw new Error("no such host");
        return listed;
      },
      refreshMs: 3_600_000,
    });
    await endpoints.start();
    context.after(() => endpoints.stop());
    assert.deepEqual(
      endpoints.statuses().map(({ address, health, lastError }) => [address, health, lastError]),
      [[first.address, "unhealthy", "the store is not ready yet"]],
    );
    ready = true;
    await endpoints.refresh();
    const [status] = endpoints.statuses();
    assert.equal(status?.health, "healthy");
    assert.equal(status.lastError, "");
    assert.equal(status.componentType, "sidecar");
    assert.ok(status.lastCheckMs > 0);
    failing = true;
    await endpoints.refresh();
    assert.equal(endpoints.statuses().length, 1, "the last good list stays");
    failing = false;
    listed = [];
    await endpoints.refresh();
    assert.deepEqual(endpoints.statuses(), []);
  });

  it("fails where a store says that the request itself is the trouble", async (context) => {
    const whole = await serve(context, new MemoryQueryable([series({ i: "1" })]));
    const refusing = await serve(
      context,
      broken([series({ i: "2" })], () =>
        Promise.reject(new AppError("refused", "it costs too much")),
      ),
    );
    const endpoints = await endpointSet(context, [whole.address, refusing.address]);
    for (const partialResponse of ["warn", "abort"] as const) {
      const all = new FanoutQueryable({ endpoints, partialResponse });
      const refused = { code: "refused", message: "it costs too much" };
      await assert.rejects(collect(all), refused);
      await assert.rejects(all.labelNames({ matchers: ALL, ...RANGE }), refused);
      await assert.rejects(all.labelValues("i", { matchers: ALL, ...RANGE }), refused);
    }
  });

  it("cancels at the stores when the reader leaves or its signal aborts", async (context) => {
    let aborted = Promise.withResolvers<void>();
    const store = await serve(
      context,
      broken(
        Array.from({ length: 200 }, (_, i) => series({ i: String(1000 + i) })),
        async (signal) => {
          await once(signal!, "abort");
          aborted.resolve();
          throw AppError.from(signal!.reason);
        },
      ),
    );
    const queryable = await fanout(context, [store.address]);
    for await (const batch of queryable.select({ matchers: ALL, ...RANGE })) {
      assert.ok(batch.series.length > 0);
      break;
    }
    await aborted.promise;
    aborted = Promise.withResolvers();
    const controller = new AbortController();
    await assert.rejects(
      async () => {
        for await (const _ of queryable.select({
          matchers: ALL,
          ...RANGE,
          signal: controller.signal,
        }))
          controller.abort();
      },
      { code: "canceled" },
    );
    await aborted.promise;
  });

  it("stacks: a querier is a store too", async (context) => {
    const shard = await serve(context, new MemoryQueryable([series({ i: "1" })]), {
      externalLabels: () => Labels.fromObject({ cluster: "eu" }),
    });
    const lower = await endpointSet(context, [shard.address]);
    const querier = await serve(context, new FanoutQueryable({ endpoints: lower }), {
      componentType: "query",
      labelSets: () => lower.statuses().flatMap(({ labelSets }) => labelSets),
    });
    const upper = await endpointSet(context, [querier.address]);
    assert.deepEqual(String(upper.statuses()[0]?.labelSets), '{cluster="eu"}');
    const queryable = new FanoutQueryable({ endpoints: upper });
    assert.deepEqual(shown(await collect(queryable)), [
      '{__name__="up", cluster="eu", i="1"} 0.1.7',
    ]);
    await shard.server.stop();
    const { warnings } = await collect(queryable);
    assert.match(warnings[0]!, new RegExp(`receive series from ${shard.address}`));
  });
});

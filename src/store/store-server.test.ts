import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { credentials, loadPackageDefinition, type Client } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { createGrpcServer } from "../grpc/server.ts";
import { Labels } from "../model/labels.ts";
import { hashLabels64 } from "../model/target-hash.ts";
import { MemoryQueryable } from "../storage/memory-queryable.ts";
import type { Chunk, Queryable, Series, SeriesBatch } from "../storage/queryable.ts";
import { changeSeriesLabels } from "./external-labels.ts";
import { MAX_FRAME_BYTES } from "./series-frames.ts";
import { createStoreServices, type StoreServiceOptions } from "./store-server.ts";

/** A client with generated codecs, as any StoreAPI client has them. */
const definitions = loadSync(["store.proto", "info.proto"], {
  includeDirs: [`${import.meta.dirname}/../proto`],
  keepCase: true,
  longs: String,
});

interface LabelMessage {
  name: string;
  value: string;
}
interface SeriesMessage {
  labels: LabelMessage[];
  chunks?: { min_time: string; max_time: string; raw: { type?: string; data: Buffer } }[];
}
interface Frame {
  series?: SeriesMessage;
  warning?: string;
  batch?: { series: SeriesMessage[] };
}
type Done = (error: Error | null, response: Record<string, unknown>) => void;
interface StoreClient extends Client {
  Series(request: object): AsyncIterable<Frame>;
  LabelNames(request: object, done: Done): void;
  LabelValues(request: object, done: Done): void;
  Info(request: object, done: Done): void;
}

function chunk(minTimeMs: number, ...data: number[]): Chunk {
  return { encoding: 1, minTimeMs, maxTimeMs: minTimeMs + 99, data: Uint8Array.from(data) };
}

const series = (labels: Record<string, string>, ...chunks: Chunk[]): Series => ({
  labels: Labels.fromObject(labels),
  chunks: chunks.length === 0 ? [chunk(100, 1)] : chunks,
});

const UP = [
  series({ __name__: "up", job: "a", zone: "x" }),
  series({ __name__: "up", job: "b" }, chunk(100, 2), chunk(200, 3)),
  series({ __name__: "down", job: "c" }),
];
const RANGE = { min_time: "0", max_time: "1000000" };
const NAME = { type: "RE", name: "__name__", value: ".+" };

async function open(
  context: TestContext,
  options: Partial<StoreServiceOptions> = {},
): Promise<StoreClient> {
  const server = createGrpcServer({
    port: 0,
    graceMs: 0,
    services: createStoreServices({
      queryable: new MemoryQueryable(UP),
      externalLabels: () => Labels.EMPTY,
      minTimeMs: () => 100,
      maxTimeMs: () => 299,
      ready: () => true,
      ...options,
    }),
  });
  await server.start();
  const root = loadPackageDefinition(definitions) as unknown as {
    thanos: {
      Store: new (...parameters: unknown[]) => StoreClient;
      info: { Info: new (...parameters: unknown[]) => StoreClient };
    };
  };
  const address = `127.0.0.1:${server.address().port}`;
  const client = new root.thanos.Store(address, credentials.createInsecure());
  const infoClient = new root.thanos.info.Info(address, credentials.createInsecure());
  client.Info = (request, done) => infoClient.Info(request, done);
  context.after(async () => {
    client.close();
    infoClient.close();
    await server.stop();
  });
  return client;
}

async function frames(client: StoreClient, request: object): Promise<Frame[]> {
  const all: Frame[] = [];
  for await (const frame of client.Series({ ...RANGE, matchers: [NAME], ...request }))
    all.push(frame);
  return all;
}

const show = ({ labels, chunks }: SeriesMessage): string =>
  `${labels.map(({ name, value }) => `${name}=${value}`).join(",")}${(chunks ?? []).map((c) => ` ${c.min_time}-${c.max_time}:${[...c.raw.data].join(".")}`).join("")}`;

const seriesOf = (all: readonly Frame[]): string[] =>
  all.flatMap(({ series: one, batch }) => (one ? [one] : (batch?.series ?? []))).map(show);

function call(
  client: StoreClient,
  method: "LabelNames" | "LabelValues" | "Info",
  request: object,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) =>
    client[method](request, (error, response) =>
      error === null ? resolve(response) : reject(error),
    ),
  );
}

const external = (labels: Record<string, string>) => ({
  externalLabels: () => Labels.fromObject(labels),
});

describe("thanos.Store/Series", () => {
  it("sends sorted series, one per frame or in batches", async (context) => {
    const client = await open(context);
    const expected = [
      "__name__=down,job=c 100-199:1",
      "__name__=up,job=a,zone=x 100-199:1",
      "__name__=up,job=b 100-199:2 200-299:3",
    ];
    for (const [size, count] of [
      [0, 3],
      [1, 3],
      [2, 2],
      [64, 1],
    ] as const) {
      const all = await frames(client, { response_batch_size: size });
      assert.deepEqual(seriesOf(all), expected);
      assert.equal(all.length, count);
      assert.equal(all[0]!.batch === undefined, size <= 1);
    }
  });

  it("keeps range, limit and skip_chunks", async (context) => {
    const client = await open(context);
    assert.deepEqual(seriesOf(await frames(client, { min_time: "250" })), [
      "__name__=up,job=b 200-299:3",
    ]);
    assert.deepEqual(seriesOf(await frames(client, { limit: 1, skip_chunks: true })), [
      "__name__=down,job=c",
    ]);
  });

  it("sets, matches and strips external labels", async (context) => {
    const client = await open(context, external({ cluster: "eu", job: "over" }));
    const matchers = [
      { type: "EQ", name: "__name__", value: "up" },
      { type: "NRE", name: "cluster", value: "u.*" },
    ];
    assert.deepEqual(seriesOf(await frames(client, { matchers, limit: 5 })), [
      // job is overwritten on both; without zone the second now comes first.
      "__name__=up,cluster=eu,job=over 100-199:2 200-299:3",
      "__name__=up,cluster=eu,job=over,zone=x 100-199:1",
    ]);
    assert.deepEqual(
      await frames(client, { matchers: [NAME, { type: "EQ", name: "cluster", value: "us" }] }),
      [],
    );
    await assert.rejects(
      frames(client, { matchers: [{ type: "EQ", name: "cluster", value: "eu" }] }),
      { code: 3, details: "no matchers specified (excluding external labels)" },
    );
  });

  it("joins series that stripping makes equal", async (context) => {
    const replicas = new MemoryQueryable([
      series({ __name__: "up", replica: "a" }, chunk(100, 1), chunk(200, 2)),
      series({ __name__: "up", replica: "b" }, chunk(100, 1), chunk(150, 3)),
    ]);
    const client = await open(context, {
      queryable: replicas,
      ...external({ replica: "z", x: "1" }),
    });
    assert.deepEqual(seriesOf(await frames(client, { without_replica_labels: ["replica"] })), [
      "__name__=up,x=1 100-199:1 150-249:3 200-299:2",
    ]);
  });

  it("shards by the hash of the chosen labels", async (context) => {
    const all = Array.from({ length: 60 }, (_, i) =>
      series({ __name__: "m", group: `g${i % 7}`, i: String(100 + i) }),
    );
    const client = await open(context, { queryable: new MemoryQueryable(all) });
    const seen = new Set<string>();
    for (let index = 0; index < 3; index++) {
      const shard_info = { shard_index: index, total_shards: 3, by: true, labels: ["group"] };
      for (const one of seriesOf(await frames(client, { shard_info }))) {
        seen.add(one);
        const group = /group=(\w+)/.exec(one)![1]!;
        const { high, low } = hashLabels64(Labels.fromObject({ group }));
        assert.equal((BigInt(high) * 2n ** 32n + BigInt(low)) % 3n, BigInt(index));
      }
    }
    assert.equal(seen.size, 60);
    await assert.rejects(frames(client, { shard_info: { shard_index: 3, total_shards: 3 } }), {
      code: 3,
      details: "cannot select shard 3 of 3",
    });
  });

  it("splits what is larger than a frame", async (context) => {
    const big = (minTimeMs: number): Chunk => ({
      ...chunk(minTimeMs),
      data: new Uint8Array(300_000).fill(minTimeMs),
    });
    const queryable = new MemoryQueryable([
      series({ __name__: "a" }, ...Array.from({ length: 8 }, (_, i) => big(i * 100))),
      series({ __name__: "b" }),
    ]);
    const client = await open(context, { queryable });
    const all = await frames(client, { response_batch_size: 64 });
    const sizes = all.map(({ batch }) =>
      (batch?.series ?? []).flatMap((one) => (one.chunks ?? []).map(({ raw }) => raw.data.length)),
    );
    assert.deepEqual(
      sizes.map(({ length }) => length),
      [3, 3, 3],
    );
    for (const lengths of sizes)
      assert.ok(lengths.reduce((sum, n) => sum + n, 0) <= MAX_FRAME_BYTES);
  });

  it("sends warnings in place, or aborts over them", async (context) => {
    const inner = new MemoryQueryable([]);
    const queryable: Queryable = {
      async *select(): AsyncGenerator<SeriesBatch> {
        yield { series: [UP[0]!] };
        yield { series: [UP[1]!], warnings: ["a block is gone"] };
      },
      labelNames: (request) => inner.labelNames(request),
      labelValues: () => Promise.resolve({ values: ["a"], warnings: ["half of it"] }),
    };
    const client = await open(context, { queryable });
    assert.deepEqual(
      (await frames(client, { response_batch_size: 64 })).map((frame) => frame.warning ?? "series"),
      ["series", "a block is gone", "series"],
    );
    for (const request of [
      { partial_response_strategy: "ABORT" },
      { partial_response_disabled: true },
    ]) {
      await assert.rejects(frames(client, request), { code: 10, details: "a block is gone" });
      await assert.rejects(call(client, "LabelValues", { label: "job", ...request }), {
        code: 10,
        details: "half of it",
      });
    }
  });

  it("refuses bad matchers and says that it is not ready", async (context) => {
    const client = await open(context);
    await assert.rejects(frames(client, { matchers: [{ ...NAME, value: "(" }] }), { code: 3 });
    await assert.rejects(frames(client, { matchers: [] }), { code: 3 });
    const starting = await open(context, { ready: () => false });
    await assert.rejects(frames(starting, {}), { code: 14, details: "the store is not ready yet" });
    await assert.rejects(call(starting, "Info", {}), { code: 14 });
  });
});

describe("thanos.Store/LabelNames and LabelValues", () => {
  const range = { start: "0", end: "1000000" };

  it("answer with external labels where a series matches", async (context) => {
    const client = await open(context, external({ cluster: "eu" }));
    const names = async (request: object) =>
      (await call(client, "LabelNames", { ...range, ...request }))["names"];
    assert.deepEqual(await names({}), ["__name__", "cluster", "job", "zone"]);
    assert.deepEqual(await names({ limit: 2 }), ["__name__", "cluster"]);
    assert.deepEqual(await names({ without_replica_labels: ["cluster", "zone"] }), [
      "__name__",
      "job",
    ]);
    assert.equal(await names({ matchers: [{ type: "EQ", name: "job", value: "z" }] }), undefined);
    assert.equal(
      await names({ matchers: [{ type: "EQ", name: "cluster", value: "z" }] }),
      undefined,
    );
    const values = async (label: string, request: object = {}) =>
      (await call(client, "LabelValues", { ...range, label, ...request }))["values"];
    assert.deepEqual(await values("job"), ["a", "b", "c"]);
    assert.deepEqual(await values("job", { limit: 1 }), ["a"]);
    assert.deepEqual(await values("cluster"), ["eu"]);
    const gone = { matchers: [{ type: "EQ", name: "job", value: "z" }] };
    assert.equal(await values("cluster", gone), undefined);
    assert.equal(await values("zone", { without_replica_labels: ["zone"] }), undefined);
    await assert.rejects(values(""), {
      code: 3,
      details: "label name parameter cannot be empty",
    });
  });
});

describe("thanos.info.Info", () => {
  it("tells labels, times and abilities", async (context) => {
    const client = await open(context, external({ cluster: "eu" }));
    const labels = { labels: [{ name: "cluster", value: "eu" }] };
    assert.deepEqual(JSON.parse(JSON.stringify(await call(client, "Info", {}))), {
      label_sets: [labels],
      component_type: "sidecar",
      store: {
        min_time: "100",
        max_time: "299",
        supports_sharding: true,
        supports_without_replica_labels: true,
        tsdb_infos: [{ labels, min_time: "100", max_time: "299" }],
      },
    });
  });
});

describe("changeSeriesLabels", () => {
  it("gives out a metric as soon as the next one begins", async () => {
    async function* batches(): AsyncGenerator<SeriesBatch> {
      yield { series: [series({ __name__: "a", x: "1" })] };
      yield { series: [series({ __name__: "a", x: "2" })], warnings: ["w"] };
      yield { series: [series({ __name__: "b" }), series({ y: "1" })] };
    }
    const shown: string[] = [];
    for await (const batch of changeSeriesLabels(batches(), {
      external: Labels.fromObject({ e: "1" }),
      without: new Set(["x"]),
    }))
      shown.push(
        `${batch.series.map(({ labels }) => labels.toString()).join(" ")}${batch.warnings?.join() ?? ""}`,
      );
    assert.deepEqual(shown, ["w", '{__name__="a", e="1"} {__name__="b", e="1"}', '{e="1", y="1"}']);
  });

  it("sorts all when a label comes before the metric name", async () => {
    async function* batches(): AsyncGenerator<SeriesBatch> {
      yield { series: [series({ __name__: "b" }), series({ A: "9", __name__: "a" })] };
    }
    const shown: string[] = [];
    for await (const batch of changeSeriesLabels(batches(), {
      external: Labels.EMPTY,
      without: new Set(["A"]),
    }))
      shown.push(...batch.series.map(({ labels }) => labels.toString()));
    assert.deepEqual(shown, ['{__name__="a"}', '{__name__="b"}']);
  });
});

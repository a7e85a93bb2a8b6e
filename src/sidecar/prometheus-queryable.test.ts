import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { after, describe, it, type TestContext } from "node:test";
import {
  freePort,
  type RunningProcess,
  skipWithoutParts,
  startPrometheus,
  until,
} from "../../test/support/processes.ts";
import { compressSnappy } from "../base/snappy.ts";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { createMatcher } from "../model/matcher.ts";
import { compareLabels } from "../model/labels.ts";
import { ProtoWriter } from "../proto/wire.ts";
import type { SelectRequest, Series } from "../storage/queryable.ts";
import { PrometheusClient } from "./prometheus-client.ts";
import { PrometheusQueryable } from "./prometheus-queryable.ts";
import { frame, writeLabels } from "../remote/read-answer.fixture.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(context: TestContext, handler: Handler): Promise<PrometheusQueryable> {
  const server = createServer(handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const client = new PrometheusClient(`http://127.0.0.1:${address.port}`, "test");
  context.after(async () => {
    await client.close();
    server.closeAllConnections();
    server.close();
  });
  return new PrometheusQueryable(client);
}

const UP: SelectRequest = {
  matchers: [createMatcher("__name__", "=", "up")],
  minTimeMs: 0,
  maxTimeMs: 2_000_000_000_000,
};

async function collect(
  queryable: PrometheusQueryable,
  request: SelectRequest,
): Promise<{ series: Series[]; warnings: string[] }> {
  const series: Series[] = [];
  const warnings: string[] = [];
  for await (const batch of queryable.select(request)) {
    series.push(...batch.series);
    warnings.push(...(batch.warnings ?? []));
  }
  return { series, warnings };
}

const chunk = encodeXor(Float64Array.of(1), Float64Array.of(1), { start: 0, end: 1 });

describe("PrometheusQueryable", () => {
  it("joins a series that goes on in the next frame, and keeps limits", async (context) => {
    const queryable = await serve(context, (_request, response) => {
      response.setHeader(
        "Content-Type",
        "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse",
      );
      for (const name of ["a", "b", "b", "b", "c"]) response.write(frame({ name }, chunk));
      response.end();
    });
    const shown = async (request: Partial<SelectRequest> = {}): Promise<string[]> =>
      (await collect(queryable, { ...UP, ...request })).series.map(
        ({ labels, chunks }) => `${labels.toString()} ${chunks.length}`,
      );
    assert.deepEqual(await shown(), ['{name="a"} 1', '{name="b"} 3', '{name="c"} 1']);
    assert.deepEqual(await shown({ limit: 2 }), ['{name="a"} 1', '{name="b"} 3']);
    assert.deepEqual(await shown({ withoutReplicaLabels: ["name"] }), ["{} 1"]);
  });

  it("takes samples from a server that streams nothing", async (context) => {
    const queryable = await serve(context, (_request, response) => {
      const writer = new ProtoWriter();
      const result = writer.size;
      const series = writer.size;
      writer.bytes(2, Uint8Array.of(0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 5));
      writeLabels(writer, { __name__: "up" });
      writer.message(1, series);
      writer.message(1, result);
      response.setHeader("Content-Type", "application/x-protobuf");
      response.end(compressSnappy(writer.finish()));
    });
    const { series, warnings } = await collect(queryable, UP);
    assert.deepEqual(series[0]?.chunks, [
      {
        encoding: 1,
        minTimeMs: 5,
        maxTimeMs: 5,
        data: encodeXor(Float64Array.of(5), Float64Array.of(1), { start: 0, end: 1 }),
      },
    ]);
    assert.deepEqual(warnings, []);
  });

  it("tells a server's refusal and a broken answer apart", async (context) => {
    let handler: Handler = () => {};
    const queryable = await serve(context, (request, response) => handler(request, response));
    const fails = (code: string): Promise<void> => assert.rejects(collect(queryable, UP), { code });
    handler = (_request, response) => response.writeHead(400).end("no");
    await fails("bad-data");
    handler = (_request, response) => response.writeHead(503).end("starting");
    await fails("unavailable");
    handler = (_request, response) => {
      response.setHeader("Content-Type", "application/x-streamed-protobuf");
      response.end(frame({ a: "b" }, chunk).subarray(0, 9));
    };
    await fails("corrupt");
    handler = (_request, response) => {
      response.setHeader("Content-Type", "application/x-streamed-protobuf");
      response.write(frame({ a: "b" }, chunk));
      setImmediate(() => response.destroy());
    };
    await fails("unavailable");
    handler = (_request, response) => response.end("{}");
    await assert.rejects(queryable.labelNames(UP), { code: "unavailable" });
  });

  it("asks for label names of any alphabet and unbounded times", async (context) => {
    const asked: string[] = [];
    const queryable = await serve(context, (request, response) => {
      asked.push(request.url!);
      response.end('{"status":"success","data":["b","a"]}');
    });
    const all = { matchers: [], minTimeMs: -(2 ** 63), maxTimeMs: 2 ** 63 };
    assert.deepEqual(await queryable.labelValues("a_b.ü", all), {
      values: ["a", "b"],
      warnings: [],
    });
    assert.deepEqual(await queryable.labelNames({ ...UP, limit: 1 }), {
      values: ["a"],
      warnings: [],
    });
    assert.deepEqual(asked, [
      "/api/v1/label/U__a__b_2e__fc_/values",
      "/api/v1/labels?match%5B%5D=%7B__name__%3D%22up%22%7D&start=0&end=2000000000",
    ]);
  });
});

describe("PrometheusQueryable beside a real Prometheus", { skip: skipWithoutParts() }, () => {
  let prometheus: RunningProcess | undefined;
  after(async () => prometheus?.stop());

  it("reads what its own API shows", async (context) => {
    const port = await freePort();
    prometheus = await startPrometheus({
      port,
      config: `global: {scrape_interval: 200ms, scrape_timeout: 200ms, external_labels: {zone: z}}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:${port}"], labels: {Upper: x}}]}]
`,
    });
    const { url } = prometheus!;
    const client = new PrometheusClient(url, "test");
    context.after(() => client.close());
    const queryable = new PrometheusQueryable(client);
    const range = { minTimeMs: 0, maxTimeMs: Date.now() + 3_600_000 };
    const all = { ...range, matchers: [createMatcher("job", "=~", "self|other")] };
    await until("it has scraped itself a few times", async () => {
      const { series } = await collect(queryable, { ...UP, ...range });
      const [one] = series[0]?.chunks ?? [];
      return one !== undefined && xorSampleCount(one.data) >= 3 ? true : undefined;
    });
    const { series } = await collect(queryable, all);
    assert.ok(series.length > 300, `${series.length} series`);
    for (const { labels, chunks } of series) {
      assert.equal(labels.get("zone"), "z");
      assert.ok(chunks.length > 0);
    }
    const sorted = [...series].sort((a, b) => compareLabels(a.labels, b.labels));
    assert.deepEqual(
      series.map(({ labels }) => labels.get("__name__")),
      sorted.map(({ labels }) => labels.get("__name__")),
    );
    const plain = await collect(queryable, { ...all, skipChunks: true });
    const has = new Set(plain.series.map(({ labels }) => labels.key()));
    for (const { labels } of series) assert.ok(has.has(labels.without(["zone"]).key()));
    const [first] = (await collect(queryable, { ...UP, ...range })).series;
    const { data, minTimeMs, maxTimeMs } = first!.chunks[0]!;
    const count = xorSampleCount(data);
    const [times, values] = [new Float64Array(count), new Float64Array(count)];
    decodeXor(data, { times, values, offset: 0 });
    assert.deepEqual([times[0], times.at(-1)], [minTimeMs, maxTimeMs]);
    assert.ok(values.includes(1));
    const names = await queryable.labelNames({ ...all, matchers: [] });
    assert.ok(names.values.includes("Upper") && names.values.includes("job"));
    assert.deepEqual((await queryable.labelValues("job", all)).values, ["self"]);
  });
});

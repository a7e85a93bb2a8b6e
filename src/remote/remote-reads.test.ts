import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { describe, it, type TestContext } from "node:test";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { decompressSnappy } from "../base/snappy.ts";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { parseConfig } from "../config/load.ts";
import type { Config } from "../config/types.ts";
import { newHistogram } from "../model/histogram.ts";
import { Labels } from "../model/labels.ts";
import { createMatcher, formatMatcher } from "../model/matcher.ts";
import { decodeHistogramChunk, encodeHistogramRun } from "../storage/chunk-encodings.ts";
import { MemoryQueryable } from "../storage/memory-queryable.ts";
import { ENCODING_HISTOGRAM, type SelectRequest, type Series } from "../storage/queryable.ts";
import { pushXorChunks } from "../storage/xor-chunks.ts";
import { STREAMED_TYPE } from "./read-answer.ts";
import { ReadClient } from "./read-client.ts";
import { createHttpClient } from "../http/client.ts";
import { decodeReadRequest, type ReadRequest } from "./read-request.ts";
import { encodeSeriesFrames, SamplesResponse } from "./read-response.ts";
import { RemoteReads } from "./remote-reads.ts";

/** Samples of value 1 at these times, and histograms at those. */
function series(
  labels: Record<string, string>,
  times: readonly number[],
  histogramTimes: readonly number[] = [],
): Series {
  const values = new Float64Array(times.length).fill(1);
  const histogram = newHistogram({
    schema: 1,
    count: 3,
    sum: 2,
    positiveSpans: Int32Array.of(0, 1),
    positiveBuckets: Float64Array.of(3),
  });
  const histograms = histogramTimes.map(() => histogram);
  return {
    labels: Labels.fromObject(labels),
    chunks: [
      ...pushXorChunks([], { times: Float64Array.from(times), values }),
      ...(histograms.length === 0
        ? []
        : encodeHistogramRun(ENCODING_HISTOGRAM, {
            times: Float64Array.from(histogramTimes),
            histograms,
          })),
    ],
  };
}

/** Labels and the times of all samples. */
function shown({ labels, chunks }: Series): string {
  const times = chunks.flatMap((chunk) => {
    if (chunk.encoding === ENCODING_HISTOGRAM)
      return [...decodeHistogramChunk(chunk).times].map((time) => `h${time}`);
    const decoded = new Float64Array(xorSampleCount(chunk.data));
    decodeXor(chunk.data, { times: decoded, values: new Float64Array(decoded.length), offset: 0 });
    return [...decoded].map(String);
  });
  return `${labels.toString()} ${times.join(" ")}`.trim();
}

const answerFrames =
  (answer: readonly Series[]): Handler =>
  (_request, response) => {
    response.setHeader("Content-Type", `${STREAMED_TYPE}; proto=prometheus.ChunkedReadResponse`);
    for (const one of answer)
      for (const frame of encodeSeriesFrames(one, { queryIndex: 0, maxFrameBytes: 1 }))
        response.write(frame);
    response.end();
  };

const answerSamples =
  (answer: readonly Series[]): Handler =>
  (_request, response) => {
    const body = new SamplesResponse(0);
    for (const one of answer) body.add(one, { minTimeMs: 0, maxTimeMs: 1e9 });
    body.endQuery();
    response.setHeader("Content-Type", "application/x-protobuf").end(body.finish());
  };

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

interface Remote {
  readonly url: string;
  readonly requests: { readonly head: IncomingMessage; readonly read: ReadRequest }[];
}

async function startRemote(context: TestContext, handler: Handler): Promise<Remote> {
  const requests: Remote["requests"] = [];
  const server = createServer((head, response) => {
    void head.toArray().then((pieces) => {
      const body = decompressSnappy(Buffer.concat(pieces as Buffer[]), 1 << 20);
      requests.push({ head, read: decodeReadRequest(body) });
      handler(head, response);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { url: `http://127.0.0.1:${address.port}/read`, requests };
}

const configOf = (text: string): Config =>
  parseConfig(text, { path: "prometheus.yml", baseFolder: "/" });

async function start(
  context: TestContext,
  text: string,
  localStartMs = Infinity,
): Promise<RemoteReads> {
  const reads = new RemoteReads({
    userAgent: "Shoal/test",
    logger: silentLogger,
    registry: new Registry(),
    localStartMs: () => localStartMs,
  });
  await reads.apply(configOf(text));
  context.after(() => reads.close());
  return reads;
}

const UP: SelectRequest = {
  matchers: [createMatcher("__name__", "=", "up")],
  minTimeMs: 1,
  maxTimeMs: 10_000,
};
const LOCAL = new MemoryQueryable([series({ __name__: "up", at: "here" }, [5000, 6000])]);

async function ask(
  reads: RemoteReads,
  request: Partial<SelectRequest> = {},
  isAbort = false,
): Promise<{ series: string[]; warnings: string[] }> {
  const all: string[] = [];
  const warnings: string[] = [];
  for await (const batch of reads.over(LOCAL, { isAbort }).select({ ...UP, ...request })) {
    all.push(...batch.series.map(shown));
    warnings.push(...(batch.warnings ?? []));
  }
  return { series: all, warnings };
}

describe("RemoteReads", () => {
  it("joins series of both sides, of two samples at one time the local one", async (context) => {
    const answer = [
      series({ __name__: "up", at: "here" }, [4000, 5000, 5500]),
      series({ __name__: "up", at: "there" }, [5000]),
    ];
    for (const handler of [answerFrames(answer), answerSamples(answer)]) {
      const remote = await startRemote(context, handler);
      const reads = await start(
        context,
        `remote_read: [{url: "${remote.url}", read_recent: true}]`,
      );
      assert.deepEqual(await ask(reads), {
        series: [
          '{__name__="up", at="here"} 4000 5000 5500 6000',
          '{__name__="up", at="there"} 5000',
        ],
        warnings: [],
      });
      assert.deepEqual((await ask(reads, { limit: 1 })).series.length, 1);
      assert.deepEqual((await ask(reads, { skipChunks: true })).series, [
        '{__name__="up", at="here"}',
        '{__name__="up", at="there"}',
      ]);
    }
  });

  it("takes histograms of both kinds of answers, and series that fill several frames", async (context) => {
    const times = Array.from({ length: 300 }, (_, i) => i + 1);
    const answer = [series({ __name__: "up", at: "z" }, times, [301, 302])];
    for (const handler of [answerFrames(answer), answerSamples(answer)]) {
      const remote = await startRemote(context, handler);
      const reads = await start(
        context,
        `remote_read: [{url: "${remote.url}", read_recent: true}]`,
      );
      const found = await ask(reads);
      assert.equal(found.series[1], `{__name__="up", at="z"} ${times.join(" ")} h301 h302`);
    }
  });

  it("asks as the configuration says", async (context) => {
    const remote = await startRemote(context, answerFrames([]));
    const reads = await start(
      context,
      `remote_read: [{url: "${remote.url}", read_recent: true, headers: {X-Scope: a}, basic_auth: {username: u, password: p}}]`,
    );
    const hints = { stepMs: 7, func: "rate", rangeMs: 60_000, grouping: ["a", "b"], by: true };
    await ask(reads, { hints });
    const { head, read } = remote.requests[0]!;
    assert.equal(head.headers["x-scope"], "a");
    assert.equal(head.headers.authorization, `Basic ${btoa("u:p")}`);
    assert.equal(head.headers["user-agent"], "Shoal/test");
    assert.equal(head.headers["x-prometheus-remote-read-version"], "0.1.0");
    const { matchers, ...rest } = read.queries[0]!;
    assert.deepEqual(rest, { minTimeMs: 1, maxTimeMs: 10_000, hints });
    assert.deepEqual(matchers.map(formatMatcher), ['__name__="up"']);
    assert.equal(read.isStreamed, true);
  });

  it("adds external labels as matchers and takes them off again", async (context) => {
    const there = (labels: Record<string, string>): Series =>
      series({ __name__: "up", ...labels }, [5000]);
    // Without their label `m` they are in another order.
    const remote = await startRemote(
      context,
      answerFrames([there({ a: "1", m: "x", z: "1" }), there({ a: "1", n: "1" })]),
    );
    const asked = (): string[] =>
      remote.requests.at(-1)!.read.queries[0]!.matchers.map(formatMatcher);
    const text = `{url: "${remote.url}", read_recent: true`;
    const global = `global: {external_labels: {m: x}}`;
    const reads = await start(context, `${global}\nremote_read: [${text}}]`);
    assert.deepEqual((await ask(reads)).series.slice(0, 2), [
      '{__name__="up", a="1", n="1"} 5000',
      '{__name__="up", a="1", z="1"} 5000',
    ]);
    assert.deepEqual(asked(), ['__name__="up"', 'm="x"']);
    // A selector that names it means it.
    const matchers = [...UP.matchers, createMatcher("m", "!=", "y")];
    assert.equal(
      (await ask(reads, { matchers })).series[0],
      '{__name__="up", a="1", m="x", z="1"} 5000',
    );
    assert.deepEqual(asked(), ['__name__="up"', 'm!="y"']);
    await reads.apply(
      configOf(`${global}\nremote_read: [${text}, filter_external_labels: false}]`),
    );
    assert.equal((await ask(reads)).series[0], '{__name__="up", a="1", m="x", z="1"} 5000');
    assert.deepEqual(asked(), ['__name__="up"']);
  });

  it("leaves endpoints out whose required matchers a selector lacks", async (context) => {
    const remote = await startRemote(context, answerFrames([]));
    const reads = await start(
      context,
      `remote_read: [{url: "${remote.url}", read_recent: true, required_matchers: {job: a, zone: b}}]`,
    );
    const job = createMatcher("job", "=", "a");
    await ask(reads);
    await ask(reads, { matchers: [...UP.matchers, job] });
    await ask(reads, { matchers: [...UP.matchers, job, createMatcher("zone", "=~", "b")] });
    assert.equal(remote.requests.length, 0);
    await ask(reads, { matchers: [...UP.matchers, job, createMatcher("zone", "=", "b")] });
    assert.equal(remote.requests.length, 1);
  });

  it("asks for times before the local start only, unless read_recent says otherwise", async (context) => {
    const there = series({ __name__: "up", at: "there" }, [1000, 2000, 3000, 4000], [5000, 6000]);
    const remote = await startRemote(context, answerFrames([there]));
    const text = `remote_read: [{url: "${remote.url}"}]`;
    const reads = await start(context, text, 3000);
    assert.equal((await ask(reads)).series[1], '{__name__="up", at="there"} 1000 2000 3000');
    assert.equal(remote.requests[0]?.read.queries[0]?.maxTimeMs, 3000);
    assert.equal((await ask(reads, { minTimeMs: 3001 })).series.length, 1);
    assert.equal(remote.requests.length, 1);
    const later = await start(context, text, 5000);
    assert.equal(
      (await ask(later)).series[1],
      '{__name__="up", at="there"} 1000 2000 3000 4000 h5000',
    );
  });

  it("tells in warnings who does not answer, or fails when all is wanted", async (context) => {
    let handler: Handler = () => {};
    const remote = await startRemote(context, (request, response) => handler(request, response));
    const url = remote.url.replace("//", "//user:secret@");
    const reads = await start(
      context,
      `remote_read: [{url: "${url}", read_recent: true, remote_timeout: 1s, chunked_read_limit: 100}]`,
    );
    const fails = async (reason: RegExp): Promise<void> => {
      const { series: found, warnings } = await ask(reads);
      assert.deepEqual(found, ['{__name__="up", at="here"} 5000 6000']);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /^remote_read: cannot read from http:\/\/user:[^s]/);
      assert.match(warnings[0]!, reason);
      await assert.rejects(ask(reads, {}, true), reason);
    };
    handler = (_request, response) => response.writeHead(503).end("starting\n");
    await fails(/server returned HTTP status 503 Service Unavailable: starting$/);
    handler = (_request, response) => response.setHeader("Content-Type", "text/html").end();
    await fails(/unsupported content type: text\/html$/);
    const big = series({ __name__: "up", at: "x".repeat(100) }, [1]);
    handler = answerFrames([big]);
    await fails(/cannot read a frame of \d+ bytes: the limit is 100$/);
    const small = encodeSeriesFrames(series({ __name__: "up" }, [1]), {
      queryIndex: 0,
      maxFrameBytes: 1,
    });
    handler = (_request, response) => {
      response.setHeader("Content-Type", STREAMED_TYPE).write(small[0]);
      setImmediate(() => response.destroy());
    };
    await fails(/closed|socket|EOF|terminated/i);
    handler = () => {};
    await fails(/deadline|timed? ?out/i);
    const { warnings } = await reads.over(LOCAL, { isAbort: false }).labelNames(UP);
    assert.deepEqual(warnings, ["remote_read: labels of remote series are not asked for"]);
  });

  it("ends with the request", async (context) => {
    const remote = await startRemote(context, () => abort.abort());
    const abort = new AbortController();
    const reads = await start(context, `remote_read: [{url: "${remote.url}", read_recent: true}]`);
    await assert.rejects(ask(reads, { signal: abort.signal }), { name: /Abort|AppError/ });
  });

  it("follows the configuration, and reads nothing without one", async (context) => {
    const remote = await startRemote(context, answerFrames([series({ __name__: "up" }, [1])]));
    const reads = await start(context, "");
    assert.equal(reads.over(LOCAL, { isAbort: false }), LOCAL);
    const text = `remote_read: [{url: "${remote.url}", read_recent: true, name: r}]`;
    await reads.apply(configOf(text));
    assert.equal((await ask(reads)).series.length, 2);
    await reads.apply(configOf(text));
    assert.equal((await ask(reads)).series.length, 2);
    await reads.apply(configOf(""));
    assert.equal((await ask(reads)).series.length, 1);
  });
});

it("refuses an answer beyond its limit, counts what came of each query", async (context) => {
  const remote = await startRemote(context, answerFrames([series({ __name__: "up" }, [1])]));
  const [config] = configOf(`remote_read: [{url: "${remote.url}", name: r}]`).remoteReads;
  assert.ok(config !== undefined);
  const registry = new Registry();
  const client = createHttpClient(config.httpClient, { userAgent: "Shoal/test" });
  const reader = new ReadClient(config, { client, registry, answerMaxBytes: 10 });
  await assert.rejects(reader.read(UP), { code: "resource-exhausted" });
  await reader.retire();
  const text = registry.expose();
  assert.match(text, /read_client_queries_total\{[^}]*code="aborted_stream"[^}]*\} 1/);
  assert.match(text, /prometheus_remote_read_client_queries\{[^}]*remote_name="r"[^}]*\} 0/);
});

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { temporaryFolder } from "../../test/support/processes.ts";
import { registerOtlpApi } from "../api/otlp-api.ts";
import { createHttpServer } from "../api/server.ts";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { parseConfig } from "../config/load.ts";
import { DEFAULT_OTLP } from "../config/server.ts";
import { isStaleHistogram } from "../model/histogram.ts";
import { formatSeries } from "../model/labels.ts";
import { createMatcher } from "../model/matcher.ts";
import { decodeHistogramChunk } from "../storage/chunk-encodings.ts";
import { type AppendBatch, NOTHING_APPENDED } from "../storage/appender.ts";
import { ENCODING_XOR, type Series } from "../storage/queryable.ts";
import { openDatabase } from "../tsdb/database.ts";
import { samples } from "../tsdb/testing/head-fixture.ts";
import { encodeOtlp } from "./otlp.fixture.ts";
import {
  attribute,
  CONFIGS,
  CUMULATIVE,
  nanos,
  NOW,
  request,
  REQUESTS,
} from "./otlp-requests.fixture.ts";
import { OTLP_MAX_BYTES, OtlpReceiver } from "./otlp-receiver.ts";

const shown = (series: readonly Series[]): string[] =>
  series
    .flatMap((each) =>
      each.chunks
        .flatMap((chunk): unknown[] => {
          if (chunk.encoding === ENCODING_XOR)
            return samples({ ...each, chunks: [chunk] }).map(([t, v]) => [t - NOW, String(v)]);
          const { times, histograms } = decodeHistogramChunk(chunk);
          return histograms.map((histogram, i) => [
            times[i]! - NOW,
            chunk.encoding,
            isStaleHistogram(histogram) ? "the end" : histogram,
          ]);
        })
        .map((row) => `${formatSeries(each.labels)} ${JSON.stringify(row)}`),
    )
    .sort();

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Sends `bodies` one after the other to a receiver of its own; gives the answers and what is stored then. */
async function receive(
  bodies: readonly unknown[],
  options: { format: "json" | "protobuf"; config: string },
): Promise<{ answers: Answer[]; stored: string[] }> {
  const registry = new Registry();
  const database = await openDatabase({
    folder: temporaryFolder("otlp"),
    logger: silentLogger,
    clock: systemClock,
    registry,
    retentionMs: 15 * 86_400_000,
    maxExemplars: 100,
  });
  const server = createHttpServer({
    listen: "127.0.0.1:0",
    logger: silentLogger,
    registry,
    ready: () => true,
  });
  const { otlp } = parseConfig(options.config, { path: "test", baseFolder: "/" });
  registerOtlpApi(
    server.app,
    new OtlpReceiver({ appendable: database, config: () => otlp, logger: silentLogger }),
  );
  await server.start?.();
  try {
    const answers: Answer[] = [];
    for (const [i, body] of bodies.entries()) {
      const isJson = options.format === "json";
      const bytes = isJson ? Buffer.from(JSON.stringify(body)) : Buffer.from(encodeOtlp(body));
      const isPacked = i % 2 === 0;
      const response = await fetch(
        `http://127.0.0.1:${server.address().port}/api/v1/otlp/v1/metrics`,
        {
          method: "POST",
          headers: {
            "content-type": `application/${isJson ? "json" : "x-protobuf"}`,
            ...(isPacked && { "content-encoding": "gzip" }),
          },
          body: new Uint8Array(isPacked ? gzipSync(bytes) : bytes),
        },
      );
      answers.push({ status: response.status, text: await response.text() });
    }
    const matchers = [createMatcher("__name__", "!=", "")];
    const all: Series[] = [];
    for await (const { series } of database.select({ matchers, minTimeMs: 0, maxTimeMs: Infinity }))
      all.push(...series);
    return { answers, stored: shown(all) };
  } finally {
    await server.stop?.();
    await database.close();
  }
}

/** Read against the specification and Prometheus's translator. `SHOAL_REWRITE=1` writes it anew. */
const GOLDEN = join(import.meta.dirname, "testdata", "otlp.txt");

test("requests become the samples that Prometheus makes of them, from JSON and from protobuf", async () => {
  let text = "";
  const bodies = REQUESTS.map(([, body]) => body);
  for (const config of CONFIGS) {
    const [json, protobuf] = [
      await receive(bodies, { format: "json", config }),
      await receive(bodies, { format: "protobuf", config }),
    ];
    assert.deepEqual(protobuf, json);
    const refused = json.answers.flatMap(({ status, text: why }, i) =>
      status === 200
        ? []
        : [`${REQUESTS[i]![0]}: ${status} ${why.replaceAll(/\d{10,}/g, "T").trim()}`],
    );
    text += `# ${config}\n${[...refused, ...json.stored].join("\n")}\n\n`;
  }
  if (process.env["SHOAL_REWRITE"] === "1") writeFileSync(GOLDEN, text);
  assert.equal(text, readFileSync(GOLDEN, "utf8"));
});

test("exemplars go to the buckets they fall into; ids go before attributes", async () => {
  const stored: AppendBatch[] = [];
  const names: string[] = [];
  const receiver = new OtlpReceiver({
    appendable: {
      resolve: (labels) => names.push(formatSeries(labels)) - 1,
      async append(batch) {
        stored.push(batch);
        return NOTHING_APPENDED;
      },
    },
    config: () => DEFAULT_OTLP,
    logger: silentLogger,
  });
  const exemplars = [
    {
      timeUnixNano: nanos(0),
      asDouble: 0.3,
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId: "b7ad6b7169203331",
      filteredAttributes: [attribute("k", "v")],
    },
    {
      timeUnixNano: nanos(1),
      asDouble: 7,
      filteredAttributes: [attribute("long", "x".repeat(200))],
    },
  ];
  const point = {
    timeUnixNano: nanos(2),
    count: "2",
    bucketCounts: ["1", "1"],
    explicitBounds: [0.5],
    exemplars,
  };
  const body = request([{ name: "h", histogram: { ...CUMULATIVE, dataPoints: [point] } }]);
  const problem = await receiver.receive({
    contentType: "application/json; charset=utf-8",
    contentEncoding: undefined,
    body: Buffer.from(JSON.stringify(body)),
  });
  assert.equal(problem, "");
  const [first, second] = stored[0]!.exemplars!;
  assert.equal(names[first!.ref], 'h_bucket{instance="i-1", job="eu/shop", le="0.5"}');
  assert.equal(
    formatSeries(first!.exemplar.labels),
    '{k="v", span_id="b7ad6b7169203331", trace_id="0af7651916cd43dd8448eb211c80319c"}',
  );
  assert.equal(names[second!.ref], 'h_bucket{instance="i-1", job="eu/shop", le="+Inf"}');
  // Longer than an exemplar may be.
  assert.equal(second!.exemplar.labels.count, 0);
});

test("a refusal has the words that remote write has", async () => {
  for (const [reason, words] of [
    ["too-old", "too old sample"],
    ["out-of-order", "out of order sample"],
    ["duplicate", "duplicate sample for timestamp"],
  ] as const) {
    const refused = [{ part: "float", index: 0, reason }] as const;
    const receiver = new OtlpReceiver({
      appendable: { resolve: () => 0, append: async () => ({ ...NOTHING_APPENDED, refused }) },
      config: () => DEFAULT_OTLP,
      logger: silentLogger,
    });
    const point = { timeUnixNano: nanos(0), asDouble: 1 };
    const body = JSON.stringify(request([{ name: "g", gauge: { dataPoints: [point] } }]));
    assert.match(
      await receiver.receive({
        contentType: "application/json",
        contentEncoding: undefined,
        body: Buffer.from(body),
      }),
      new RegExp(`: ${words}$`),
    );
  }
});

test("what is no OTLP is refused, a bomb before it is unpacked", async () => {
  const receiver = new OtlpReceiver({
    appendable: {
      resolve: () => 0,
      append: async () => NOTHING_APPENDED,
    },
    config: () => DEFAULT_OTLP,
    logger: silentLogger,
  });
  const cases: readonly (readonly [type: string, encoding: string, body: Uint8Array])[] = [
    ["text/plain", "", new Uint8Array(0)],
    ["application/json", "zstd", Buffer.from("{}")],
    ["application/json", "", Buffer.from("{")],
    ["application/json", "", Buffer.from('{"resourceMetrics": 5}')],
    [
      "application/json",
      "",
      Buffer.from(
        JSON.stringify(request([{ name: "x", gauge: { dataPoints: [{ timeUnixNano: "x" }] } }])),
      ),
    ],
    ["application/json", "gzip", Buffer.from("not gzip")],
    ["application/json", "gzip", gzipSync(Buffer.alloc(OTLP_MAX_BYTES + 1, 32))],
    ["application/x-protobuf", "", Buffer.from("nonsense")],
  ];
  for (const [contentType, contentEncoding, body] of cases)
    assert.match(
      await receiver.receive({ contentType, contentEncoding, body }),
      /OTLP|accepted|message/,
    );
  assert.equal(
    await receiver.receive({
      contentType: "application/json",
      contentEncoding: "gzip",
      body: gzipSync(Buffer.alloc(OTLP_MAX_BYTES + 1, 32)),
    }),
    "cannot unpack the OTLP request: it is larger than 33554432 bytes when unpacked",
  );
});

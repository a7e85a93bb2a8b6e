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
import { OTLP_MAX_BYTES, OtlpReceiver } from "./otlp-receiver.ts";

const NOW = Date.now();
/** Requests follow each other in time. */
let base = 0;
const nanos = (afterMs: number): string => `${NOW + base + afterMs}000000`;

const attribute = (key: string, value: string): unknown => ({ key, value: { stringValue: value } });
const RESOURCE = {
  attributes: [
    attribute("service.name", "shop"),
    attribute("service.namespace", "eu"),
    attribute("service.instance.id", "i-1"),
    attribute("cloud.region", "west"),
    attribute("host.name", "h1"),
    { key: "port", value: { intValue: "8080" } },
  ],
};
const SCOPE = { name: "lib", version: "1.2", attributes: [attribute("scope.kind", "x")] };

function request(metrics: readonly unknown[], resource: unknown = RESOURCE): unknown {
  base += 2000;
  return { resourceMetrics: [{ resource, scopeMetrics: [{ scope: SCOPE, metrics }] }] };
}
const number = (afterMs: number, value: number, more: object = {}): unknown => ({
  timeUnixNano: nanos(afterMs),
  asDouble: value,
  ...more,
});
const CUMULATIVE = { aggregationTemporality: 2 };

const REQUESTS: readonly (readonly [name: string, body: unknown])[] = [
  [
    "a gauge",
    request([{ name: "room.temperature", unit: "Cel", gauge: { dataPoints: [number(0, 21.5)] } }]),
  ],
  [
    "a ratio",
    request([
      {
        name: "cpu.load",
        unit: "1",
        gauge: { dataPoints: [{ timeUnixNano: nanos(0), asInt: "3" }] },
      },
    ]),
  ],
  [
    "a counter",
    request([
      {
        name: "http.requests",
        unit: "{request}",
        sum: {
          ...CUMULATIVE,
          isMonotonic: true,
          dataPoints: [
            number(0, 5, {
              attributes: [
                attribute("http.method", "GET"),
                attribute("_x", "u"),
                attribute("1st", "d"),
                attribute("a.b", "1"),
                attribute("a_b", "2"),
              ],
            }),
          ],
        },
      },
    ]),
  ],
  [
    "a counter called total",
    request([
      {
        name: "bytes.total.sent",
        unit: "By",
        sum: { ...CUMULATIVE, isMonotonic: true, dataPoints: [number(0, 5)] },
      },
    ]),
  ],
  [
    "up and down",
    request([
      { name: "queue.size", unit: "1", sum: { ...CUMULATIVE, dataPoints: [number(0, -5)] } },
    ]),
  ],
  [
    "per second",
    request([{ name: "disk.io", unit: "By/s", gauge: { dataPoints: [number(0, 7)] } }]),
  ],
  [
    "per hour of things",
    request([{ name: "orders", unit: "{order}/h", gauge: { dataPoints: [number(0, 7)] } }]),
  ],
  [
    "odd unit and name",
    request([{ name: "2nd.müßig__name", unit: "foo.bar", gauge: { dataPoints: [number(0, 7)] } }]),
  ],
  [
    "delta",
    request([
      {
        name: "delta",
        sum: { aggregationTemporality: 1, isMonotonic: true, dataPoints: [number(0, 5)] },
      },
      { name: "beside", gauge: { dataPoints: [number(1, 5)] } },
    ]),
  ],
  [
    "no value",
    request([
      {
        name: "ended",
        gauge: { dataPoints: [number(0, 5), { timeUnixNano: nanos(1000), flags: 1 }] },
      },
    ]),
  ],
  [
    "a histogram",
    request([
      {
        name: "latency",
        unit: "s",
        histogram: {
          ...CUMULATIVE,
          dataPoints: [
            {
              timeUnixNano: nanos(0),
              count: "10",
              sum: 4.25,
              bucketCounts: ["1", "0", "6", "3"],
              explicitBounds: [0.1, 0.5, 2.5],
            },
          ],
        },
      },
    ]),
  ],
  [
    "a histogram without sum and buckets",
    request([
      {
        name: "latency2",
        unit: "ms",
        histogram: { ...CUMULATIVE, dataPoints: [{ timeUnixNano: nanos(0), count: "4" }] },
      },
    ]),
  ],
  [
    "an ended histogram",
    request([
      {
        name: "latency3",
        histogram: {
          ...CUMULATIVE,
          dataPoints: [
            {
              timeUnixNano: nanos(0),
              flags: 1,
              count: "0",
              sum: 0,
              bucketCounts: ["0", "0"],
              explicitBounds: [1],
            },
          ],
        },
      },
    ]),
  ],
  [
    "an exponential histogram",
    request([
      {
        name: "sizes",
        unit: "By",
        exponentialHistogram: {
          ...CUMULATIVE,
          dataPoints: [
            {
              timeUnixNano: nanos(0),
              count: "21",
              sum: 99.5,
              scale: 3,
              zeroCount: "2",
              positive: { offset: -3, bucketCounts: ["4", "0", "0", "5", "0", "0", "0", "0", "6"] },
              negative: { offset: 2, bucketCounts: ["4"] },
            },
          ],
        },
      },
    ]),
  ],
  [
    "a fine exponential histogram",
    request([
      {
        name: "fine",
        exponentialHistogram: {
          ...CUMULATIVE,
          dataPoints: [
            {
              timeUnixNano: nanos(0),
              count: "10",
              sum: 1,
              scale: 10,
              zeroCount: "0",
              positive: { offset: 5, bucketCounts: ["1", "2", "3", "4"] },
            },
          ],
        },
      },
    ]),
  ],
  [
    "a coarse exponential histogram",
    request([
      {
        name: "coarse",
        exponentialHistogram: {
          ...CUMULATIVE,
          dataPoints: [
            {
              timeUnixNano: nanos(0),
              count: "1",
              sum: 1,
              scale: -5,
              positive: { offset: 0, bucketCounts: ["1"] },
            },
          ],
        },
      },
    ]),
  ],
  [
    "a summary",
    request([
      {
        name: "rpc",
        unit: "s",
        summary: {
          dataPoints: [
            {
              timeUnixNano: nanos(0),
              count: "7",
              sum: 3.5,
              quantileValues: [
                { quantile: 0.5, value: 0.4 },
                { quantile: 1, value: 0.9 },
              ],
            },
          ],
        },
      },
    ]),
  ],
  [
    "points over a long time",
    request([{ name: "old", gauge: { dataPoints: [number(-1_000_000, 1), number(-1000, 2)] } }], {
      attributes: [attribute("service.name", "long"), attribute("zone", "z")],
    }),
  ],
  [
    "no service",
    request([{ name: "lonely", gauge: { dataPoints: [number(0, 1)] } }], {
      attributes: [attribute("zone", "z")],
    }),
  ],
  [
    "service alone",
    request([{ name: "alone", gauge: { dataPoints: [number(0, 1)] } }], {
      attributes: [attribute("service.name", "s")],
    }),
  ],
  [
    "attributes of all kinds",
    request([
      {
        name: "kinds",
        gauge: {
          dataPoints: [
            number(0, 1, {
              attributes: [
                { key: "b", value: { boolValue: true } },
                { key: "i", value: { intValue: "-5" } },
                { key: "d", value: { doubleValue: 1.5 } },
                {
                  key: "l",
                  value: { arrayValue: { values: [{ stringValue: "x" }, { intValue: "1" }] } },
                },
                {
                  key: "m",
                  value: { kvlistValue: { values: [{ key: "k", value: { stringValue: "v" } }] } },
                },
              ],
            }),
          ],
        },
      },
    ]),
  ],
  [
    "an older sample",
    request([
      { name: "room.temperature", unit: "Cel", gauge: { dataPoints: [number(-60_000, 20)] } },
    ]),
  ],
  [
    "ended native histograms, with something before the end and without",
    request([
      {
        name: "native",
        exponentialHistogram: {
          ...CUMULATIVE,
          dataPoints: [
            {
              timeUnixNano: nanos(0),
              count: "4",
              sum: 3,
              scale: 0,
              positive: { bucketCounts: ["4"] },
            },
            { timeUnixNano: nanos(1000), flags: 1, scale: 0 },
          ],
        },
      },
      {
        name: "native2",
        exponentialHistogram: {
          ...CUMULATIVE,
          dataPoints: [{ timeUnixNano: nanos(0), flags: 1, scale: 0 }],
        },
      },
      {
        name: "latency4",
        histogram: {
          ...CUMULATIVE,
          dataPoints: [
            {
              timeUnixNano: nanos(0),
              count: "3",
              sum: 1,
              bucketCounts: ["1", "2"],
              explicitBounds: [1],
            },
            {
              timeUnixNano: nanos(1000),
              flags: 1,
              bucketCounts: ["0", "0"],
              explicitBounds: [1],
            },
          ],
        },
      },
    ]),
  ],
  ["nothing", { resourceMetrics: [] }],
];

const CONFIGS: readonly string[] = [
  "",
  "otlp: {promote_resource_attributes: [cloud.region, host.name], translation_strategy: UnderscoreEscapingWithoutSuffixes}".replace(
    "UnderscoreEscapingWithoutSuffixes",
    "NoUTF8EscapingWithSuffixes",
  ),
  "otlp: {promote_all_resource_attributes: true, ignore_resource_attributes: [port], translation_strategy: NoTranslation, keep_identifying_resource_attributes: true}",
  "otlp: {convert_histograms_to_nhcb: true, promote_scope_metadata: true}",
];

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

/**
 * There is no real program here to compare with: what stands in the file was read against the specification and Prometheus's
 * translator. `SHOAL_REWRITE=1` writes it anew.
 */
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
});

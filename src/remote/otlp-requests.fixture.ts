/** OTLP requests for tests, as JSON, and configurations to take them by. */
export const NOW = Date.now();
/** Requests follow each other in time. */
let base = 0;
export const nanos = (afterMs: number): string => `${NOW + base + afterMs}000000`;

export const attribute = (key: string, value: string): unknown => ({
  key,
  value: { stringValue: value },
});
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

export function request(metrics: readonly unknown[], resource: unknown = RESOURCE): unknown {
  base += 2000;
  return { resourceMetrics: [{ resource, scopeMetrics: [{ scope: SCOPE, metrics }] }] };
}
export const number = (afterMs: number, value: number, more: object = {}): unknown => ({
  timeUnixNano: nanos(afterMs),
  asDouble: value,
  ...more,
});
export const CUMULATIVE = { aggregationTemporality: 2 };

/** Requests in turn: each sees what those before it have stored. */
export const REQUESTS: readonly (readonly [name: string, body: unknown])[] = [
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
  [
    "empty buckets at the ends",
    request([
      {
        name: "ends",
        histogram: {
          ...CUMULATIVE,
          dataPoints: [
            ["0", "3", "0"],
            ["0", "0", "3", "0", "0", "0", "0", "0"],
            ["0", "0", "0"],
          ].map((bucketCounts, i) => ({
            timeUnixNano: nanos(i),
            count: i === 2 ? "0" : "3",
            sum: 1,
            bucketCounts,
            explicitBounds: bucketCounts.slice(1).map((_, k) => k + 1),
          })),
        },
      },
      {
        name: "exponential.ends",
        exponentialHistogram: {
          ...CUMULATIVE,
          dataPoints: [
            { scale: 3, positive: { offset: 1, bucketCounts: ["0", "3", "0"] } },
            { scale: 3, positive: { bucketCounts: ["3", "0", "0", "0", "0", "0"] } },
            { scale: 3, positive: { bucketCounts: ["0", "0"] }, zeroCount: "3" },
          ].map((more, i) => ({ timeUnixNano: nanos(i), count: "3", sum: 1, ...more })),
        },
      },
    ]),
  ],
  ["nothing", { resourceMetrics: [] }],
];

export const CONFIGS: readonly string[] = [
  "",
  "otlp: {promote_resource_attributes: [cloud.region, host.name], translation_strategy: NoUTF8EscapingWithSuffixes}",
  "otlp: {promote_all_resource_attributes: true, ignore_resource_attributes: [port], translation_strategy: NoTranslation, keep_identifying_resource_attributes: true}",
  "otlp: {convert_histograms_to_nhcb: true, promote_scope_metadata: true}",
];

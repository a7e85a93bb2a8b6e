/**
 * The same write requests, good and bad, to a real Prometheus and to this receiver: both must answer with the same status
 * and hold the same samples after each of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NOW, withBothWrite } from "../../test/support/both-write.ts";
import { skipWithoutParts } from "../../test/support/processes.ts";
import { newHistogram } from "../model/histogram.ts";
import {
  post,
  type RequestSeries,
  V1_HEADERS,
  V2_HEADERS,
  writeRequestV1,
  writeRequestV2,
} from "./write-request.fixture.ts";

const named = (name: string, ...more: (readonly [string, string])[]): RequestSeries["labels"] => [
  ["__name__", name],
  ...more,
];
const one = (name: string, timeMs = NOW, value = 1): RequestSeries => ({
  labels: named(name),
  samples: [[timeMs, value]],
});
const INVALID_UTF8 = Uint8Array.of(0x61, 0xff, 0x62);

const H = newHistogram({
  schema: 1,
  count: 9,
  sum: 12.5,
  zeroThreshold: 0.001,
  zeroCount: 2,
  positiveSpans: Int32Array.of(0, 2, 1, 1),
  positiveBuckets: Float64Array.of(3, 1, 3),
});

/** Requests in turn: each sees what those before it have stored. */
const REQUESTS: readonly (readonly [name: string, series: readonly RequestSeries[]])[] = [
  ["nothing", []],
  ["no labels, before all others", [{ labels: [], samples: [[NOW, 1]] }]],
  ["one sample", [one("a")]],
  ["the same again", [one("a")]],
  ["another value at the same time", [one("a", NOW, 2)]],
  ["an older sample", [one("a", NOW - 1000)]],
  ["an older sample after a good one", [one("after"), one("a", NOW - 1000)]],
  ["an older sample before a good one", [one("a", NOW - 1000), one("before")]],
  [
    "two samples of one series",
    [
      {
        labels: named("two"),
        samples: [
          [NOW, 1],
          [NOW + 1, 2],
        ],
      },
    ],
  ],
  [
    "two samples in the wrong order",
    [
      {
        labels: named("wrong"),
        samples: [
          [NOW, 1],
          [NOW - 1, 2],
        ],
      },
    ],
  ],
  [
    "two samples at one time",
    [
      {
        labels: named("same"),
        samples: [
          [NOW, 1],
          [NOW, 2],
        ],
      },
    ],
  ],
  ["one series twice", [one("twice"), one("twice", NOW + 1)]],
  ["ahead of the clock", [one("ahead", NOW + 11 * 60_000)]],
  ["a little ahead of the clock", [one("little", NOW + 60_000)]],
  ["one of two ahead of the clock", [one("now"), one("ahead2", NOW + 11 * 60_000)]],
  ["a thousand", Array.from({ length: 1000 }, (_, i) => one(`k${i}`))],
  ["far too old", [one("old", NOW - 40 * 3_600_000)]],
  [
    "one of a thousand known ones too old",
    Array.from({ length: 1000 }, (_, i) =>
      one(`k${i}`, NOW + 1 - (i === 500 ? 40 * 3_600_000 : 0)),
    ),
  ],
  ["time 0", [one("zero", 0)]],
  ["no name", [one("n1"), { labels: [["x", "y"]], samples: [[NOW, 1]] }, one("n2")]],
  ["empty metric name", [one("e1"), { labels: [["__name__", ""]], samples: [[NOW, 1]] }]],
  ["empty label name", [one("l1"), { labels: named("l2", ["", "x"]), samples: [[NOW, 1]] }]],
  ["empty label value", [{ labels: named("v1", ["x", ""]), samples: [[NOW, 1]] }]],
  ["no labels", [one("o1"), { labels: [], samples: [[NOW, 1]] }]],
  [
    "unsorted labels",
    [
      {
        labels: [
          ["b", "1"],
          ["a", "2"],
          ["__name__", "unsorted"],
        ],
        samples: [[NOW, 1]],
      },
    ],
  ],
  [
    "unsorted and sorted",
    [
      {
        labels: [
          ["b", "1"],
          ["a", "2"],
          ["__name__", "mix"],
        ],
        samples: [[NOW, 1]],
      },
      {
        labels: [
          ["__name__", "mix"],
          ["a", "2"],
          ["b", "1"],
        ],
        samples: [[NOW + 1, 2]],
      },
    ],
  ],
  [
    "a label twice",
    [one("d1"), { labels: named("d2", ["a", "1"], ["a", "2"]), samples: [[NOW, 1]] }, one("d3")],
  ],
  [
    "a label twice with one value",
    [{ labels: named("d4", ["a", "1"], ["a", "1"]), samples: [[NOW, 1]] }],
  ],
  [
    "names of all kinds",
    [{ labels: named("ü.x y", ["__proto__", "p"], ["ünder", "😀"]), samples: [[NOW, 1]] }],
  ],
  [
    "a value that is not UTF-8",
    [
      one("u1"),
      {
        labels: [
          ["__name__", "u2"],
          ["x", INVALID_UTF8],
        ],
        samples: [[NOW, 1]],
      },
      one("u3"),
    ],
  ],
  [
    "a name that is not UTF-8",
    [one("u4"), { labels: [["__name__", INVALID_UTF8]], samples: [[NOW, 1]] }],
  ],
  ["a series without samples", [one("s1"), { labels: named("s2") }]],
  [
    "special values",
    [
      {
        labels: named("special"),
        samples: [
          [NOW, NaN],
          [NOW + 1, Infinity],
          [NOW + 2, -0],
          [NOW + 3, 5e-324],
        ],
      },
    ],
  ],
  [
    "an exemplar",
    [
      {
        labels: named("ex"),
        samples: [[NOW, 1]],
        exemplars: [{ labels: [["trace", "x"]], value: 1, timeMs: NOW }],
      },
    ],
  ],
  [
    "an exemplar of an unknown series",
    [
      one("x1"),
      { labels: named("x2"), exemplars: [{ labels: [["trace", "x"]], value: 1, timeMs: NOW }] },
    ],
  ],
  [
    "a histogram",
    [{ labels: named("h1"), histograms: [{ timeMs: NOW, histogram: H, isFloat: false }] }],
  ],
  [
    "the same histogram again",
    [{ labels: named("h1"), histograms: [{ timeMs: NOW, histogram: H, isFloat: false }] }],
  ],
  [
    "an older histogram",
    [{ labels: named("h1"), histograms: [{ timeMs: NOW - 5, histogram: H, isFloat: false }] }],
  ],
  // Gauges, so that each joins the chunk of the one before.
  [
    "histograms whose indexes go beyond 32 bits",
    [
      [2 ** 31 - 1, 3],
      [2 ** 31 - 2, 1, 5, 2],
      [-(2 ** 31), 1, 2 ** 31 - 1, 2],
      [2 ** 31 - 1, 1, 2 ** 31 - 1, 0, 8, 2],
      [0, 1, 2 ** 31 - 1, 0, 2 ** 31 - 1, 2],
    ].map((spans, i) => ({
      labels: named(`far_${i}`),
      histograms: [0, 1].map((later) => ({
        timeMs: NOW + later,
        histogram: newHistogram({
          schema: later === 0 ? 0 : i - 2,
          counterResetHint: "gauge",
          count: 6,
          sum: 12.5,
          positiveSpans: Int32Array.from(spans),
          positiveBuckets: Float64Array.of(1, 2, 3),
        }),
        isFloat: i % 2 === 0,
      })),
    })),
  ],
  [
    "two histograms, the second one reset",
    [
      {
        labels: named("h2"),
        histograms: [
          { timeMs: NOW, histogram: H, isFloat: false },
          {
            timeMs: NOW + 1,
            histogram: newHistogram({
              ...H,
              count: 3,
              zeroCount: 3,
              positiveSpans: Int32Array.of(),
              positiveBuckets: Float64Array.of(),
            }),
            isFloat: false,
          },
        ],
      },
    ],
  ],
  [
    "a histogram of floats",
    [
      {
        labels: named("h3"),
        histograms: [
          {
            timeMs: NOW,
            histogram: newHistogram({ ...H, count: 9.5, zeroCount: 2.5 }),
            isFloat: true,
          },
        ],
      },
    ],
  ],
  [
    "a gauge histogram",
    [
      {
        labels: named("h4"),
        histograms: [
          {
            timeMs: NOW,
            histogram: newHistogram({ ...H, counterResetHint: "gauge" }),
            isFloat: false,
          },
        ],
      },
    ],
  ],
  [
    "custom buckets",
    [
      {
        labels: named("h5"),
        histograms: [
          {
            timeMs: NOW,
            isFloat: false,
            histogram: newHistogram({
              schema: -53,
              count: 3,
              sum: 1,
              positiveSpans: Int32Array.of(0, 2),
              positiveBuckets: Float64Array.of(1, 2),
              customValues: Float64Array.of(0.5, 1),
            }),
          },
        ],
      },
    ],
  ],
  [
    "a histogram whose count is not that of its buckets",
    [
      {
        labels: named("h7"),
        histograms: [{ timeMs: NOW, histogram: newHistogram({ ...H, count: 99 }), isFloat: false }],
      },
    ],
  ],
  [
    "a float, then a histogram",
    [
      one("h8"),
      { labels: named("h8"), histograms: [{ timeMs: NOW + 1, histogram: H, isFloat: false }] },
    ],
  ],
  [
    "a histogram ahead of the clock",
    [
      {
        labels: named("h9"),
        histograms: [{ timeMs: NOW + 11 * 60_000, histogram: H, isFloat: false }],
      },
    ],
  ],
];

/** Bodies that are none, or not as their headers say. */
const RAW: readonly (readonly [name: string, headers: Record<string, string>, body: Uint8Array])[] =
  [
    ["not snappy", V1_HEADERS, Buffer.from("hello, this is no snappy")],
    ["an empty body", V1_HEADERS, new Uint8Array(0)],
    ["a bomb", V1_HEADERS, Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x08, 0, 0)],
    [
      "over the limit",
      V1_HEADERS,
      Buffer.concat([Uint8Array.of(0x80, 0x80, 0x80, 0x11), new Uint8Array(600_000)]),
    ],
    ["a bomb below the limit", V1_HEADERS, Uint8Array.of(0x80, 0x80, 0x80, 0x08, 0, 0)],
    ["a bomb", V2_HEADERS, Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x08, 0, 0)],
    [
      "a series that claims 2 GiB",
      V1_HEADERS,
      Uint8Array.of(6, 20, 0x0a, 0xff, 0xff, 0xff, 0xff, 7),
    ],
    [
      "a series that claims 2 GiB",
      V2_HEADERS,
      Uint8Array.of(6, 20, 0x2a, 0xff, 0xff, 0xff, 0xff, 7),
    ],
    [
      "a symbol that claims 2 GiB",
      V2_HEADERS,
      Uint8Array.of(6, 20, 0x22, 0xff, 0xff, 0xff, 0xff, 7),
    ],
    ["not protobuf", V1_HEADERS, Uint8Array.of(3, 8, 0xff, 0xff, 0xff)],
    ["json", { ...V1_HEADERS, "content-type": "application/json" }, new Uint8Array(0)],
    ["plain text", { ...V1_HEADERS, "content-type": "text/plain" }, new Uint8Array(0)],
    [
      "other message",
      { ...V1_HEADERS, "content-type": "application/x-protobuf;proto=x.Y" },
      Uint8Array.of(0),
    ],
    [
      "bad parameter",
      { ...V1_HEADERS, "content-type": "application/x-protobuf;x" },
      Uint8Array.of(0),
    ],
    [
      "other parameter",
      { ...V1_HEADERS, "content-type": "application/x-protobuf;x=y" },
      Uint8Array.of(0),
    ],
    [
      "1.0 by name",
      { ...V1_HEADERS, "content-type": "application/x-protobuf;proto=prometheus.WriteRequest" },
      Uint8Array.of(0),
    ],
    ["zstd", { ...V1_HEADERS, "content-encoding": "zstd" }, Uint8Array.of(0)],
    ["no encoding", { "content-type": "application/x-protobuf" }, Uint8Array.of(0)],
    ["nothing", V2_HEADERS, Uint8Array.of(0)],
  ];

/**
 * Where we answer otherwise on purpose. A histogram that is wrong is the sender's fault, for Prometheus 3.14 too. To 2.0,
 * what is not stored is told, also when only the request itself contradicts it; and a series must not be empty, as 3.14
 * wants.
 */
const OURS: Readonly<Record<1 | 2, Readonly<Record<string, string>>>> = {
  1: { "a histogram whose count is not that of its buckets": "400   " },
  2: {
    "two samples in the wrong order": "400 1 0 0",
    "two samples at one time": "400 1 0 0",
    "a series without samples": "400 1 0 0",
    "a histogram whose count is not that of its buckets": "400 0 0 0",
  },
};

const WRITTEN = ["samples", "histograms", "exemplars"].map(
  (what) => `x-prometheus-remote-write-${what}-written`,
);

for (const version of [1, 2] as const)
  test(
    `write ${version}.0 as a real Prometheus takes it`,
    { skip: skipWithoutParts() },
    async () => {
      const flags = ["--enable-feature=native-histograms,exemplar-storage"];
      await withBothWrite({ flags }, async (both) => {
        const headers = version === 1 ? V1_HEADERS : V2_HEADERS;
        const encode = version === 1 ? writeRequestV1 : writeRequestV2;
        const differences: string[] = [];
        const compare = async (
          name: string,
          send: (url: string) => Promise<Response>,
        ): Promise<void> => {
          const [theirs, ours] = await Promise.all([send(both.theirUrl), send(both.ourUrl)]);
          const [theirText, ourText] = await Promise.all([theirs.text(), ours.text()]);
          const head = (response: Response): string =>
            [response.status, ...WRITTEN.map((header) => response.headers.get(header))].join(" ");
          const expected = OURS[version][name] ?? head(theirs);
          if (expected !== head(ours))
            differences.push(
              `${name}: ${head(theirs)} (${theirText.trim()}) but ${head(ours)} (${ourText.trim()})`,
            );
          differences.push(...(await both.differences()).map((line) => `${name}: ${line}`));
        };
        for (const [name, series] of REQUESTS)
          await compare(name, (target) => post(target, encode(series), headers));
        for (const [name, rawHeaders, body] of RAW)
          await compare(name, (target) =>
            fetch(`${target}/api/v1/write`, {
              method: "POST",
              headers: rawHeaders,
              body: new Uint8Array(body),
            }),
          );
        assert.deepEqual(differences, []);
      });
    },
  );

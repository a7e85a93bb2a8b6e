/** Zeros for the moments that series of write requests were created, in a real Prometheus and here: they must be the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NOW, withBothWrite } from "../../test/support/both-write.ts";
import { skipWithoutParts } from "../../test/support/processes.ts";
import { type FloatHistogram, newHistogram } from "../model/histogram.ts";
import { post, type RequestSeries, V2_HEADERS, writeRequestV2 } from "./write-request.fixture.ts";

const MINUTE = 60_000;

const named = (name: string, code = "200"): RequestSeries["labels"] => [
  ["__name__", name],
  ["code", code],
];

/** Samples of a counter that was created at `created`; all times from now. */
const counter = (
  name: string,
  created: number,
  ...samples: [timeMs: number, value: number][]
): RequestSeries => ({
  labels: named(name),
  samples: samples.map(([t, v]) => [NOW + t, v]),
  createdMs: NOW + created,
});

const H = newHistogram({
  schema: 1,
  count: 9,
  sum: 12.5,
  zeroThreshold: 0.001,
  zeroCount: 2,
  positiveSpans: Int32Array.of(0, 2, 1, 1),
  positiveBuckets: Float64Array.of(3, 1, 3),
});

const native = (
  name: string,
  created: number,
  ...samples: [timeMs: number, isFloat: boolean][]
): RequestSeries => ({
  labels: named(name),
  histograms: samples.map(([t, isFloat]) => ({ timeMs: NOW + t, histogram: H, isFloat })),
  createdMs: NOW + created,
});

/** Requests in turn: each sees what those before it have stored. */
const REQUESTS: readonly (readonly [name: string, series: readonly RequestSeries[]])[] = [
  ["first of all, too old by the hour", [counter("first", -61 * MINUTE, [0, 5])]],
  ["new", [counter("a", -MINUTE, [0, 5])]],
  ["known", [counter("a", -MINUTE, [1000, 6])]],
  ["created again", [counter("a", 1500, [2000, 3])]],
  ["at the time of the sample before", [counter("a", 2000, [3000, 4])]],
  ["at the time of the sample", [counter("b", 0, [0, 5])]],
  ["after the sample", [counter("c", MINUTE, [0, 5])]],
  ["never", [{ labels: named("d"), samples: [[NOW, 5]], createdMs: 0 }]],
  ["within the hour", [counter("e", -59 * MINUTE, [1000, 5])]],
  ["not within the hour", [counter("f", -61 * MINUTE, [1000, 5])]],
  ["before 1970", [{ labels: named("g"), samples: [[NOW, 5]], createdMs: -5 }]],
  ["samples of 1970", [{ labels: named("h"), samples: [[0, 5]], createdMs: -5 }]],
  ["many samples", [counter("i", -MINUTE, [0, 5], [10, 6], [20, 7])]],
  ["many samples, created between", [counter("j", 5, [0, 5], [10, 6])]],
  ["one series twice", [counter("k", -MINUTE, [0, 5]), counter("k", -MINUTE, [10, 6])]],
  ["created again within a request", [counter("l", -10, [0, 5]), counter("l", 5, [10, 1])]],
  ["sample too old, then a good one", [counter("l", -20, [-15, 5], [20, 6])]],
  [
    "sample ahead of the clock",
    [counter("m", -MINUTE, [11 * MINUTE, 5]), counter("n", -5, [0, 1])],
  ],
  [
    "with an exemplar",
    [{ ...counter("o", -5, [0, 5]), exemplars: [{ labels: [["t", "x"]], value: 1, timeMs: NOW }] }],
  ],
  ["with metadata", [{ ...counter("p", -5, [0, 5]), metadata: { type: 1, help: "h", unit: "" } }]],
  ["bad labels", [{ ...counter("q", -5, [0, 5]), labels: [["x", "y"]] }, counter("r", -5, [0, 5])]],
  ["stale", [{ ...counter("t", -5), samples: [[NOW, { low: 2, high: 0x7ff00000 }]] }]],
  [
    "a thousand",
    Array.from({ length: 1000 }, (_, i) => ({
      ...counter("u", -i, [0, i]),
      labels: named("u", String(i)),
    })),
  ],
  [
    "a thousand again",
    Array.from({ length: 1000 }, (_, i) => ({
      ...counter("u", (i % 3) * 500, [1000, i]),
      labels: named("u", String(i)),
    })),
  ],
  ["histogram", [native("ha", -MINUTE, [0, false])]],
  ["histogram again", [native("ha", -MINUTE, [1000, false])]],
  ["histogram created again", [native("ha", 1500, [2000, false])]],
  ["histogram of floats", [native("hb", -MINUTE, [0, true])]],
  ["histogram, created after", [native("hc", MINUTE, [0, true])]],
  ["histograms", [native("hd", -MINUTE, [0, false], [1000, false])]],
  ["histograms, created between", [native("he", 500, [0, false], [1000, false])]],
  ["histogram after floats", [counter("hf", -MINUTE, [0, 5]), native("hf", 500, [1000, false])]],
  ["floats after histogram", [counter("hf", 1500, [2000, 5])]],
];

// The zero of Prometheus 3.5 has no resolution, ours and that of 3.16 has the histogram's: so the chunks and their hints differ.
function shownHistogram(histogram: FloatHistogram): unknown {
  return histogram.count === 0 ? "zero" : { ...histogram, counterResetHint: "" };
}

for (const window of [0, 30])
  test(
    `a real Prometheus puts the same zeros in front of written samples${window > 0 ? ", out of order or not" : ""}`,
    { skip: skipWithoutParts() },
    async () => {
      const options = {
        config: `storage: {tsdb: {out_of_order_time_window: ${window}m}}`,
        outOfOrderTimeWindowMs: window * MINUTE,
        flags: [
          "--enable-feature=created-timestamp-zero-ingestion,native-histograms,exemplar-storage",
        ],
        receiver: { takesCreated: true },
        shownHistogram,
      };
      await withBothWrite(options, async ({ theirUrl, ourUrl, differences, held }) => {
        const found: string[] = [];
        for (const [name, series] of REQUESTS) {
          const [theirs, ours] = await Promise.all(
            [theirUrl, ourUrl].map(async (url) => {
              const response = await post(url, writeRequestV2(series), V2_HEADERS);
              return `${response.status} ${response.headers.get("x-prometheus-remote-write-samples-written")}`;
            }),
          );
          if (theirs !== ours) found.push(`${name}: ${theirs} but ${ours}`);
          found.push(...(await differences()).map((line) => `${name}: ${line}`));
        }
        assert.deepEqual(found, []);
        const lines = await held();
        const zeros = lines.join().match(/"(?:0|zero)"\]/g);
        assert.equal(zeros?.length, 1355);
      });
    },
  );

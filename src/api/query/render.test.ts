import assert from "node:assert/strict";
import { test } from "node:test";
import { newHistogram } from "../../model/histogram.ts";
import { Labels } from "../../model/labels.ts";
import type { QueryResult, QueryValue } from "../../promql/result.ts";
import { checkAnswerSize, renderQueryResult } from "./render.ts";

function resultOf(value: QueryValue): QueryResult {
  const stats = {
    samplesRead: 0,
    peakSamples: 0,
    seriesRead: 0,
    chunksRead: 0,
    bytesRead: 0,
    queueMs: 0,
    parseMs: 0,
    evaluationMs: 0,
  };
  return { value, warnings: [], infos: [], stats };
}

function render(value: QueryValue): unknown {
  const pieces = [...renderQueryResult(resultOf(value), { limit: 0, stats: false })];
  const answer: unknown = JSON.parse(Buffer.concat(pieces).toString());
  return (answer as { data: { result: unknown } }).data.result;
}

const labels = Labels.fromObject({ __name__: "h" });
const metric = { __name__: "h" };
const histogram = newHistogram({
  schema: 0,
  count: 7,
  sum: 1e21,
  zeroThreshold: 0.001,
  zeroCount: 1,
  positiveSpans: Int32Array.of(0, 1, 1, 1),
  positiveBuckets: Float64Array.of(2, 3.5),
  negativeSpans: Int32Array.of(0, 1),
  negativeBuckets: Float64Array.of(0.5),
});
const rendered = {
  count: "7",
  sum: "1e+21",
  buckets: [
    [1, "-1", "-0.5", "0.5"],
    [3, "-0.001", "0.001", "1"],
    [0, "0.5", "1", "2"],
    [0, "2", "4", "3.5"],
  ],
};

void test("native histograms in vectors", () => {
  const samples = [{ labels, value: 0, histogram }];
  assert.deepEqual(render({ kind: "vector", timeMs: 1500, samples }), [
    { metric, histogram: [1.5, rendered] },
  ]);
});

void test("native histograms in matrices, beside floats and alone", () => {
  const histograms = {
    histogramTimes: Float64Array.of(2000, 2001),
    histograms: [histogram, newHistogram({})],
  };
  const none = { times: new Float64Array(0), values: new Float64Array(0) };
  const some = { times: Float64Array.of(1000), values: Float64Array.of(5) };
  const bare = [2.001, { count: "0", sum: "0" }];
  const series = [
    { labels, ...some, ...histograms },
    { labels, ...none, ...histograms },
    { labels, ...some },
  ];
  assert.deepEqual(render({ kind: "matrix", series }), [
    { metric, values: [[1, "5"]], histograms: [[2, rendered], bare] },
    { metric, histograms: [[2, rendered], bare] },
    { metric, values: [[1, "5"]] },
  ]);
});

test("an answer is refused from the first byte above the limit on, and not before", async () => {
  const times = Float64Array.from({ length: 9_000 }, (_, k) => 1_700_000_000_000 + k);
  const values = times.map((_, k) => -Math.PI * 10 ** -(k % 300));
  const series = [{ labels: Labels.fromObject({ name: '\u0001☃"' }), times, values }];
  const floats: QueryValue = { kind: "matrix", series };
  const histograms: QueryValue = {
    kind: "vector",
    timeMs: 1000,
    samples: [{ labels, value: 0, histogram }],
  };
  const shown = { limit: 0, stats: {} };
  for (const value of [floats, histograms]) {
    const result = resultOf(value);
    const size = Buffer.concat([...renderQueryResult(result, shown)]).length;
    await checkAnswerSize(result, { ...shown, maxBytes: size });
    await assert.rejects(checkAnswerSize(result, { ...shown, maxBytes: size - 1 }), {
      code: "execution",
      message: new RegExp(`^query result would be larger than ${size - 1} bytes`),
    });
  }
});

void test("answers that lend their pieces and take turns are whole", () => {
  const values = Float64Array.from({ length: 5000 }, (_, i) => i / 7);
  const times = values.map((_, i) => i * 15_000);
  const series = Array.from({ length: 20 }, () => ({ labels, times, values }));
  const results = ["a", "b"].map((note) => ({
    ...resultOf({ kind: "matrix", series }),
    warnings: [note],
  }));
  const whole = (result: QueryResult): string =>
    Buffer.concat([...renderQueryResult(result, { limit: 0, stats: false })]).toString();
  const texts = results.map(() => "");
  const lenders = results.map((result) =>
    renderQueryResult(result, { limit: 0, stats: false, lends: true }),
  );
  let turns = 0;
  for (let open = true; open; turns++) {
    open = false;
    for (const [i, pieces] of lenders.entries()) {
      const next = pieces.next();
      if (next.done === true) continue;
      texts[i] += next.value.toString();
      open = true;
    }
  }
  assert.ok(turns > 4, `${turns} turns`);
  assert.deepEqual(texts, results.map(whole));
});

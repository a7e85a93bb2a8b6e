import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { arbitraryHistogram, histogramOf, observations } from "./histogram.fixture.ts";
import {
  histogramAverage,
  histogramDeviation,
  histogramFraction,
  histogramQuantile,
  histogramVariance,
} from "./histogram-quantile.ts";
import { apiHistogram, formatHistogram, formatTestHistogram } from "./histogram-text.ts";
import { trimHistogram, type TrimKeeps } from "./histogram-trim.ts";

// Expected numbers are those of Prometheus 3.14, to the last bit.

const exponential = histogramOf({
  schema: 1,
  threshold: 0.01,
  zeros: 2,
  count: 12,
  sum: 18.4,
  spans: [0, 2, 1, 2],
  buckets: [1, 2, 3, 1],
  negativeSpans: [0, 2],
  negativeBuckets: [1, 2],
});
const custom = histogramOf({
  bounds: [1, 2, 5],
  count: 10,
  sum: 25,
  spans: [0, 4],
  buckets: [1, 4, 3, 2],
});
const withNaN = histogramOf({ count: 10, sum: NaN, spans: [0, 3], buckets: [2, 2, 2] });

test("quantiles of exponential buckets", () => {
  const quantile = (q: number, want: number): void =>
    assert.equal(histogramQuantile(q, exponential).value, want, `φ = ${q}`);
  quantile(0, -1.414213562373095);
  quantile(0.1, -1.1486983549970349);
  quantile(0.25, -0.7071067811865475);
  quantile(0.3, -0.0040000000000000036);
  quantile(0.4, 0.008000000000000009);
  quantile(0.5, 1);
  quantile(0.75, 2.244924096618746);
  quantile(0.9, 2.7638257599355525);
  quantile(1, 4);
  quantile(-0.1, -Infinity);
  quantile(1.1, Infinity);
  quantile(NaN, NaN);
  assert.equal(histogramQuantile(0.5, histogramOf({})).value, NaN);
});

test("quantiles of custom buckets", () => {
  const quantiles = [0, 0.05, 0.3, 0.5, 0.75, 0.85, 1].map(
    (q) => histogramQuantile(q, custom).value,
  );
  assert.deepEqual(quantiles, [0, 0.5, 1.5, 2, 4.5, 5, 5]);
  const below = histogramOf({ bounds: [-2, 1], count: 4, spans: [0, 2], buckets: [2, 2] });
  assert.equal(
    histogramQuantile(0.1, below).value,
    -2,
    "a first bucket below zero has no lower end",
  );
});

test("the zero bucket ends at zero where only one side has buckets", () => {
  const positive = histogramOf({ threshold: 0.5, zeros: 4, count: 5, spans: [1, 1], buckets: [1] });
  assert.equal(histogramQuantile(0.4, positive).value, 0.25);
  const negative = histogramOf({
    threshold: 0.5,
    zeros: 4,
    count: 5,
    negativeSpans: [1, 1],
    negativeBuckets: [1],
  });
  assert.equal(histogramQuantile(0.6, negative).value, -0.25);
  const alone = histogramOf({ threshold: 0.5, zeros: 4, count: 4 });
  assert.equal(histogramQuantile(0.25, alone).value, -0.25);
});

test("observations of NaN skew quantiles or make them NaN", () => {
  assert.deepEqual(histogramQuantile(0.6, withNaN), { value: 4, nanObservations: "skewed-higher" });
  assert.deepEqual(histogramQuantile(0.61, withNaN), { value: NaN, nanObservations: "nan-result" });
  // Prometheus interpolates in the last bucket once it has looked for them.
  assert.deepEqual(histogramQuantile(0.1, withNaN), {
    value: 2.82842712474619,
    nanObservations: "skewed-higher",
  });
  const infinite = histogramOf({ count: 6, sum: NaN, spans: [0, 3], buckets: [2, 2, 2] });
  assert.deepEqual(histogramQuantile(1, infinite), { value: 4 });
});

test("fractions", () => {
  const fraction = (lower: number, upper: number): number =>
    histogramFraction(exponential, { lower, upper }).value;
  assert.equal(fraction(-Infinity, 0), 0.3333333333333333);
  assert.equal(fraction(0, 1), 0.16666666666666666);
  assert.equal(fraction(-1.2, 1.7), 0.5876781352779313);
  assert.equal(fraction(0.005, 3), 0.555827083453526);
  assert.equal(fraction(-Infinity, Infinity), 1);
  assert.equal(fraction(2, 1), 0);
  assert.equal(fraction(NaN, 1), NaN);
  assert.equal(histogramFraction(custom, { lower: 0.5, upper: 3 }).value, 0.55);
  assert.equal(histogramFraction(histogramOf({}), { lower: 0, upper: 1 }).value, NaN);
  assert.deepEqual(histogramFraction(withNaN, { lower: 0, upper: 2 }), {
    value: 0.4,
    nanObservations: true,
  });
});

test("average, variance and deviation", () => {
  assert.equal(histogramAverage(exponential), 1.5333333333333332);
  assert.equal(histogramVariance(exponential), 2.614355454124867);
  assert.equal(histogramDeviation(exponential), 1.6168968594579145);
  assert.equal(histogramVariance(custom), Infinity, "the last bucket has no middle");
  assert.equal(histogramVariance(histogramOf({})), NaN);
});

test("texts", () => {
  assert.equal(
    formatHistogram(exponential),
    "{count:12, sum:18.4, [-1.414213562373095,-1):2, [-1,-0.7071067811865475):1, [-0.01,0.01]:2, (0.7071067811865475,1]:1, (1,1.414213562373095]:2, (2,2.82842712474619]:3, (2.82842712474619,4]:1}",
  );
  assert.equal(
    formatHistogram(custom),
    "{count:10, sum:25, [-Inf,1]:1, (1,2]:4, (2,5]:3, (5,+Inf]:2}",
  );
  assert.equal(
    formatTestHistogram(exponential),
    "{{schema:1 count:12 sum:18.4 z_bucket:2 z_bucket_w:0.01 buckets:[1 2 0 3 1] n_buckets:[1 2]}}",
  );
  assert.equal(
    formatTestHistogram({ ...custom, counterResetHint: "gauge" }),
    "{{schema:-53 count:10 sum:25 custom_values:[1 2 5] counter_reset_hint:gauge buckets:[1 4 3 2]}}",
  );
  assert.equal(formatTestHistogram(histogramOf({})), "{{}}");
  assert.throws(
    () => formatTestHistogram(histogramOf({ spans: [0, 1, 2 ** 31 - 9, 1], buckets: [1, 1] })),
    { code: "bad-data", message: /a gap of more than 100000 buckets/ },
  );
  assert.equal(
    formatTestHistogram(histogramOf({ spans: [-3, 1], buckets: [1] })),
    "{{offset:-3 buckets:[1]}}",
  );
  assert.deepEqual(apiHistogram(custom), {
    count: "10",
    sum: "25",
    buckets: [
      [3, "-Inf", "1", "1"],
      [0, "1", "2", "4"],
      [0, "2", "5", "3"],
      [0, "5", "+Inf", "2"],
    ],
  });
  assert.deepEqual(apiHistogram(histogramOf({ count: 1e-7 })), { count: "1e-07", sum: "0" });
  const overlapping = histogramOf({ threshold: 0.6, zeros: 1, spans: [0, 1], buckets: [1] });
  assert.equal(formatHistogram(overlapping), "{count:0, sum:0, [-0.6,0.6]:1, (0.5,1]:1}");
  assert.equal(apiHistogram(overlapping).buckets![1]![1], "0.6");
});

test("trimming keeps the interpolated part of the bucket that is cut", () => {
  const trim = (limit: number, keeps: TrimKeeps, want: string): void =>
    assert.equal(formatHistogram(trimHistogram(exponential, { limit, keeps })), want);
  trim(-1, "below", "{count:2, sum:-2.378414230005442, [-1.414213562373095,-1):2}");
  trim(
    0.005,
    "below",
    "{count:4.5, sum:-3.2230606452591566, [-1.414213562373095,-1):2, [-1,-0.7071067811865475):1, [-0.01,0.01]:1.5}",
  );
  trim(
    1.2,
    "above",
    "{count:4.947862376664824, sum:11.733619213953677, (1,1.414213562373095]:0.9478623766648246, (2,2.82842712474619]:3, (2.82842712474619,4]:1}",
  );
  trim(
    3,
    "above",
    "{count:0.8300749985576874, sum:2.875464143189154, (2.82842712474619,4]:0.8300749985576874}",
  );
  trim(NaN, "above", "{count:NaN, sum:NaN}");
  assert.equal(
    trimHistogram(exponential, { limit: 4, keeps: "below" }),
    exponential,
    "nothing to trim",
  );
});

test("trimming custom buckets keeps or drops endless ones as a whole", () => {
  const trim = (limit: number, keeps: TrimKeeps, want: string): void =>
    assert.equal(formatHistogram(trimHistogram(custom, { limit, keeps })), want);
  trim(0.5, "below", "{count:0.5, sum:0.125, [-Inf,1]:0.5}");
  trim(0.5, "above", "{count:9.5, sum:26.875, [-Inf,1]:0.5, (1,2]:4, (2,5]:3, (5,+Inf]:2}");
  trim(1.5, "below", "{count:3, sum:3, [-Inf,1]:1, (1,2]:2}");
  trim(7, "below", "{count:8, sum:17, [-Inf,1]:1, (1,2]:4, (2,5]:3}");
  trim(7, "above", "{count:2, sum:14, (5,+Inf]:2}");
});

test("property: quantiles rise, stay within the buckets, and fractions lead back", () => {
  fc.assert(
    fc.property(
      arbitraryHistogram({ custom: false, threshold: 2 ** -128 }).filter((h) => h.count > 0),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      (h, a, b) => {
        const low = histogramQuantile(Math.min(a, b), h).value;
        const high = histogramQuantile(Math.max(a, b), h).value;
        assert.ok(low <= high || low - high < 1e-9 * Math.abs(low));
        const fraction = histogramFraction(h, { lower: -Infinity, upper: high }).value;
        assert.ok(fraction >= Math.max(a, b) - 1e-6);
      },
    ),
  );
});

test("property: what is trimmed below and above adds up to all observations", () => {
  fc.assert(
    fc.property(
      arbitraryHistogram({ custom: false, fractions: true }),
      fc.double({ min: -100, max: 100, noNaN: true }),
      (h, limit) => {
        const below = trimHistogram(h, { limit, keeps: "below" });
        const above = trimHistogram(h, { limit, keeps: "above" });
        const total = observations(below) + observations(above);
        const overlap = h.zeroThreshold > 0 ? h.count : 0;
        assert.ok(Math.abs(total - h.count) <= 1e-9 * h.count + overlap);
      },
    ),
  );
});

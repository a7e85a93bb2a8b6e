import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Labels } from "../../model/labels.ts";
import type { Row, WindowGeometry, WindowSeries } from "../operators/row.ts";
import { compareNaturally } from "../operators/sort.ts";
import { goMax, goMin } from "./arithmetic.ts";
import {
  bucketFraction,
  bucketQuantile,
  type Buckets,
  type QuantileResult,
} from "./classic-histogram.ts";
import { DATE_FUNCTIONS } from "./dates.ts";
import { computeWindows, windowFunction } from "./over-time.ts";
import { quantileOf } from "./quantile.ts";
import { extrapolatedRate } from "./rate.ts";
import { xxhash64 } from "./xxhash64.ts";

/** Samples at strictly rising times, with resets, repeats and special values. */
const samples = fc
  .array(
    fc.record({
      gap: fc.integer({ min: 1, max: 40_000 }),
      value: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: 0, max: 50 }) },
        { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, -0, 1e308, -7.25) },
      ),
    }),
    { maxLength: 60 },
  )
  .map((items) => {
    let timeMs = 0;
    const times = items.map(({ gap }) => (timeMs += gap));
    return { times, values: items.map(({ value }) => value) };
  });

const geometries = fc.record({
  firstEndMs: fc.integer({ min: -50_000, max: 400_000 }),
  stepMs: fc.integer({ min: 0, max: 60_000 }),
  rangeMs: fc.integer({ min: 1, max: 300_000 }),
});

function geometryOf(place: {
  firstEndMs: number;
  stepMs: number;
  rangeMs: number;
}): WindowGeometry {
  return {
    ...place,
    count: 12,
    evaluationStartMs: place.firstEndMs,
    evaluationStepMs: place.stepMs,
    lookbackMs: 300_000,
    anchored: false,
    smoothed: false,
  };
}

function seriesOf(data: { times: number[]; values: number[] }): WindowSeries {
  return {
    labels: Labels.EMPTY,
    dropName: false,
    times: Float64Array.from(data.times),
    values: Float64Array.from(data.values),
    count: data.times.length,
  };
}

const look = (): void => undefined;

function emptyRow(count: number): Row {
  return {
    labels: Labels.EMPTY,
    dropName: false,
    values: new Float64Array(count),
    present: new Uint8Array(count),
  };
}

/** rate() of one window as Prometheus's documentation describes it, sample by sample. */
function plainRate(
  times: number[],
  values: number[],
  window: { startMs: number; endMs: number; isCounter: boolean },
): number | undefined {
  const inside = times.flatMap((t, i) => (t > window.startMs && t <= window.endMs ? [i] : []));
  if (inside.length < 2) return undefined;
  const first = inside[0]!;
  const last = inside[inside.length - 1]!;
  let change = values[last]! - values[first]!;
  if (window.isCounter)
    for (let i = first + 1; i <= last; i++)
      if (values[i]! < values[i - 1]!) change += values[i - 1]!;
  const sampled = (times[last]! - times[first]!) / 1000;
  const average = sampled / (inside.length - 1);
  let toStart = (times[first]! - window.startMs) / 1000;
  let toEnd = (window.endMs - times[last]!) / 1000;
  if (toStart >= average * 1.1) toStart = average / 2;
  if (window.isCounter && change > 0 && values[first]! >= 0) {
    const toZero = sampled * (values[first]! / change);
    if (toZero < toStart) toStart = toZero;
  }
  if (toEnd >= average * 1.1) toEnd = average / 2;
  let factor = (sampled + toStart + toEnd) / sampled;
  if (window.isCounter) factor /= (window.endMs - window.startMs) / 1000;
  return change * factor;
}

test("rate and delta over a sliding window equal the window-by-window definition to the last bit", () => {
  fc.assert(
    fc.property(samples, geometries, fc.boolean(), (data, place, isCounter) => {
      const geometry = geometryOf(place);
      const row = emptyRow(geometry.count);
      const isAny = extrapolatedRate(
        seriesOf(data),
        geometry,
        { isCounter, isRate: isCounter },
        row,
      );
      for (let k = 0; k < geometry.count; k++) {
        const endMs = place.firstEndMs + k * place.stepMs;
        const window = { startMs: endMs - place.rangeMs, endMs, isCounter };
        const expected = plainRate(data.times, data.values, window);
        assert.equal(row.present[k], expected === undefined ? 0 : 1);
        if (expected !== undefined) assert.ok(Object.is(row.values[k], expected));
      }
      assert.equal(isAny, row.present.includes(1));
    }),
    { numRuns: 300 },
  );
});

describe("functions of one window", () => {
  function overAll(name: string, values: number[], arg?: number): number | undefined {
    const series = seriesOf({ times: values.map((_, i) => i * 1000), values });
    const row = emptyRow(1);
    const geometry = {
      ...geometryOf({ firstEndMs: 1e6, stepMs: 0, rangeMs: 1e6 + 1 }),
      count: 1,
    };
    const args = arg === undefined ? [] : [new Float64Array([arg])];
    const isAny = computeWindows(
      windowFunction(name, false)!,
      { series, geometry, args, look },
      row,
    );
    return isAny ? row.values[0] : undefined;
  }
  const cases: readonly (readonly [
    name: string,
    values: number[],
    expected: number | undefined,
    arg?: number,
  ])[] = [
    ["sum_over_time", [1, 1e100, 1, -1e100], 2],
    ["sum_over_time", [1.7e308, 1.7e308], Infinity],
    ["avg_over_time", [1.7e308, 1.7e308], 1.7e308],
    ["avg_over_time", [1, 1e100, 1, -1e100], 0.5],
    ["avg_over_time", [Infinity, -Infinity], NaN],
    ["min_over_time", [NaN, 2, 1], 1],
    ["max_over_time", [NaN, 2, 1], 2],
    ["max_over_time", [NaN, NaN], NaN],
    ["count_over_time", [4, NaN], 2],
    ["last_over_time", [4, 5], 5],
    ["first_over_time", [4, 5], 4],
    ["present_over_time", [4], 1],
    ["stdvar_over_time", [2, 4, 4, 4, 5, 5, 7, 9], 4],
    ["stddev_over_time", [2, 4, 4, 4, 5, 5, 7, 9], 2],
    ["quantile_over_time", [3, 1, 2], 1.5, 0.25],
    ["mad_over_time", [1, 2, 3, 4, 100], 1],
    ["mad_over_time", [1, NaN], NaN],
    ["ts_of_max_over_time", [1, 5, 5], 2],
    ["ts_of_min_over_time", [1, 5, 1], 2],
    ["ts_of_first_over_time", [1, 5], 0],
    ["ts_of_last_over_time", [1, 5], 1],
    ["changes", [1, 1, NaN, NaN, 2], 2],
    ["resets", [1, 3, 2, 2, 0], 2],
    ["irate", [5], undefined],
    ["irate", [5, 8], 3],
    ["irate", [8, 5], 5],
    ["idelta", [8, 5], -3],
    ["deriv", [7], undefined],
    ["deriv", [0, 2, 4], 2],
    ["deriv", [3, 3, 3], 0],
    ["deriv", [Infinity, Infinity], NaN],
    ["predict_linear", [0, 2, 4], 2 * 1010, 10],
  ];
  for (const [name, values, expected, arg] of cases)
    test(`${name} of ${values.join(" ")}`, () => {
      assert.deepEqual(overAll(name, values, arg), expected);
    });

  test("a smoothing factor outside (0, 1) is an error", () => {
    const geometry = { ...geometryOf({ firstEndMs: 1e6, stepMs: 0, rangeMs: 1e7 }), count: 1 };
    const smooth = windowFunction("double_exponential_smoothing", false)!;
    const args = [new Float64Array([1.5]), new Float64Array([0.5])];
    const series = seriesOf({ times: [0, 1], values: [1, 2] });
    assert.throws(() => computeWindows(smooth, { series, geometry, args, look }, emptyRow(1)), {
      message: "invalid smoothing factor. Expected: 0 < sf < 1, got: 1.500000",
    });
  });
});

describe("quantiles", () => {
  const of = (phi: number, ...values: number[]): number =>
    quantileOf(phi, Float64Array.from(values), values.length);
  test("interpolate between ranks", () => {
    assert.equal(of(0.5, 4, 1, 3, 2), 2.5);
    assert.equal(of(0, 4, 1), 1);
    assert.equal(of(1, 4, 1), 4);
    assert.equal(of(0.5), NaN);
  });
  test("are infinite outside [0, 1], NaN for NaN", () => {
    assert.equal(of(-0.1, 1), -Infinity);
    assert.equal(of(1.1, 1), Infinity);
    assert.equal(of(NaN, 1), NaN);
  });
  test("sort NaN lowest", () => {
    assert.equal(of(1, NaN, 3, NaN), 3);
    assert.equal(of(0, NaN, 3), NaN);
  });

  /** By sorting, negative zero before zero. */
  function bySorting(phi: number, values: readonly number[]): number {
    const numbers = Float64Array.from(values.filter((value) => !Number.isNaN(value))).sort();
    const sorted = [...values.filter((value) => Number.isNaN(value)), ...numbers];
    const rank = phi * (sorted.length - 1);
    const below = Math.floor(rank);
    const above = Math.min(sorted.length - 1, below + 1);
    return sorted[below]! * (1 - (rank - below)) + sorted[above]! * (rank - below);
  }

  test("are to the bit what sorting gives", () => {
    const few = fc.constantFrom(NaN, -0, 0, 1, 2, -1, Infinity, -Infinity, 5e-324);
    const value = fc.oneof(few, fc.double(), fc.integer({ min: -20, max: 200 }));
    const values = fc.oneof(
      fc.array(few, { minLength: 1, maxLength: 20 }),
      fc.array(value, { minLength: 1, maxLength: 400, size: "max" }),
      fc
        .array(value, { minLength: 90, maxLength: 400, size: "max" })
        .map((some) => some.sort((a, b) => a - b)),
    );
    const phi = fc.oneof(
      fc.constantFrom(0, 0.5, 0.9, 1),
      fc.double({ min: 0, max: 1, noNaN: true }),
    );
    fc.assert(
      fc.property(phi, values, (part, all) => {
        assert.ok(Object.is(of(part, ...all), bySorting(part, all)));
      }),
      { numRuns: 1000 },
    );
  });

  test("are found where each pivot is the smallest value that is left", () => {
    const values = new Float64Array(95);
    const places = Array.from(values, (_, i) => i);
    for (let low = 0; low < 95; low++) {
      const middle = (low + 94) >>> 1;
      values[places[middle]!] = low;
      [places[low], places[middle]] = [places[middle]!, places[low]!];
    }
    assert.equal(of(1, ...values), 94);
  });
});

describe("classic histograms", () => {
  const bucketsOf = (pairs: readonly (readonly [number, number])[]): Buckets => ({
    bounds: Float64Array.from(pairs, ([bound]) => bound),
    counts: Float64Array.from(pairs, ([, count]) => count),
    size: pairs.length,
  });
  const quantile = (phi: number, pairs: readonly (readonly [number, number])[]): QuantileResult => {
    const result = { value: 0, isRepaired: false, minBucket: 0, maxBucket: 0, maxDiff: 0 };
    bucketQuantile(phi, bucketsOf(pairs), result);
    return result;
  };
  test("interpolate linearly, the first bucket from zero", () => {
    assert.equal(
      quantile(0.5, [
        [1, 10],
        [2, 20],
        [Infinity, 20],
      ]).value,
      1,
    );
    assert.equal(
      quantile(0.25, [
        [1, 10],
        [2, 20],
        [Infinity, 20],
      ]).value,
      0.5,
    );
    assert.equal(
      quantile(0.75, [
        [1, 10],
        [2, 20],
        [Infinity, 20],
      ]).value,
      1.5,
    );
  });
  test("the +Inf bucket answers with the bound before it, a negative first bucket with its own", () => {
    assert.equal(
      quantile(0.9, [
        [1, 1],
        [Infinity, 10],
      ]).value,
      1,
    );
    assert.equal(
      quantile(0.1, [
        [-1, 10],
        [Infinity, 10],
      ]).value,
      -1,
    );
  });
  test("without +Inf, with one bucket or without observations there is no answer", () => {
    assert.equal(
      quantile(0.5, [
        [1, 1],
        [2, 2],
      ]).value,
      NaN,
    );
    assert.equal(quantile(0.5, [[Infinity, 2]]).value, NaN);
    assert.equal(
      quantile(0.5, [
        [1, 0],
        [Infinity, 0],
      ]).value,
      NaN,
    );
  });
  test("falling counts are raised and reported, rounding noise is not", () => {
    const repaired = quantile(0.5, [
      [1, 10],
      [2, 7],
      [3, 9],
      [Infinity, 20],
    ]);
    assert.deepEqual(repaired, {
      value: 1,
      isRepaired: true,
      minBucket: 2,
      maxBucket: 3,
      maxDiff: 3,
    });
    assert.equal(
      quantile(0.5, [
        [1, 10],
        [2, 10 - 1e-13],
        [Infinity, 20],
      ]).isRepaired,
      false,
    );
  });
  test("equal bounds are one bucket", () => {
    assert.equal(
      quantile(0.5, [
        [1, 5],
        [1, 5],
        [2, 20],
        [Infinity, 20],
      ]).value,
      1,
    );
  });
  test("fractions", () => {
    const pairs = [
      [1, 10],
      [2, 20],
      [Infinity, 20],
    ] as const;
    assert.equal(bucketFraction(0, 1, bucketsOf(pairs)), 0.5);
    assert.equal(bucketFraction(0.5, 1.5, bucketsOf(pairs)), 0.5);
    assert.equal(bucketFraction(-Infinity, Infinity, bucketsOf(pairs)), 1);
    assert.equal(bucketFraction(2, 1, bucketsOf(pairs)), 0);
    assert.equal(bucketFraction(NaN, 1, bucketsOf(pairs)), NaN);
  });
});

test("calendar parts equal JavaScript's own calendar", () => {
  fc.assert(
    fc.property(fc.integer({ min: -60_000_000_000, max: 250_000_000_000 }), (seconds) => {
      const date = new Date(seconds * 1000);
      const part = (name: string): number => DATE_FUNCTIONS.get(name)!(seconds);
      assert.equal(part("year"), date.getUTCFullYear());
      assert.equal(part("month"), date.getUTCMonth() + 1);
      assert.equal(part("day_of_month"), date.getUTCDate());
      assert.equal(part("day_of_week"), date.getUTCDay());
      assert.equal(part("hour"), date.getUTCHours());
      assert.equal(part("minute"), date.getUTCMinutes());
      const monthEnd = new Date(0);
      monthEnd.setUTCFullYear(date.getUTCFullYear(), date.getUTCMonth() + 1, 0);
      assert.equal(part("days_in_month"), monthEnd.getUTCDate());
      const newYear = new Date(0);
      newYear.setUTCFullYear(date.getUTCFullYear(), 0, 1);
      assert.equal(
        part("day_of_year"),
        Math.floor((date.getTime() - newYear.getTime()) / 86_400_000) + 1,
      );
    }),
    { numRuns: 500 },
  );
});

test("times beyond 64 bits have the calendar date Prometheus gives them", () => {
  for (const seconds of [NaN, Infinity, -Infinity, 9.3e18]) {
    assert.equal(DATE_FUNCTIONS.get("year")!(seconds), 292_277_026_596);
    assert.equal(DATE_FUNCTIONS.get("minute")!(seconds), 30);
  }
  assert.equal(DATE_FUNCTIONS.get("year")!(1e18), 31_688_740_476);
  assert.equal(DATE_FUNCTIONS.get("day_of_month")!(-1e18), 10);
});

test("extremes follow Go where JavaScript differs", () => {
  assert.equal(goMax(NaN, Infinity), Infinity);
  assert.equal(goMax(NaN, 1), NaN);
  assert.equal(goMin(NaN, -Infinity), -Infinity);
  assert.equal(goMin(NaN, 1), NaN);
});

test("xxHash64 gives the published values", () => {
  const hash = (text: string): string => xxhash64(Buffer.from(text)).toString(16);
  assert.equal(hash(""), "ef46db3751d8e999");
  assert.equal(hash("a"), "d24ec4f1a98c6e5b");
  assert.equal(hash("abc"), "44bc2cf5ad770999");
  assert.equal(hash("Nobody inspects the spammish repetition"), "fbcea83c8a378bf1");
});

test("natural order compares digits as numbers", () => {
  const sorted = ["a10", "a2", "a", "a02", "b1", "10", "9"].sort(compareNaturally);
  assert.deepEqual(sorted, ["9", "10", "a", "a02", "a2", "a10", "b1"]);
  for (const start of ["a", "1a", "12é"])
    for (const count of [127, 128, 300, 10_000]) {
      const long = start.repeat(count);
      const texts = ["", "2", "10", "a", "a2", "a10", "b1"].map((end) => long + end);
      assert.deepEqual(texts.toSorted(compareNaturally), texts, `${start} ${count}`);
    }
});

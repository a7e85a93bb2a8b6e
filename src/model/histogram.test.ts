import assert from "node:assert/strict";
import { test } from "node:test";
import { exp2, powerOfTwo } from "../base/exponential.ts";
import { writeStale } from "../base/float.ts";
import { log2 } from "../base/logarithm.ts";
import { hasOverflow, histogramSize, isKnownSchema, isStaleHistogram } from "./histogram.ts";
import { coarserIndex, exponentialBound, upperBound } from "./histogram-bounds.ts";
import { BucketCursor } from "./histogram-cursor.ts";
import { histogramOf } from "./histogram.fixture.ts";
import { validateHistogram, validateIntegerHistogram } from "./histogram-validate.ts";

test("bounds are Prometheus's, rounding errors included", () => {
  const bound = (index: number, schema: number, want: number): void =>
    assert.equal(exponentialBound(index, schema), want, `bucket ${index} of schema ${schema}`);
  bound(0, 0, 1);
  bound(-1, 0, 0.5);
  bound(5, 0, 32);
  bound(1, -1, 4);
  bound(-2, -4, 2 ** -32);
  bound(1, 1, 1.414213562373095); // the correctly rounded root would end in 51
  bound(-1, 1, 0.7071067811865475);
  bound(1, 3, 1.0905077326652577);
  bound(-3, 2, 0.5946035575013605);
  bound(255, 8, 2 * 0.9972960560854698);
  for (let schema = 0; schema <= 8; schema++) bound(1024 << schema, schema, Number.MAX_VALUE);
  bound(1024, 0, Number.MAX_VALUE);
  bound(64, -4, Number.MAX_VALUE);
  bound(1025, 0, Infinity);
  bound(65, -4, Infinity);
  bound(-1074, 0, 5e-324);
  bound(-1075, 0, 0);
});

test("every coarser schema has the bounds of every second bucket", () => {
  for (let schema = 1; schema <= 8; schema++)
    for (let index = -600; index <= 600; index++) {
      assert.equal(exponentialBound(2 * index, schema), exponentialBound(index, schema - 1));
      assert.ok(exponentialBound(index, schema) < exponentialBound(index + 1, schema));
      assert.equal(coarserIndex(2 * index, 1), index);
      assert.equal(coarserIndex(2 * index - 1, 1), index);
    }
  assert.equal(coarserIndex(5, 44), 1);
  assert.equal(coarserIndex(-5, 44), 0);
});

test("custom bounds end at infinity on both sides, and so does whatever lies beyond", () => {
  const bounds = Float64Array.of(1, 2);
  assert.deepEqual(
    [-5, -1, 0, 1, 2, 9].map((index) => upperBound(index, -53, bounds)),
    [-Infinity, -Infinity, 1, 2, Infinity, Infinity],
  );
});

test("logarithm and power agree with each other and are exact for powers of two", () => {
  for (let exponent = -1074; exponent <= 1023; exponent++) {
    assert.equal(powerOfTwo(exponent), 2 ** exponent);
    assert.equal(log2(2 ** exponent), exponent);
    assert.equal(exp2(exponent), 2 ** exponent);
  }
  assert.deepEqual([log2(0), log2(-1), log2(Infinity), log2(NaN)], [-Infinity, NaN, Infinity, NaN]);
  assert.deepEqual([exp2(1024), exp2(-1075), exp2(NaN)], [Infinity, 0, NaN]);
  // Results of Go 1.26 on amd64.
  assert.equal(log2(0.1), -3.321928094887362);
  assert.equal(log2(3), 1.5849625007211563);
  assert.equal(exp2(0.1), 1.0717734625362931);
  assert.equal(exp2(-0.7), 0.6155722066724582);
});

test("the cursor walks negative, zero and positive buckets in order of value", () => {
  const h = histogramOf({
    threshold: 0.6,
    zeros: 4,
    spans: [0, 1, 0, 0, 1, 2],
    buckets: [1, 0, 3],
    negativeSpans: [1, 2],
    negativeBuckets: [5, 6],
  });
  const walk = (direction: "ascending" | "descending"): string[] => {
    const cursor = new BucketCursor(h, { direction });
    const seen: string[] = [];
    while (cursor.next()) {
      const { lower, upper, count } = cursor.bucket();
      seen.push(`${lower}…${upper}: ${count}`);
    }
    assert.equal(cursor.next(), false, "the end stays the end");
    return seen;
  };
  const ascending = ["-4…-2: 6", "-2…-1: 5", "-0.6…0.6: 4", "0.6…1: 1", "2…4: 0", "4…8: 3"];
  assert.deepEqual(walk("ascending"), ascending);
  assert.deepEqual(walk("descending"), ascending.toReversed());
});

test("one side is walked from zero outwards, with its own bounds", () => {
  const h = histogramOf({ threshold: 0.6, zeros: 4, spans: [0, 2], buckets: [1, 2] });
  const cursor = new BucketCursor(h, { side: "positive" });
  assert.ok(cursor.next());
  assert.deepEqual(cursor.bucket(), {
    lower: 0.5,
    upper: 1,
    lowerInclusive: false,
    upperInclusive: true,
    count: 1,
  });
  assert.equal(cursor.position, 0);
  assert.ok(cursor.next());
  assert.equal(cursor.next(), false);
  assert.equal(new BucketCursor(h, { side: "negative" }).next(), false);
});

test("spans that promise more buckets than there are end the walk", () => {
  const h = histogramOf({ spans: [0, 9], buckets: [1, 2] });
  for (const direction of ["ascending", "descending"] as const) {
    const cursor = new BucketCursor(h, { direction });
    let count = 0;
    while (cursor.next()) count++;
    assert.equal(count, 2);
  }
});

test("a stale marker in the sum is known by its bits", () => {
  const sums = new Float64Array(1);
  writeStale(sums, 0);
  assert.ok(isStaleHistogram(histogramOf({ sum: sums[0]! })));
  assert.equal(isStaleHistogram(histogramOf({ sum: NaN })), false);
  assert.equal(isStaleHistogram(histogramOf({ sum: 2 })), false);
});

test("size, overflow and schemas", () => {
  const h = histogramOf({ spans: [0, 2, 1, 1], buckets: [1, 2, 3], bounds: [1, 2, 3] });
  assert.equal(histogramSize(h), 168 + 8 * (2 + 3 + 3));
  assert.equal(hasOverflow(h), false);
  assert.ok(hasOverflow(histogramOf({ sum: -Infinity })));
  assert.ok(hasOverflow(histogramOf({ spans: [0, 1], buckets: [Infinity] })));
  assert.deepEqual([-53, -10, -9, 8, 52, 53].map(isKnownSchema), [
    true,
    false,
    true,
    true,
    true,
    false,
  ]);
});

test("invalid histograms are refused in Prometheus's words", () => {
  const refuse = (plain: Parameters<typeof histogramOf>[0], message: string): void =>
    assert.throws(() => validateHistogram(histogramOf(plain)), { code: "bad-data", message });
  refuse(
    { schema: 9 },
    "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema 9",
  );
  refuse({ count: -1 }, "observation count is  -1: histogram's observation count is negative");
  refuse(
    { spans: [0, 2], buckets: [1] },
    "positive side: spans need 2 buckets, have 1 buckets: histogram spans specify different number of buckets than provided",
  );
  refuse(
    { spans: [0, 1, -1, 1], buckets: [1, 1] },
    "positive side: span number 2 with offset -1: histogram has a span whose offset is negative",
  );
  refuse(
    { negativeSpans: [0, 2], negativeBuckets: [1, -1.5] },
    "negative side: bucket number 2 has observation count of -1.5: histogram has a bucket whose observation count is negative",
  );
  refuse(
    { bounds: [1, 1] },
    "custom buckets: previous bound is 1.000000 and current is 1.000000: histogram custom bounds must be in strictly increasing order",
  );
  refuse({ bounds: [1, NaN] }, "custom buckets: histogram custom bounds must not be NaN");
  refuse(
    { bounds: [1, Infinity] },
    "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite",
  );
  refuse(
    { bounds: [1], spans: [1, 2], buckets: [1, 1] },
    "custom buckets: only 1 custom bounds defined which is insufficient to cover total span length of 3: histogram custom bounds are too few",
  );
  refuse({ bounds: [1], zeros: 1 }, "custom buckets: must have zero count of 0");
  refuse(
    { schema: 0, bounds: [1] },
    "histogram with exponential schema must not have custom bounds",
  );
  validateHistogram(histogramOf({ spans: [-3, 1, 0, 0, 2, 1], buckets: [1, 0.5], count: 0 }));
});

test("the count of an integer histogram is that of its buckets, or more with observations of NaN", () => {
  const plain = { zeros: 1, spans: [0, 2], buckets: [1, 2], sum: 1 };
  validateIntegerHistogram(histogramOf({ ...plain, count: 4 }));
  validateIntegerHistogram(histogramOf({ ...plain, count: 7, sum: NaN }));
  assert.throws(() => validateIntegerHistogram(histogramOf({ ...plain, count: 5 })), {
    message:
      "4 observations found in buckets, but the Count field is 5: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)",
  });
  assert.throws(() => validateIntegerHistogram(histogramOf({ ...plain, count: 3, sum: NaN })), {
    message:
      "4 observations found in buckets, but the Count field is 3: histogram's observation count should be at least the number of observations found in the buckets",
  });
});

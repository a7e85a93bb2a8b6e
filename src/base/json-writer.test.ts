import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatSampleValue } from "./float.ts";
import { JSON_POINTS_SOURCE_SHA256 } from "./json-points.gen.ts";
import { JsonWriter } from "./json-writer.ts";
import { isCompiled } from "./testdata/compile-kernel.ts";
import { JSON_POINTS } from "./testdata/json-points-kernel.ts";

// Compiling takes seconds, so it is done when the source has changed (and in json-points.fuzz.ts).
test("the module was made from the source beside it", async () => {
  const sha256 = JSON_POINTS_SOURCE_SHA256;
  if (await isCompiled(JSON_POINTS, { sha256, writer: "json-writer.test.ts" })) return;
  assert.fail(
    "json-points.gen.ts was out of date and has been written anew: look at it, run again",
  );
});

const writer = new JsonWriter();

function written(write: () => void): string {
  write();
  const text = writer.take().toString();
  assert.equal(writer.size, 0);
  return text;
}

const float = fc.oneof(
  { weight: 3, arbitrary: fc.double() },
  { weight: 1, arbitrary: fc.integer() },
  { weight: 1, arbitrary: fc.tuple(fc.integer(), fc.nat(12)).map(([n, e]) => n / 10 ** e) },
  { weight: 1, arbitrary: fc.integer({ min: -330, max: 308 }).map((e) => 10 ** e) },
  { weight: 1, arbitrary: fc.integer({ min: -1074, max: 1023 }).map((e) => 2 ** e) },
  { weight: 1, arbitrary: fc.integer({ min: -1000, max: 1000 }).map((n) => 2 ** 53 + 2 * n) },
);

test("floats are written as formatSampleValue writes them", () => {
  for (const value of [0, -0, NaN, Infinity, -Infinity, 1e21, 1e-6, 9.99e-7, 1e-7, 5e-324, 0.1])
    assert.equal(
      written(() => writer.sampleValue(value)),
      formatSampleValue(value),
    );
  fc.assert(
    fc.property(float, (value) => {
      assert.equal(
        written(() => writer.sampleValue(value)),
        formatSampleValue(value),
      );
    }),
    { numRuns: 20_000 },
  );
});

/** Seconds with up to three decimals. */
function secondsOf(timeMs: number): string {
  return formatSampleValue(Math.round(timeMs) / 1000).replace(/^(-?)0$/, "0");
}

function pointsOf(times: Float64Array, values: Float64Array): string {
  return Array.from(times, (t, i) => `[${secondsOf(t)},"${formatSampleValue(values[i]!)}"]`).join();
}

test("points with any times, runs of equal values, columns longer than a block", () => {
  const time = fc.oneof(fc.integer({ min: -(2 ** 40), max: 2 ** 42 }), fc.nat(2000));
  fc.assert(
    fc.property(fc.array(fc.tuple(time, float, fc.boolean()), { maxLength: 30 }), (points) => {
      const times = Float64Array.from(points, ([t]) => t);
      const values = Float64Array.from(points, ([, v]) => v);
      for (const [i, [, , repeats]] of points.entries())
        if (repeats && i > 0) values[i] = values[i - 1]!;
      assert.equal(
        written(() => writer.points(times, values)),
        pointsOf(times, values),
      );
      // The same times again, as the next series of an answer has them.
      const doubled = values.map((v) => v * 2);
      assert.equal(
        written(() => writer.points(times, doubled)),
        pointsOf(times, doubled),
      );
    }),
    { numRuns: 500 },
  );
  const times = Float64Array.from({ length: 30_000 }, (_, i) => 1_700_000_000_000 + i * 15_001);
  const values = times.map((_, i) => Math.sin(i) * 1e-8 ** (i % 3));
  assert.equal(
    written(() => writer.points(times, values)),
    pointsOf(times, values),
  );
});

test("times that are no whole milliseconds are rounded", () => {
  assert.equal(
    written(() => writer.points(Float64Array.of(0.5, 999.6, -0.4), Float64Array.of(1, 1, 1))),
    '[0.001,"1"],[1,"1"],[0,"1"]',
  );
});

test("texts and strings of any content and length", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.equal(
        written(() => writer.quoted(text)),
        JSON.stringify(text),
      );
      assert.equal(
        written(() => writer.text(text)),
        Buffer.from(text).toString(),
      );
    }),
  );
  const long = "ü".repeat(3_000_000);
  const short = "x".repeat(700_000);
  assert.equal(
    written(() => {
      for (const text of [short, short, long, short]) writer.text(text);
      writer.quoted(long);
      writer.sampleValue(1.5);
    }),
    `${short}${short}${long}${short}"${long}"1.5`,
  );
});

test("what was given up leaves no trace", () => {
  writer.text("x".repeat(2_000_000));
  writer.text("y");
  writer.clear();
  assert.equal(
    written(() => writer.text("z")),
    "z",
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatExponent,
  formatFixed,
  formatGeneral,
  formatSampleValue,
  isStaleWords,
  parseFloatText,
  writeStale,
} from "./float.ts";

test("sample values are written as Go's encoder writes them", () => {
  const f = (value: number, want: string): void => assert.equal(formatSampleValue(value), want);
  f(0, "0");
  f(-0, "-0");
  f(1, "1");
  f(1.5, "1.5");
  f(1e-6, "0.000001");
  f(9.9e-7, "9.9e-07");
  f(1e-7, "1e-07");
  f(1e20, "100000000000000000000");
  f(1e21, "1e+21");
  f(1.7976931348623157e308, "1.7976931348623157e+308");
  f(5e-324, "5e-324");
  f(-1e100, "-1e+100");
  f(NaN, "NaN");
  f(Infinity, "+Inf");
  f(-Infinity, "-Inf");
});

test("fixed form never has an exponent", () => {
  const f = (value: number, want: string): void => assert.equal(formatFixed(value), want);
  f(1e-7, "0.0000001");
  f(1.5e-9, "0.0000000015");
  f(1e21, "1000000000000000000000");
  f(-1.25e22, "-12500000000000000000000");
  f(123.456, "123.456");
});

test("general and exponent forms", () => {
  assert.equal(formatGeneral(0.0001), "0.0001");
  assert.equal(formatGeneral(0.00001), "1e-05");
  assert.equal(formatGeneral(100_000), "100000");
  assert.equal(formatGeneral(1_234_567), "1.234567e+06");
  assert.equal(formatExponent(1), "1e+00");
  assert.equal(formatExponent(0), "0e+00");
  assert.equal(formatExponent(12345.678), "1.2345678e+04");
});

test("floats are read as the text formats have them", () => {
  const f = (text: string, want: number | undefined): void =>
    assert.deepEqual(parseFloatText(text), want, text);
  f("1", 1);
  f("+1.5e3", 1500);
  f(".5", 0.5);
  f("5.", 5);
  f("NaN", NaN);
  f("+Inf", Infinity);
  f("-inf", -Infinity);
  f("0x10", undefined);
  f("1_000", undefined);
  f("", undefined);
  f(" 1", undefined);
  f("1e", undefined);
  f(".", undefined);
});

test("the staleness marker keeps its bits and differs from other NaNs", () => {
  const values = new Float64Array([1, 2, NaN]);
  writeStale(values, 1);
  const words = new Uint32Array(values.buffer);
  assert.deepEqual([words[2], words[3]], [2, 0x7ff00000]);
  assert.deepEqual(
    [0, 1, 2].map((i) => isStaleWords(words, i)),
    [false, true, false],
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { compileKernel } from "./testdata/compile-kernel.ts";
import { JSON_POINTS } from "./testdata/json-points-kernel.ts";
import { formatSampleValue } from "./float.ts";
import { JSON_POINTS_WASM } from "./json-points.gen.ts";
import { JsonWriter } from "./json-writer.ts";

/** Numbers that are tried; every one is a random 64-bit pattern or a short decimal. */
const NUMBERS = 1_000_000;

test("the committed module is what its source compiles to", async () => {
  assert.equal(await compileKernel(JSON_POINTS), JSON_POINTS_WASM);
});

test("random floats are written as formatSampleValue writes them", () => {
  const writer = new JsonWriter();
  const words = new Uint32Array(2);
  const float = new Float64Array(words.buffer);
  const seed = Date.now();
  let state = seed >>> 0;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
  for (let i = 0; i < NUMBERS; i++) {
    words[0] = random();
    words[1] = random();
    const value = i % 4 === 0 ? words[0] / 10 ** (words[1] % 12) : float[0]!;
    writer.sampleValue(value);
    const written = writer.take().toString();
    if (written !== formatSampleValue(value))
      assert.equal(written, formatSampleValue(value), `seed ${seed}`);
  }
});

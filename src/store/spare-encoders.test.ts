import assert from "node:assert/strict";
import { test } from "node:test";
import { SeriesEncoder } from "../proto/series-response.ts";
import { giveEncoder, MAX_SPARE_BYTES, MAX_SPARE_ENCODERS, takeEncoder } from "./spare-encoders.ts";

test("a few encoders are used again, those that hold much memory are not", () => {
  const all = Array.from({ length: MAX_SPARE_ENCODERS + 1 }, () => new SeriesEncoder());
  const large = new SeriesEncoder();
  large.warning("x".repeat(MAX_SPARE_BYTES));
  assert.ok(large.capacity > MAX_SPARE_BYTES);
  for (const encoder of [large, ...all]) giveEncoder(encoder);
  const taken = new Set(all.map(() => takeEncoder()));
  assert.equal(taken.size, all.length);
  assert.ok(!taken.has(large));
  assert.equal(all.filter((encoder) => taken.has(encoder)).length, MAX_SPARE_ENCODERS);
});

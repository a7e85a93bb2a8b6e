import assert from "node:assert/strict";
import { test } from "node:test";
import { mapKey } from "./map-key.ts";

test("a text is its own key unless it is long", () => {
  for (const text of ["", "a", "a".repeat(16_383)]) assert.equal(mapKey(text), text);
  const keys = new Set<string>();
  for (const start of ["", "b", "\udc80", "\udc81", "\ufffd", "é"])
    for (const length of [16_384, 16_385, 100_000]) {
      const key = mapKey(start + "a".repeat(length - start.length));
      assert.equal(key, mapKey(start + "a".repeat(length - start.length)));
      assert.ok(key.length < 50);
      keys.add(key);
    }
  assert.equal(keys.size, 18);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { eachAtMost } from "./concurrency.ts";

test("everything is done, and never more than the limit at once", async () => {
  let running = 0;
  let most = 0;
  const done: number[] = [];
  const items = Array.from({ length: 20 }, (_, i) => i);
  await eachAtMost(3, items, async (item) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    done.push(item);
  });
  assert.deepEqual(
    done.toSorted((a, b) => a - b),
    items,
  );
  assert.equal(most, 3);
});

test("a failure is the caller's", async () => {
  await assert.rejects(
    eachAtMost(2, [1, 2, 3], async (item) => {
      if (item === 2) throw new Error("no");
    }),
    /no/,
  );
});

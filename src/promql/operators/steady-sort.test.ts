import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../base/clock.ts";
import { AppError } from "../../base/errors.ts";
import { Budget } from "../budget.ts";
import { steadySort } from "./steady-sort.ts";

function budgetOf(signal: AbortSignal): Budget {
  return new Budget({ maxSamples: Infinity, clock: systemClock, signal });
}

void test("what is sorted in turns is in the order of a stable sort", async () => {
  const budget = budgetOf(new AbortController().signal);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(9), { maxLength: 100 }), async (keys) => {
      const items = keys.map((key, place) => ({ key, place }));
      const compare = (a: { key: number }, b: { key: number }): number => a.key - b.key;
      assert.deepEqual(await steadySort(items, compare, budget), items.toSorted(compare));
    }),
  );
});

test("a sort gives way to others and ends when the query does", async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new AppError("canceled", "it was")), 40);
  const items = Array.from({ length: 100_000 }, (_, i) => (i * 7919) % 100_003);
  const slowly = (a: number, b: number): number => {
    for (let until = performance.now() + 0.01; performance.now() < until;);
    return a - b;
  };
  await assert.rejects(steadySort(items, slowly, budgetOf(controller.signal)), {
    code: "canceled",
  });
});

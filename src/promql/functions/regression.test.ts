import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sampleMemory } from "../../chunk/sample-memory.ts";
import { regress } from "./regression.ts";

const value = fc.oneof(
  fc.double(),
  fc.constantFrom(NaN, Infinity, -Infinity, 0, -0, 7),
  fc.integer({ min: -1e9, max: 1e9 }),
);

test("the kernel's line is that of JavaScript, to the last bit", () => {
  const lent = sampleMemory();
  const samples = fc.array(fc.tuple(fc.integer({ min: 1, max: 100_000 }), value), {
    minLength: 2,
    maxLength: 60,
  });
  fc.assert(
    fc.property(
      fc.oneof(
        samples,
        samples.map((all) => all.map(([gap]) => [gap, all[0]![1]] as [number, number])),
      ),
      fc.nat(20),
      fc.integer({ min: -1e6, max: 1e6 }),
      (all, low, shift) => {
        let t = 1.7e12;
        const times = Float64Array.from(all, ([gap]) => (t += gap));
        const values = Float64Array.from(all, ([, v]) => v);
        lent.times.set(times, low);
        lent.values.set(values, low);
        const originMs = times[0]! + shift;
        const here = { ...regress({ times, values, low: 0, high: all.length }, originMs) };
        const window = { low, high: low + all.length };
        const there = {
          ...regress({ times: lent.times, values: lent.values, ...window }, originMs),
        };
        assert.deepEqual(there, here);
      },
    ),
    { numRuns: 2000 },
  );
});

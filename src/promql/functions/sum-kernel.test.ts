import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sumKernel } from "./sum-kernel.ts";

const FLAG = 4;

const value = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: -1e9, max: 1e9, noNaN: true }) },
  { weight: 3, arbitrary: fc.integer() },
  { weight: 1, arbitrary: fc.double() },
);
const special = fc.constantFrom(NaN, Infinity, -Infinity, 0, -0, 1e308, -1e308, 5e-324, 1e16);
/** Rows of as many steps, odd numbers too, with or without what is not finite. */
const rows = fc
  .tuple(fc.integer({ min: 32, max: 80 }), fc.boolean(), fc.nat(6))
  .chain(([steps, isTame, count]) =>
    fc.array(
      fc.array(isTame ? value : fc.oneof(value, special), { minLength: steps, maxLength: steps }),
      { minLength: 1 + count, maxLength: 1 + count },
    ),
  );

test("sums have the bits of an addition step by step, and so have weights and flags", () => {
  const kernel = sumKernel();
  fc.assert(
    fc.property(rows, (all) => {
      const steps = all[0]!.length;
      assert.ok(kernel.takes(steps));
      const sums = { main: new Float64Array(steps), side: new Float64Array(steps) };
      const wanted = { main: new Float64Array(steps), side: new Float64Array(steps) };
      const weights = { weight: new Float64Array(steps), flags: new Uint8Array(steps) };
      const heavy = { weight: new Float64Array(steps), flags: new Uint8Array(steps) };
      for (const row of all) {
        kernel.add(Float64Array.from(row), sums);
        const isFinite = row.every(Number.isFinite);
        assert.equal(kernel.weigh(Float64Array.from(row), weights, FLAG), isFinite);
        for (const [k, own] of row.entries()) {
          const before = wanted.main[k]!;
          const after = before + own;
          wanted.main[k] = after;
          if (after === Infinity || after === -Infinity) wanted.side[k] = 0;
          else if (Math.abs(before) >= Math.abs(own))
            wanted.side[k] = wanted.side[k]! + (before - after + own);
          else wanted.side[k] = wanted.side[k]! + (own - after + before);
          if (!isFinite) continue;
          heavy.weight[k] = heavy.weight[k]! + Math.abs(own);
          if (!Number.isInteger(own)) heavy.flags[k] = heavy.flags[k]! | FLAG;
        }
      }
      // As numbers: which bits a NaN has is up to the engine.
      assert.deepEqual([...sums.main], [...wanted.main]);
      assert.deepEqual([...sums.side], [...wanted.side]);
      assert.deepEqual([...weights.weight], [...heavy.weight]);
      assert.deepEqual(weights.flags, heavy.flags);
    }),
    { numRuns: 500 },
  );
});

test("few steps and very many are left to others", () => {
  for (const steps of [0, 1, 31, 16_383, 100_000]) assert.equal(sumKernel().takes(steps), false);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { countTicks, tickBefore, tickFrom } from "./ticks.ts";

const RHYTHM = { intervalMs: 10, offsetMs: 3 };

test("scrapes lie at the offset past each multiple of the interval", () => {
  assert.equal(tickFrom(RHYTHM, 0), 3);
  assert.equal(tickFrom(RHYTHM, 3), 3);
  assert.equal(tickFrom(RHYTHM, 4), 13);
  assert.equal(tickBefore(RHYTHM, 13), 3);
  assert.equal(tickBefore(RHYTHM, 14), 13);
});

test("counting agrees with walking", () => {
  const times = fc.record({
    intervalMs: fc.integer({ min: 1, max: 50 }),
    offset: fc.nat(1000),
    fromMs: fc.nat(1000),
    lastsMs: fc.integer({ min: -20, max: 300 }),
  });
  fc.assert(
    fc.property(times, ({ intervalMs, offset, fromMs, lastsMs }) => {
      const rhythm = { intervalMs, offsetMs: offset % intervalMs };
      let count = 0;
      for (let t = fromMs; t < fromMs + lastsMs; t++)
        if (t % intervalMs === rhythm.offsetMs) count++;
      assert.equal(countTicks(rhythm, fromMs, fromMs + lastsMs), count);
    }),
  );
});

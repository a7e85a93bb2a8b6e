import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FakeClock } from "../scrape/scrape.fixture.ts";
import {
  CALM_BYTES,
  CALM_COLLECTIONS,
  GARBAGE_MIN_BYTES,
  HeapTrim,
  LOOK_INTERVAL_MS,
} from "./heap-trim.ts";

const MB = 1 << 20;

/** Looks at a heap of the sizes given, one after the other; which looks collected, down to `keptBytes`. */
async function collections(
  sizes: readonly number[],
  keptBytes: number,
  { busyEveryMs, perLook = 0 }: { busyEveryMs?: number; perLook?: number } = {},
): Promise<number[]> {
  const clock = new FakeClock();
  const collected: number[] = [];
  let look = -1;
  let used = 0;
  const trim = new HeapTrim({
    clock,
    ...(busyEveryMs !== undefined && { busyEveryMs }),
    usedBytes: () => used,
    collectionCount: () => (look + 1) * perLook,
    collect: () => {
      collected.push(look);
      used = keptBytes;
    },
  });
  await trim.start();
  for (const size of sizes) {
    look++;
    used = size;
    await clock.advance(LOOK_INTERVAL_MS);
  }
  await trim.stop();
  assert.equal(clock.timerCount, 0);
  return collected;
}

test("a heap is collected once when it has calmed down and holds much garbage", async () => {
  const f = async (sizes: number[], keptBytes: number, want: number[]): Promise<void> =>
    assert.deepEqual(await collections(sizes, keptBytes), want);
  await f([20 * MB, 60 * MB, 58 * MB, 21 * MB, 22 * MB], 20 * MB, [2]);
  // Still growing: it collects itself.
  await f([20 * MB, 40 * MB, 60 * MB, 80 * MB], 20 * MB, []);
  await f([CALM_BYTES, 2 * CALM_BYTES, 3 * CALM_BYTES], 1 * MB, []);
  // Too little to be worth it.
  await f([10 * MB, 10 * MB, 10 * MB], 9 * MB, []);
  await f([20 * MB, 20 * MB, 30 * MB, 31 * MB], 20 * MB, [1]);
  await f([20 * MB, 20 * MB, 33 * MB, 33 * MB], 20 * MB, [1, 3]);
  await f([20 * MB, 20 * MB, 33 * MB, 33 * MB, 33 * MB], 20 * MB - GARBAGE_MIN_BYTES, [1, 3]);
  // A large heap needs more than the least.
  await f([200 * MB, 200 * MB, 260 * MB, 260 * MB], 200 * MB, [1]);
  await f([200 * MB, 200 * MB, 310 * MB, 310 * MB], 200 * MB, [1, 3]);
});

test("a heap that V8 itself collects again and again is left alone", async () => {
  const sizes = [20, 60, 58, 60, 58].map((size) => size * MB);
  assert.deepEqual(await collections(sizes, 20 * MB, { perLook: CALM_COLLECTIONS + 1 }), []);
  assert.deepEqual(await collections(sizes, 20 * MB, { perLook: CALM_COLLECTIONS }), [2, 4]);
});

test("a heap that is never calm is collected from time to time where that is asked for", async () => {
  const sizes = [20, 40, 60, 80, 60, 80, 60, 80, 60].map((size) => size * MB);
  assert.deepEqual(await collections(sizes, 20 * MB), []);
  assert.deepEqual(
    await collections(sizes, 20 * MB, { busyEveryMs: 4 * LOOK_INTERVAL_MS }),
    [3, 7],
  );
  // Not without garbage.
  assert.deepEqual(
    await collections([20 * MB, 29 * MB, 20 * MB], 20 * MB, { busyEveryMs: LOOK_INTERVAL_MS }),
    [0],
  );
});

test("a real heap gets smaller", async () => {
  const clock = new FakeClock();
  const trim = new HeapTrim({ clock });
  await trim.start();
  const before = heapWithGarbage();
  // V8 tells of its own collections a turn later.
  await sleep(50);
  await clock.advance(LOOK_INTERVAL_MS);
  await clock.advance(LOOK_INTERVAL_MS);
  assert.ok(process.memoryUsage().heapUsed < before - 10 * MB);
  await trim.stop();
});

function heapWithGarbage(): number {
  const garbage = Array.from({ length: 600_000 }, (_, i) => ({ i }));
  assert.equal(garbage.length, 600_000);
  return process.memoryUsage().heapUsed;
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "./virtual-clock.ts";

test("timers fire in the order of their times, those of one time in the order they were set", async () => {
  const clock = new VirtualClock(1000);
  const fired: string[] = [];
  const note = (name: string) => () => void fired.push(`${name}@${clock.now()}`);
  for (const delayMs of [50, 10, 40, 20, 30]) clock.after(delayMs, note(`a${delayMs}`));
  clock.after(20, note("b20"));
  clock.after(15, note("canceled"))();
  clock.at(500, note("past"));
  await clock.runUntil(1040);
  assert.deepEqual(fired, [
    "past@1000",
    "a10@1010",
    "a20@1020",
    "b20@1020",
    "a30@1030",
    "a40@1040",
  ]);
  assert.equal(clock.now(), 1040);
  assert.equal(clock.monotonic(), 40);
  await clock.runUntil(2000);
  assert.equal(fired.at(-1), "a50@1050");
  assert.equal(clock.now(), 2000);
});

test("what a timer sets off is over before the next one fires", async () => {
  const clock = new VirtualClock(0);
  const seen: string[] = [];
  clock.after(10, () => {
    void (async () => {
      for (let i = 0; i < 100; i++) await Promise.resolve();
      seen.push(`first at ${clock.now()}`);
    })();
  });
  clock.after(11, () => void seen.push("second"));
  await clock.runUntil(20);
  assert.deepEqual(seen, ["first at 10", "second"]);
});

test("sleep ends with its time, or with its signal's reason", async () => {
  const clock = new VirtualClock(0);
  const abort = new AbortController();
  const ends: string[] = [];
  void clock.sleep(10).then(() => ends.push("slept"));
  void clock.sleep(10, abort.signal).catch((error: unknown) => ends.push(String(error)));
  clock.after(5, () => abort.abort("enough"));
  await clock.runUntil(20);
  assert.deepEqual(ends, ["enough", "slept"]);
  await assert.rejects(clock.sleep(1, abort.signal), (reason) => reason === "enough");
});

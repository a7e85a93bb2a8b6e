import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { AutoReload } from "./auto-reload.ts";

test("a file that says something else is read again, a broken one once", async () => {
  let file = "one";
  let running = "one";
  let reloads = 0;
  const auto = new AutoReload({
    intervalMs: 1_000,
    read: async () => {
      if (file.startsWith("bad")) throw new Error(file);
      return file;
    },
    current: () => running,
    reload: async () => {
      reloads++;
      if (file.startsWith("bad")) throw new Error("it is broken");
      running = file;
    },
    clock: systemClock,
  });
  const f = async (now: string, wantReloads: number, wantRunning: string): Promise<void> => {
    file = now;
    await auto.look();
    assert.deepEqual([reloads, running], [wantReloads, wantRunning], now);
  };
  await f("one", 0, "one");
  await f("two", 1, "two");
  await f("two", 1, "two");
  await f("bad", 2, "two");
  await f("bad", 2, "two");
  await f("bad otherwise", 3, "two");
  await f("two", 3, "two");
  await f("bad", 4, "two");
  await f("three", 5, "three");
});

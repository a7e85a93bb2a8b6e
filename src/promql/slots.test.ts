import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AppError } from "../base/errors.ts";
import { Slots } from "./slots.ts";

const never = new AbortController().signal;

/** Asks for a place under each name (`client/number`); the order in which they get it. */
function crowd(slots: Slots, names: readonly string[]): { got: string[]; all: Promise<unknown> } {
  const got: string[] = [];
  const all = names.map(async (name) => {
    const release = await slots.acquire(never, name.split("/")[0]!);
    got.push(name);
    release();
  });
  return { got, all: Promise.all(all) };
}

describe("Slots", () => {
  it("lets clients take turns, and each one's requests come in order", async () => {
    const slots = new Slots(1);
    const release = await slots.acquire(never, "a");
    const { got, all } = crowd(slots, ["a/1", "a/2", "a/3", "b/1", "c/1", "b/2"]);
    release();
    await all;
    assert.deepEqual(got, ["a/1", "b/1", "c/1", "a/2", "b/2", "a/3"]);
  });

  it("forgets who left, and keeps the turns of the others", async () => {
    const slots = new Slots(1);
    const release = await slots.acquire(never);
    const leaving = new AbortController();
    const reason = new AppError("canceled", "gone");
    const left = [1, 2].map(() => slots.acquire(leaving.signal, "a"));
    const alone = slots.acquire(leaving.signal, "c");
    const { got, all } = crowd(slots, ["a/1", "b/1"]);
    leaving.abort(reason);
    for (const one of [...left, alone]) await assert.rejects(one, reason);
    release();
    release();
    await all;
    assert.deepEqual(got, ["a/1", "b/1"]);
    // Given back once, there is one place and not two.
    await slots.acquire(never);
    await assert.rejects(slots.acquire(AbortSignal.abort(reason)), reason);
    const { got: blocked } = crowd(slots, ["d/1"]);
    await new Promise(setImmediate);
    assert.deepEqual(blocked, []);
  });
});

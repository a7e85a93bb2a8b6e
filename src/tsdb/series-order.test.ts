import assert from "node:assert/strict";
import { test } from "node:test";
import { randomInt, seededRandom } from "../base/random.ts";
import { Labels } from "../model/labels.ts";
import { CHUNK_RANGE_MS, HeadStore } from "./head-store.ts";
import { SeriesOrder } from "./series-order.ts";

/** Label values that are parts of each other, hold NULs, and have more than four bytes in common. */
const TEXTS = ["a", "a\0", "a\0\0\0\0b", "aaaa", "aaaab", "aaaaa", "\u{1F600}", "\uFFFD", "0", "x"];

test("series come in the order of their labels, whatever came and went since the last select", () => {
  const random = seededRandom(11);
  const store = new HeadStore({ chunkSamples: 120, chunkRangeMs: CHUNK_RANGE_MS });
  const table = store.series;
  const order = new SeriesOrder(table, () => store.postings);
  const refs = new Set<number>();
  const pick = (): string => TEXTS[randomInt(random, TEXTS.length)]!;
  const create = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const labels: Record<string, string> = { __name__: pick(), job: pick() };
      if (randomInt(random, 3) > 0) labels["instance"] = `host-${randomInt(random, 2_000)}`;
      if (randomInt(random, 5) === 0) labels["a"] = pick();
      refs.add(store.resolve(Labels.fromObject(labels)).ref);
    }
  };
  const check = (part: number): void => {
    const wanted = Int32Array.from([...refs].filter(() => random.next() < part)).sort();
    const sorted = order.places(wanted).map((place) => wanted[place]!);
    assert.deepEqual(
      sorted,
      wanted.slice().sort((a, b) => table.compare(a, b)),
    );
  };
  create(5_000);
  for (const part of [1, 0.5, 0.02]) check(part);
  // Some that are new, but not enough for the order to be made anew; then more.
  create(200);
  for (const part of [1, 0.5, 0.3]) check(part);
  create(3_000);
  check(1);
  const gone = Int32Array.from([...refs].filter(() => random.next() < 0.4)).sort();
  table.remove(gone);
  for (const ref of gone) refs.delete(ref);
  for (const part of [1, 0.5]) check(part);
  create(100);
  check(0.9);
});

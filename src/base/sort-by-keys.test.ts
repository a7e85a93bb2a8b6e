import assert from "node:assert/strict";
import { test } from "node:test";
import { randomInt, seededRandom } from "./random.ts";
import { sortByKeys } from "./sort-by-keys.ts";

/** Lists of small numbers, in the order of their first number that differs; a shorter one comes first. */
function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

for (const [name, size, length, limit] of [
  ["none", 0, 1, 1],
  ["one", 1, 1, 1],
  ["few", 20, 3, 3],
  ["many, with many that are equal", 5_000, 4, 3],
  ["many long ones that differ late", 300, 90, 1],
  ["many keys of 32 bits", 5_000, 2, 2 ** 32 - 1],
] as const)
  test(`sorts ${name}`, () => {
    const random = seededRandom(7);
    const lists = Array.from({ length: size }, () =>
      Array.from({ length: 1 + randomInt(random, length) }, () => 1 + randomInt(random, limit)),
    );
    const items = Uint32Array.from(lists.keys());
    sortByKeys(items, {
      key: (item, depth) => lists[item]![depth] ?? 0,
      compare: (a, b) => compare(lists[a]!, lists[b]!),
    });
    assert.equal(new Set(items).size, size);
    const wanted = [...lists].sort(compare);
    assert.deepEqual(
      Array.from(items, (item) => lists[item]),
      wanted,
    );
  });

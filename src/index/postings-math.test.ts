import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { randomInt, seededRandom } from "../base/random.ts";
import { intersect, subtract, uniteDisjoint } from "./postings-math.ts";

const random = seededRandom(3);

/** `count` refs from `first` on, each higher than the one before by 1 to `gap`. */
function refsOf(count: number, gap: number, first = 1): Int32Array {
  const refs = new Int32Array(count);
  let ref = first - 1;
  for (let i = 0; i < count; i++) refs[i] = ref += 1 + randomInt(random, gap);
  return refs;
}

const HIGHEST = 2 ** 31 - 1;

/** Dense and sparse ones, of like and of very different lengths, that overlap in whole, in part and not at all. */
const PAIRS: readonly (readonly [name: string, a: Int32Array, b: Int32Array])[] = [
  ["nothing and nothing", refsOf(0, 1), refsOf(0, 1)],
  ["nothing and some", refsOf(0, 1), refsOf(100, 3)],
  ["one and one", Int32Array.of(5), Int32Array.of(5)],
  ["the same", refsOf(1000, 1), refsOf(1000, 1)],
  ["dense", refsOf(3000, 4), refsOf(2000, 5)],
  ["dense, one behind the other", refsOf(1000, 3), refsOf(1000, 3, 100_000)],
  ["dense, in part", refsOf(1000, 3), refsOf(1000, 3, 1500)],
  ["dense and sparse", refsOf(3000, 2), refsOf(500, 200)],
  ["sparse", refsOf(3000, 2000), refsOf(2500, 2000)],
  [
    "sparse with some in common",
    refsOf(2000, 3).map((ref) => ref * 700),
    refsOf(2000, 3).map((ref) => ref * 700),
  ],
  ["few and many", refsOf(20, 500), refsOf(5000, 3)],
  ["the lowest and the highest", Int32Array.of(1, HIGHEST), Int32Array.of(1, 7, HIGHEST)],
  ["dense up to the highest", refsOf(900, 1, HIGHEST - 899), refsOf(600, 1, HIGHEST - 599)],
];

const anyRefs = fc
  .uniqueArray(fc.nat(3000), { maxLength: 300 })
  .map((list) => Int32Array.from(list).sort());

describe("postings", () => {
  for (const [name, a, b] of PAIRS)
    test(name, () => {
      const inA = new Set(a);
      const inB = new Set(b);
      for (const [x, y, inY] of [
        [a, b, inB],
        [b, a, inA],
      ] as const) {
        assert.deepEqual(
          [...intersect(x, y)],
          [...x].filter((ref) => inY.has(ref)),
        );
        const rest = [...x].filter((ref) => !inY.has(ref));
        assert.deepEqual([...subtract(x, y)], rest);
        const all = [...rest, ...y].sort((p, q) => p - q);
        assert.deepEqual([...uniteDisjoint([Int32Array.from(rest), y])], all);
      }
    });

  test("any lists", () => {
    fc.assert(
      fc.property(anyRefs, anyRefs, fc.integer({ min: 1, max: 60 }), (a, all, every) => {
        const b = all.filter((_, i) => i % every === 0);
        const setA = new Set(a);
        const setB = new Set(b);
        const both = [...a].filter((ref) => setB.has(ref));
        assert.deepEqual([...intersect(a, b)], both);
        assert.deepEqual([...intersect(b, a)], both);
        assert.deepEqual(
          [...subtract(a, b)],
          [...a].filter((ref) => !setB.has(ref)),
        );
        const rest = b.filter((ref) => !setA.has(ref));
        assert.deepEqual(
          [...uniteDisjoint([a, rest])],
          [...setA.union(setB)].sort((x, y) => x - y),
        );
        assert.deepEqual([...uniteDisjoint([])], []);
      }),
    );
  });
});

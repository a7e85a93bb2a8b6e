import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PairPages } from "./pair-pages.ts";

test("pairs are put together by value, in the order they came", () => {
  const symbolCount = 100_000;
  // Values close together and far apart are put in order in different ways.
  const value = fc.oneof(fc.nat(20), fc.nat(symbolCount - 1));
  fc.assert(
    fc.property(fc.array(value, { maxLength: 200 }), (values) => {
      const pages = new PairPages();
      const wanted = new Map<number, number[]>();
      for (const [ref, one] of values.entries()) {
        pages.add(ref, one);
        wanted.set(one, [...(wanted.get(one) ?? []), ref]);
      }
      const counts = new Uint32Array(symbolCount);
      const found = pages.countValues(counts);
      const sorted = [...wanted.keys()].sort((a, b) => a - b);
      assert.deepEqual([...found], sorted);
      assert.deepEqual(
        [...found].map((one) => counts[one]),
        sorted.map((one) => wanted.get(one)!.length),
      );
      let start = 0;
      for (const one of found) {
        const count = counts[one]!;
        counts[one] = start;
        start += count;
      }
      const refs = new Uint32Array(values.length);
      pages.scatter(refs, counts);
      assert.deepEqual(
        [...refs],
        sorted.flatMap((one) => wanted.get(one)!),
      );
    }),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TupleNumbers } from "./tuple-numbers.ts";

test("equal sequences have one number, and new ones the next", () => {
  const sequence = fc.array(fc.oneof(fc.nat(3), fc.nat(2 ** 32 - 1)), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(sequence, { maxLength: 300 }), (sequences) => {
      const numbers = new TupleNumbers();
      const wanted = new Map<string, number>();
      for (const items of [...sequences, ...sequences]) {
        const key = items.join(" ");
        if (!wanted.has(key)) wanted.set(key, wanted.size);
        for (const item of items) numbers.add(item);
        assert.equal(numbers.take(), wanted.get(key));
      }
      assert.equal(numbers.count, wanted.size);
    }),
  );
});

test("a hundred thousand sequences that hardly differ, one of them long", () => {
  const numbers = new TupleNumbers();
  const number = (...items: number[]): number => {
    for (const item of items) numbers.add(item);
    return numbers.take();
  };
  for (let i = 0; i < 100_000; i++) assert.equal(number(7, i), i);
  assert.equal(number(...Array.from({ length: 5000 }, (_, i) => i)), 100_000);
  assert.deepEqual(
    [number(7, 0), number(7, 99_999), number(), number(7)],
    [0, 99_999, 100_001, 100_002],
  );
});

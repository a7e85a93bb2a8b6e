import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isCompiled } from "../base/testdata/compile-kernel.ts";
import { ByteCursor } from "./byte-cursor.ts";
import { ENTRY_WALK_SOURCE_SHA256 } from "./entry-walk.gen.ts";
import { EntryWalk, SAMPLE_EVERY } from "./entry-walk.ts";
import { SampledPairs } from "./sampled-pairs.ts";
import { ENTRY_WALK } from "./testdata/entry-walk-kernel.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = ENTRY_WALK_SOURCE_SHA256;
  if (await isCompiled(ENTRY_WALK, { sha256, writer: "entry-walk.test.ts" })) return;
  assert.fail("entry-walk.gen.ts was out of date and has been written anew: look at it, run again");
});

function uvarint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

/** Sizes of texts: mostly short, some that take a varint of two or three bytes, enough for more than one piece. */
const sizes = fc
  .array(fc.oneof(fc.nat(40), fc.nat(300), fc.constantFrom(127, 128, 1023, 16_383, 16_384)), {
    maxLength: 60,
  })
  .chain((some) => fc.nat(60).map((times) => Array.from({ length: times }, () => some).flat()));

/** What the caller does with an entry that the walk stops at. */
function passOne(bytes: Uint8Array, at: number, parts: number): number {
  const cursor = new ByteCursor(bytes, "test");
  cursor.at = at;
  for (let i = 0; i < parts; i++) cursor.range();
  return cursor.at;
}

test("texts are passed as a plain loop passes them, and none beyond the end", () => {
  fc.assert(
    fc.property(sizes, fc.nat(3), (lengths, cut) => {
      const bytes = Uint8Array.from(
        lengths.flatMap((length) => [...uvarint(length), ...Array.from({ length }, () => 200)]),
      );
      const held = bytes.subarray(0, Math.max(0, bytes.length - cut));
      const wanted: number[] = [];
      for (let at = 0; at < bytes.length; at = passOne(bytes, at, 1)) wanted.push(at);
      const starts = new Uint32Array(lengths.length);
      const walk = new EntryWalk(held);
      let steps = 0;
      let i = 0;
      for (let at = 0; i < lengths.length;) {
        i += walk.texts(at, starts.subarray(i));
        at = walk.at;
        if (i === lengths.length) break;
        if (passOne(bytes, at, 1) > held.length) break;
        steps++;
        starts[i++] = at;
        at = passOne(bytes, at, 1);
      }
      const whole = wanted.filter((at) => passOne(bytes, at, 1) <= held.length);
      assert.deepEqual([...starts.subarray(0, i)], whole);
      // All but long ones and those at the end of a piece are passed by the walk.
      const long = whole.filter((at) => passOne(bytes, at, 1) - at > 1024).length;
      assert.ok(steps <= long + bytes.length / 60_000, `${steps} of ${lengths.length}`);
    }),
    { numRuns: 100 },
  );
});

test("pairs of one name are passed, and every 32nd is sampled", () => {
  const names = fc.constantFrom("a", "pod", "instance", "__name__", "x".repeat(9), "y".repeat(127));
  fc.assert(
    fc.property(names, sizes, fc.nat(2 ** 40), (name, lengths, offset) => {
      const entry = (label: string, value: number[]): number[] =>
        [2, label.length, ...Buffer.from(label), ...uvarint(value.length), ...value].concat(
          uvarint(offset),
        );
      const entries = lengths.map((length, i) =>
        entry(
          name,
          Array.from({ length }, () => i % 256),
        ),
      );
      const other = entry(`${name.slice(1)}z`, [1]);
      const bytes = Uint8Array.from([...entries.flat(), ...other, ...entry(name, [])]);
      const samples = new SampledPairs();
      const walk = new EntryWalk(bytes);
      walk.setName(2, 2 + name.length);
      let count = 1;
      let at = entries[0]?.length ?? 0;
      while (count < lengths.length) {
        const passed = walk.pairs(at, { limit: lengths.length + 5, before: count, samples });
        at = walk.at;
        count += passed;
        if (count >= lengths.length) break;
        const next = at + entries[count]!.length;
        if (count % SAMPLE_EVERY === 0)
          samples.add(
            at,
            bytes.subarray(
              next - uvarint(offset).length - lengths[count]!,
              next - uvarint(offset).length,
            ),
          );
        at = next;
        count++;
      }
      assert.equal(count, Math.max(1, lengths.length));
      if (lengths.length > 0) assert.equal(walk.pairs(at, { limit: 5, before: count, samples }), 0);
      let start = 0;
      let found = 0;
      for (const [i, one] of entries.entries()) {
        if (i % SAMPLE_EVERY === 0 && i > 0) {
          assert.equal(samples.start(found), start);
          const value = new Uint8Array(lengths[i]!).fill(i % 256);
          assert.deepEqual(samples.value(found), value);
          found++;
        }
        start += one.length;
      }
      assert.equal(samples.count, found);
    }),
    { numRuns: 100 },
  );
});

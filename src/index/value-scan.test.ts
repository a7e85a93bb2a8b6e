import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../base/random.ts";
import { isCompiled } from "../base/testdata/compile-kernel.ts";
import { byteChoice, createMatcher, type Matcher } from "../model/matcher.ts";
import { ByteCursor } from "./byte-cursor.ts";
import { VALUE_SCAN_SOURCE_SHA256 } from "./value-scan.gen.ts";
import { VALUE_SCAN } from "./testdata/value-scan-kernel.ts";
import { ValueScan } from "./value-scan.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = VALUE_SCAN_SOURCE_SHA256;
  if (await isCompiled(VALUE_SCAN, { sha256, writer: "value-scan.test.ts" })) return;
  assert.fail("value-scan.gen.ts was out of date and has been written anew: look at it, run again");
});

function uvarint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

/** What a scan finds, and how many entries it leaves to its caller. */
function scanned(matcher: Matcher, values: readonly string[]): { lists: number[]; left: number } {
  const entries = values.map((value, i) => {
    const text = Buffer.from(value);
    const list = uvarint((i * 2 ** 40) / values.length);
    return Buffer.from([2, 2, 105, 100, ...uvarint(text.length), ...text, ...list]);
  });
  const bytes = new Uint8Array(Buffer.concat(entries));
  const choice = byteChoice(matcher)!;
  const scan = new ValueScan(choice, 4);
  const lists: number[] = [];
  let left = 0;
  for (let at = 0; at < bytes.length;) {
    scan.next(bytes, at, lists);
    ({ at } = scan);
    if (at === bytes.length) break;
    const cursor = new ByteCursor(bytes, "test");
    cursor.at = at;
    cursor.skip(4);
    const { start, end } = cursor.range();
    const list = cursor.uvarint();
    if (choice.automaton.matches(bytes, start, end) === choice.isMatchWanted) lists.push(list);
    ({ at } = cursor);
    left++;
  }
  return { lists, left };
}

function wanted(matcher: Matcher, values: readonly string[]): number[] {
  return values.flatMap((value, i) =>
    matcher.matches(value) ? [Math.floor((i * 2 ** 40) / values.length)] : [],
  );
}

test("finds the lists that the matcher finds", () => {
  const value = fc.oneof(
    {
      weight: 20,
      arbitrary: fc.string({ unit: fc.constantFrom("a", "b", "1", "-", "é"), maxLength: 9 }),
    },
    { weight: 1, arbitrary: fc.constantFrom("a".repeat(127), "b".repeat(128), "-".repeat(20_000)) },
  );
  const source = fc.constantFrom("a.*", ".*b", "a.*1", ".*-a.*", "[ab]+", "(a|é).?", "b|.*1[1b]*");
  fc.assert(
    fc.property(
      source,
      fc.boolean(),
      fc.array(value, { maxLength: 300 }),
      fc.nat(40),
      (regex, isMatch, some, times) => {
        const matcher = createMatcher("id", isMatch ? "=~" : "!~", regex);
        const values = Array.from({ length: times }, () => some).flat();
        const { lists, left } = scanned(matcher, values);
        assert.deepEqual(lists, wanted(matcher, values));
        // Only very long ones are left, and what a piece ends in.
        assert.ok(left <= values.filter(({ length }) => length >= 16_384).length + 1);
      },
    ),
    { numRuns: 100 },
  );
});

test("values that need more states than are kept are found too", () => {
  const matcher = createMatcher("id", "=~", "[ab]*a[ab]{10}c*");
  const random = seededRandom(7);
  const values = Array.from({ length: 60 }, () =>
    Array.from({ length: 3000 }, () => (random.next() < 0.5 ? "a" : "b")).join(""),
  );
  const { lists, left } = scanned(matcher, values);
  assert.deepEqual(lists, wanted(matcher, values));
  assert.ok(
    lists.length > 0 && lists.length < 60 && left > 0,
    `${lists.length} found, ${left} left`,
  );
});

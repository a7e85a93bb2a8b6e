import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MemPostings } from "./mem-postings.ts";
import { SymbolTable } from "./symbols.ts";

test("symbols are found, told apart and ordered by their bytes", () => {
  const text = fc.string({ unit: "binary", maxLength: 12 }).filter((t) => t.isWellFormed());
  fc.assert(
    fc.property(fc.array(text, { maxLength: 50 }), (texts) => {
      const table = new SymbolTable();
      for (const t of texts) assert.equal(table.text(table.intern(t)), t);
      assert.equal(table.count, new Set(texts).size);
      for (const t of texts) assert.equal(table.find(t), table.intern(t));
      assert.equal(table.find(`${texts.join("")}?`), -1);
      for (const a of texts)
        for (const b of texts)
          assert.equal(
            Math.sign(table.compare(table.find(a), table.find(b))),
            Buffer.compare(Buffer.from(a), Buffer.from(b)),
          );
    }),
    { numRuns: 50 },
  );
});

test("a table of many symbols, one of them long", () => {
  const table = new SymbolTable();
  const long = "x".repeat(70_000);
  for (let i = 0; i < 20_000; i++) table.intern(`value-${i}`);
  const id = table.intern(long);
  assert.deepEqual([table.count, table.find("value-777"), table.sizeOf(id)], [20_001, 777, 70_000]);
  assert.equal(table.text(id), long);
  assert.throws(() => table.intern("x".repeat(17 * 1024 * 1024)), { code: "bad-data" });
});

test("pairs keep their refs through growth, removal and compaction", () => {
  let postings = new MemPostings();
  const name = postings.symbols.intern("n");
  for (let ref = 1; ref <= 5000; ref++)
    for (const modulus of [2, 3, 7, 5000])
      postings.add(
        postings.internPair(name, postings.symbols.intern(`${modulus}:${ref % modulus}`)),
        ref,
      );
  const expected = (text: string, kept: (ref: number) => boolean): number[] => {
    const [modulus, rest] = text.split(":").map(Number) as [number, number];
    const all = Array.from({ length: 5000 }, (_, i) => i + 1);
    return all.filter((ref) => ref % modulus === rest && kept(ref));
  };
  const check = (kept: (ref: number) => boolean, pairs: number): void => {
    const n = postings.symbols.find("n");
    let count = 0;
    postings.forEachPairOf(n, (pair) => {
      const text = postings.symbols.text(postings.valueOf(pair));
      if (!text.startsWith("5000:") || count < 100)
        assert.deepEqual([...postings.list(pair)], expected(text, kept));
      count++;
    });
    assert.deepEqual([count, postings.livePairCount], [pairs, pairs]);
  };
  check(() => true, 5012);
  for (let pair = 0; pair < postings.pairCount; pair++)
    postings.filter(pair, (ref) => ref % 100 !== 0);
  check((ref) => ref % 100 === 0, 1 + 3 + 7 + 50);
  const compacted = postings.compacted();
  postings = compacted.postings;
  assert.equal(postings.pairCount, 61);
  check((ref) => ref % 100 === 0, 61);
  assert.equal(postings.findPair(postings.symbols.find("n"), postings.symbols.find("2:1")), -1);
});

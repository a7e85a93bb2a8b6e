import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LabelPacker } from "./label-packer.ts";
import { Labels } from "./labels.ts";
import { addToHashes, hasEqualHashes, SeriesHashes } from "./series-hash.ts";

function hashesOf(labels: Iterable<Labels>): Uint32Array {
  const hashes = new SeriesHashes();
  for (const one of labels) hashes.add(one);
  return hashes.halves;
}

function* pods(from: number, to: number): Generator<Labels> {
  for (let i = from; i < to; i++)
    yield Labels.fromObject({ __name__: "up", job: `job-${i % 10}`, pod: `pod-${i}-${i % 97}` });
}

describe("hashes of series", () => {
  it("three hundred thousand series that hardly differ have as many hashes", () => {
    const lists = [hashesOf(pods(0, 100_000)), hashesOf(pods(100_000, 300_000))];
    assert.equal(lists[0]!.length, 200_000);
    assert.equal(hasEqualHashes(lists), false);
  });

  it("one series of many that is twice there is found, in two lists and in one", () => {
    const many = hashesOf(pods(0, 10_000));
    assert.equal(hasEqualHashes([many, hashesOf(pods(9_999, 10_001))]), true);
    assert.equal(hasEqualHashes([many, hashesOf(pods(10_000, 10_001))]), false);
    assert.equal(hasEqualHashes([hashesOf([...pods(0, 10), ...pods(3, 4)])]), true);
  });

  it("names and values do not run into each other", () => {
    const alike = [
      { a: "bc" },
      { ab: "c" },
      { a: "b", c: "" },
      { a: "b", c: "d" },
      { a: "bcd" },
      { a: "b\u0000c" },
      { é: "x" },
      {},
    ].map((pairs) => Labels.fromObject(pairs));
    assert.equal(hasEqualHashes([hashesOf(alike)]), false);
  });

  it("labels as bytes have the hash of the same labels as texts", () => {
    const symbols = ["__name__", "x", "job", "a b", "pod", "p".repeat(300)];
    const packer = new LabelPacker({
      sizeOf: (symbol) => symbols[symbol]!.length,
      copyTo(symbol, target, at) {
        target.set(Buffer.from(symbols[symbol]!), at);
        return 0x7f;
      },
    });
    for (let symbol = 0; symbol < symbols.length; symbol += 2) packer.add(symbol, symbol + 1);
    const packed = packer.take();
    assert.ok(packed.packed !== undefined);
    const texts = Labels.fromSorted(symbols);
    assert.deepEqual(hashesOf([packed]), hashesOf([texts]));
    assert.ok(packed.packed !== undefined, "they still are bytes");
  });

  it("a label that all get can be added to the hashes of the others", () => {
    const more = Labels.fromObject({ cluster: "süd", zone: "z" });
    const before = hashesOf(pods(0, 100));
    addToHashes(before, more);
    const after = [...pods(0, 100)].map((one) => one.with("cluster", "süd").with("zone", "z"));
    assert.deepEqual(before, hashesOf(after));
    addToHashes(before, Labels.EMPTY);
    assert.deepEqual(before, hashesOf(after));
  });

  it("a hash of zero is one like others", () => {
    assert.equal(hasEqualHashes([Uint32Array.of(0, 0, 5, 5)]), false);
    assert.equal(hasEqualHashes([Uint32Array.of(0, 0), Uint32Array.of(0, 0)]), true);
    assert.equal(hasEqualHashes([]), false);
  });
});

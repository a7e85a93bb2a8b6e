import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LabelPacker, type SymbolBytes } from "./label-packer.ts";
import { compareLabelRests, compareLabels, Labels } from "./labels.ts";

/** Texts that are their own symbols. */
class Texts implements SymbolBytes {
  readonly #texts: Buffer[] = [];

  add(text: string): number {
    return this.#texts.push(Buffer.from(text)) - 1;
  }

  sizeOf(symbol: number): number {
    return this.#texts[symbol]!.length;
  }

  copyTo(symbol: number, target: Uint8Array, at: number): number {
    target.set(this.#texts[symbol]!, at);
    return this.#texts[symbol]!.reduce((bits, byte) => bits | byte, 0);
  }
}

const texts = new Texts();
const packer = new LabelPacker(texts);

function pack(labels: Labels): Labels {
  for (const [name, value] of labels) packer.add(texts.add(name), texts.add(value));
  return packer.take();
}

const ascii = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: "binary-ascii", minLength: 1, maxLength });
const value = fc.oneof(
  fc.constantFrom("a", "b", "ab", "x".repeat(64), "x".repeat(65), "y".repeat(200)),
  ascii(8),
);
const pairs = fc.array(fc.tuple(fc.oneof(fc.constantFrom("a", "b", "le"), ascii(3)), value), {
  maxLength: 5,
});
const labelSet = pairs.map((list) => Labels.fromPairs(list));

describe("packed labels", () => {
  it("say the same as labels of texts", () => {
    fc.assert(
      fc.property(labelSet, ascii(3), (labels, name) => {
        assert.equal(pack(labels).packed === undefined, labels.count === 0);
        assert.equal(pack(labels).get(name), labels.get(name));
        for (const [own, text] of labels) assert.equal(pack(labels).get(own), text);
        assert.equal(pack(labels).get("ü"), "");
        assert.deepEqual([...pack(labels)], [...labels]);
        assert.equal(pack(labels).key(), labels.key());
        assert.equal(pack(labels).toString(), labels.toString());
        assert.deepEqual([...pack(labels).without(["a"])], [...labels.without(["a"])]);
      }),
    );
  });

  it("have the same order, packed or not", () => {
    fc.assert(
      fc.property(labelSet, labelSet, (a, b) => {
        const order = Math.sign(compareLabels(a, b));
        assert.equal(Math.sign(compareLabels(pack(a), pack(b))), order);
        assert.equal(Math.sign(compareLabels(pack(a), b)), order);
        assert.equal(Math.sign(compareLabels(a, pack(b))), order);
        assert.equal(compareLabels(pack(a), pack(a)), 0);
        assert.ok(pack(a).equals(a));
      }),
      { numRuns: 1000 },
    );
  });

  it("compare without their first label, and know it", () => {
    const first = fc.constantFrom("a", "ab", "x".repeat(200));
    fc.assert(
      fc.property(labelSet, labelSet, first, first, (a, b, nameOfA, nameOfB) => {
        // The least of all names.
        const x = Labels.fromPairs([...a.without(["\0"]), ["\0", nameOfA]]);
        const y = Labels.fromPairs([...b.without(["\0"]), ["\0", nameOfB]]);
        const order = Math.sign(compareLabels(x.without(["\0"]), y.without(["\0"])));
        for (const [one, other] of [
          [x, y],
          [pack(x), y],
          [x, pack(y)],
          [pack(x), pack(y)],
        ] as const)
          assert.equal(Math.sign(compareLabelRests(one, other)), order);
        assert.equal(compareLabelRests(x, x), 0);
        for (const labels of [x, pack(x)]) {
          assert.equal(labels.beginsWith("\0", nameOfA), true);
          assert.equal(labels.beginsWith("\0", nameOfB), nameOfA === nameOfB);
          assert.equal(labels.beginsWith("le", nameOfA), false);
        }
        assert.equal(Labels.EMPTY.beginsWith("le", ""), false);
      }),
    );
  });

  it("stay as they are while others are packed behind them", () => {
    const all = Array.from({ length: 5000 }, (_, i) =>
      Labels.fromPairs([["name", `value ${i} ${"v".repeat(i % 300)}`]]),
    );
    const packed = all.map(pack);
    for (const [i, labels] of all.entries()) assert.deepEqual([...packed[i]!], [...labels]);
  });

  it("are texts when they are not ASCII", () => {
    const labels = Labels.fromPairs([
      ["job", "größe"],
      ["名", "値"],
    ]);
    assert.equal(pack(labels).packed, undefined);
    assert.deepEqual([...pack(labels)], [...labels]);
  });

  it("are given up once they are taken apart", () => {
    const labels = pack(Labels.fromPairs([["a", "b"]]));
    assert.equal(labels.get("a"), "b");
    assert.notEqual(labels.packed, undefined);
    assert.equal(labels.count, 1);
    assert.equal(labels.packed, undefined);
    assert.equal(labels.get("a"), "b");
  });
});

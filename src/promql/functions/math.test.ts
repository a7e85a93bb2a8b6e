import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { exp2 } from "../../base/exponential.ts";
import { log1p } from "../../base/logarithm.ts";
import { MATH_FUNCTIONS } from "./math.ts";
import { power } from "./power.ts";
import { atan2 } from "./trigonometry.ts";

/** What Go computed: of each function its name, then lines of an argument or two and the result, as the bits of floats. */
const TABLE = new URL("../testdata/math-bits.txt", import.meta.url);

const FUNCTIONS: ReadonlyMap<string, (x: number, y: number) => number> = new Map([
  ...MATH_FUNCTIONS,
  ["exp2", exp2],
  ["log1p", log1p],
  ["pow", power],
  ["atan2", atan2],
]);

function floatOf(hex: string): number {
  return Buffer.from(hex, "hex").readDoubleBE();
}

describe("functions have the bits that Go's have", () => {
  const [, ...sections] = readFileSync(TABLE, "utf8").trimEnd().split("\n\n");
  for (const section of sections) {
    const [name = "", ...lines] = section.split("\n");
    test(name, () => {
      const compute = FUNCTIONS.get(name)!;
      const wrong: string[] = [];
      for (const line of lines) {
        const [x = NaN, ...others] = line.split(" ").map(floatOf);
        const want = others.pop()!;
        const [y = NaN] = others;
        const got = compute(x, y);
        if (!Object.is(got, want)) wrong.push(`${name}(${x}, ${y}) is ${got}, not ${want}`);
      }
      assert.ok(lines.length > 100);
      assert.deepEqual(wrong, []);
    });
  }
});

test("whole decimal logarithms and powers come out whole", () => {
  const log10 = MATH_FUNCTIONS.get("log10")!;
  assert.deepEqual([10, 100, 1000, 1e6, 1e100].map(log10), [1, 2, 3, 6, 100]);
  assert.deepEqual(
    [power(10, 3), power(2, -3), power(-3, 3), power(9, 0.5)],
    [1000, 0.125, -27, 3],
  );
});

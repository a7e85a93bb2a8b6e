import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AppError } from "../base/errors.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { bitsOf, bytesOf, GOLDEN } from "./testdata/start-times.ts";
import { decodeXor2 } from "./xor2.ts";

describe("decodeXor2", () => {
  for (const golden of GOLDEN.chunks)
    test(`reads what Prometheus wrote: ${golden.name}`, () => {
      const { times, values, startTimes } = decodeXor2(bytesOf(golden));
      assert.deepEqual([...times], golden.times);
      assert.deepEqual(bitsOf(values), golden.bits);
      assert.deepEqual([...(startTimes ?? new Float64Array(times.length))], golden.starts);
    });

  test("refuses chunks that are cut, and reads or refuses changed ones", () => {
    const random = seededRandom(4);
    for (const golden of GOLDEN.chunks) {
      const bytes = bytesOf(golden);
      for (let i = 0; i < 50; i++) {
        const changed = bytes.slice();
        changed[randomInt(random, bytes.length)]! ^= 1 << randomInt(random, 8);
        // What is read has as many samples as its header says, and no more memory than its bytes pay for.
        const count = (changed[0]! << 8) | changed[1]!;
        try {
          assert.equal(decodeXor2(changed).times.length, count);
        } catch (error) {
          assert.ok(error instanceof AppError && error.code === "corrupt", String(error));
        }
      }
      for (const size of [0, 1, 2, 3, Math.floor(bytes.length / 2)])
        assert.throws(() => decodeXor2(bytes.subarray(0, size)), /cannot decode XOR2 chunk/);
    }
  });
});

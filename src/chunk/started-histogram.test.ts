import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AppError } from "../base/errors.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { isStaleHistogram } from "../model/histogram.ts";
import { decodeFloatHistogram } from "./float-histogram.ts";
import { decodeHistogram } from "./histogram.ts";
import { withoutStartTimes } from "./started-histogram.ts";
import { bitsOf, bytesOf, GOLDEN } from "./testdata/start-times.ts";

describe("withoutStartTimes", () => {
  for (const golden of GOLDEN.histogramChunks)
    test(`reads what Prometheus wrote: encoding ${golden.encoding}, ${golden.name}`, () => {
      const isInteger = golden.encoding === 5;
      const read = withoutStartTimes(isInteger ? "integer" : "float", bytesOf(golden));
      assert.deepEqual([...read.times], golden.times);
      const noTimes = new Float64Array(read.times.length);
      assert.deepEqual([...(read.startTimes ?? noTimes)], golden.starts);
      const { times, histograms } = (isInteger ? decodeHistogram : decodeFloatHistogram)(read.data);
      assert.deepEqual([...times], golden.times);
      for (const [i, histogram] of histograms.entries()) {
        const [bits] = bitsOf(Float64Array.of(histogram.sum));
        assert.equal(isStaleHistogram(histogram), golden.sums[i] === "7ff0000000000002");
        if (isStaleHistogram(histogram)) continue;
        assert.equal(bits, golden.sums[i]);
        assert.equal(histogram.count, golden.counts[i]);
        assert.equal(histogram.positiveBuckets.at(-1), golden.lastBuckets[i]);
      }
    });

  test("refuses chunks that are cut, and reads or refuses changed ones", () => {
    const random = seededRandom(5);
    for (const golden of GOLDEN.histogramChunks) {
      const kind = golden.encoding === 5 ? "integer" : "float";
      const bytes = bytesOf(golden);
      for (let i = 0; i < 50; i++) {
        const changed = bytes.slice();
        changed[randomInt(random, bytes.length)]! ^= 1 << randomInt(random, 8);
        const count = ((changed[0]! & 0x3f) << 8) | changed[1]!;
        try {
          assert.equal(withoutStartTimes(kind, changed).times.length, count);
        } catch (error) {
          assert.ok(error instanceof AppError && error.code === "corrupt", String(error));
        }
      }
      assert.throws(() => withoutStartTimes(kind, bytes.subarray(0, bytes.length / 2)), {
        code: "corrupt",
      });
    }
  });
});

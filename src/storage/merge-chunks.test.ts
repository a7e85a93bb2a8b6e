import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeXor } from "../chunk/xor-encode.ts";
import { type FloatHistogram, newHistogram } from "../model/histogram.ts";
import { decodeHistogramChunk, encodeHistogramRun } from "./chunk-encodings.ts";
import { mergeChunkLists } from "./merge-chunks.ts";
import type { Chunk } from "./queryable.ts";

describe("mergeChunkLists", () => {
  const histogram = (count: number): FloatHistogram =>
    newHistogram({
      count,
      sum: count * 2,
      positiveSpans: Int32Array.of(0, 2),
      positiveBuckets: Float64Array.of(1, count - 1),
    });
  const histograms = (encoding: 2 | 3, times: readonly number[]): readonly Chunk[] =>
    encodeHistogramRun(encoding, {
      times: Float64Array.from(times),
      histograms: times.map((t) => histogram(t + 1)),
    });
  const floats = (times: readonly number[]): Chunk => ({
    encoding: 1,
    minTimeMs: times[0]!,
    maxTimeMs: times.at(-1)!,
    data: encodeXor(Float64Array.from(times), Float64Array.from(times), {
      start: 0,
      end: times.length,
    }),
  });

  test("joins overlapping histograms sample by sample", () => {
    for (const encoding of [2, 3] as const) {
      const merged = mergeChunkLists([
        histograms(encoding, [10, 30, 50]),
        histograms(encoding, [20, 30, 40]),
      ]);
      const samples = merged.map((chunk) => decodeHistogramChunk(chunk));
      assert.deepEqual(
        samples.flatMap(({ times }) => [...times]),
        [10, 20, 30, 40, 50],
      );
      assert.deepEqual(
        samples.flatMap((all) => all.histograms.map(({ count }) => count)),
        [11, 21, 31, 41, 51],
      );
      assert.ok(merged.every((chunk) => chunk.encoding === encoding));
    }
  });

  test("joins floats and histograms in order of time", () => {
    const merged = mergeChunkLists([[floats([10, 20, 60])], histograms(2, [20, 30, 40])]);
    assert.deepEqual(
      merged.map(({ encoding, minTimeMs, maxTimeMs }) => [encoding, minTimeMs, maxTimeMs]),
      [
        [1, 10, 20],
        [2, 30, 40],
        [1, 60, 60],
      ],
    );
  });

  test("keeps equal chunks once and refuses to change what it does not know", () => {
    const unknown = (from: number): Chunk => ({ ...floats([from, from + 10]), encoding: 5 as 1 });
    assert.equal(mergeChunkLists([[unknown(0)], [unknown(0)], [floats([20])]]).length, 2);
    assert.throws(() => mergeChunkLists([[unknown(0)], [unknown(5)]]), { code: "execution" });
  });
});

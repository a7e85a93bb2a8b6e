import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { writeStale } from "../base/float.ts";
import { type FloatHistogram, histogramSize, isStaleHistogram, newHistogram } from "./histogram.ts";
import { HistogramAccumulator } from "./histogram-accumulator.ts";
import { compactHistogram } from "./histogram-arithmetic.ts";
import { isResetRow } from "./histogram-block.ts";
import { arbitraryRows, blockOf } from "./histogram-block.fixture.ts";
import { BlockQuantiles } from "./histogram-block-quantile.ts";
import { BlockSum } from "./histogram-block-sum.ts";
import { histogramQuantile } from "./histogram-quantile.ts";
import { detectReset } from "./histogram-reset.ts";

test("property: a row reads as the histogram it was written from", () => {
  fc.assert(
    fc.property(arbitraryRows, (histograms) => {
      const block = blockOf(histograms);
      assert.ok(block.layout.isPlain);
      const compact = block.copy();
      compact.isCompact = true;
      for (const [row, histogram] of histograms.entries()) {
        assert.deepEqual(block.at(row), histogram);
        assert.equal(block.sizeOf(row), histogramSize(histogram));
        const compacted = compactHistogram(histogram);
        assert.deepEqual(compact.at(row), compacted);
        assert.equal(compact.sizeOf(row), histogramSize(compacted));
        if (row === 0) continue;
        assert.equal(isResetRow(block, row), detectReset(histogram, histograms[row - 1]!));
      }
    }),
  );
});

test("a copy and the objects keep their counts when the block is used again", () => {
  const histogram = newHistogram({
    positiveSpans: Int32Array.of(-1, 2, 3, 1),
    negativeSpans: Int32Array.of(0, 1),
    positiveBuckets: Float64Array.of(1, 2, 3),
    negativeBuckets: Float64Array.of(4),
  });
  const block = blockOf([histogram]);
  const copy = block.copy();
  const object = block.at(0);
  block.buckets.fill(7);
  assert.deepEqual(object, histogram);
  assert.deepEqual(copy.at(0), histogram);
});

test("stale rows are told apart, and can be taken out", () => {
  const rows = [1, 2, 3, 4].map((count) => newHistogram({ count }));
  const block = blockOf(rows);
  writeStale(block.sums, 1);
  writeStale(block.sums, 3);
  assert.ok(block.isStale(1));
  assert.ok(isStaleHistogram(block.at(1)));
  assert.equal(block.at(1).count, 0);
  assert.equal(block.sizeOf(1), histogramSize(newHistogram({})));
  block.dropStale();
  assert.equal(block.size, 2);
  assert.deepEqual([block.at(0).count, block.at(1).count], [1, 3]);
  assert.deepEqual([...block.times.subarray(0, 2)], [0, 2000]);
});

test("a layout is not plain when a bucket reaches into the zero bucket", () => {
  const isPlain = (fields: Partial<FloatHistogram>): boolean => {
    const buckets = new Float64Array(2);
    return blockOf([newHistogram({ ...fields, positiveBuckets: buckets })]).layout.isPlain;
  };
  const positiveSpans = Int32Array.of(0, 2);
  assert.ok(isPlain({ positiveSpans, zeroThreshold: 0.5 }));
  assert.ok(!isPlain({ positiveSpans, zeroThreshold: 1 }));
  assert.ok(!isPlain({ positiveSpans: Int32Array.of(0, 0, 0, 2), zeroThreshold: 0.1 }));
});

test("property: sums of rows are those of an accumulator, and can be carried on with one", () => {
  fc.assert(
    fc.property(arbitraryRows, fc.nat(8), (histograms, inColumns) => {
      const want = new HistogramAccumulator(histograms[0]!);
      for (const histogram of histograms.slice(1)) assert.ok(want.add(histogram));
      const { layout } = blockOf(histograms);
      const whole = new BlockSum(layout, 2);
      const begun = new BlockSum(layout, 2);
      for (const [i, histogram] of histograms.entries()) {
        const block = blockOf([histogram, histogram]);
        whole.add(block, 1);
        if (i <= inColumns) begun.add(block, 1);
      }
      const rest = begun.accumulator(1);
      for (const histogram of histograms.slice(inColumns + 1)) assert.ok(rest.add(histogram));
      const total = want.total();
      assert.deepEqual(compactHistogram(rest.total()), compactHistogram(total));
      assert.deepEqual(whole.total().at(1), compactHistogram(total));
      assert.equal(whole.addends[0], 0);
      assert.equal(whole.addends[1], histograms.length);
    }),
  );
});

test("property: quantiles of rows are those of the histograms", () => {
  const quantiles = new BlockQuantiles();
  const arbitraryQ = fc.oneof(fc.double({ min: 0, max: 1 }), fc.constantFrom(0, 0.5, 1, -1, 2));
  fc.assert(
    fc.property(arbitraryRows, arbitraryQ, (histograms, q) => {
      const block = blockOf(histograms);
      const compact = block.copy();
      compact.isCompact = true;
      for (const [row, histogram] of histograms.entries()) {
        assert.deepEqual(quantiles.of(block, row, q), histogramQuantile(q, histogram));
        const compacted = compactHistogram(histogram);
        assert.deepEqual(quantiles.of(compact, row, q), histogramQuantile(q, compacted));
      }
    }),
    { numRuns: 1000 },
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HistogramBlock } from "../../model/histogram-block.ts";
import { arbitraryRows, blockOf } from "../../model/histogram-block.fixture.ts";
import { RowTotals } from "../../model/histogram-block-totals.ts";
import { HintTracker, HistogramMean, HistogramTotal, isCollision } from "./histogram-sums.ts";

test("property: rows have the sum and the mean of their histograms, bit for bit", () => {
  const totals = new RowTotals();
  fc.assert(
    fc.property(arbitraryRows, fc.nat(3), (histograms, skipped) => {
      const block = blockOf(histograms);
      const result = new HistogramBlock();
      result.reset(block.layout, 2);
      const high = histograms.length;
      const low = Math.min(skipped, high - 1);
      const sum = new HistogramTotal(new HintTracker());
      const mean = new HistogramMean(new HintTracker());
      for (const histogram of histograms.slice(low))
        assert.ok(sum.add(histogram) && mean.add(histogram));

      totals.put({ block, low, high }, 1, { into: result, row: 1 });
      assert.deepEqual(result.at(1), sum.result());
      const hints = histograms.slice(low).map(({ counterResetHint }) => counterResetHint);
      assert.equal(
        isCollision(totals.hintsSeen),
        hints.includes("reset") && hints.includes("not_reset"),
      );
      totals.put({ block, low, high }, high - low, { into: result, row: 1 });
      if (!totals.hasOverflow) assert.deepEqual(result.at(1), mean.result());
    }),
    { numRuns: 500 },
  );
});

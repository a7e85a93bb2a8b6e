import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { writeStale } from "../base/float.ts";
import { isStaleHistogram } from "./histogram.ts";
import { histogramsEqual } from "./histogram-equal.ts";
import { arbitraryHistogram, histogramOf } from "./histogram.fixture.ts";
import { packHistograms, unpackHistograms } from "./histogram-pack.ts";

test("property: histograms come back from another thread as they were", () => {
  fc.assert(
    fc.property(
      fc.array(arbitraryHistogram({ fractions: true }), { maxLength: 5 }),
      (histograms) => {
        const packed = packHistograms(histograms);
        assert.equal(packed.buffer.byteLength, packed.byteLength, "the buffer holds nothing else");
        const unpacked = unpackHistograms(structuredClone(packed));
        assert.equal(unpacked.length, histograms.length);
        unpacked.forEach((h, i) => {
          assert.ok(histogramsEqual(h, histograms[i]!));
          assert.equal(h.counterResetHint, histograms[i]!.counterResetHint);
          assert.deepEqual(h.positiveSpans, histograms[i]!.positiveSpans);
        });
      },
    ),
  );
});

test("a stale marker survives, and nonsense is a bug", () => {
  const sums = new Float64Array(1);
  writeStale(sums, 0);
  assert.ok(
    isStaleHistogram(unpackHistograms(packHistograms([histogramOf({ sum: sums[0]! })]))[0]!),
  );
  assert.deepEqual(unpackHistograms(packHistograms([])), []);
  assert.throws(() => unpackHistograms(Float64Array.of(7, 1)), /BUG/);
});

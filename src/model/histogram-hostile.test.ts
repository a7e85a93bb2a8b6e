import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FloatHistogram, newHistogram } from "./histogram.ts";
import { HistogramAccumulator } from "./histogram-accumulator.ts";
import {
  addHistograms,
  compactHistogram,
  reduceResolution,
  subtractHistograms,
} from "./histogram-arithmetic.ts";
import { histogramFraction, histogramQuantile, histogramVariance } from "./histogram-quantile.ts";
import { detectReset } from "./histogram-reset.ts";
import { apiHistogram, formatHistogram } from "./histogram-text.ts";
import { trimHistogram } from "./histogram-trim.ts";

// Chunks and requests of strangers hold histograms that no client would make; whatever they do to a result, they must
// neither crash nor stop a query.

const oddFloat = fc.oneof(
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity, -1, 5e-324, Number.MAX_VALUE, 2 ** -128, 1),
  fc.double(),
);

/** With indexes beyond 32 bits. */
const oddGap = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 20 }),
  fc.integer({ min: 2 ** 31 - 4, max: 2 ** 31 - 1 }),
);
const oddStart = fc.oneof(
  fc.integer({ min: -(2 ** 20), max: 2 ** 20 }),
  fc.integer({ min: -(2 ** 31), max: -(2 ** 31) + 3 }),
  oddGap,
);

const oddSide = fc
  .array(fc.tuple(oddGap, fc.array(oddFloat, { maxLength: 3 })), {
    maxLength: 4,
  })
  .chain((stretches) =>
    oddStart.map((first) => ({
      spans: Int32Array.from(
        stretches.flatMap(([gap, counts], i) => [i === 0 ? first : gap, counts.length]),
      ),
      buckets: Float64Array.from(stretches.flatMap(([, counts]) => counts)),
    })),
  );

const oddHistogram: fc.Arbitrary<FloatHistogram> = fc
  .record({
    schema: fc.constantFrom(-9, -4, 0, 3, 8, -53),
    zeroThreshold: oddFloat,
    zeroCount: oddFloat,
    count: oddFloat,
    sum: oddFloat,
    positive: oddSide,
    negative: oddSide,
    customValues: fc.array(oddFloat, { maxLength: 4 }),
    counterResetHint: fc.constantFrom<FloatHistogram["counterResetHint"]>("unknown", "gauge"),
  })
  .map(({ positive, negative, customValues, ...rest }) =>
    newHistogram({
      ...rest,
      positiveSpans: positive.spans,
      positiveBuckets: positive.buckets,
      negativeSpans: negative.spans,
      negativeBuckets: negative.buckets,
      customValues: Float64Array.from(customValues),
    }),
  );

test("property: no operation crashes or hangs on an odd histogram", () => {
  fc.assert(
    fc.property(oddHistogram, oddHistogram, oddFloat, oddFloat, (a, b, x, y) => {
      const sum = addHistograms(a, b);
      const difference = subtractHistograms(a, b);
      assert.equal(sum === undefined, difference === undefined);
      if (sum !== undefined) formatHistogram(compactHistogram(sum.histogram, 3));
      const accumulator = new HistogramAccumulator(a);
      assert.equal(accumulator.add(b), sum !== undefined);
      accumulator.add(a);
      accumulator.total();
      assert.equal(typeof detectReset(a, b), "boolean");
      assert.equal(typeof histogramQuantile(x, a).value, "number");
      assert.equal(typeof histogramFraction(a, { lower: x, upper: y }).value, "number");
      assert.equal(typeof histogramVariance(a), "number");
      apiHistogram(trimHistogram(a, { limit: x, keeps: "below" }));
      apiHistogram(trimHistogram(a, { limit: x, keeps: "above" }));
      reduceResolution(a, -4);
    }),
    { numRuns: 1000 },
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FloatHistogram, withCounterResetHint } from "./histogram.ts";
import {
  addHistograms,
  compactHistogram,
  divideHistogram,
  kahanAddHistograms,
  multiplyHistogram,
  reduceResolution,
  subtractHistograms,
} from "./histogram-arithmetic.ts";
import { HistogramAccumulator } from "./histogram-accumulator.ts";
import { histogramsEqual } from "./histogram-equal.ts";
import { arbitraryHistogram, histogramOf, observations, populated } from "./histogram.fixture.ts";
import { detectReset } from "./histogram-reset.ts";
import { formatHistogram } from "./histogram-text.ts";

const exponential = histogramOf({
  schema: 1,
  threshold: 0.01,
  zeros: 2,
  count: 12,
  sum: 18.4,
  spans: [0, 2, 1, 2],
  buckets: [1, 2, 3, 1],
  negativeSpans: [0, 2],
  negativeBuckets: [1, 2],
});

test("adding brings both to the lower resolution and the wider zero bucket", () => {
  const wide = histogramOf({
    threshold: 1.2,
    zeros: 4,
    count: 9,
    sum: 3,
    spans: [1, 2],
    buckets: [2, 3],
  });
  // 1.2 cuts the populated bucket (1,1.41], then (1,2] of the other: the threshold grows to 2.
  const sum = addHistograms(exponential, wide)!;
  assert.equal(formatHistogram(sum.histogram), "{count:21, sum:21.4, [-2,2]:14, (2,4]:7}");
  assert.deepEqual(
    populated(wide.positiveSpans, wide.positiveBuckets),
    [
      [1, 2],
      [2, 3],
    ],
    "the inputs stay",
  );
  const difference = compactHistogram(subtractHistograms(wide, exponential)!.histogram);
  assert.equal(formatHistogram(difference), "{count:-3, sum:-15.399999999999999, (2,4]:-1}");
});

test("custom bounds are reduced to those both have", () => {
  const a = histogramOf({
    bounds: [1, 2, 5],
    count: 10,
    sum: 25,
    spans: [0, 4],
    buckets: [1, 4, 3, 2],
  });
  const b = histogramOf({
    bounds: [2, 3, 5],
    count: 6,
    sum: 20,
    spans: [0, 4],
    buckets: [1, 2, 1, 2],
  });
  const sum = addHistograms(a, b)!;
  assert.equal(sum.customBoundsReconciled, true);
  assert.equal(
    formatHistogram(sum.histogram),
    "{count:16, sum:45, [-Inf,2]:6, (2,5]:6, (5,+Inf]:4}",
  );
  assert.equal(addHistograms(a, a)!.customBoundsReconciled, false);
  const apart = addHistograms(
    a,
    histogramOf({ bounds: [7], count: 1, spans: [0, 1], buckets: [1] }),
  )!;
  assert.equal(formatHistogram(apart.histogram), "{count:11, sum:25, [-Inf,+Inf]:11}");
});

test("exponential and custom buckets do not add", () => {
  const custom = histogramOf({ bounds: [1] });
  assert.equal(addHistograms(exponential, custom), undefined);
  assert.equal(subtractHistograms(custom, exponential), undefined);
  assert.equal(kahanAddHistograms(custom, exponential), undefined);
  assert.equal(reduceResolution(custom, 0), undefined);
  assert.equal(reduceResolution(exponential, 2), undefined);
});

test("hints of a sum", () => {
  const hints = ["unknown", "reset", "not_reset", "gauge"] as const;
  const table = hints.map((a) =>
    hints.map((b) => {
      const sum = addHistograms(
        withCounterResetHint(exponential, a),
        withCounterResetHint(exponential, b),
      )!;
      return sum.histogram.counterResetHint + (sum.counterResetCollision ? "!" : "");
    }),
  );
  assert.deepEqual(table, [
    ["unknown", "unknown", "unknown", "gauge"],
    ["unknown", "reset", "unknown!", "gauge"],
    ["unknown", "unknown!", "not_reset", "gauge"],
    ["gauge", "gauge", "gauge", "gauge"],
  ]);
});

test("scaling", () => {
  const half = divideHistogram(exponential, 2);
  assert.deepEqual([half.count, half.sum, half.zeroCount], [6, 9.2, 1]);
  assert.deepEqual([...half.positiveBuckets], [0.5, 1, 1.5, 0.5]);
  assert.ok(histogramsEqual(multiplyHistogram(half, 2), exponential));
  assert.equal(multiplyHistogram(exponential, -1).counterResetHint, "gauge");
  assert.equal(divideHistogram(exponential, -1).counterResetHint, "gauge");
  const nothing = divideHistogram(exponential, 0);
  assert.deepEqual(
    [nothing.count, nothing.positiveBuckets.length, nothing.positiveSpans.length],
    [Infinity, 0, 0],
  );
});

test("a compensated sum keeps what a plain one loses", () => {
  const big = histogramOf({ count: 1e17, sum: 1e17, spans: [0, 1], buckets: [1e17] });
  const small = histogramOf({ count: 7, sum: 7, spans: [0, 2], buckets: [7, 1] });
  let sum: FloatHistogram = big;
  let compensation: FloatHistogram | undefined;
  for (let i = 0; i < 10; i++) {
    const next = kahanAddHistograms(sum, small, compensation)!;
    sum = next.histogram;
    compensation = next.compensation;
  }
  const total = addHistograms(sum, compensation!)!.histogram;
  const want = 1e17 + 70;
  assert.deepEqual([total.count, total.sum, ...total.positiveBuckets], [want, want, want, 10]);
  let plain: FloatHistogram = big;
  for (let i = 0; i < 10; i++) plain = addHistograms(plain, small)!.histogram;
  assert.notEqual(plain.count, want);
});

test("property: adding in place gives what adding one by one gives", () => {
  const list = fc
    .boolean()
    .chain((custom) =>
      fc.tuple(
        arbitraryHistogram({ custom, fractions: true }),
        fc.array(
          fc.oneof(
            fc.double({ min: 0.1, max: 9, noNaN: true }),
            arbitraryHistogram({ custom, fractions: true }),
          ),
          { minLength: 1, maxLength: 8 },
        ),
      ),
    );
  fc.assert(
    fc.property(list, ([first, rest]) => {
      const accumulator = new HistogramAccumulator(first);
      const snapshot = structuredClone(first);
      let sum: FloatHistogram = first;
      let compensation: FloatHistogram | undefined;
      let collision = false;
      let reconciled = false;
      let last = first;
      for (const item of rest) {
        last = typeof item === "number" ? multiplyHistogram(last, item) : item;
        assert.ok(accumulator.add(last));
        const next = kahanAddHistograms(sum, last, compensation)!;
        sum = next.histogram;
        compensation = next.compensation;
        collision ||= next.counterResetCollision;
        reconciled ||= next.customBoundsReconciled;
      }
      const want = addHistograms(sum, compensation!)!.histogram;
      const got = accumulator.total();
      assert.ok(histogramsEqual(compactHistogram(got), compactHistogram(want)));
      assert.equal(got.counterResetHint, want.counterResetHint);
      assert.equal(accumulator.counterResetCollision, collision);
      assert.equal(accumulator.customBoundsReconciled, reconciled);
      assert.deepEqual(first, snapshot, "the first histogram stays as it was");
      assert.ok(histogramsEqual(accumulator.total(), got), "asking twice gives the same");
    }),
  );
});

test("an accumulator refuses to mix exponential and custom buckets, and goes on", () => {
  const accumulator = new HistogramAccumulator(exponential);
  assert.equal(accumulator.total(), exponential);
  assert.equal(accumulator.add(histogramOf({ bounds: [1] })), false);
  assert.ok(accumulator.add(exponential));
  assert.equal(accumulator.total().count, 24);
});

test("property: compaction keeps populated buckets, fills small gaps and is idempotent", () => {
  fc.assert(
    fc.property(arbitraryHistogram(), fc.nat(4), (h, gap) => {
      const compact = compactHistogram(h, gap);
      assert.deepEqual(
        populated(compact.positiveSpans, compact.positiveBuckets),
        populated(h.positiveSpans, h.positiveBuckets),
      );
      for (let s = 2; s < compact.positiveSpans.length; s += 2)
        assert.ok(compact.positiveSpans[s]! > gap);
      const { positiveBuckets } = compact;
      assert.notEqual(positiveBuckets[0], 0);
      assert.notEqual(positiveBuckets[positiveBuckets.length - 1], 0);
      assert.deepEqual(compactHistogram(compact, gap), compact);
    }),
  );
});

test("property: sums of whole counts commute, and subtracting gives the other back", () => {
  fc.assert(
    fc.property(
      fc
        .boolean()
        .chain((custom) =>
          fc.tuple(
            arbitraryHistogram({ custom, threshold: 0 }),
            arbitraryHistogram({ custom, threshold: 0 }),
          ),
        ),
      ([a, b]) => {
        const sum = addHistograms(a, b)!;
        const other = addHistograms(b, a)!;
        assert.ok(
          histogramsEqual(compactHistogram(sum.histogram), compactHistogram(other.histogram)),
        );
        assert.equal(observations(sum.histogram), a.count + b.count);
        const back = subtractHistograms(sum.histogram, b)!.histogram;
        assert.equal(observations(back), a.count);
        const kahan = kahanAddHistograms(a, b)!;
        const total = addHistograms(kahan.histogram, kahan.compensation)!.histogram;
        assert.equal(observations(total), a.count + b.count);
      },
    ),
  );
});

test("property: reducing the resolution step by step or at once is the same and loses nothing", () => {
  fc.assert(
    fc.property(
      arbitraryHistogram({ custom: false, schema: 8 }),
      fc.integer({ min: -4, max: 7 }),
      (h, schema) => {
        const once = reduceResolution(h, schema)!;
        let steps: FloatHistogram = h;
        while (steps.schema > schema) steps = reduceResolution(steps, steps.schema - 1)!;
        assert.ok(histogramsEqual(once, steps));
        assert.equal(observations(once), h.count);
        assert.equal(once.counterResetHint, "unknown");
      },
    ),
  );
});

test("a reset is told by the hint or by any count that shrank", () => {
  const reset = (
    plain: Parameters<typeof histogramOf>[0],
    before: Parameters<typeof histogramOf>[0],
  ): boolean => detectReset(histogramOf(plain), histogramOf(before));
  const base = { count: 6, spans: [0, 3], buckets: [1, 2, 3] };
  assert.equal(reset(base, base), false);
  assert.equal(reset({ ...base, hint: "reset" }, base), true);
  assert.equal(reset({ ...base, count: 1, hint: "not_reset" }, base), false);
  assert.equal(reset({ ...base, count: 5 }, base), true);
  assert.equal(reset({ ...base, count: 9, buckets: [1, 1, 7] }, base), true);
  assert.equal(
    reset({ ...base, spans: [1, 2], buckets: [9, 9], count: 18 }, base),
    true,
    "a bucket is gone",
  );
  assert.equal(
    reset({ ...base, spans: [1, 2], buckets: [2, 9], count: 18 }, { ...base, buckets: [0, 2, 3] }),
    false,
    "an empty bucket is gone",
  );
  assert.equal(reset({ ...base, schema: 1 }, base), true, "a finer schema");
  assert.equal(
    reset({ ...base, schema: -1, spans: [0, 2], buckets: [1, 5] }, base),
    false,
    "a coarser one",
  );
  assert.equal(reset({ ...base, schema: -1, spans: [0, 2], buckets: [1, 4] }, base), true);
  assert.equal(reset(base, { ...base, threshold: 0.1 }), true, "a narrower zero bucket");
  assert.equal(
    reset({ count: 6, threshold: 1, zeros: 1, spans: [1, 2], buckets: [2, 3] }, base),
    false,
    "a wider one",
  );
  assert.equal(
    reset({ count: 6, threshold: 1.5, zeros: 3, spans: [2, 1], buckets: [3] }, base),
    true,
    "one that cuts a bucket",
  );
});

test("a reset of custom buckets is judged by the bounds both have", () => {
  const before = histogramOf({
    bounds: [1, 2, 5],
    count: 10,
    spans: [0, 4],
    buckets: [1, 4, 3, 2],
  });
  const grown = histogramOf({ bounds: [2, 5], count: 11, spans: [0, 3], buckets: [5, 4, 2] });
  assert.equal(detectReset(grown, before), false);
  const shrunk = histogramOf({ bounds: [2, 5], count: 11, spans: [0, 3], buckets: [4, 5, 2] });
  assert.equal(detectReset(shrunk, before), true);
  assert.equal(detectReset({ ...grown, count: 99 }, exponential), true);
  assert.equal(detectReset(histogramOf({ count: 99, spans: [0, 1], buckets: [99] }), grown), true);
});

test("property: a counter that only grew was not reset", () => {
  fc.assert(
    fc.property(
      arbitraryHistogram({ custom: false, threshold: 0 }),
      arbitraryHistogram({ custom: false, threshold: 0 }),
      (a, b) => {
        const later = withCounterResetHint(addHistograms(a, b)!.histogram, "unknown");
        assert.equal(detectReset(later, a), false);
        assert.equal(detectReset(compactHistogram(later), a), false);
        if (b.count > 0) assert.equal(detectReset(withCounterResetHint(a, "unknown"), later), true);
      },
    ),
  );
});

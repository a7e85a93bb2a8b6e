import fc from "fast-check";
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, newHistogram } from "./histogram.ts";
import { exponentialBound } from "./histogram-bounds.ts";

/** A histogram written shortly: spans and buckets as plain lists. Unnamed fields are zero or empty. */
export interface PlainHistogram {
  readonly hint?: FloatHistogram["counterResetHint"];
  readonly schema?: number;
  readonly threshold?: number;
  readonly zeros?: number;
  readonly count?: number;
  readonly sum?: number;
  readonly spans?: readonly number[];
  readonly buckets?: readonly number[];
  readonly negativeSpans?: readonly number[];
  readonly negativeBuckets?: readonly number[];
  readonly bounds?: readonly number[];
}

export function histogramOf(plain: PlainHistogram): FloatHistogram {
  return newHistogram({
    counterResetHint: plain.hint ?? "unknown",
    schema: plain.schema ?? (plain.bounds === undefined ? 0 : CUSTOM_BUCKETS_SCHEMA),
    zeroThreshold: plain.threshold ?? 0,
    zeroCount: plain.zeros ?? 0,
    count: plain.count ?? 0,
    sum: plain.sum ?? 0,
    positiveSpans: Int32Array.from(plain.spans ?? []),
    positiveBuckets: Float64Array.from(plain.buckets ?? []),
    negativeSpans: Int32Array.from(plain.negativeSpans ?? []),
    negativeBuckets: Float64Array.from(plain.negativeBuckets ?? []),
    customValues: Float64Array.from(plain.bounds ?? []),
  });
}

/** Index and count of every bucket that is not empty, ascending. */
export function populated(spans: Int32Array, buckets: Float64Array): [number, number][] {
  const found: [number, number][] = [];
  let index = 0;
  let k = 0;
  for (let s = 0; s < spans.length; s += 2) {
    index += spans[s]!;
    for (let left = spans[s + 1]!; left > 0; left--, index++, k++)
      if (buckets[k] !== 0) found.push([index, buckets[k]!]);
  }
  return found;
}

interface Stretch {
  readonly offset: number;
  readonly buckets: readonly number[];
}

export interface ArbitraryOptions {
  readonly custom?: boolean;
  readonly schema?: number;
  readonly threshold?: number;
  readonly hint?: FloatHistogram["counterResetHint"];
  /** Whether counts are any float ≥ 0; else they are small whole numbers. */
  readonly fractions?: boolean;
}

const BOUND_LISTS = [
  [0.1, 1, 2, 5, 10],
  [0.1, 1, 3, 5, 10],
  [-5, -1, 0, 1, 5],
  [0.0001, 33_554.43, 33_554.431, 1e9],
];

/** Valid histograms whose count is that of their buckets, none of which reaches into the zero bucket. */
export function arbitraryHistogram(options: ArbitraryOptions = {}): fc.Arbitrary<FloatHistogram> {
  const count =
    options.fractions === true
      ? fc.oneof(fc.nat(50), fc.double({ min: 0, max: 1e6, noNaN: true }))
      : fc.oneof(fc.constant(0), fc.nat(20), fc.nat(2 ** 40));
  const stretch = fc.record({
    offset: fc.nat(4),
    buckets: fc.array(count, { maxLength: 4 }),
  });
  const stretches = fc.array(stretch, { maxLength: 4 });
  const exponential = fc
    .record({
      schema: fc.constantFrom(
        ...(options.schema === undefined ? [-4, -1, 0, 2, 8] : [options.schema]),
      ),
      threshold: fc.constantFrom(
        ...(options.threshold === undefined ? [0, 2 ** -128, 0.25, 1] : [options.threshold]),
      ),
      zeros: count,
      first: fc.nat(16),
      positive: stretches,
      negative: stretches,
    })
    .map(({ schema, threshold, zeros, first, positive, negative }) => {
      const lowest = threshold === 0 ? -8 : firstIndexAbove(threshold, schema);
      const negativeSide = side(negative, lowest);
      return histogramOf({
        schema,
        threshold,
        zeros,
        ...side(positive, lowest + first),
        negativeSpans: negativeSide.spans,
        negativeBuckets: negativeSide.buckets,
      });
    });
  const custom = fc
    .record({
      bounds: fc.constantFrom(...BOUND_LISTS),
      offset: fc.nat(2),
      buckets: fc.array(count, { maxLength: 3 }),
    })
    .map(({ bounds, offset, buckets }) =>
      histogramOf({ bounds, spans: buckets.length > 0 ? [offset, buckets.length] : [], buckets }),
    );
  const shapes =
    options.custom === undefined ? [exponential, custom] : [options.custom ? custom : exponential];
  return fc
    .record({
      h: fc.oneof(...shapes),
      sum: fc.double({ noNaN: true, noDefaultInfinity: true }),
      hint: fc.constantFrom<FloatHistogram["counterResetHint"]>(
        ...(options.hint === undefined
          ? (["unknown", "not_reset", "reset", "gauge"] as const)
          : [options.hint]),
      ),
    })
    .map(({ h, sum, hint }) => ({ ...h, sum, counterResetHint: hint, count: observations(h) }));
}

/** All observations in buckets, added in one order. */
export function observations(h: FloatHistogram): number {
  let count = h.zeroCount;
  for (const bucket of h.negativeBuckets) count += bucket;
  for (const bucket of h.positiveBuckets) count += bucket;
  return count;
}

function side(
  stretches: readonly Stretch[],
  first: number,
): { spans: number[]; buckets: number[] } {
  return {
    spans: stretches.flatMap(({ offset, buckets }, i) => [
      i === 0 ? first + offset : offset,
      buckets.length,
    ]),
    buckets: stretches.flatMap(({ buckets }) => buckets),
  };
}

/** The lowest bucket that does not reach into the zero bucket. */
function firstIndexAbove(threshold: number, schema: number): number {
  let index = 1;
  while (exponentialBound(index - 2, schema) >= threshold) index--;
  return index;
}

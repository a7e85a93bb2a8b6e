import {
  CUSTOM_BUCKETS_SCHEMA,
  customBoundsMatch,
  type CounterResetHint,
  type FloatHistogram,
  NO_BUCKETS,
  NO_SPANS,
  usesCustomBuckets,
} from "./histogram.ts";
import { addMismatchedSides, commonBounds } from "./histogram-custom.ts";
import { newBuckets } from "./histogram-slab.ts";
import { KahanSum } from "./histogram-math.ts";
import { addSides, compactSide, EMPTY_SIDE, reduceSide, type Side } from "./histogram-side.ts";
import { reconcileZeroBuckets } from "./histogram-zero.ts";

/** The outcome of an addition or subtraction. */
export interface HistogramSum {
  readonly histogram: FloatHistogram;
  /** One of the two says "reset", the other "not_reset": worth a warning. */
  readonly counterResetCollision: boolean;
  /** Custom bounds differed and were reduced to those both have: worth an info. */
  readonly customBoundsReconciled: boolean;
}

/** A sum whose rounding errors are kept beside it, in a histogram of the same layout. */
export interface CompensatedSum extends HistogramSum {
  readonly compensation: FloatHistogram;
}

/** `h` without empty buckets, except gaps of at most `maxEmptyBuckets` (default 0) in a row, which are filled. */
export function compactHistogram(h: FloatHistogram, maxEmptyBuckets = 0): FloatHistogram {
  const oldPositive = positiveSide(h);
  const oldNegative = negativeSide(h);
  const positive = compactSide(oldPositive, maxEmptyBuckets);
  const negative = compactSide(oldNegative, maxEmptyBuckets);
  if (positive === oldPositive && negative === oldNegative) return h;
  return withSides(h, positive, negative);
}

/**
 * `h` at a lower resolution. As in Prometheus the hint is lost when the schema really changes. The target must not be
 * finer than the schema of `h`; custom buckets cannot be reduced (undefined in both cases).
 */
export function reduceResolution(h: FloatHistogram, schema: number): FloatHistogram | undefined {
  if (schema === h.schema) return h;
  if (usesCustomBuckets(h) || schema > h.schema || schema === CUSTOM_BUCKETS_SCHEMA)
    return undefined;
  const steps = h.schema - schema;
  return withSides(
    { ...h, schema, counterResetHint: "unknown" },
    reduceSide(positiveSide(h), steps),
    reduceSide(negativeSide(h), steps),
  );
}

/** `h` with every count and the sum multiplied; a negative factor makes it a gauge. */
export function multiplyHistogram(h: FloatHistogram, factor: number): FloatHistogram {
  return {
    counterResetHint: factor < 0 ? "gauge" : h.counterResetHint,
    schema: h.schema,
    zeroThreshold: h.zeroThreshold,
    zeroCount: h.zeroCount * factor,
    count: h.count * factor,
    sum: h.sum * factor,
    positiveSpans: h.positiveSpans,
    negativeSpans: h.negativeSpans,
    positiveBuckets: scaleBuckets(h.positiveBuckets, factor),
    negativeBuckets: scaleBuckets(h.negativeBuckets, factor),
    customValues: h.customValues,
  };
}

/** As `multiplyHistogram`, dividing; dividing by zero leaves no buckets. */
export function divideHistogram(h: FloatHistogram, divisor: number): FloatHistogram {
  const isZero = divisor === 0;
  return {
    counterResetHint: divisor < 0 ? "gauge" : h.counterResetHint,
    schema: h.schema,
    zeroThreshold: h.zeroThreshold,
    zeroCount: h.zeroCount / divisor,
    count: h.count / divisor,
    sum: h.sum / divisor,
    positiveSpans: isZero ? NO_SPANS : h.positiveSpans,
    negativeSpans: isZero ? NO_SPANS : h.negativeSpans,
    positiveBuckets: isZero ? NO_BUCKETS : divideBuckets(h.positiveBuckets, divisor),
    negativeBuckets: isZero ? NO_BUCKETS : divideBuckets(h.negativeBuckets, divisor),
    customValues: h.customValues,
  };
}

/**
 * `a + b` after bringing both to the lower resolution and one zero bucket. May hold empty buckets. Undefined when one
 * is exponential and the other has custom buckets.
 */
export function addHistograms(a: FloatHistogram, b: FloatHistogram): HistogramSum | undefined {
  return combine(a, b, false);
}

/** `a − b` as `addHistograms`. The `-` operator makes the result a gauge besides; this function does not. */
export function subtractHistograms(a: FloatHistogram, b: FloatHistogram): HistogramSum | undefined {
  return combine(a, b, true);
}

function combine(a: FloatHistogram, b: FloatHistogram, negate: boolean): HistogramSum | undefined {
  if (usesCustomBuckets(a) !== usesCustomBuckets(b)) return undefined;
  const sign = negate ? -1 : 1;
  const hint = sumHint(a.counterResetHint, b.counterResetHint);
  const count = a.count + sign * b.count;
  const sum = a.sum + sign * b.sum;
  if (usesCustomBuckets(a)) {
    const merged = addCustomSides({ a, b, negate });
    const totals = {
      counterResetHint: hint.hint,
      schema: a.schema,
      zeroThreshold: a.zeroThreshold,
      zeroCount: a.zeroCount,
      count,
      sum,
      customValues: merged.bounds,
    };
    return {
      histogram: withSides(totals, merged.side, EMPTY_SIDE),
      counterResetCollision: hint.collision,
      customBoundsReconciled: merged.reconciled,
    };
  }
  const zero = reconcileZeroBuckets(a, b);
  const h = zero.histogram;
  const schema = Math.min(h.schema, b.schema);
  const options = { schema, zeroThreshold: h.zeroThreshold, negate };
  const aSteps = h.schema - schema;
  const bSteps = b.schema - schema;
  const totals = {
    counterResetHint: hint.hint,
    schema,
    zeroThreshold: h.zeroThreshold,
    zeroCount: h.zeroCount + sign * zero.otherZeroCount,
    count,
    sum,
    customValues: NO_BUCKETS,
  };
  const histogram = withSides(
    totals,
    addSides(reduceSide(positiveSide(h), aSteps), reduceSide(positiveSide(b), bSteps), options),
    addSides(reduceSide(negativeSide(h), aSteps), reduceSide(negativeSide(b), bSteps), options),
  );
  return { histogram, counterResetCollision: hint.collision, customBoundsReconciled: false };
}

/**
 * `sum + other` with Kahan summation in every field. Start without a compensation and hand in the last answer's from
 * then on; at the end `addHistograms(sum, compensation)` gives the total. Undefined as in `addHistograms`.
 */
export function kahanAddHistograms(
  sum: FloatHistogram,
  other: FloatHistogram,
  compensation?: FloatHistogram,
): CompensatedSum | undefined {
  if (usesCustomBuckets(sum) !== usesCustomBuckets(other)) return undefined;
  const hint = sumHint(sum.counterResetHint, other.counterResetHint);
  const errors = compensation ?? zeroCompensation(sum, hint.hint);
  const count = new KahanSum(sum.count, errors.count);
  count.add(other.count);
  const total = new KahanSum(sum.sum, errors.sum);
  total.add(other.sum);
  if (usesCustomBuckets(sum)) {
    const merged = addCustomSides({ a: sum, b: other, errors: errors.positiveBuckets });
    const totals = {
      counterResetHint: hint.hint,
      schema: sum.schema,
      zeroThreshold: sum.zeroThreshold,
      zeroCount: sum.zeroCount,
      count: count.sum,
      sum: total.sum,
      customValues: merged.bounds,
    };
    const totalErrors = {
      counterResetHint: errors.counterResetHint,
      schema: sum.schema,
      zeroThreshold: sum.zeroThreshold,
      zeroCount: 0,
      count: count.compensation,
      sum: total.compensation,
      customValues: merged.bounds,
    };
    return {
      histogram: withSides(totals, merged.side, EMPTY_SIDE),
      compensation: withSides(totalErrors, errorSide(merged.side), EMPTY_SIDE),
      counterResetCollision: hint.collision,
      customBoundsReconciled: merged.reconciled,
    };
  }
  const zero = reconcileZeroBuckets(sum, other, errors);
  const h = zero.histogram;
  const c = zero.compensation ?? errors;
  const zeroCount = new KahanSum(h.zeroCount, c.zeroCount);
  zeroCount.add(zero.otherZeroCount);
  zeroCount.add(zero.otherZeroError);
  const schema = Math.min(h.schema, other.schema);
  const options = { schema, zeroThreshold: h.zeroThreshold };
  const reduceOwn = (side: Side, sideErrors: Float64Array): Side =>
    reduceSide({ spans: side.spans, buckets: side.buckets, errors: sideErrors }, h.schema - schema);
  const reduceOther = (side: Side): Side =>
    other.schema === schema
      ? side
      : reduceSide(
          {
            spans: side.spans,
            buckets: side.buckets,
            errors: newBuckets(side.buckets.length),
          },
          other.schema - schema,
        );
  const positive = addSides(
    reduceOwn(positiveSide(h), c.positiveBuckets),
    reduceOther(positiveSide(other)),
    options,
  );
  const negative = addSides(
    reduceOwn(negativeSide(h), c.negativeBuckets),
    reduceOther(negativeSide(other)),
    options,
  );
  const totals = {
    counterResetHint: hint.hint,
    schema,
    zeroThreshold: h.zeroThreshold,
    zeroCount: zeroCount.sum,
    count: count.sum,
    sum: total.sum,
    customValues: NO_BUCKETS,
  };
  const totalErrors = {
    counterResetHint: c.counterResetHint,
    schema,
    zeroThreshold: h.zeroThreshold,
    zeroCount: zeroCount.compensation,
    count: count.compensation,
    sum: total.compensation,
    customValues: NO_BUCKETS,
  };
  return {
    histogram: withSides(totals, positive, negative),
    compensation: withSides(totalErrors, errorSide(positive), errorSide(negative)),
    counterResetCollision: hint.collision,
    customBoundsReconciled: false,
  };
}

/** The errors of a side as a side of their own. */
function errorSide(side: Side): Side {
  return { spans: side.spans, buckets: side.errors ?? NO_BUCKETS };
}

function zeroCompensation(h: FloatHistogram, hint: CounterResetHint): FloatHistogram {
  return {
    counterResetHint: hint,
    schema: h.schema,
    zeroThreshold: h.zeroThreshold,
    zeroCount: 0,
    count: 0,
    sum: 0,
    positiveSpans: h.positiveSpans,
    negativeSpans: h.negativeSpans,
    positiveBuckets: newBuckets(h.positiveBuckets.length),
    negativeBuckets: newBuckets(h.negativeBuckets.length),
    customValues: h.customValues,
  };
}

function addCustomSides(task: {
  a: FloatHistogram;
  b: FloatHistogram;
  negate?: boolean;
  errors?: Float64Array;
}): { side: Side; bounds: Float64Array; reconciled: boolean } {
  const { a, b, negate = false, errors } = task;
  const aSide: Side = { spans: a.positiveSpans, buckets: a.positiveBuckets, errors };
  if (customBoundsMatch(a.customValues, b.customValues)) {
    const options = { schema: CUSTOM_BUCKETS_SCHEMA, zeroThreshold: 0, negate };
    return {
      side: addSides(aSide, positiveSide(b), options),
      bounds: a.customValues,
      reconciled: false,
    };
  }
  const bounds = commonBounds(a.customValues, b.customValues);
  const side = addMismatchedSides(
    { ...aSide, bounds: a.customValues },
    { ...positiveSide(b), bounds: b.customValues },
    { bounds, negate },
  );
  return { side, bounds, reconciled: true };
}

/** The hint of a sum: a gauge wins, then "unknown"; a reset against no reset is a collision and becomes "unknown". */
export function sumHint(
  a: CounterResetHint,
  b: CounterResetHint,
): { hint: CounterResetHint; collision: boolean } {
  if (a === b) return { hint: a, collision: false };
  if (a === "gauge" || b === "gauge") return { hint: "gauge", collision: false };
  return { hint: "unknown", collision: a !== "unknown" && b !== "unknown" };
}

export function positiveSide(h: FloatHistogram): Side {
  return { spans: h.positiveSpans, buckets: h.positiveBuckets };
}

export function negativeSide(h: FloatHistogram): Side {
  return { spans: h.negativeSpans, buckets: h.negativeBuckets };
}

function withSides(h: Totals, positive: Side, negative: Side): FloatHistogram {
  // Spelled out, here and elsewhere: every histogram has one shape then, and spreading one costs more than adding two.
  return {
    counterResetHint: h.counterResetHint,
    schema: h.schema,
    zeroThreshold: h.zeroThreshold,
    zeroCount: h.zeroCount,
    count: h.count,
    sum: h.sum,
    positiveSpans: positive.spans,
    negativeSpans: negative.spans,
    positiveBuckets: positive.buckets,
    negativeBuckets: negative.buckets,
    customValues: h.customValues,
  };
}

/** All of a histogram but its sides. */
type Totals = Omit<
  FloatHistogram,
  "positiveSpans" | "negativeSpans" | "positiveBuckets" | "negativeBuckets"
>;

function scaleBuckets(buckets: Float64Array, factor: number): Float64Array {
  const scaled = newBuckets(buckets.length);
  for (let k = 0; k < scaled.length; k++) scaled[k] = buckets[k]! * factor;
  return scaled;
}

function divideBuckets(buckets: Float64Array, divisor: number): Float64Array {
  const scaled = newBuckets(buckets.length);
  for (let k = 0; k < scaled.length; k++) scaled[k] = buckets[k]! / divisor;
  return scaled;
}

import {
  customBoundsMatch,
  type CounterResetHint,
  type FloatHistogram,
  usesCustomBuckets,
} from "./histogram.ts";
import { addHistograms, kahanAddHistograms, sumHint } from "./histogram-arithmetic.ts";
import { KahanSum, sumError } from "./histogram-math.ts";
import { sameSpans, startsAbove } from "./histogram-side.ts";

/**
 * The Kahan sum of many histograms. It equals a chain of `kahanAddHistograms`, but as long as the histograms have the
 * buckets of the sum, as those of one metric mostly do, it is added to in place and nothing is allocated.
 */
export class HistogramAccumulator {
  /** A reset met no reset in any addition: worth a warning. */
  counterResetCollision = false;
  /** Custom bounds differed in any addition: worth an info. */
  customBoundsReconciled = false;

  /** Schema, spans, zero threshold and bounds of the sum; its counts are out of date once `#open` is set. */
  #sum: FloatHistogram;
  #compensation: FloatHistogram | undefined;
  /** The counts while they are added to in place. */
  #open: OpenSum | undefined;

  /** Begins with `first`, or goes on with a sum and its compensation. */
  constructor(first: FloatHistogram, compensation?: FloatHistogram) {
    this.#sum = first;
    this.#compensation = compensation;
  }

  /** Adds `h`. False, with nothing added, when one has exponential and the other custom buckets. */
  add(h: FloatHistogram): boolean {
    if (this.#hasLayoutOf(h)) {
      this.#open ??= new OpenSum(this.#sum, this.#compensation);
      if (this.#open.add(h)) this.counterResetCollision = true;
      return true;
    }
    this.#close();
    const result = kahanAddHistograms(this.#sum, h, this.#compensation);
    if (result === undefined) return false;
    this.#sum = result.histogram;
    this.#compensation = result.compensation;
    if (result.counterResetCollision) this.counterResetCollision = true;
    if (result.customBoundsReconciled) this.customBoundsReconciled = true;
    return true;
  }

  /** The sum so far, rounding errors added in; may hold empty buckets. */
  total(): FloatHistogram {
    this.#close();
    if (this.#compensation === undefined) return this.#sum;
    return addHistograms(this.#sum, this.#compensation)?.histogram ?? this.#sum;
  }

  #hasLayoutOf(h: FloatHistogram): boolean {
    const sum = this.#sum;
    return (
      h.schema === sum.schema &&
      h.zeroThreshold === sum.zeroThreshold &&
      h.positiveBuckets.length === sum.positiveBuckets.length &&
      h.negativeBuckets.length === sum.negativeBuckets.length &&
      sameSpans(h.positiveSpans, sum.positiveSpans) &&
      sameSpans(h.negativeSpans, sum.negativeSpans) &&
      customBoundsMatch(h.customValues, sum.customValues) &&
      startsAbove({ spans: h.positiveSpans, buckets: h.positiveBuckets }, h) &&
      startsAbove({ spans: h.negativeSpans, buckets: h.negativeBuckets }, h)
    );
  }

  #close(): void {
    if (this.#open === undefined) return;
    [this.#sum, this.#compensation] = this.#open.close(this.#sum);
    this.#open = undefined;
  }
}

class OpenSum {
  #hint: CounterResetHint;
  readonly #compensationHint: CounterResetHint | undefined;
  readonly #isCustom: boolean;
  readonly #count: KahanSum;
  readonly #sum: KahanSum;
  readonly #zeroCount: KahanSum;
  readonly #positive: Float64Array;
  readonly #positiveErrors: Float64Array;
  readonly #negative: Float64Array;
  readonly #negativeErrors: Float64Array;

  constructor(h: FloatHistogram, compensation: FloatHistogram | undefined) {
    this.#hint = h.counterResetHint;
    this.#compensationHint = compensation?.counterResetHint;
    this.#isCustom = usesCustomBuckets(h);
    this.#count = new KahanSum(h.count, compensation?.count);
    this.#sum = new KahanSum(h.sum, compensation?.sum);
    this.#zeroCount = new KahanSum(h.zeroCount, compensation?.zeroCount);
    // Copies: the lists of a histogram may be shared with others.
    this.#positive = h.positiveBuckets.slice();
    this.#negative = h.negativeBuckets.slice();
    this.#positiveErrors =
      compensation?.positiveBuckets.slice() ?? new Float64Array(this.#positive.length);
    this.#negativeErrors =
      compensation?.negativeBuckets.slice() ?? new Float64Array(this.#negative.length);
  }

  /** Adds a histogram of the same layout; true if a reset met no reset. */
  add(h: FloatHistogram): boolean {
    this.#count.add(h.count);
    this.#sum.add(h.sum);
    if (!this.#isCustom) this.#zeroCount.add(h.zeroCount);
    addInPlace(this.#positive, this.#positiveErrors, h.positiveBuckets);
    addInPlace(this.#negative, this.#negativeErrors, h.negativeBuckets);
    if (h.counterResetHint === this.#hint) return false;
    const { hint, collision } = sumHint(this.#hint, h.counterResetHint);
    this.#hint = hint;
    return collision;
  }

  /** The sum and its compensation, in the layout of `layout`. */
  close(layout: FloatHistogram): [FloatHistogram, FloatHistogram] {
    return [
      {
        counterResetHint: this.#hint,
        schema: layout.schema,
        zeroThreshold: layout.zeroThreshold,
        zeroCount: this.#zeroCount.sum,
        count: this.#count.sum,
        sum: this.#sum.sum,
        positiveSpans: layout.positiveSpans,
        negativeSpans: layout.negativeSpans,
        positiveBuckets: this.#positive,
        negativeBuckets: this.#negative,
        customValues: layout.customValues,
      },
      {
        // The hint of a compensation never decides a sum: it is that of the sum at some time, or less specific.
        counterResetHint: this.#compensationHint ?? this.#hint,
        schema: layout.schema,
        zeroThreshold: layout.zeroThreshold,
        zeroCount: this.#zeroCount.compensation,
        count: this.#count.compensation,
        sum: this.#sum.compensation,
        positiveSpans: layout.positiveSpans,
        negativeSpans: layout.negativeSpans,
        positiveBuckets: this.#positiveErrors,
        negativeBuckets: this.#negativeErrors,
        customValues: layout.customValues,
      },
    ];
  }
}

function addInPlace(sums: Float64Array, errors: Float64Array, increments: Float64Array): void {
  for (let k = 0; k < sums.length; k++) {
    const increment = increments[k]!;
    const before = sums[k]!;
    const total = before + increment;
    sums[k] = total;
    const isInfinite = total === Infinity || total === -Infinity;
    errors[k] = isInfinite ? 0 : errors[k]! + sumError(increment, before, total);
  }
}

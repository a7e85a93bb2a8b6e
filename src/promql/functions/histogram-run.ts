import { customBoundsMatch, type FloatHistogram, spanBucketCount } from "../../model/histogram.ts";
import { compactHistogram } from "../../model/histogram-arithmetic.ts";
import { detectReset } from "../../model/histogram-reset.ts";
import { sameSpans, startsAbove } from "../../model/histogram-side.ts";
import { newBuckets } from "../../model/histogram-slab.ts";
import type { HistogramSamples } from "../operators/row.ts";

/**
 * What is to be known of the samples of a series for its rates, found once and not again for every window: where the
 * layout changes, where resets and gauges are. A window of one layout, as nearly all are, is computed in one pass over
 * its buckets, whatever its length; the arithmetic and its order are those of the general way.
 */
export class HistogramRun {
  readonly #samples: HistogramSamples;
  /** Counts up where a sample has another layout than the one before; −1 where the fast way does not apply. */
  readonly #layouts: Int32Array;
  /** Resets up to and including each sample, and gauges likewise. */
  readonly #resets: Int32Array;
  readonly #gauges: Int32Array;

  constructor(samples: HistogramSamples) {
    const { histograms } = samples;
    const count = histograms.length;
    this.#samples = samples;
    this.#layouts = new Int32Array(count);
    this.#resets = new Int32Array(count);
    this.#gauges = new Int32Array(count);
    let layout = 0;
    let isPlain = false;
    let resets = 0;
    let gauges = 0;
    for (let i = 0; i < count; i++) {
      const histogram = histograms[i]!;
      const before = histograms[i - 1];
      if (before === undefined || !hasLayoutOf(histogram, before)) {
        layout++;
        isPlain = isPlainLayout(histogram);
      }
      if (before !== undefined && detectReset(histogram, before)) resets++;
      if (histogram.counterResetHint === "gauge") gauges++;
      this.#layouts[i] = isPlain ? layout : -1;
      this.#resets[i] = resets;
      this.#gauges[i] = gauges;
    }
  }

  /** Whether `increase` can say what samples [low, high) come to. */
  isOfOneLayout(low: number, high: number): boolean {
    return this.#layouts[low]! >= 0 && this.#layouts[low] === this.#layouts[high - 1];
  }

  hasGauge(low: number, high: number): boolean {
    return this.#gauges[high - 1]! > (low === 0 ? 0 : this.#gauges[low - 1]!);
  }

  /** Last minus first, with what resets took away added again for counters: compact, its arrays its own, a gauge. */
  change(low: number, high: number, isCounter: boolean): FloatHistogram {
    const { histograms } = this.#samples;
    const last = histograms[high - 1]!;
    const resets = this.#resets;
    // A first sample that was reset right after is left aside.
    const isFirstReset = isCounter && resets[low + 1]! > resets[low]!;
    const first = isFirstReset ? undefined : histograms[low]!;
    const positiveBuckets = minus(last.positiveBuckets, first?.positiveBuckets);
    const negativeBuckets = minus(last.negativeBuckets, first?.negativeBuckets);
    let count = first === undefined ? last.count : last.count - first.count;
    let sum = first === undefined ? last.sum : last.sum - first.sum;
    let zeroCount = first === undefined ? last.zeroCount : last.zeroCount - first.zeroCount;
    if (isCounter && resets[high - 1]! > resets[low]!)
      for (let i = low + (isFirstReset ? 2 : 1); i < high; i++) {
        if (resets[i] === resets[i - 1]) continue;
        const before = histograms[i - 1]!;
        count += before.count;
        sum += before.sum;
        zeroCount += before.zeroCount;
        add(positiveBuckets, before.positiveBuckets);
        add(negativeBuckets, before.negativeBuckets);
      }
    return compactHistogram({
      counterResetHint: "gauge",
      schema: last.schema,
      zeroThreshold: last.zeroThreshold,
      zeroCount,
      count,
      sum,
      positiveSpans: last.positiveSpans,
      negativeSpans: last.negativeSpans,
      positiveBuckets,
      negativeBuckets,
      customValues: last.customValues,
    });
  }
}

/** `histogram` times `factor` ≥ 0, in its own arrays, which nobody else may have. */
export function scaleInPlace(histogram: FloatHistogram, factor: number): FloatHistogram {
  const { positiveBuckets, negativeBuckets } = histogram;
  for (let k = 0; k < positiveBuckets.length; k++)
    positiveBuckets[k] = positiveBuckets[k]! * factor;
  for (let k = 0; k < negativeBuckets.length; k++)
    negativeBuckets[k] = negativeBuckets[k]! * factor;
  return {
    counterResetHint: histogram.counterResetHint,
    schema: histogram.schema,
    zeroThreshold: histogram.zeroThreshold,
    zeroCount: histogram.zeroCount * factor,
    count: histogram.count * factor,
    sum: histogram.sum * factor,
    positiveSpans: histogram.positiveSpans,
    negativeSpans: histogram.negativeSpans,
    positiveBuckets,
    negativeBuckets,
    customValues: histogram.customValues,
  };
}

function hasLayoutOf(a: FloatHistogram, b: FloatHistogram): boolean {
  return (
    a.schema === b.schema &&
    a.zeroThreshold === b.zeroThreshold &&
    a.positiveBuckets.length === b.positiveBuckets.length &&
    a.negativeBuckets.length === b.negativeBuckets.length &&
    sameSpans(a.positiveSpans, b.positiveSpans) &&
    sameSpans(a.negativeSpans, b.negativeSpans) &&
    customBoundsMatch(a.customValues, b.customValues)
  );
}

/** Whether the buckets can be taken as they stand: as many as the spans say, none within the zero bucket. */
function isPlainLayout(h: FloatHistogram): boolean {
  const isPlainSide = (spans: Int32Array, buckets: Float64Array): boolean =>
    buckets.length === 0 ||
    (spanBucketCount(spans) === buckets.length && startsAbove({ spans, buckets }, h));
  return (
    isPlainSide(h.positiveSpans, h.positiveBuckets) &&
    isPlainSide(h.negativeSpans, h.negativeBuckets)
  );
}

function minus(a: Float64Array, b: Float64Array | undefined): Float64Array {
  const difference = newBuckets(a.length);
  if (b === undefined) difference.set(a);
  else for (let k = 0; k < a.length; k++) difference[k] = a[k]! - b[k]!;
  return difference;
}

function add(sums: Float64Array, increments: Float64Array): void {
  for (let k = 0; k < sums.length; k++) sums[k] = sums[k]! + increments[k]!;
}

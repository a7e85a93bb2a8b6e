import { type CounterResetHint, type FloatHistogram, hasOverflow } from "../../model/histogram.ts";
import { HistogramAccumulator } from "../../model/histogram-accumulator.ts";
import {
  addHistograms,
  divideHistogram,
  kahanAddHistograms,
  multiplyHistogram,
} from "../../model/histogram-arithmetic.ts";
import { HINT_NOT_RESET, HINT_RESET } from "../../model/histogram-block.ts";
import type { HistogramNotes } from "./range-notes.ts";

/** Sums and means of many native histograms, compensated after Kahan. */

/** What has to be said about such a sum, once at its end. */
export class HintTracker {
  #resetSeen = false;
  #notResetSeen = false;
  #reconciledSeen = false;

  see(addend: { readonly counterResetHint: CounterResetHint }): void {
    if (addend.counterResetHint === "reset") this.#resetSeen = true;
    else if (addend.counterResetHint === "not_reset") this.#notResetSeen = true;
  }

  seeSum(sum: { readonly customBoundsReconciled: boolean }): void {
    if (sum.customBoundsReconciled) this.#reconciledSeen = true;
  }

  noteCollision(notes: HistogramNotes): void {
    if (this.#resetSeen && this.#notResetSeen) notes.collision("aggregation");
  }

  noteReconciled(notes: HistogramNotes): void {
    if (this.#reconciledSeen) notes.reconciled("aggregation");
  }
}

/** Whether hints given as bits say both "reset" and "not_reset". */
export function isCollision(hintsSeen: number): boolean {
  const both = (1 << HINT_RESET) | (1 << HINT_NOT_RESET);
  return (hintsSeen & both) === both;
}

export class HistogramTotal {
  readonly #tracker: HintTracker;
  #sum: HistogramAccumulator | undefined;

  /** `sum` is what has been added so far; the tracker has seen it. */
  constructor(tracker: HintTracker, sum?: HistogramAccumulator) {
    this.#tracker = tracker;
    this.#sum = sum;
  }

  /** False when exponential and custom buckets meet; the total is of no use then. */
  add(histogram: FloatHistogram): boolean {
    this.#tracker.see(histogram);
    if (this.#sum !== undefined) return this.#sum.add(histogram);
    this.#sum = new HistogramAccumulator(histogram);
    return true;
  }

  /** Undefined when nothing was added. */
  result(): FloatHistogram | undefined {
    if (this.#sum === undefined) return undefined;
    const total = this.#sum.total();
    this.#tracker.seeSum(this.#sum);
    return total;
  }
}

function compensated(
  sum: FloatHistogram,
  compensation: FloatHistogram | undefined,
  tracker: HintTracker,
): FloatHistogram {
  if (compensation === undefined) return sum;
  const total = addHistograms(sum, compensation);
  if (total === undefined) return sum;
  tracker.seeSum(total);
  return total.histogram;
}

/** A mean that is a sum as long as that does not overflow, and is carried on as a mean from then on. */
export class HistogramMean {
  readonly #tracker: HintTracker;
  #count = 0;
  #isMean = false;
  /** The sum, or the mean. */
  #value: FloatHistogram | undefined;
  #compensation: FloatHistogram | undefined;

  constructor(tracker: HintTracker) {
    this.#tracker = tracker;
  }

  /** False when exponential and custom buckets meet; the mean is of no use then. */
  add(histogram: FloatHistogram): boolean {
    this.#tracker.see(histogram);
    const count = ++this.#count;
    if (this.#value === undefined) {
      this.#value = histogram;
      return true;
    }
    if (!this.#isMean) {
      const sum = kahanAddHistograms(this.#value, histogram, this.#compensation);
      if (sum === undefined) return false;
      this.#tracker.seeSum(sum);
      if (!hasOverflow(sum.histogram)) {
        this.#value = sum.histogram;
        this.#compensation = sum.compensation;
        return true;
      }
      this.#isMean = true;
      this.#value = divideHistogram(this.#value, count - 1);
      this.#compensation &&= divideHistogram(this.#compensation, count - 1);
    }
    const q = (count - 1) / count;
    const mean = kahanAddHistograms(
      multiplyHistogram(this.#value, q),
      divideHistogram(histogram, count),
      this.#compensation && multiplyHistogram(this.#compensation, q),
    );
    if (mean === undefined) return false;
    this.#tracker.seeSum(mean);
    this.#value = mean.histogram;
    this.#compensation = mean.compensation;
    return true;
  }

  /** Undefined when nothing was added. */
  result(): FloatHistogram | undefined {
    if (this.#value === undefined) return undefined;
    if (this.#isMean) return compensated(this.#value, this.#compensation, this.#tracker);
    return compensated(
      divideHistogram(this.#value, this.#count),
      this.#compensation && divideHistogram(this.#compensation, this.#count),
      this.#tracker,
    );
  }
}

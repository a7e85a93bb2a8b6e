import { assert } from "../base/errors.ts";
import { type CounterResetHint, type FloatHistogram, NO_BUCKETS, NO_SPANS } from "./histogram.ts";

/**
 * Histograms as one list of floats, to hand them to another thread in a single buffer. One histogram:
 *
 *     hint ┊ schema ┊ zero threshold ┊ zero count ┊ count ┊ sum ┊ 5 lengths ┊ spans ┊ buckets ┊ custom bounds
 *
 * with the lengths of positive spans, negative spans, positive buckets, negative buckets and bounds, and their items in
 * the same order.
 */

const HEADER_COUNT = 11;
const HINTS: readonly CounterResetHint[] = ["unknown", "reset", "not_reset", "gauge"];

/** All of `histograms` in a list with a buffer of its own, which may be transferred. */
export function packHistograms(histograms: readonly FloatHistogram[]): Float64Array {
  let size = 0;
  for (const h of histograms)
    size +=
      HEADER_COUNT +
      h.positiveSpans.length +
      h.negativeSpans.length +
      h.positiveBuckets.length +
      h.negativeBuckets.length +
      h.customValues.length;
  const packed = new Float64Array(size);
  let at = 0;
  for (const h of histograms) {
    packed[at] = HINTS.indexOf(h.counterResetHint);
    packed[at + 1] = h.schema;
    packed[at + 2] = h.zeroThreshold;
    packed[at + 3] = h.zeroCount;
    packed[at + 4] = h.count;
    packed[at + 5] = h.sum;
    packed[at + 6] = h.positiveSpans.length;
    packed[at + 7] = h.negativeSpans.length;
    packed[at + 8] = h.positiveBuckets.length;
    packed[at + 9] = h.negativeBuckets.length;
    packed[at + 10] = h.customValues.length;
    at += HEADER_COUNT;
    for (const list of [
      h.positiveSpans,
      h.negativeSpans,
      h.positiveBuckets,
      h.negativeBuckets,
      h.customValues,
    ]) {
      packed.set(list, at);
      at += list.length;
    }
  }
  return packed;
}

/** What `packHistograms` packed. The lists of the histograms are windows of `packed`, which must not change any more. */
export function unpackHistograms(packed: Float64Array): FloatHistogram[] {
  const histograms: FloatHistogram[] = [];
  let at = 0;
  const take = (length: number): Float64Array => {
    if (length === 0) return NO_BUCKETS;
    at += length;
    return packed.subarray(at - length, at);
  };
  while (at < packed.length) {
    const header = at;
    at += HEADER_COUNT;
    const hint = HINTS[packed[header]!];
    assert(hint !== undefined, "unpackHistograms: not a list of packed histograms");
    const positiveSpans = take(packed[header + 6]!);
    const negativeSpans = take(packed[header + 7]!);
    histograms.push({
      counterResetHint: hint,
      schema: packed[header + 1]!,
      zeroThreshold: packed[header + 2]!,
      zeroCount: packed[header + 3]!,
      count: packed[header + 4]!,
      sum: packed[header + 5]!,
      positiveSpans: positiveSpans.length === 0 ? NO_SPANS : Int32Array.from(positiveSpans),
      negativeSpans: negativeSpans.length === 0 ? NO_SPANS : Int32Array.from(negativeSpans),
      positiveBuckets: take(packed[header + 8]!),
      negativeBuckets: take(packed[header + 9]!),
      customValues: take(packed[header + 10]!),
    });
  }
  return histograms;
}

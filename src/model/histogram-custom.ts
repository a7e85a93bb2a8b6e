import { NO_BUCKETS } from "./histogram.ts";
import { KahanSum } from "./histogram-math.ts";
import { type Side, spansOfIndexes } from "./histogram-side.ts";

/** A side with the custom bounds it counts by. */
export interface BoundedSide extends Side {
  readonly bounds: Float64Array;
}

/** The bounds both lists have, ascending. */
export function commonBounds(a: Float64Array, b: Float64Array): Float64Array {
  if (a.length === 0 || b.length === 0) return NO_BUCKETS;
  const common = new Float64Array(Math.min(a.length, b.length));
  let count = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      common[count++] = a[i]!;
      i++;
      j++;
    } else if (a[i]! < b[j]!) i++;
    else j++;
  }
  return common.slice(0, count);
}

/**
 * `a` plus (or minus) `b` where their bounds differ: both are counted again by the bounds they share. The sums are
 * Kahan's; empty buckets of the result are left out. `errors` of the result are always present.
 */
export function addMismatchedSides(
  a: BoundedSide,
  b: BoundedSide,
  options: { bounds: Float64Array; negate?: boolean },
): Required<Side> {
  const { bounds } = options;
  const sums = new Float64Array(bounds.length + 1);
  const errors = new Float64Array(bounds.length + 1);
  spread(a, { sums, errors, bounds, sign: 1 });
  spread(b, { sums, errors, bounds, sign: options.negate === true ? -1 : 1 });
  const indexes = new Int32Array(sums.length);
  let count = 0;
  for (let i = 0; i < sums.length; i++) {
    if (sums[i] === 0 && errors[i] === 0) continue;
    indexes[count] = i;
    sums[count] = sums[i]!;
    errors[count] = errors[i]!;
    count++;
  }
  return {
    spans: spansOfIndexes(indexes, count),
    buckets: sums.slice(0, count),
    errors: errors.slice(0, count),
  };
}

function spread(
  side: BoundedSide,
  into: { sums: Float64Array; errors: Float64Array; bounds: Float64Array; sign: number },
): void {
  const { sums, errors, bounds, sign } = into;
  const sum = new KahanSum();
  let index = 0;
  let k = 0;
  let common = 0;
  for (let s = 0; s + 1 < side.spans.length; s += 2) {
    index += side.spans[s]!;
    for (let left = side.spans[s + 1]!; left > 0 && k < side.buckets.length; left--, index++, k++) {
      let target = bounds.length;
      if (index < side.bounds.length) {
        const bound = side.bounds[index]!;
        while (common < bounds.length && bounds[common]! < bound) common++;
        target = common;
      }
      sum.sum = sums[target]!;
      sum.compensation = errors[target]!;
      sum.add(sign * side.buckets[k]!);
      if (side.errors !== undefined) sum.add(side.errors[k]!);
      sums[target] = sum.sum;
      errors[target] = sum.compensation;
    }
  }
}

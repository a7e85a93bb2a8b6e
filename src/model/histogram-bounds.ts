import { exp2, powerOfTwo, scale } from "../base/exponential.ts";
import { CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX } from "./histogram.ts";

/**
 * Bounds of exponential buckets within [0.5, 1), for schemas 0 to 8. Prometheus's table is not rounded correctly
 * everywhere; it is what this recurrence gives: a bound shared with the schema below is taken from there, every other
 * one is its neighbour times the growth factor. `histogram.test.ts` holds samples of the original.
 */
const FRACTIONS: readonly Float64Array[] = fractionTable();

function fractionTable(): Float64Array[] {
  const table = [new Float64Array([0.5])];
  for (let schema = 1; schema <= EXPONENTIAL_SCHEMA_MAX; schema++) {
    const coarser = table[schema - 1]!;
    const factor = exp2(2 ** -schema);
    const bounds = new Float64Array(1 << schema);
    for (let i = 0; i < bounds.length; i++)
      bounds[i] = i % 2 === 0 ? coarser[i / 2]! : bounds[i - 1]! * factor;
    table.push(bounds);
  }
  return table;
}

/**
 * The absolute upper bound of bucket `index` in an exponential `schema` (−4 … 8). The last bucket of regular floats
 * ends at the largest float, so that one more bucket is left for ±Inf.
 */
export function exponentialBound(index: number, schema: number): number {
  if (schema < 0) {
    const exponent = index * (1 << -schema);
    return exponent === 1024 ? Number.MAX_VALUE : powerOfTwo(exponent);
  }
  const fraction = FRACTIONS[schema]![index & ((1 << schema) - 1)]!;
  const exponent = (index >> schema) + 1;
  if (fraction === 0.5 && exponent === 1025) return Number.MAX_VALUE;
  return scale(fraction, exponent);
}

/** The upper bound of bucket `index` of any schema; outside the custom bounds it is −Inf or +Inf. */
export function upperBound(index: number, schema: number, customValues: Float64Array): number {
  if (schema !== CUSTOM_BUCKETS_SCHEMA) return exponentialBound(index, schema);
  if (index < 0) return -Infinity;
  return index < customValues.length ? customValues[index]! : Infinity;
}

/** The bucket of the coarser schema that bucket `index` falls into. `steps` is how many schemas lie between. */
export function coarserIndex(index: number, steps: number): number {
  // Shifts of 32 and more would start over; 31 leaves only the sign, as they should.
  return ((index - 1) >> Math.min(steps, 31)) + 1;
}

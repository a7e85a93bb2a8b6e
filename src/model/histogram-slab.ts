import { NO_BUCKETS } from "./histogram.ts";

/** Counts in one slab: 16 KiB, which is also what a single histogram that outlives its neighbours holds on to. */
const SLAB_COUNTS = 2048;
/** V8 keeps typed arrays up to this many floats in its heap; they are cheap without a slab. */
const HEAP_COUNTS = 8;

let slab = new Float64Array(SLAB_COUNTS);
let used = 0;

/**
 * A zeroed list of `size` counts, as a window of a larger buffer: a buffer of its own costs 20 times as much as adding
 * up the counts. So never take `.buffer` of a histogram's lists for theirs alone, and copy them before they are posted
 * to another thread.
 */
export function newBuckets(size: number): Float64Array {
  if (size === 0) return NO_BUCKETS;
  if (size <= HEAP_COUNTS || size > SLAB_COUNTS / 4) return new Float64Array(size);
  if (used + size > SLAB_COUNTS) {
    slab = new Float64Array(SLAB_COUNTS);
    used = 0;
  }
  const buckets = slab.subarray(used, used + size);
  used += size;
  return buckets;
}

/** The first `count` of `buckets`. */
export function firstBuckets(buckets: Float64Array, count: number): Float64Array {
  return count === buckets.length ? buckets : buckets.subarray(0, count);
}

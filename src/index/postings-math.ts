/** Set operations on postings: ascending lists of refs without repetition. Inputs are never changed. */

/** A list that is so many times longer than the other is searched, not gone through. */
const SEARCHED_RATIO = 32;
/** A list with at least one ref in so many becomes a bitmap: its making is cheaper than what mispredicted branches cost. */
const BITMAP_SPARSENESS = 64;

/** The refs in both lists. */
export function intersect(a: Int32Array, b: Int32Array): Int32Array {
  const [small, large] = a.length <= b.length ? [a, b] : [b, a];
  if (small.length === 0) return new Int32Array(0);
  if (small.length * SEARCHED_RATIO < large.length) return intersectBySearch(small, large);
  const span = large[large.length - 1]! - large[0]!;
  return span < large.length * BITMAP_SPARSENESS
    ? intersectByBitmap(small, large)
    : intersectByMerge(small, large);
}

function intersectBySearch(small: Int32Array, large: Int32Array): Int32Array {
  const out = new Int32Array(small.length);
  let count = 0;
  let from = 0;
  for (let i = 0; i < small.length; i++) {
    const ref = small[i]!;
    from = gallop(large, ref, from);
    if (large[from] === ref) out[count++] = ref;
  }
  return out.subarray(0, count);
}

function intersectByBitmap(small: Int32Array, large: Int32Array): Int32Array {
  const first = large[0]!;
  const last = large[large.length - 1]!;
  const bits = new Int32Array(((last - first) >>> 5) + 1);
  for (let j = 0; j < large.length; j++) {
    const place = large[j]! - first;
    bits[place >>> 5]! |= 1 << (place & 31);
  }
  const end = gallop(small, last + 1, 0);
  const out = new Int32Array(small.length);
  let count = 0;
  for (let i = gallop(small, first, 0); i < end; i++) {
    const ref = small[i]!;
    const place = ref - first;
    // Written always and kept by the bit: no branch that random refs would mislead.
    out[count] = ref;
    count += (bits[place >>> 5]! >>> (place & 31)) & 1;
  }
  return out.subarray(0, count);
}

function intersectByMerge(a: Int32Array, b: Int32Array): Int32Array {
  const out = new Int32Array(Math.min(a.length, b.length));
  let count = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const ref = a[i]!;
    // Without a branch too. Refs are positive, so their difference fits.
    const difference = (ref - b[j]!) | 0;
    const isLow = (difference - 1) >>> 31;
    const isHigh = (-difference - 1) >>> 31;
    out[count] = ref;
    count += isLow & isHigh;
    i += isLow;
    j += isHigh;
  }
  return out.subarray(0, count);
}

/** The refs of `a` that are not in `b`. */
export function subtract(a: Int32Array, b: Int32Array): Int32Array {
  if (b.length === 0) return a;
  const out = new Int32Array(a.length);
  let count = 0;
  let j = 0;
  for (let i = 0; i < a.length; i++) {
    const ref = a[i]!;
    if (j < b.length && b[j]! < ref) j = gallop(b, ref, j);
    if (b[j] !== ref) out[count++] = ref;
  }
  return out.subarray(0, count);
}

/** The refs in any of `lists`, which must not share any. */
export function uniteDisjoint(lists: readonly Int32Array[]): Int32Array {
  if (lists.length === 1) return lists[0]!;
  let size = 0;
  for (const list of lists) size += list.length;
  const out = new Int32Array(size);
  let at = 0;
  for (const list of lists) {
    out.set(list, at);
    at += list.length;
  }
  // The built-in sort of a typed array is a native sort of integers.
  return out.sort();
}

/** The first index from `from` on whose ref is not below `ref`: doubling steps, then halving. */
function gallop(list: Int32Array, ref: number, from: number): number {
  let step = 1;
  let low = from;
  let high = from;
  while (high < list.length && list[high]! < ref) {
    low = high + 1;
    high += step;
    step *= 2;
  }
  if (high > list.length) high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]! < ref) low = middle + 1;
    else high = middle;
  }
  return low;
}

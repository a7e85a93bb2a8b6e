/** Set operations on postings: ascending lists of refs without repetition. Inputs are never changed. */

/** The refs in both lists. */
export function intersect(a: Int32Array, b: Int32Array): Int32Array {
  const [small, large] = a.length <= b.length ? [a, b] : [b, a];
  const out = new Int32Array(small.length);
  let count = 0;
  if (small.length * 32 < large.length) {
    let from = 0;
    for (let i = 0; i < small.length; i++) {
      const ref = small[i]!;
      from = gallop(large, ref, from);
      if (large[from] === ref) out[count++] = ref;
    }
    return out.subarray(0, count);
  }
  let i = 0;
  let j = 0;
  while (i < small.length && j < large.length) {
    const x = small[i]!;
    const y = large[j]!;
    if (x === y) out[count++] = x;
    if (x <= y) i++;
    if (y <= x) j++;
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

// Sets of characters: pairs of first and last code point on the stack of regex-memory.as, or in memory that stays. Normal
// ones ascend and do not touch.

import { FOLDS, FOLD_SPAN_MAX } from "./regex-folds";
import { popTo, push, stackTop } from "./regex-memory";

export const MAX_CODE_POINT: u32 = 0x10ffff;
const INSERTIONS_MAX: u32 = 32;

/** Makes the pairs above `at` normal. */
export function normalize(at: usize): void {
  let isNormal = true;
  for (let i = at + 8; i < stackTop; i += 8)
    if (load<u32>(i) <= load<u32>(i - 4) + 1) {
      isNormal = false;
      break;
    }
  if (isNormal) return;
  sortPairs(at, <u32>((stackTop - at) >> 3));
  let last = at;
  for (let i = at + 8; i < stackTop; i += 8) {
    const from = load<u32>(i);
    const to = load<u32>(i, 4);
    if (from <= load<u32>(last, 4) + 1) {
      if (to > load<u32>(last, 4)) store<u32>(last, to, 4);
    } else {
      last += 8;
      store<u32>(last, from);
      store<u32>(last, to, 4);
    }
  }
  popTo(last + 8);
}

/** Sorts by the first of each pair. Few are out of order mostly, and these are put in their places; else Shell's sort. */
function sortPairs(at: usize, count: u32): void {
  let left = INSERTIONS_MAX;
  for (let i: u32 = 1; i < count; i++) {
    const from = at + (<usize>i << 3);
    const pair = load<u64>(from);
    if (<u32>pair >= load<u32>(from - 8)) continue;
    if (left-- == 0) {
      shellSort(at, count);
      return;
    }
    let low: u32 = 0;
    let high = i;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (load<u32>(at + (<usize>middle << 3)) < <u32>pair) low = middle + 1;
      else high = middle;
    }
    const to = at + (<usize>low << 3);
    memory.copy(to + 8, to, from - to);
    store<u64>(to, pair);
  }
}

function shellSort(at: usize, count: u32): void {
  let gap: u32 = 1;
  while (gap < count) gap = gap * 3 + 1;
  for (; gap > 0; gap = gap / 3) {
    const step = <usize>gap << 3;
    for (let i = gap; i < count; i++) {
      let to = at + (<usize>i << 3);
      const pair = load<u64>(to);
      for (; to >= at + step && load<u32>(to - step) > <u32>pair; to -= step)
        store<u64>(to, load<u64>(to - step));
      store<u64>(to, pair);
    }
  }
}

/** Sorts the words above `at`, of which many are in order already. */
export function sortWords(at: usize): void {
  const count = <u32>((stackTop - at) >> 2);
  let gap: u32 = 1;
  while (gap < count) gap = gap * 3 + 1;
  for (; gap > 0; gap = gap / 3) {
    const step = <usize>gap << 2;
    for (let i = gap; i < count; i++) {
      let to = at + (<usize>i << 2);
      const word = load<u32>(to);
      for (; to >= at + step && load<u32>(to - step) > word; to -= step)
        store<u32>(to, load<u32>(to - step));
      store<u32>(to, word);
    }
  }
}

export function pushRange(from: u32, to: u32): void {
  push(from);
  push(to);
}

/** Turns the pairs above `at` into those of all other code points. */
export function complement(at: usize): void {
  normalize(at);
  const end = stackTop;
  let from: u32 = 0;
  // They are written above, then moved.
  for (let i = at; i < end; i += 8) {
    if (load<u32>(i) > from) pushRange(from, load<u32>(i) - 1);
    from = load<u32>(i, 4) + 1;
  }
  if (from <= MAX_CODE_POINT) pushRange(from, MAX_CODE_POINT);
  const size = stackTop - end;
  memory.copy(at, end, size);
  popTo(at + size);
}

/** Adds all characters that differ from one of the pairs above `at` in case only. */
export function fold(at: usize): void {
  const end = stackTop;
  for (let i = at; i < end; i += 8) foldRange(load<u32>(i), load<u32>(i, 4));
}

function foldRange(from: u32, to: u32): void {
  const folds = changetype<usize>(FOLDS);
  const first: u32 = from > FOLD_SPAN_MAX ? from - FOLD_SPAN_MAX : 0;
  let low: u32 = 0;
  let high = <u32>FOLDS.length >> 2;
  const end = folds + (<usize>high << 4);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(folds + (<usize>middle << 4)) < first) low = middle + 1;
    else high = middle;
  }
  for (let run = folds + (<usize>low << 4); run < end; run += 16) {
    const runFrom = load<u32>(run);
    if (runFrom > to) break;
    const stride = load<u32>(run, 8);
    const delta = load<u32>(run, 12);
    let a = max(from, runFrom);
    if (((a - runFrom) & (stride - 1)) != 0) a++;
    const b = min(to, load<u32>(run, 4));
    if (a > b) continue;
    // Others that are in the range themselves are nothing new.
    if (a + delta >= from && b + delta <= to) continue;
    if (stride == 1) pushRange(a + delta, b + delta);
    else
      for (let code = a; code <= b; code += stride)
        if (code + delta < from || code + delta > to) pushRange(code + delta, code + delta);
  }
}

export function contains(ranges: usize, count: u32, code: u32): bool {
  let low: u32 = 0;
  let high = count >> 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > load<u32>(ranges + (<usize>middle << 3), 4)) low = middle + 1;
    else high = middle;
  }
  return low << 1 < count && load<u32>(ranges + (<usize>low << 3)) <= code;
}

/** Whether all of a normal set are of another one. */
export function isSubset(inner: usize, innerCount: u32, outer: usize, outerCount: u32): bool {
  const outerEnd = outer + (<usize>outerCount << 2);
  let at = outer;
  for (let i = inner, end = inner + (<usize>innerCount << 2); i < end; i += 8) {
    while (at < outerEnd && load<u32>(at, 4) < load<u32>(i)) at += 8;
    if (at >= outerEnd || load<u32>(at) > load<u32>(i) || load<u32>(at, 4) < load<u32>(i, 4))
      return false;
  }
  return true;
}

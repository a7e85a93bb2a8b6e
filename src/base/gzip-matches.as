// JSON as deflate blocks, in AssemblyScript: gzip.ts says why, gzip.test.ts compiles it. This file finds what was there
// before, gzip-codes.as writes it down.
//
// Most of a large answer are points, and a compressor that looks for repetitions at every byte loses its time on digits.
// So nothing is looked for within a number; else sixteen bytes are, and five when these were never there:
//
//     "],[1700000015,"42937"],[1700000030,"
//     └ 16: the same time in the series before; 5: the beginning of the time before
//                     └ a number of eight bytes or more: the same number before
//
// Series are alike, so what follows a match and the number behind it is expected where the same follows its twin.

import { addMatch, begin, finish, isFull, putBlock } from "./gzip-codes";

export { initialize } from "./gzip-codes";

/** How far back a match may lie. */
const WINDOW_BYTES: usize = 32 * 1024;
const LONG_BYTES: usize = 16;
const SHORT_BYTES: usize = 5;
/** A number of fewer bytes is compared with the one before it only, and with fewer still not at all. */
const NUMBER_BYTES: usize = 8;
const REPEATED_BYTES: usize = 4;
/** How many bytes more a match must cover to be preferred to another. */
const WORTH_BYTES: usize = 3;

/** Where 16 bytes or a number with some hash were last, and where 5 bytes were. */
const LONG_BITS: i32 = 15;
const SHORT_BITS: i32 = 13;
const PLACES: i32 = (1 << LONG_BITS) + (1 << SHORT_BITS);
let longPlaces: usize = 0;
let shortPlaces: usize = 0;

/** Odd, with bits all over (those of XXH64). */
const P1: u64 = 0x9e3779b185ebca87;
const P2: u64 = 0xc2b2ae3d27d4eb4f;

const TOP_BITS: u64 = 0x8080808080808080;

/** Where the bytes that a match is for were before. */
let last: usize = 0;

// @ts-ignore: decorator
@inline
function isNumber(byte: u8): bool {
  return <u32>byte - 46 < 12;
}

/** Where the digits, points and slashes from `at` on end. */
// @ts-ignore: decorator
@inline
function numberEnd(at: usize): usize {
  while (true) {
    const word = load<u64>(at);
    const low = word & ~TOP_BITS;
    // The top bits of bytes above 127, below 46 and above 57.
    const others = (word | ~(low + 0x5252525252525252) | (low + 0x4646464646464646)) & TOP_BITS;
    if (others != 0) return at + (<usize>ctz(others) >> 3);
    at += 8;
  }
}

/** The place of `hash` in a table of 2^`bits` places. */
// @ts-ignore: decorator
@inline
function placeOf(places: usize, hash: u64, bits: i32): usize {
  return places + (<usize>(hash >> <u64>(64 - bits)) << 2);
}

/** What stood in a place, where `at` stands now. */
// @ts-ignore: decorator
@inline
function exchange(place: usize, at: usize): usize {
  const before = <usize>load<u32>(place);
  store<u32>(place, <u32>at);
  return before;
}

// @ts-ignore: decorator
@inline
function isNear(candidate: usize, at: usize): bool {
  return at - candidate <= WINDOW_BYTES;
}

/** How far the bytes from `at` on are those from `last` on; they are up to `known`. */
// @ts-ignore: decorator
@inline
function matchEnd(at: usize, known: usize, end: usize): usize {
  let twin = last + (known - at);
  for (; known < end; known += 8, twin += 8) {
    const difference = load<u64>(twin) ^ load<u64>(known);
    if (difference != 0) return min(known + (<usize>ctz(difference) >> 3), end);
  }
  return end;
}

/** The end of what is at `at` and was before, or `at`. */
// @ts-ignore: decorator
@inline
function find(at: usize, end: usize, expected: usize): usize {
  const first = load<u64>(at);
  const second = load<u64>(at, 8);
  last = exchange(placeOf(longPlaces, first * P1 + second * P2, LONG_BITS), at);
  if (isNear(expected, at) && load<u64>(expected) == first && load<u64>(expected, 8) == second)
    last = expected;
  else if (!isNear(last, at) || load<u64>(last) != first || load<u64>(last, 8) != second) {
    last = exchange(placeOf(shortPlaces, (first << 24) * P1, SHORT_BITS), at);
    if (!isNear(last, at) || (load<u64>(last) ^ first) << 24 != 0) return at;
    return matchEnd(at, at + SHORT_BYTES, end);
  }
  return matchEnd(at, at + LONG_BYTES, end);
}

/** The same for a number, which ends at `end`; `before` is where the one before it is. */
// @ts-ignore: decorator
@inline
function findNumber(at: usize, end: usize, before: usize): usize {
  const first = load<u64>(at);
  if (end - at < NUMBER_BYTES) {
    last = before;
    return isNear(last, at) && (load<u64>(last) ^ first) << (64 - (<u64>(end - at) << 3)) == 0 ? end : at;
  }
  last = exchange(placeOf(longPlaces, first * P1, LONG_BITS), at);
  if (!isNear(last, at) || load<u64>(last) != first) return at;
  return matchEnd(at, at + NUMBER_BYTES, end);
}

/**
 * Writes the bytes from `from` to `end` as blocks, none of which says it is the last, and fills up the last byte: blocks of
 * more may follow. `room` is for tables; 16 bytes from `end` on are written to. The end of what was written to `out`.
 */
export function compress(from: usize, end: usize, room: usize, out: usize): usize {
  longPlaces = room;
  shortPlaces = room + (4 << LONG_BITS);
  // No place is near 0.
  memory.fill(room, 0, PLACES << 2);
  // These end a number.
  memory.fill(end, 0, 16);
  begin(from, out);
  let at = from;
  let literals = from;
  let expected: usize = 0;
  let numberBefore: usize = 0;
  while (at < end) {
    let next = find(at, end, expected);
    if (next < at + WORTH_BYTES) {
      at = isNumber(load<u8>(at)) ? numberEnd(at) : at + 1 + ((at - literals) >> 5);
      expected = 0;
      continue;
    }
    const after = numberEnd(next);
    expected = numberEnd(last + (next - at));
    // The number at the end of the match, or behind it.
    let number = next;
    while (number > at + WORTH_BYTES && isNumber(load<u8>(number - 1))) number--;
    if (after - number >= REPEATED_BYTES) {
      const twin = last;
      const wholeEnd = findNumber(number, after, numberBefore);
      numberBefore = number;
      if (wholeEnd > next + WORTH_BYTES) {
        addMatch(literals, at, number, twin);
        at = literals = number;
        next = wholeEnd;
      } else last = twin;
    }
    addMatch(literals, at, next, last);
    literals = next;
    at = max(after, next);
    if (isFull()) putBlock(literals, literals);
  }
  putBlock(literals, end);
  return finish();
}

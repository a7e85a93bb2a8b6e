// Of write-kernel.as: Protobuf's wire format.

/** What stands in place of an offset when there is none; higher ones are wire types that do not exist. */
const CUT_OFF: usize = 1;
const TOO_LONG: usize = 2;
const BEYOND: usize = 3;
const NUMBER_ZERO: usize = 4;
const WIRE_TYPE: usize = 8;
export const LAST_ERROR: usize = 15;

/** Where reading goes on after `varint`, or the error. */
export let next: usize = 0;

export function varint(from: usize, end: usize): u64 {
  let value: u64 = 0;
  let at = from;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) {
      next = CUT_OFF;
      return 0;
    }
    const byte = <u64>load<u8>(at++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      next = at;
      return value;
    }
  }
  next = TOO_LONG;
  return 0;
}

/** The end of the bytes whose size stands at `at`, which begin at `next`; or the error. */
// @ts-ignore: decorator
@inline
export function sized(at: usize, end: usize): usize {
  if (at < end) {
    const first = <usize>load<u8>(at);
    if (first < 0x80) {
      next = at + 1;
      return first <= end - next ? next + first : BEYOND;
    }
  }
  const size = varint(at, end);
  if (next <= LAST_ERROR) return next;
  return size <= <u64>(end - next) ? next + <usize>size : BEYOND;
}

/** Where the value ends that a field with this key has at `at`; or the error. */
export function skip(key: u32, at: usize, end: usize): usize {
  if (key < 8) return NUMBER_ZERO;
  switch (key & 7) {
    case 0:
      varint(at, end);
      return next;
    case 1:
      return end - at < 8 ? CUT_OFF : at + 8;
    case 2:
      return sized(at, end);
    case 5:
      return end - at < 4 ? CUT_OFF : at + 4;
    default:
      return WIRE_TYPE + (key & 7);
  }
}

let seriesFound: i32 = 0;
export let symbolsFound: i32 = 0;

export function seriesCount(): i32 {
  return seriesFound;
}

export function symbolCount(): i32 {
  return symbolsFound;
}

/** Counts the fields of the message that have these keys. Answers 0, or the error: then there is no such message. */
export function count(at: usize, end: usize, seriesKey: u32, symbolKey: u32): usize {
  seriesFound = symbolsFound = 0;
  while (at < end) {
    const key = <u32>varint(at, end);
    if (next <= LAST_ERROR) return next;
    if (key == seriesKey) seriesFound++;
    else if (key == symbolKey) symbolsFound++;
    at = skip(key, next, end);
    if (at <= LAST_ERROR) return at;
  }
  return 0;
}

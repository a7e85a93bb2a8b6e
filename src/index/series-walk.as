// Entries of series of an index, in AssemblyScript: series-walk.ts says why, series-walk.test.ts compiles it.
//
// The walk stops before the first entry that is not whole, damaged, or holds a number that no block has: the host looks at
// that one. Format: docs/format/index.md.

import { checksum, initialize } from "../base/crc32c";

export { initialize };

/** Beyond this a number is not exact as a double. */
const EXACT_MAX: u64 = (<u64>1) << 53;

/** Where the last number that was read ends; 0 when it is not whole. */
let next: usize = 0;

/** Where the last walk stopped writing symbols and chunks: how many there are. */
let symbolCount: u32 = 0;
let chunkCount: u32 = 0;

export function symbolsFound(): u32 {
  return symbolCount;
}

export function chunksFound(): u32 {
  return chunkCount;
}

// @ts-ignore: decorator
@inline
function uvarint(at: usize, end: usize): u64 {
  if (at < end) {
    const byte = load<u8>(at);
    if (byte < 128) {
      next = at + 1;
      return byte;
    }
  }
  return longUvarint(at, end);
}

function longUvarint(at: usize, end: usize): u64 {
  let value: u64 = 0;
  let shift: u64 = 0;
  while (at < end && shift < 63) {
    const byte = <u64>load<u8>(at++);
    value |= (byte & 127) << shift;
    if (byte < 128) {
      next = at;
      return value;
    }
    shift += 7;
  }
  next = 0;
  return 0;
}

/**
 * Walks the entries that start at `bytes + starts[i]`, `count` of them, all of which have to end before `end`; how many it
 * passed. Symbols go to `symbols`, and of chunks those that reach into `minTime` to `maxTime`, ms, to `minTimes`, `maxTimes`
 * and `refs`; where those of each entry end, to `symbolEnds` and `chunkEnds`.
 */
export function walk(
  bytes: usize,
  end: usize,
  starts: usize,
  count: u32,
  symbolMax: u32,
  minTime: f64,
  maxTime: f64,
  symbols: usize,
  symbolEnds: usize,
  minTimes: usize,
  maxTimes: usize,
  refs: usize,
  chunkEnds: usize,
): u32 {
  let symbolsDone: u32 = 0;
  let chunksDone: u32 = 0;
  let i: u32 = 0;
  for (; i < count; i++) {
    let at = bytes + load<u32>(starts + (i << 2));
    const size = uvarint(at, end);
    if (next == 0 || size > <u64>end || next + <usize>size + 4 > end) break;
    const length = <usize>size;
    at = next;
    const entryEnd = at + length;
    if (checksum(at, entryEnd, 0) != bswap(load<u32>(entryEnd))) break;
    const labels = uvarint(at, entryEnd);
    if (next == 0 || labels * 2 > size) break;
    at = next;
    let symbol = symbolsDone;
    const symbolEnd = symbol + (<u32>labels) * 2;
    for (; symbol < symbolEnd; symbol++) {
      const reference = uvarint(at, entryEnd);
      if (next == 0 || reference >= symbolMax) break;
      at = next;
      store<u32>(symbols + (symbol << 2), <u32>reference);
    }
    if (symbol < symbolEnd) break;
    const chunks = uvarint(at, entryEnd);
    if (next == 0 || chunks * 3 > size) break;
    at = next;
    let chunk = chunksDone;
    let time: i64 = 0;
    let ref: i64 = 0;
    let k: u64 = 0;
    for (; k < chunks; k++) {
      const start = uvarint(at, entryEnd);
      if (next == 0 || start > EXACT_MAX) break;
      time = k == 0 ? <i64>(start >> 1) ^ -(<i64>start & 1) : time + start;
      const chunkStart = time;
      const duration = uvarint(next, entryEnd);
      if (next == 0 || duration > EXACT_MAX) break;
      time += duration;
      const step = uvarint(next, entryEnd);
      if (next == 0 || step > EXACT_MAX) break;
      at = next;
      ref = k == 0 ? <i64>step : ref + (<i64>(step >> 1) ^ -(<i64>step & 1));
      if (ref < 0 || <u64>ref > EXACT_MAX || time > <i64>EXACT_MAX) break;
      if (<f64>chunkStart > maxTime || <f64>time < minTime) continue;
      store<f64>(minTimes + (chunk << 3), <f64>chunkStart);
      store<f64>(maxTimes + (chunk << 3), <f64>time);
      store<f64>(refs + (chunk << 3), <f64>ref);
      chunk++;
    }
    if (k < chunks || at != entryEnd) break;
    symbolsDone = symbolEnd;
    chunksDone = chunk;
    store<u32>(symbolEnds + (i << 2), symbolsDone);
    store<u32>(chunkEnds + (i << 2), chunksDone);
  }
  symbolCount = symbolsDone;
  chunkCount = chunksDone;
  return i;
}

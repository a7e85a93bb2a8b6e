// Newest samples of chunks, in AssemblyScript: newest-walk.ts says why, newest-walk.test.ts compiles it.
//
// The walk stops before the first chunk that is not whole, damaged or uncommonly long: the host looks at that one.
// Format: docs/format/block.md, docs/format/chunks.md.

import { checksum, initialize } from "../base/crc32c";
import { decode } from "../chunk/xor-kernel";

export { initialize };

const ENCODING_XOR: u8 = 1;
/** What stands for a chunk of another encoding, in place of how many samples there are. */
const OTHER: u32 = 0xffffffff;
const STALE_MARKER: u64 = 0x7ff0000000000002;

let byteCount: u32 = 0;

/** The bytes of the chunks of floats that the last walk passed. */
export function bytesFound(): u32 {
  return byteCount;
}

/**
 * Walks the chunks that start at `bytes + starts[i]`, `count` of them, all of which have to end before `end`; how many it
 * passed. Of each it writes how many samples it has to `counts`, and the newest one from `minTime` to `maxTime`, ms, to
 * `newest`: a stale marker when there is none. `turned`, `times` and `values` are room for `samplesMax` samples.
 */
export function walk(
  bytes: usize,
  end: usize,
  starts: usize,
  count: u32,
  minTime: f64,
  maxTime: f64,
  turned: usize,
  times: usize,
  values: usize,
  samplesMax: i32,
  counts: usize,
  newest: usize,
): u32 {
  byteCount = 0;
  let i: u32 = 0;
  for (; i < count; i++) {
    let at = bytes + load<u32>(starts + (i << 2));
    let size: usize = 0;
    let shift: usize = 0;
    let byte: usize = 128;
    while (byte > 127 && shift < 21 && at < end) {
      byte = <usize>load<u8>(at++);
      size |= (byte & 127) << shift;
      shift += 7;
    }
    if (byte > 127 || at + 1 + size + 4 > end) break;
    const data = at + 1;
    if (checksum(at, data + size, 0) != bswap(load<u32>(data + size))) break;
    if (load<u8>(at) != ENCODING_XOR) {
      store<u32>(counts + (i << 2), OTHER);
      continue;
    }
    if (size < 2) break;
    const samples = (<i32>load<u8>(data) << 8) | <i32>load<u8>(data, 1);
    if (samples > samplesMax) break;
    if (samples > 0 && decode(data, size, turned, times, values) != samples) break;
    let last = samples - 1;
    while (last >= 0 && load<f64>(times + ((<usize>last) << 3)) > maxTime) last--;
    const isThere = last >= 0 && load<f64>(times + ((<usize>last) << 3)) >= minTime;
    const bits = isThere ? load<u64>(values + ((<usize>last) << 3)) : STALE_MARKER;
    store<u64>(newest + (i << 3), bits);
    store<u32>(counts + (i << 2), samples);
    byteCount += <u32>size;
  }
  return i;
}

// XOR chunks into columns, in AssemblyScript: xor.ts says when, xor-kernel.test.ts compiles it.
//
// The bytes of a chunk are turned round first, so that an unaligned little-endian load gives 64 bits of the stream from the most
// significant one on: at least 57 of them, enough for the codes and most values of a sample.

/** Samples do not fit into the bytes; a value has more than 64 bits. */
const TOO_SHORT: i32 = -1;
const TOO_WIDE: i32 = -2;

/** Bits of the stream from position `p` on, at least 57; its first byte is at `base + 7`. */
// @ts-ignore: decorator
@inline
function bitsAt(base: usize, p: usize): u64 {
  return load<u64>(base - (p >> 3)) << (p & 7);
}

/** All 64 bits from position `p` on. */
// @ts-ignore: decorator
@inline
function wordAt(base: usize, p: usize): u64 {
  return bitsAt(base, p) | (<u64>load<u8>(base - (p >> 3) - 1) >> (8 - (p & 7)));
}

/** Copies the bytes from `from` to `end`, the first one to `to`, the others in front of it. */
// @ts-ignore: decorator
@inline
function turnRound(from: usize, end: usize, to: usize): void {
  for (let at = to - 15; from < end; from += 16, at -= 16) {
    const v = v128.load(from);
    v128.store(at, v128.shuffle<u8>(v, v, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
  }
}

/** The delta of the delta: an n-bit field holds −(2^(n−1)−1) … 2^(n−1), so the lowest value means the highest. */
// @ts-ignore: decorator
@inline
function signed(field: i64, highest: i64): f64 {
  return <f64>(field == -highest ? highest : field);
}

/** The varint that was read last. */
let varint: u64 = 0;

// @ts-ignore: decorator
@inline
function readVarint(at: usize): usize {
  varint = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    const byte = <u64>load<u8>(at++);
    varint |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  return at;
}

/**
 * Decodes the chunk of `size` bytes at `from`, which holds two samples or more or says so, into the columns at `times` and
 * `values`. `to` is where its first byte goes when it is turned round. The sample count, or what is wrong.
 */
export function decode(from: usize, size: usize, to: usize, times: usize, values: usize): i32 {
  const count = (<i32>load<u8>(from) << 8) | <i32>load<u8>(from, 1);
  turnRound(from, from + size, to);
  const base = to - 7;
  const limit = size << 3;
  let at = readVarint(from + 2);
  let t = <f64>((<i64>(varint >> 1)) ^ -(<i64>(varint & 1)));
  let p: usize = ((at - from) << 3) + 64;
  if (p > limit) return TOO_SHORT;
  let v = wordAt(base, p - 64);
  store<f64>(times, t);
  store<u64>(values, v);
  if (count == 1) return 1;
  at = readVarint(at + 8);
  let delta = <f64>varint;
  p = (at - from) << 3;
  const end = times + ((<usize>count) << 3);
  times += 8;
  values += 8;
  let significant: u64 = 64;
  let trailing: u64 = 0;
  let bits = bitsAt(base, p);
  // The second sample has no time code.
  let isSecond = true;
  while (times < end) {
    if (p > limit) return TOO_SHORT;
    if (isSecond) isSecond = false;
    else {
      bits = bitsAt(base, p);
      const head = bits >> 61;
      if (head == 2) {
        // Fast path: the same delta, and a value in the window of the one before.
        p += 3;
        const value = significant > 54 ? wordAt(base, p) : bits << 3;
        v ^= (value >> (64 - significant)) << trailing;
        p += <usize>significant;
        t += delta;
        store<f64>(times, t);
        store<u64>(values, v);
        times += 8;
        values += 8;
        continue;
      }
      if (head < 2) {
        // Fast path: each "00" is a sample with the same delta and value; of the 57 valid bits count the zero pairs.
        let run = <usize>(clz(bits | 128) >> 1);
        const left = (end - times) >> 3;
        if (run > left) run = left;
        p += run << 1;
        // Times are whole numbers: those of every second sample are the same by steps of twice the delta.
        let pair = f64x2.replace_lane(f64x2.splat(t + delta), 1, t + delta + delta);
        const step = f64x2.splat(delta + delta);
        const same = i64x2.splat(v);
        for (; run > 1; run -= 2) {
          v128.store(times, pair);
          v128.store(values, same);
          t = f64x2.extract_lane(pair, 1);
          pair = f64x2.add(pair, step);
          times += 16;
          values += 16;
        }
        if (run > 0) {
          t += delta;
          store<f64>(times, t);
          store<u64>(values, v);
          times += 8;
          values += 8;
        }
        continue;
      }
      if (<i64>bits >= 0) p += 1;
      else if (bits >> 62 == 2) {
        delta += signed((<i64>(bits << 2)) >> 50, 8192);
        p += 16;
      } else if (bits >> 61 == 6) {
        delta += signed((<i64>(bits << 3)) >> 47, 65536);
        p += 20;
      } else if (bits >> 60 == 14) {
        delta += signed((<i64>(bits << 4)) >> 44, 524288);
        p += 24;
      } else {
        delta += <f64>(<i64>wordAt(base, p + 4));
        p += 68;
      }
      bits = bitsAt(base, p);
    }
    t += delta;
    if (<i64>bits >= 0) p += 1;
    else {
      if ((bits & 0x4000000000000000) == 0) p += 2;
      else {
        const leading = (bits >> 57) & 31;
        significant = (bits >> 51) & 63;
        if (significant == 0) significant = 64;
        if (leading + significant > 64) return TOO_WIDE;
        trailing = 64 - leading - significant;
        p += 13;
      }
      v ^= (wordAt(base, p) >> (64 - significant)) << trailing;
      p += <usize>significant;
    }
    store<f64>(times, t);
    store<u64>(values, v);
    times += 8;
    values += 8;
  }
  return p > limit ? TOO_SHORT : count;
}

// Columns into XOR chunks, in AssemblyScript: xor-encode.ts says when, xor-encode-kernel.test.ts compiles it.
//
// Bits go out without a branch on how many they are: those that fill no byte are kept at the top of a word; with them, all codes
// and the value of a sample are two words at most, which are stored whole at the byte that they begin in.

/** Added to a whole number of less than 2^51, it has the number's lowest bits as its own, of negative ones too. */
const WHOLE: f64 = 6755399441055744;
/** The bits of its sum with 0. */
const NONE: u64 = 0x4338000000000000;

/** Stores two words with the most significant byte first. */
// @ts-ignore: decorator
@inline
function storeWords(to: usize, high: u64, low: u64): void {
  const v = i64x2.replace_lane(i64x2.splat(high), 1, low);
  v128.store(to, v128.shuffle<u8>(v, v, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8));
}

function putVarint(to: usize, value: u64): usize {
  for (; value >= 128; value >>= 7) store<u8>(to++, value | 128);
  store<u8>(to++, value);
  return to;
}

/**
 * Encodes the `count` samples, one or more, of the columns at `times` and `values` to `to`, where the longest chunk and two
 * words more have room. The end of the chunk, or 0 when the second time is before the first.
 */
export function encode(times: usize, values: usize, count: i32, to: usize): usize {
  store<u8>(to, count >> 8);
  store<u8>(to, count, 1);
  let t = load<f64>(times);
  let v = load<u64>(values);
  const first = <i64>t;
  let q = putVarint(to + 2, (first << 1) ^ (first >> 63));
  storeWords(q, v, 0);
  q += 8;
  if (count == 1) return q;
  let delta = load<f64>(times, 8) - t;
  if (delta < 0) return 0;
  q = putVarint(q, <u64>delta);
  t += delta;
  const end = times + ((<usize>count) << 3);
  times += 8;
  values += 8;
  // Of the byte at `q` so many bits are taken, at most seven: these, at the top of a word.
  let taken: u64 = 0;
  let pending: u64 = 0;
  // The window of the value before: the first value opens another, as none has so many leading zeros.
  let leading: u64 = 64;
  let trailing: u64 = 0;
  let width: u64 = 0;
  // The code of the time, which the second sample has none of, and then those of the value behind it.
  let code: u64 = 0;
  let length: u64 = 0;
  while (true) {
    const next = load<u64>(values);
    const xor = next ^ v;
    v = next;
    times += 8;
    values += 8;
    let value: u64 = 0;
    let significant: u64 = 0;
    if (xor == 0) {
      code <<= 1;
      length += 1;
    } else {
      // Five bits hold the count of leading zeros.
      const zeros = min<u64>(clz(xor), 31);
      const after = ctz(xor);
      if (zeros < leading || after < trailing) {
        leading = zeros;
        trailing = after;
        width = 64 - leading - trailing;
        code = (code << 13) | (3 << 11) | (leading << 6) | (width & 63);
        length += 13;
      } else {
        code = (code << 2) | 2;
        length += 2;
      }
      value = xor << leading;
      significant = width;
    }
    const front = taken + length;
    const high = pending | ((code << (64 - length)) >> taken) | (value >> front);
    const low = value << (64 - front);
    storeWords(q, high, low);
    taken = front + significant;
    q += <usize>(taken >> 3);
    pending = (<u64>load<u8>(q)) << 56;
    taken &= 7;
    if (xor == 0) {
      // Fast path: samples that go on in the same way are two zero bits each.
      const from = times;
      while (times < end && load<u64>(values) == v && load<f64>(times) - t == delta) {
        t += delta;
        times += 8;
        values += 8;
      }
      for (taken += (<u64>(times - from)) >> 2; taken >= 64; taken -= 64) {
        storeWords(q, pending, 0);
        pending = 0;
        q += 8;
      }
      storeWords(q, pending, 0);
      q += <usize>(taken >> 3);
      pending <<= taken & 56;
      taken &= 7;
    }
    if (times >= end) break;
    const gap = load<f64>(times) - t;
    const change = gap - delta;
    t += gap;
    delta = gap;
    const bits = reinterpret<u64>(change + WHOLE);
    const isSame = bits == NONE;
    code = isSame ? 0 : 0x8000 | (bits & 0x3fff);
    length = isSame ? 1 : 16;
    if (bits - (NONE - 8191) > 16383) {
      if (bits - (NONE - 65535) <= 131071) {
        code = 0xc0000 | (bits & 0x1ffff);
        length = 20;
      } else if (bits - (NONE - 524287) <= 1048575) {
        code = 0xe00000 | (bits & 0xfffff);
        length = 24;
      } else {
        // Four ones and 64 bits.
        const whole = <u64>(<i64>change);
        storeWords(q, pending | ((<u64>0xf000000000000000) >> taken) | (whole >> (taken + 4)), whole << (60 - taken));
        taken += 4;
        q += 8;
        pending = whole << (64 - taken);
        if (taken >= 8) {
          q += 1;
          pending <<= 8;
          taken -= 8;
        }
        code = 0;
        length = 0;
      }
    }
  }
  return q + (taken > 0 ? 1 : 0);
}

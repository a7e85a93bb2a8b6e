// Of write-kernel.as: hashes of labels.

/** Odd, with bits all over (those of XXH64). */
export const P1: u64 = 0x9e3779b185ebca87;
export const P2: u64 = 0xc2b2ae3d27d4eb4f;
const P3: u64 = 0x165667b19e3779f9;
const P4: u64 = 0x85ebca77c2b2ae63;
const P5: u64 = 0x27d4eb2f165667c5;

/** The second half of a hash. */
export let hashHigh: u64 = 0;

// @ts-ignore: decorator
@inline
function round(state: u64, word: u64): u64 {
  return rotl<u64>(state + word * P2, 31) * P1;
}

// @ts-ignore: decorator
@inline
export function avalanche(word: u64): u64 {
  word = (word ^ (word >> 33)) * P2;
  word = (word ^ (word >> 29)) * P3;
  return word ^ (word >> 32);
}

/**
 * 128 bits over bytes. Each word goes into one of four lanes, or into two in different ways, and what a lane was goes into
 * its neighbour: words that cancel each other out in one lane have left their mark in another.
 */
export function hash(at: usize, end: usize): u64 {
  const size = end - at;
  let a = P1 + <u64>size;
  let b = P2;
  let c = P3;
  let d = P4;
  if (size >= 32) {
    const last = end - 32;
    for (;;) {
      // The last step takes the last 32 bytes, some of them for the second time.
      if (at > last) at = last;
      a = round(a ^ b, load<u64>(at));
      b = round(b ^ c, load<u64>(at, 8));
      c = round(c ^ d, load<u64>(at, 16));
      d = round(d ^ a, load<u64>(at, 24));
      if (at == last) break;
      at += 32;
    }
  } else {
    for (; at + 8 <= end; at += 8) {
      const word = load<u64>(at);
      a = round(a, word);
      b = (rotl<u64>(b, 27) ^ word) * P4;
    }
    if (at < end) {
      const word = load<u64>(at) & (((<u64>1) << ((end - at) << 3)) - 1);
      a = round(a, word);
      b = (rotl<u64>(b, 27) ^ word) * P4;
    }
  }
  hashHigh = avalanche(rotl<u64>(a, 18) * P3 + rotl<u64>(b, 12) * P4 + rotl<u64>(c, 7) * P5 + d * P1);
  return avalanche(a + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18));
}

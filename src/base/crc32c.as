// CRC-32C in AssemblyScript: crc32c.ts says when, crc32c.test.ts compiles it.
//
// Slicing by sixteen: sixteen table look-ups, which do not wait for each other, take in sixteen bytes at once.

const POLYNOMIAL: u32 = 0x82f63b78;
/** Sixteen tables of 256 words; table k tells what a byte does k bytes later. */
const TABLES = memory.data(16 * 1024, 64);

export function initialize(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    store<u32>(TABLES + (i << 2), crc);
  }
  for (let i: u32 = 256; i < 4096; i++) {
    const previous = load<u32>(TABLES + ((i - 256) << 2));
    store<u32>(TABLES + (i << 2), (previous >> 8) ^ table(0, previous & 255));
  }
}

// @ts-ignore: decorator
@inline
function table(k: usize, byte: u32): u32 {
  return load<u32>(TABLES + (k << 10) + ((<usize>byte) << 2));
}

/** Of four bytes, the last of which is followed by `later` more of the sixteen. */
// @ts-ignore: decorator
@inline
function four(word: u32, later: usize): u32 {
  return (
    table(later + 3, word & 255) ^
    table(later + 2, (word >> 8) & 255) ^
    table(later + 1, (word >> 16) & 255) ^
    table(later, word >> 24)
  );
}

/** The checksum of the bytes from `at` to `end`; `seed` continues an earlier one. */
export function checksum(at: usize, end: usize, seed: u32): u32 {
  return ~remainder(at, end, ~seed);
}

/** What the bytes from `at` to `end` leave after bytes that left `seed`. */
function remainder(at: usize, end: usize, seed: u32): u32 {
  let crc = seed;
  for (; at + 16 <= end; at += 16) crc = sixteen(at, crc);
  if (at + 8 <= end) {
    crc = four(load<u32>(at) ^ crc, 4) ^ four(load<u32>(at, 4), 0);
    at += 8;
  }
  if (at + 4 <= end) {
    crc = four(load<u32>(at) ^ crc, 0);
    at += 4;
  }
  for (; at < end; at++) crc = (crc >> 8) ^ table(0, (crc ^ load<u8>(at)) & 255);
  return crc;
}

// @ts-ignore: decorator
@inline
function sixteen(at: usize, crc: u32): u32 {
  return (
    four(load<u32>(at) ^ crc, 12) ^
    four(load<u32>(at, 4), 8) ^
    four(load<u32>(at, 8), 4) ^
    four(load<u32>(at, 12), 0)
  );
}

/**
 * The place of the first of `count` records with a wrong checksum, or `count`. Record i is the bytes from word 2i to word 2i + 1
 * at `places`; the last four are the checksum of those before, in network order.
 *
 * Two at a time: the look-ups of one are made while those of the other, each of which waits for the one before, are on their way.
 */
export function firstWrong(places: usize, count: u32): u32 {
  let i: u32 = 0;
  for (; i + 1 < count; i += 2) {
    const place = places + ((<usize>i) << 3);
    let a = <usize>load<u32>(place);
    let b = <usize>load<u32>(place, 8);
    const endA = <usize>load<u32>(place, 4) - 4;
    const endB = <usize>load<u32>(place, 12) - 4;
    const both = a + (min(endA - a, endB - b) & ~15);
    let crcA: u32 = ~0;
    let crcB: u32 = ~0;
    for (; a < both; a += 16, b += 16) {
      crcA = sixteen(a, crcA);
      crcB = sixteen(b, crcB);
    }
    if (~remainder(a, endA, crcA) != bswap(load<u32>(endA))) return i;
    if (~remainder(b, endB, crcB) != bswap(load<u32>(endB))) return i + 1;
  }
  if (i == count) return count;
  const place = places + ((<usize>i) << 3);
  const end = <usize>load<u32>(place, 4) - 4;
  return checksum(load<u32>(place), end, 0) == bswap(load<u32>(end)) ? count : i;
}

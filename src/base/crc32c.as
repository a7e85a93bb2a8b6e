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
  let crc = ~seed;
  for (; at + 16 <= end; at += 16)
    crc =
      four(load<u32>(at) ^ crc, 12) ^
      four(load<u32>(at, 4), 8) ^
      four(load<u32>(at, 8), 4) ^
      four(load<u32>(at, 12), 0);
  for (; at < end; at++) crc = (crc >> 8) ^ table(0, (crc ^ load<u8>(at)) & 255);
  return ~crc;
}

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
  for (; at + 16 <= end; at += 16)
    crc =
      four(load<u32>(at) ^ crc, 12) ^
      four(load<u32>(at, 4), 8) ^
      four(load<u32>(at, 8), 4) ^
      four(load<u32>(at, 12), 0);
  for (; at < end; at++) crc = (crc >> 8) ^ table(0, (crc ^ load<u8>(at)) & 255);
  return crc;
}

/** Records that are checked together, and the bytes of the largest that is. */
const GROUP: u32 = 16;
const SUMMED_MAX_BYTES: u32 = 1024;
/** Their sum: zeros between groups. */
const SUM = memory.data(1024 + 16 * 16 + 16, 16);
/** Masks that keep the first n of sixteen bytes, at 16 - n. */
const KEPT = memory.data<u8>([255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0], 16);

/**
 * The place of the first of `count` records with a wrong checksum, or `count`. Record i is the bytes from word 2i to word 2i + 1
 * at `places`; the last four are the checksum of those before, in network order.
 *
 * A record with its first four bytes and its checksum inverted, the latter in the other order, is a multiple of the polynomial,
 * wherever it starts. So is the sum (xor) of such records; that of a group, in which each starts sixteen bytes after the one
 * before, is one division for all. A wrong record alone leaves of the sum what it leaves by itself, times a power of x: it is
 * found as surely as by itself; several at once stay hidden once in 2^32 times.
 */
export function firstWrong(places: usize, count: u32): u32 {
  let first: u32 = 0;
  while (first < count) {
    let n: u32 = 0;
    let used: usize = 0;
    for (; n < GROUP && first + n < count; n++) {
      const record = places + ((<usize>(first + n)) << 3);
      const at = load<u32>(record);
      const end = load<u32>(record, 4);
      if (end - at > SUMMED_MAX_BYTES) break;
      used = max(used, addTo(at, end, SUM + ((<usize>n) << 4)));
    }
    if (n > 0) {
      const isRight = remainder(SUM, used, 0) == 0;
      memory.fill(SUM, 0, used - SUM);
      if (!isRight) for (let i: u32 = 0; i < n; i++) if (!isIntact(places, first + i)) return first + i;
      first += n;
    } else {
      if (!isIntact(places, first)) return first;
      first++;
    }
  }
  return count;
}

function isIntact(places: usize, i: u32): bool {
  const record = places + ((<usize>i) << 3);
  const end = load<u32>(record, 4) - 4;
  return checksum(load<u32>(record), end, 0) == bswap(load<u32>(end));
}

/** Adds the record from `at` to `end` to what lies at `into`; where that ends, a multiple of sixteen. */
function addTo(at: usize, end: usize, into: usize): usize {
  const last = end - 4;
  let sum = into;
  // The first four bytes are inverted.
  store<u32>(sum, ~load<u32>(sum));
  for (; at + 16 <= last; at += 16, sum += 16)
    v128.store(sum, v128.xor(v128.load(sum), v128.load(at)));
  const left = last - at;
  const kept = v128.and(v128.load(at), v128.load(KEPT + 16 - left));
  v128.store(sum, v128.xor(v128.load(sum), kept));
  const crc = sum + left;
  store<u32>(crc, load<u32>(crc) ^ ~bswap(load<u32>(last)));
  return (crc + 4 + 15) & ~15;
}

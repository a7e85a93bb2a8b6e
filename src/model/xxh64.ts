/**
 * xxHash64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) and decimal text of 64-bit numbers. Its trick: every 64-bit
 * number is two 32-bit halves, because BigInt would cost an allocation for each operation. A function that yields one
 * returns the low half and leaves the high half in `high`.
 */
export interface Hash64 {
  /** Upper 32 bits, unsigned. */
  readonly high: number;
  /** Lower 32 bits, unsigned. */
  readonly low: number;
}

const P1H = 0x9e3779b1 | 0;
const P1L = 0x85ebca87 | 0;
const P2H = 0xc2b2ae3d | 0;
const P2L = 0x27d4eb4f | 0;
const P3H = 0x165667b1 | 0;
const P3L = 0x9e3779f9 | 0;
const P4H = 0x85ebca77 | 0;
const P4L = 0xc2b2ae63 | 0;
const P5H = 0x27d4eb2f | 0;
const P5L = 0x165667c5 | 0;

let high = 0;

/** The hash, with seed 0, of `size` bytes from `start`. */
export function hashBytes64(
  bytes: Uint8Array,
  range: { start: number; size: number } = { start: 0, size: bytes.length },
): Hash64 {
  const { start, size } = range;
  const end = start + size;
  let at = start;
  let h: number;
  let l: number;
  if (size >= 32) {
    LANES[0] = P1H;
    LANES[1] = P1L;
    // Lane seeds: P1 + P2, P2, 0, −P1.
    LANES[1] = add(P1H, P1L, P2H, P2L);
    LANES[0] = high;
    LANES[2] = P2H;
    LANES[3] = P2L;
    LANES[4] = 0;
    LANES[5] = 0;
    LANES[7] = add(~P1H, ~P1L, 0, 1);
    LANES[6] = high;
    at = consumeStripes(bytes, start, end);
    l = mergeLanes();
    h = high;
  } else {
    h = P5H;
    l = P5L;
  }
  l = add(h, l, 0, size);
  h = high;
  for (; at + 8 <= end; at += 8) {
    const rounded = round(0, 0, word(bytes, at + 4), word(bytes, at));
    l ^= rounded;
    h ^= high;
    l = rotate(h, l, 27);
    l = multiply(high, l, P1H, P1L);
    l = add(high, l, P4H, P4L);
    h = high;
  }
  if (at + 4 <= end) {
    const product = multiply(0, word(bytes, at), P1H, P1L);
    l ^= product;
    h ^= high;
    l = rotate(h, l, 23);
    l = multiply(high, l, P2H, P2L);
    l = add(high, l, P3H, P3L);
    h = high;
    at += 4;
  }
  for (; at < end; at++) {
    const product = multiply(0, bytes[at]!, P5H, P5L);
    l ^= product;
    h ^= high;
    l = rotate(h, l, 11);
    l = multiply(high, l, P1H, P1L);
    h = high;
  }
  // Avalanche: x ^= x >>> 33; x *= P2; x ^= x >>> 29; x *= P3; x ^= x >>> 32.
  l ^= h >>> 1;
  l = multiply(h, l, P2H, P2L);
  h = high;
  l ^= (h << 3) | (l >>> 29);
  h ^= h >>> 29;
  l = multiply(h, l, P3H, P3L);
  h = high;
  l ^= h;
  return { high: h >>> 0, low: l >>> 0 };
}

/** Four 64-bit lanes as high, low, high, low, … */
const LANES = new Int32Array(8);

/** Works off whole stripes of 32 bytes; returns where the rest starts. */
function consumeStripes(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (; at + 32 <= end; at += 32) {
    for (let lane = 0; lane < 4; lane++) {
      const from = at + lane * 8;
      LANES[2 * lane + 1] = round(
        LANES[2 * lane]!,
        LANES[2 * lane + 1]!,
        word(bytes, from + 4),
        word(bytes, from),
      );
      LANES[2 * lane] = high;
    }
  }
  return at;
}

function mergeLanes(): number {
  let l = rotate(LANES[0]!, LANES[1]!, 1);
  let h = high;
  const second = rotate(LANES[2]!, LANES[3]!, 7);
  l = add(h, l, high, second);
  h = high;
  const third = rotate(LANES[4]!, LANES[5]!, 12);
  l = add(h, l, high, third);
  h = high;
  const fourth = rotate(LANES[6]!, LANES[7]!, 18);
  l = add(h, l, high, fourth);
  h = high;
  for (let lane = 0; lane < 4; lane++) {
    l ^= round(0, 0, LANES[2 * lane]!, LANES[2 * lane + 1]!);
    h ^= high;
    l = multiply(h, l, P1H, P1L);
    l = add(high, l, P4H, P4L);
    h = high;
  }
  high = h;
  return l;
}

/** rotl(accumulator + input × P2, 31) × P1 */
function round(accumulatorHigh: number, accumulatorLow: number, h: number, l: number): number {
  let low = multiply(h, l, P2H, P2L);
  low = add(accumulatorHigh, accumulatorLow, high, low);
  low = rotate(high, low, 31);
  return multiply(high, low, P1H, P1L);
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function add(ah: number, al: number, bh: number, bl: number): number {
  const low = (al + bl) | 0;
  high = (ah + bh + (low >>> 0 < al >>> 0 ? 1 : 0)) | 0;
  return low;
}

/** 0 < bits < 32 */
function rotate(h: number, l: number, bits: number): number {
  high = (h << bits) | (l >>> (32 - bits));
  return (l << bits) | (h >>> (32 - bits));
}

/** The low 64 bits of a product: 16-bit limbs for the carry between the halves, `imul` for the rest. */
function multiply(ah: number, al: number, bh: number, bl: number): number {
  const a0 = al & 0xffff;
  const a1 = al >>> 16;
  const b0 = bl & 0xffff;
  const b1 = bl >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const carry = a0 * b1 + (middle & 0xffff);
  high =
    (a1 * b1 +
      Math.floor(middle / 65536) +
      Math.floor(carry / 65536) +
      Math.imul(ah, bl) +
      Math.imul(al, bh)) |
    0;
  return Math.imul(al, bl);
}

/**
 * A 64-bit unsigned number as decimal text. 2^32 is 4294·10⁶ + 967296, so with the upper half times each part every step
 * stays below 2^53 and is exact.
 */
export function formatHash64(hash: Hash64): string {
  const millionths = hash.high * 967_296 + hash.low;
  const carry = Math.floor(millionths / 1e6);
  const upper = hash.high * 4294 + carry;
  const lower = String(millionths - carry * 1e6);
  return upper === 0 ? lower : String(upper) + lower.padStart(6, "0");
}

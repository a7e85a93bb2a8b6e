import { assert } from "../base/errors.ts";
import { ValueWords } from "./value-words.ts";
import { XOR_MAX_SAMPLES } from "./xor.ts";

/** A sample takes at most 4 + 64 bits of time and 13 + 64 bits of value. */
const SAMPLE_MAX_BYTES = 19;
/** Of a chunk: header and first sample, and what is written in words beyond the last one. */
const CHUNK_MAX_BYTES = 48;
const TWO_28 = 2 ** 28;
const TWO_32 = 2 ** 32;
/** Chunks are written one behind the other: a buffer for each would cost as much as encoding twenty samples. */
const SLAB_BYTES = 32 * 1024;

const valueWords = new ValueWords();
let slab = new Uint8Array(SLAB_BYTES);
let slabView = new DataView(slab.buffer);
let slabUsed = 0;

/** Sees to it that `slab` has room for `size` bytes from `slabUsed` on. */
function reserve(size: number): void {
  if (slabUsed + size <= slab.length) return;
  slab = new Uint8Array(Math.max(SLAB_BYTES, size));
  slabView = new DataView(slab.buffer);
  slabUsed = 0;
}

/** The chunk that ends at `end`. */
function take(end: number): Uint8Array {
  const start = slabUsed;
  slabUsed = end;
  if (slab.length === SLAB_BYTES) return new Uint8Array(slab.buffer, start, end - start);
  // A slab of its own for a chunk that may be large is mostly empty.
  const chunk = slab.slice(start, end);
  slabUsed = 0;
  slab = new Uint8Array(0);
  return chunk;
}

/**
 * Encodes samples `range.start` (inclusive) to `range.end` (exclusive) as one chunk, bytes equal to Prometheus's. Times
 * are whole milliseconds in ascending order; at most `XOR_MAX_SAMPLES` samples. The result is the caller's, but shares its
 * buffer with others: who keeps it for long keeps a copy.
 */
export function encodeXor(
  times: Float64Array,
  values: Float64Array,
  range: { start: number; end: number },
): Uint8Array {
  const { start, end } = range;
  const count = end - start;
  assert(
    start >= 0 && count >= 0 && count <= XOR_MAX_SAMPLES && end <= times.length,
    "encodeXor: the range has no valid sample count",
  );
  reserve(count * SAMPLE_MAX_BYTES + CHUNK_MAX_BYTES);
  const first = slabUsed;
  const bytes = slab;
  const view = slabView;
  const words = valueWords.of(values);
  bytes[first] = count >>> 8;
  bytes[first + 1] = count & 255;
  if (count === 0) return take(first + 2);
  let t = times[start]!;
  let q = putUvarint(bytes, first + 2, t >= 0 ? t * 2 : -t * 2 - 1);
  let high = words[2 * start + 1]!;
  let low = words[2 * start]!;
  view.setInt32(q, high);
  view.setInt32(q + 4, low);
  q += 8;
  if (count === 1) return take(q);
  let delta = times[start + 1]! - t;
  assert(delta >= 0, "encodeXor: times are not ascending");
  t = times[start + 1]!;
  q = putUvarint(bytes, q, delta);
  // `pending` holds the bits not yet written, left-aligned; `pendingCount` < 32 says how many.
  let pending = 0;
  let pendingCount = 0;
  let leading = 0xff;
  let trailing = 0;
  for (let k = start + 1; k < end; k++) {
    // The bits of the time, and then with them those in front of the value: `length` of them, at most 29.
    let bits = 0;
    let length = 0;
    if (k > start + 1) {
      const nextDelta = times[k]! - t;
      const change = nextDelta - delta;
      t = times[k]!;
      delta = nextDelta;
      if (change === 0) length = 1;
      else if (change >= -8191 && change <= 8192) {
        length = 16;
        bits = 0x8000 | (change & 0x3fff);
      } else {
        // Rare: these are put at once.
        let rest = 4;
        let top = 15;
        if (change >= -65535 && change <= 65536) {
          rest = 20;
          top = 0xc0000 | (change & 0x1ffff);
        } else if (change >= -524287 && change <= 524288) {
          rest = 24;
          top = 0xe00000 | (change & 0xfffff);
        }
        const total = pendingCount + rest;
        if (total < 32) {
          pending |= top << (32 - total);
          pendingCount = total;
        } else {
          view.setInt32(q, pending | (top >>> (total - 32)));
          q += 4;
          pendingCount = total - 32;
          pending = pendingCount === 0 ? 0 : top << (32 - pendingCount);
        }
        if (rest === 4) {
          // The 64 raw bits of a change beyond 20 bits.
          const upper = Math.floor(change / TWO_32);
          const lower = (change - upper * TWO_32) | 0;
          view.setInt32(q, pendingCount === 0 ? upper : pending | (upper >>> pendingCount));
          pending = pendingCount === 0 ? 0 : upper << (32 - pendingCount);
          view.setInt32(q + 4, pendingCount === 0 ? lower : pending | (lower >>> pendingCount));
          pending = pendingCount === 0 ? 0 : lower << (32 - pendingCount);
          q += 8;
        }
      }
    }
    const nextHigh = words[2 * k + 1]!;
    const nextLow = words[2 * k]!;
    const xorHigh = nextHigh ^ high;
    const xorLow = nextLow ^ low;
    high = nextHigh;
    low = nextLow;
    const isEqual = (xorHigh | xorLow) === 0;
    if (isEqual) {
      bits <<= 1;
      length++;
    } else {
      // The five bits of the leading-zero count hold at most 31.
      const zerosBefore = xorHigh !== 0 ? Math.clz32(xorHigh) : 31;
      const zerosAfter =
        xorLow !== 0 ? 31 - Math.clz32(xorLow & -xorLow) : 63 - Math.clz32(xorHigh & -xorHigh);
      if (leading === 0xff || zerosBefore < leading || zerosAfter < trailing) {
        leading = zerosBefore;
        trailing = zerosAfter;
        bits = (bits << 13) | (3 << 11) | (leading << 6) | ((64 - leading - trailing) & 63);
        length += 13;
      } else {
        bits = (bits << 2) | 2;
        length += 2;
      }
    }
    let total = pendingCount + length;
    if (total < 32) {
      pending |= bits << (32 - total);
      pendingCount = total;
    } else {
      view.setInt32(q, pending | (bits >>> (total - 32)));
      q += 4;
      pendingCount = total - 32;
      pending = pendingCount === 0 ? 0 : bits << (32 - pendingCount);
    }
    if (isEqual) {
      // Fast path: samples that go on in the same way are two zero bits each.
      let next = k + 1;
      while (
        next < end &&
        words[2 * next] === low &&
        words[2 * next + 1] === high &&
        times[next]! - t === delta
      )
        t = times[next++]!;
      pendingCount += 2 * (next - k - 1);
      k = next - 1;
      for (; pendingCount >= 32; pendingCount -= 32) {
        view.setInt32(q, pending);
        q += 4;
        pending = 0;
      }
      continue;
    }
    const significant = 64 - leading - trailing;
    const top = leading === 0 ? xorHigh : (xorHigh << leading) | (xorLow >>> (32 - leading));
    const bottom = leading === 0 ? xorLow : xorLow << leading;
    pending |= pendingCount === 0 ? top : top >>> pendingCount;
    total = pendingCount + significant;
    if (total < 32) {
      pendingCount = total;
      continue;
    }
    view.setInt32(q, pending);
    q += 4;
    pending =
      pendingCount === 0 ? bottom : (top << (32 - pendingCount)) | (bottom >>> pendingCount);
    if (total < 64) {
      pendingCount = total - 32;
      continue;
    }
    view.setInt32(q, pending);
    q += 4;
    pending = pendingCount === 0 ? 0 : bottom << (32 - pendingCount);
    pendingCount = total - 64;
  }
  if (pendingCount > 0) {
    view.setInt32(q, pending);
    q += (pendingCount + 7) >>> 3;
  }
  return take(q);
}

function putUvarint(bytes: Uint8Array, at: number, value: number): number {
  let q = at;
  let rest = value;
  if (value >= TWO_28) {
    // Four bytes of seven bits at once: division of doubles is slow.
    const upper = Math.floor(value / TWO_28);
    const lower = value - upper * TWO_28;
    bytes[q++] = lower | 128;
    bytes[q++] = (lower >>> 7) | 128;
    bytes[q++] = (lower >>> 14) | 128;
    bytes[q++] = (lower >>> 21) | 128;
    rest = upper;
  }
  for (; rest >= 128; rest >>>= 7) bytes[q++] = rest | 128;
  bytes[q++] = rest;
  return q;
}

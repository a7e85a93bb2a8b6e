import { AppError, assert } from "../base/errors.ts";
import { ValueWords } from "./value-words.ts";

/**
 * The XOR encoding of float samples, byte for byte as Prometheus 3.5 writes it. Format: docs/format/chunks.md.
 *
 * The trick: a chunk is decoded in one call into columns, never sample by sample. The value lives in two int32 locals
 * and is written through an Int32Array over the value column, so no bit of a NaN is ever touched; the bit stream is
 * read with unaligned 32-bit loads, each shifted so that at least 25 bits are valid, enough for any control prefix.
 */

/** The largest number of samples whose count fits the chunk's header. */
export const XOR_MAX_SAMPLES = 0xffff;
/** Reads go at most this far past the last byte of a chunk. */
const SLACK_BYTES = 32;
const TWO_32 = 4294967296;
/** Positions in bits stay within an int32. */
const IN_PLACE_MAX_START = 2 ** 27;

const valueWords = new ValueWords();
let scratch = new Uint8Array(4096);
let scratchView = new DataView(scratch.buffer);
/** Views of the buffer that a chunk was read in last. */
let lastBytes: Uint8Array = scratch;
let lastView: DataView = scratchView;

function reserve(size: number): void {
  if (scratch.length >= size) return;
  scratch = new Uint8Array(size * 2);
  scratchView = new DataView(scratch.buffer);
}

/** How many samples `data` holds. */
export function xorSampleCount(data: Uint8Array): number {
  return data.length < 2 ? 0 : (data[0]! << 8) | data[1]!;
}

function corrupt(what: string): AppError {
  return new AppError("corrupt", `cannot decode XOR chunk: ${what}`);
}

/**
 * Decodes the whole chunk into `into.times` (ms) and `into.values` (bits exactly as stored) from index `into.offset`
 * on, and returns the sample count. Both columns need room for `xorSampleCount(data)` samples after the offset; `data`
 * needs no slack and is not kept. Throws `corrupt` when `data` ends before its samples do. Format: docs/format/chunks.md.
 */
export function decodeXor(
  data: Uint8Array,
  into: { times: Float64Array; values: Float64Array; offset: number },
): number {
  const count = xorSampleCount(data);
  if (count === 0) return 0;
  const { times, offset } = into;
  assert(
    offset + count <= times.length && offset + count <= into.values.length,
    "decodeXor: the columns are too short",
  );
  const size = data.length;
  const task = { count, size, start: 0, times, words: valueWords.of(into.values), offset };
  let used: number;
  if (isInPlace(data)) {
    task.start = data.byteOffset;
    used = decode(lastBytes, lastView, task);
  } else {
    reserve(size + SLACK_BYTES);
    scratch.set(data);
    scratch.fill(0, size, size + SLACK_BYTES);
    used = decode(scratch, scratchView, task);
  }
  if (used > size * 8) throw corrupt(`${count} samples do not fit into ${size} bytes`);
  return count;
}

/**
 * Whether `data` can be read where it is: with others in a buffer that goes on behind it, whose views then are `lastBytes`
 * and `lastView`. Copying a chunk costs as much as decoding fifty samples, and views of each buffer as well.
 */
function isInPlace(data: Uint8Array): boolean {
  const start = data.byteOffset;
  // What begins its buffer is mostly alone in it; and a small array has none until it is asked for.
  if (start === 0 || start > IN_PLACE_MAX_START) return false;
  const { buffer } = data;
  if (start + data.length + SLACK_BYTES > buffer.byteLength) return false;
  if (lastBytes.buffer !== buffer) {
    lastBytes = new Uint8Array(buffer);
    lastView = new DataView(buffer);
  }
  return true;
}

/** Decodes the chunk at `task.start` of `bytes`, and returns how many bits it had. */
function decode(
  bytes: Uint8Array,
  view: DataView,
  task: {
    count: number;
    size: number;
    start: number;
    times: Float64Array;
    words: Int32Array;
    offset: number;
  },
): number {
  const { times, words, start } = task;
  const limit = (start + task.size) * 8;
  const end = task.offset + task.count;
  let k = task.offset;
  let position = start + 2;
  let unsigned = 0;
  let scale = 1;
  let byte = 0;
  do {
    byte = bytes[position++]!;
    unsigned += (byte & 127) * scale;
    scale *= 128;
  } while (byte >= 128 && position < start + 12);
  // Zigzag: the lowest bit is the sign.
  let t = (bytes[start + 2]! & 1) === 0 ? unsigned / 2 : -(unsigned + 1) / 2;
  let high = view.getInt32(position);
  let low = view.getInt32(position + 4);
  position += 8;
  times[k] = t;
  words[2 * k] = low;
  words[2 * k + 1] = high;
  k++;
  if (k === end) return (position - start) * 8;
  if (position * 8 >= limit) return 1 << 30;
  const varintEnd = position + 10;
  unsigned = 0;
  scale = 1;
  do {
    byte = bytes[position++]!;
    unsigned += (byte & 127) * scale;
    scale *= 128;
  } while (byte >= 128 && position < varintEnd);
  let delta = unsigned;
  // From here on the position counts bits. Chunks are far below 256 MiB, so it stays an int32.
  let p = position * 8;
  let leading = 0;
  let trailing = 0;
  let significant = 64;
  let first = true;
  while (k < end) {
    if (p > limit) return p - start * 8;
    let w = view.getInt32(p >>> 3) << (p & 7);
    if (first) first = false;
    else if (w >= 0) {
      if (w < 0x10000000) {
        // Fast path: each "00" is a sample with the same delta and value; of the 25 valid bits count the zero pairs.
        let run = Math.clz32(w | 0x80) >>> 1;
        if (run > end - k) run = end - k;
        p += run * 2;
        do {
          t += delta;
          times[k] = t;
          words[2 * k] = low;
          words[2 * k + 1] = high;
          k++;
        } while (--run > 0);
        continue;
      }
      p += 1;
      w <<= 1;
    } else {
      // The delta of the delta: an n-bit field holds −(2^(n−1)−1) … 2^(n−1), so the lowest value means the highest.
      if ((w & 0x40000000) === 0) {
        const change = (w << 2) >> 18;
        delta += change === -8192 ? 8192 : change;
        p += 16;
      } else if ((w & 0x20000000) === 0) {
        const change = (w << 3) >> 15;
        delta += change === -65536 ? 65536 : change;
        p += 20;
      } else if ((w & 0x10000000) === 0) {
        const change = (w << 4) >> 12;
        delta += change === -524288 ? 524288 : change;
        p += 24;
      } else {
        p += 4;
        const at = p >>> 3;
        const shift = p & 7;
        const top = (view.getInt32(at) << shift) | (bytes[at + 4]! >>> (8 - shift));
        const bottom = (view.getInt32(at + 4) << shift) | (bytes[at + 8]! >>> (8 - shift));
        delta += top * TWO_32 + (bottom >>> 0);
        p += 64;
        if (p > limit) return p - start * 8;
      }
      w = view.getInt32(p >>> 3) << (p & 7);
    }
    if (!first) t += delta;
    if (w >= 0) p += 1;
    else {
      if ((w & 0x40000000) !== 0) {
        leading = (w >>> 25) & 31;
        significant = (w >>> 19) & 63;
        if (significant === 0) significant = 64;
        trailing = 64 - leading - significant;
        if (trailing < 0) throw corrupt("a value has more than 64 bits");
        p += 13;
      } else p += 2;
      const at = p >>> 3;
      const shift = p & 7;
      const top = (view.getInt32(at) << shift) | (bytes[at + 4]! >>> (8 - shift));
      if (significant <= 32) {
        const bits = top >>> (32 - significant);
        if (trailing >= 32) high ^= bits << (trailing - 32);
        else {
          low ^= bits << trailing;
          if (trailing !== 0) high ^= bits >>> (32 - trailing);
        }
      } else {
        const bottom =
          ((view.getInt32(at + 4) << shift) | (bytes[at + 8]! >>> (8 - shift))) &
          (-1 << (64 - significant));
        if (leading === 0) {
          high ^= top;
          low ^= bottom;
        } else {
          high ^= top >>> leading;
          low ^= (top << (32 - leading)) | (bottom >>> leading);
        }
      }
      p += significant;
    }
    times[k] = t;
    words[2 * k] = low;
    words[2 * k + 1] = high;
    k++;
  }
  return p - start * 8;
}

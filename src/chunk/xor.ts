import { AppError, assert } from "../base/errors.ts";

/**
 * The XOR encoding of float samples, byte for byte as Prometheus 3.5 writes it. Format: docs/format/chunks.md.
 *
 * The trick: a chunk is decoded in one call into columns, never sample by sample. The value lives in two int32 locals
 * and is written through an Int32Array over the value column, so no bit of a NaN is ever touched; the bit stream is
 * read with unaligned 32-bit loads, each shifted so that at least 25 bits are valid, enough for any control prefix.
 */

/** The largest number of samples whose count fits the chunk's header. */
export const XOR_MAX_SAMPLES = 0xffff;
/** A sample takes at most 4 + 64 bits of time and 13 + 64 bits of value. */
const SAMPLE_MAX_BYTES = 19;
/** Reads go at most this far past the last byte of a chunk. */
const SLACK_BYTES = 32;
const TWO_32 = 4294967296;

let scratch = new Uint8Array(4096);
let scratchView = new DataView(scratch.buffer);
/** The value column written last, and its words: making such a view costs as much as decoding ten samples. */
let lastValues: Float64Array = new Float64Array(0);
let lastWords: Int32Array = new Int32Array(0);

function reserve(size: number): void {
  if (scratch.length >= size) return;
  scratch = new Uint8Array(size * 2);
  scratchView = new DataView(scratch.buffer);
}

function wordsOf(values: Float64Array): Int32Array {
  if (values !== lastValues) {
    lastValues = values;
    lastWords = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  }
  return lastWords;
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
  reserve(size + SLACK_BYTES);
  scratch.set(data);
  scratch.fill(0, size, size + SLACK_BYTES);
  const used = decodeScratch({
    count,
    size,
    times,
    words: wordsOf(into.values),
    offset,
  });
  if (used > size * 8) throw corrupt(`${count} samples do not fit into ${size} bytes`);
  return count;
}

/** Decodes the chunk in `scratch`, and returns how many bits it had. */
function decodeScratch(task: {
  count: number;
  size: number;
  times: Float64Array;
  words: Int32Array;
  offset: number;
}): number {
  const { times, words } = task;
  const bytes = scratch;
  const view = scratchView;
  const limit = task.size * 8;
  const end = task.offset + task.count;
  let k = task.offset;
  let position = 2;
  let unsigned = 0;
  let scale = 1;
  let byte = 0;
  do {
    byte = bytes[position++]!;
    unsigned += (byte & 127) * scale;
    scale *= 128;
  } while (byte >= 128 && position < 12);
  let t = unsigned % 2 === 0 ? unsigned / 2 : -(unsigned + 1) / 2;
  let high = view.getInt32(position);
  let low = view.getInt32(position + 4);
  position += 8;
  times[k] = t;
  words[2 * k] = low;
  words[2 * k + 1] = high;
  k++;
  if (k === end || position >= task.size) return position * 8 + (k === end ? 0 : 1 << 20);
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
    if (p > limit) return p;
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
        if (p > limit) return p;
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
  return p;
}

/**
 * Encodes samples `range.start` (inclusive) to `range.end` (exclusive) as one chunk, bytes equal to Prometheus's. Times
 * are whole milliseconds in ascending order; at most `XOR_MAX_SAMPLES` samples. The result is the caller's.
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
  reserve(count * SAMPLE_MAX_BYTES + SLACK_BYTES);
  const bytes = scratch;
  const view = scratchView;
  const words = wordsOf(values);
  bytes[0] = count >>> 8;
  bytes[1] = count & 255;
  if (count === 0) return bytes.slice(0, 2);
  let t = times[start]!;
  let q = putUvarint(2, t >= 0 ? t * 2 : -t * 2 - 1);
  let high = words[2 * start + 1]!;
  let low = words[2 * start]!;
  view.setInt32(q, high);
  view.setInt32(q + 4, low);
  q += 8;
  if (count === 1) return bytes.slice(0, q);
  let delta = times[start + 1]! - t;
  assert(delta >= 0, "encodeXor: times are not ascending");
  t = times[start + 1]!;
  q = putUvarint(q, delta);
  // `pending` holds the bits not yet written, left-aligned; `pendingCount` < 32 says how many.
  let pending = 0;
  let pendingCount = 0;
  let leading = 0xff;
  let trailing = 0;
  for (let k = start + 1; k < end; k++) {
    if (k > start + 1) {
      const nextDelta = times[k]! - t;
      const change = nextDelta - delta;
      t = times[k]!;
      delta = nextDelta;
      let bits = 0;
      let length = 1;
      if (change !== 0) {
        if (change >= -8191 && change <= 8192) {
          length = 16;
          bits = 0x8000 | (change & 0x3fff);
        } else if (change >= -65535 && change <= 65536) {
          length = 20;
          bits = 0xc0000 | (change & 0x1ffff);
        } else if (change >= -524287 && change <= 524288) {
          length = 24;
          bits = 0xe00000 | (change & 0xfffff);
        } else {
          length = 4;
          bits = 15;
        }
      }
      const total = pendingCount + length;
      if (total < 32) {
        pending |= bits << (32 - total);
        pendingCount = total;
      } else {
        view.setInt32(q, pending | (bits >>> (total - 32)));
        q += 4;
        pendingCount = total - 32;
        pending = pendingCount === 0 ? 0 : bits << (32 - pendingCount);
      }
      if (length === 4) {
        // Rare: the 64 raw bits of a change beyond 20 bits.
        const top = Math.floor(change / TWO_32);
        const bottom = (change - top * TWO_32) | 0;
        view.setInt32(q, pendingCount === 0 ? top : pending | (top >>> pendingCount));
        pending = pendingCount === 0 ? 0 : top << (32 - pendingCount);
        view.setInt32(q + 4, pendingCount === 0 ? bottom : pending | (bottom >>> pendingCount));
        pending = pendingCount === 0 ? 0 : bottom << (32 - pendingCount);
        q += 8;
      }
    }
    const nextHigh = words[2 * k + 1]!;
    const nextLow = words[2 * k]!;
    const xorHigh = nextHigh ^ high;
    const xorLow = nextLow ^ low;
    high = nextHigh;
    low = nextLow;
    if ((xorHigh | xorLow) === 0) {
      if (++pendingCount === 32) {
        view.setInt32(q, pending);
        q += 4;
        pending = 0;
        pendingCount = 0;
      }
      continue;
    }
    // The five bits of the leading-zero count hold at most 31.
    const zerosBefore = xorHigh !== 0 ? Math.clz32(xorHigh) : 31;
    const zerosAfter =
      xorLow !== 0 ? 31 - Math.clz32(xorLow & -xorLow) : 63 - Math.clz32(xorHigh & -xorHigh);
    let header = 2;
    let headerLength = 2;
    if (leading === 0xff || zerosBefore < leading || zerosAfter < trailing) {
      leading = zerosBefore;
      trailing = zerosAfter;
      header = (3 << 11) | (leading << 6) | ((64 - leading - trailing) & 63);
      headerLength = 13;
    }
    let total = pendingCount + headerLength;
    if (total < 32) {
      pending |= header << (32 - total);
      pendingCount = total;
    } else {
      view.setInt32(q, pending | (header >>> (total - 32)));
      q += 4;
      pendingCount = total - 32;
      pending = pendingCount === 0 ? 0 : header << (32 - pendingCount);
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
  return bytes.slice(0, q);
}

function putUvarint(at: number, value: number): number {
  let q = at;
  let rest = value;
  while (rest >= 128) {
    scratch[q++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  scratch[q++] = rest;
  return q;
}

import { AppError } from "./errors.ts";
import { crc32c } from "./crc32c.ts";

/**
 * Snappy (https://github.com/google/snappy): the block format, and the framing format around it that gRPC peers call
 * `snappy`. Compression is greedy with one hash probe per position, which is what the reference does.
 */

const MAX_BLOCK_BYTES = 65_536;
const HASH_BITS = 14;
const table = new Int32Array(1 << HASH_BITS);

/** Room for one block at a time is kept; what comes out of it is copied. */
let scratch = new Uint8Array(0);
const SCRATCH_MAX_BYTES = 2 * 1024 * 1024;

/** `input` in snappy's block format. */
export function compressSnappy(input: Uint8Array): Uint8Array {
  const most = maxCompressedBytes(input.length);
  const output = most <= scratch.length ? scratch : new Uint8Array(most);
  if (most <= SCRATCH_MAX_BYTES) scratch = output;
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  let at = writeVarint(output, input.length);
  for (let start = 0; start < input.length; start += MAX_BLOCK_BYTES)
    at = compressBlock(input, {
      view,
      start,
      end: Math.min(start + MAX_BLOCK_BYTES, input.length),
      output,
      at,
    });
  return output.slice(0, at);
}

function maxCompressedBytes(size: number): number {
  return 32 + size + Math.ceil(size / 6);
}

function writeVarint(output: Uint8Array, value: number): number {
  let rest = value;
  let at = 0;
  while (rest >= 0x80) {
    output[at++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 128);
  }
  output[at++] = rest;
  return at;
}

/** Offsets never reach before `start`, so every copy fits into 16 bits. */
function compressBlock(
  input: Uint8Array,
  range: { view: DataView; start: number; end: number; output: Uint8Array; at: number },
): number {
  const { view, start, end, output } = range;
  let at = range.at;
  let literalStart = start;
  if (end - start >= 16) {
    table.fill(-1);
    const lastWord = end - 4;
    let i = start;
    let misses = 32;
    while (i <= lastWord) {
      const word = view.getInt32(i, true);
      const slot = Math.imul(word, 0x1e35a7bd) >>> (32 - HASH_BITS);
      const candidate = table[slot]!;
      table[slot] = i;
      if (candidate < 0 || view.getInt32(candidate, true) !== word) {
        // Input that does not compress is skipped over faster and faster.
        i += misses++ >>> 5;
        continue;
      }
      misses = 32;
      const offset = i - candidate;
      const from = i;
      i += 4;
      while (i <= lastWord && view.getInt32(i, true) === view.getInt32(i - offset, true)) i += 4;
      while (i < end && input[i] === input[i - offset]) i++;
      at = writeLiteral(input, { from: literalStart, to: from, output, at });
      at = writeCopy(output, { offset, length: i - from, at });
      literalStart = i;
    }
  }
  return writeLiteral(input, { from: literalStart, to: end, output, at });
}

function writeLiteral(
  input: Uint8Array,
  range: { from: number; to: number; output: Uint8Array; at: number },
): number {
  const { from, to, output } = range;
  let at = range.at;
  const length = to - from;
  if (length === 0) return at;
  const n = length - 1;
  if (n < 60) output[at++] = n << 2;
  else if (n < 256) {
    output[at++] = 60 << 2;
    output[at++] = n;
  } else {
    output[at++] = 61 << 2;
    output[at++] = n & 0xff;
    output[at++] = n >>> 8;
  }
  if (length <= 16) for (let k = 0; k < length; k++) output[at + k] = input[from + k]!;
  else output.set(input.subarray(from, to), at);
  return at + length;
}

function writeCopy(
  output: Uint8Array,
  copy: { offset: number; length: number; at: number },
): number {
  const { offset } = copy;
  let { length, at } = copy;
  while (length > 0) {
    // A rest of 1 to 3 bytes could not be a short copy; both forms below reach 4 to 64 bytes.
    const part = length > 64 ? (length < 68 ? 60 : 64) : length;
    if (part >= 4 && part <= 11 && offset < 2048) {
      output[at++] = 1 | ((part - 4) << 2) | ((offset >>> 8) << 5);
      output[at++] = offset & 0xff;
    } else {
      output[at++] = 2 | ((part - 1) << 2);
      output[at++] = offset & 0xff;
      output[at++] = offset >>> 8;
    }
    length -= part;
  }
  return at;
}

/**
 * The size that a block claims to have when unpacked, and where its elements begin. Throws `corrupt`, or
 * `resource-exhausted` for more than `maxBytes`.
 */
export function readSnappySize(
  input: Uint8Array,
  maxBytes: number,
): { readonly size: number; readonly end: number } {
  let size = 0;
  let at = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = input[at++];
    if (byte === undefined || at > 5) throw corrupt("its length is cut off");
    size += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  if (size > maxBytes) throw tooLarge(size, maxBytes);
  // No element of 3 bytes yields more than 64: a small input cannot claim a large output.
  if (size > input.length * 64) throw corrupt("it claims more bytes than it can hold");
  return { size, end: at };
}

/** Undoes `compressSnappy`. Throws `corrupt`, or `resource-exhausted` before allocating more than `maxBytes`. */
export function decompressSnappy(input: Uint8Array, maxBytes: number): Uint8Array {
  const { size, end } = readSnappySize(input, maxBytes);
  const output = new Uint8Array(size);
  const written = expand(input, end, output);
  if (written !== size) throw corrupt(`it holds ${written} bytes, not the ${size} it claims`);
  return output;
}

function expand(input: Uint8Array, from: number, output: Uint8Array): number {
  const end = input.length;
  let at = from;
  let out = 0;
  while (at < end) {
    const tag = input[at++]!;
    const kind = tag & 3;
    let length: number;
    let offset: number;
    if (kind === 0) {
      length = tag >>> 2;
      if (length >= 60) {
        const width = length - 59;
        if (at + width > end) throw corrupt("a literal's length is cut off");
        length = 0;
        for (let k = width - 1; k >= 0; k--) length = length * 256 + input[at + k]!;
        at += width;
      }
      length++;
      if (at + length > end || out + length > output.length) throw corrupt("a literal overruns");
      if (length <= 16) for (let k = 0; k < length; k++) output[out + k] = input[at + k]!;
      else output.set(input.subarray(at, at + length), out);
      at += length;
      out += length;
      continue;
    }
    if (kind === 1) {
      if (at >= end) throw corrupt("a copy is cut off");
      length = 4 + ((tag >>> 2) & 7);
      offset = ((tag >>> 5) << 8) | input[at++]!;
    } else {
      const width = kind === 2 ? 2 : 4;
      if (at + width > end) throw corrupt("a copy is cut off");
      length = 1 + (tag >>> 2);
      offset = input[at]! | (input[at + 1]! << 8);
      if (kind === 3) offset += input[at + 2]! * 65_536 + input[at + 3]! * 16_777_216;
      at += width;
    }
    if (offset === 0 || offset > out || out + length > output.length)
      throw corrupt("a copy reaches outside");
    if (offset >= length) output.copyWithin(out, out - offset, out - offset + length);
    else for (let k = 0; k < length; k++) output[out + k] = output[out + k - offset]!;
    out += length;
  }
  return out;
}

const STREAM_IDENTIFIER = Uint8Array.of(0xff, 6, 0, 0, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59);
const CHUNK_COMPRESSED = 0x00;
const CHUNK_UNCOMPRESSED = 0x01;
const CHUNK_IDENTIFIER = 0xff;

/** `input` in the framing format: the stream identifier, then chunks of at most 64 KiB, each with its checksum. */
export function compressSnappyFramed(input: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [STREAM_IDENTIFIER];
  for (let start = 0; start < input.length; start += MAX_BLOCK_BYTES) {
    const plain = input.subarray(start, Math.min(start + MAX_BLOCK_BYTES, input.length));
    const packed = compressSnappy(plain);
    // The reference keeps a chunk plain unless an eighth is saved.
    const useful = packed.length < plain.length - plain.length / 8;
    const body = useful ? packed : plain;
    const head = new Uint8Array(8);
    head[0] = useful ? CHUNK_COMPRESSED : CHUNK_UNCOMPRESSED;
    const size = body.length + 4;
    head[1] = size & 0xff;
    head[2] = (size >>> 8) & 0xff;
    head[3] = size >>> 16;
    new DataView(head.buffer).setUint32(4, maskedChecksum(plain), true);
    parts.push(head, body);
  }
  return Buffer.concat(parts);
}

/** Undoes `compressSnappyFramed`, checking every checksum. Throws `corrupt` or `resource-exhausted`. */
export function decompressSnappyFramed(input: Uint8Array, maxBytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (let at = 0; at < input.length;) {
    if (at + 4 > input.length) throw corrupt("a chunk header is cut off");
    const kind = input[at]!;
    const size = input[at + 1]! | (input[at + 2]! << 8) | (input[at + 3]! << 16);
    const start = at + 4;
    at = start + size;
    if (at > input.length) throw corrupt("a chunk is cut off");
    if (start === 4 && kind !== CHUNK_IDENTIFIER) throw corrupt("the stream identifier is missing");
    if (kind === CHUNK_COMPRESSED || kind === CHUNK_UNCOMPRESSED) {
      if (size < 4) throw corrupt("a chunk is shorter than its checksum");
      const body = input.subarray(start + 4, at);
      const limit = Math.min(MAX_BLOCK_BYTES, maxBytes - total);
      if (kind === CHUNK_UNCOMPRESSED && body.length > limit)
        throw tooLarge(total + body.length, maxBytes);
      const plain = kind === CHUNK_COMPRESSED ? decompressSnappy(body, limit) : body;
      const checksum =
        (input[start]! |
          (input[start + 1]! << 8) |
          (input[start + 2]! << 16) |
          (input[start + 3]! << 24)) >>>
        0;
      if (maskedChecksum(plain) !== checksum) throw corrupt("a chunk's checksum does not match");
      parts.push(plain);
      total += plain.length;
    } else if (kind === CHUNK_IDENTIFIER) {
      for (let i = 4; i < STREAM_IDENTIFIER.length; i++)
        if (size !== 6 || input[start + i - 4] !== STREAM_IDENTIFIER[i])
          throw corrupt("the stream identifier is wrong");
    } else if (kind < 0x80) throw corrupt(`chunk type ${kind} cannot be skipped`);
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** The framing format rotates and shifts its checksums, so that data holding checksums stays well mixed. */
function maskedChecksum(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function corrupt(why: string): AppError {
  return new AppError("corrupt", `cannot decompress snappy data: ${why}`);
}

function tooLarge(size: number, maxBytes: number): AppError {
  return new AppError(
    "resource-exhausted",
    `cannot decompress snappy data: ${size} bytes exceed the limit of ${maxBytes}`,
  );
}

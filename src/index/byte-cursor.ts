import { AppError } from "../base/errors.ts";

const TWO_32 = 4294967296;
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads the big-endian integers and LEB128 varints of Prometheus's files from a buffer. Every read is checked against
 * the end: bytes that break their format give `corrupt`, never a read beyond.
 */
export class ByteCursor {
  /** What is being read, for messages. */
  what: string;
  bytes: Uint8Array;
  at = 0;
  end: number;

  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes;
    this.end = bytes.length;
    this.what = what;
  }

  reset(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  u8(): number {
    if (this.at >= this.end) throw this.short();
    return this.bytes[this.at++]!;
  }

  u32(): number {
    const { bytes, at } = this;
    if (at + 4 > this.end) throw this.short();
    this.at = at + 4;
    return (
      bytes[at]! * 16777216 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
    );
  }

  /** A 64-bit offset or size; beyond 2^53 it is no such thing. */
  u64(): number {
    const high = this.u32();
    const low = this.u32();
    if (high >= 2 ** 21) throw this.corrupt("a number is too large");
    return high * TWO_32 + low;
  }

  /** Up to 64 bits; exact below 2^53. */
  uvarint(): number {
    const { bytes, end } = this;
    let at = this.at;
    let byte = at < end ? bytes[at++]! : -1;
    if (byte >= 0 && byte < 128) {
      this.at = at;
      return byte;
    }
    let value = byte & 127;
    for (let scale = 128; byte >= 128; scale *= 128) {
      if (at >= end) throw this.short();
      if (at - this.at >= 10) throw this.corrupt("a varint is longer than 10 bytes");
      byte = bytes[at++]!;
      value += (byte & 127) * scale;
    }
    if (byte < 0) throw this.short();
    this.at = at;
    return value;
  }

  /** Zigzag; exact within ±2^52. */
  varint(): number {
    const folded = this.uvarint();
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }

  /** A text after its length in bytes. */
  text(): string {
    const length = this.uvarint();
    const start = this.at;
    this.skip(length);
    return decodeText(this.bytes, start, this.at);
  }

  /** Where the bytes after their length are. */
  range(): { start: number; end: number } {
    const length = this.uvarint();
    const start = this.at;
    this.skip(length);
    return { start, end: this.at };
  }

  skip(length: number): void {
    if (length > this.end - this.at) throw this.short();
    this.at += length;
  }

  short(): AppError {
    return this.corrupt("it ends too early");
  }

  corrupt(why: string): AppError {
    return new AppError("corrupt", `cannot read ${this.what}: ${why}`);
  }
}

/** `bytes[start, end)` as text; short ASCII, which nearly all labels are, without a call into the decoder. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > 24) return DECODER.decode(bytes.subarray(start, end));
  let text = "";
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte >= 128) return DECODER.decode(bytes.subarray(start, end));
    text += String.fromCharCode(byte);
  }
  return text;
}

/** The order of two byte ranges of one buffer or two. */
export function compareBytes(
  a: { bytes: Uint8Array; start: number; end: number },
  b: { bytes: Uint8Array; start: number; end: number },
): number {
  const length = Math.min(a.end - a.start, b.end - b.start);
  for (let i = 0; i < length; i++) {
    const difference = a.bytes[a.start + i]! - b.bytes[b.start + i]!;
    if (difference !== 0) return difference;
  }
  return a.end - a.start - (b.end - b.start);
}

/**
 * Copies `from[start, end)` to `target` from `at` on, and returns the bits that any of these bytes has: below 0x80 all are
 * ASCII. Fast path: symbols are short, and a loop over a few bytes beats the call into `set`.
 */
export function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): number {
  let bits = 0;
  for (let i = start, j = at; i < end; i++, j++) {
    const byte = from[i]!;
    bits |= byte;
    target[j] = byte;
  }
  return bits;
}

/** A 32-bit big-endian number of a buffer that is known to hold it. */
export function uint32At(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 16777216 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!);
}

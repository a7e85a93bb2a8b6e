import { AppError } from "../base/errors.ts";

/**
 * Protobuf's wire format. 64-bit integers are read into and written from plain numbers: exact within ±2^53, and exact
 * at the ends of the int64 range, which StoreAPI uses as "always" and "never".
 */
export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

/** What a reader gives for the largest int64; written back, it is the largest int64 again. */
export const MAX_INT64 = 2 ** 63;
export const MIN_INT64 = -(2 ** 63);

const TWO_28 = 2 ** 28;
const TWO_32 = 2 ** 32;
const FIRST_CAPACITY = 1024;
const SHORT_COPY = 64;

const scratch = new Float64Array(1);
const scratchWords = new Int32Array(scratch.buffer);

/**
 * Writes a message from its end to its start, so that the length of a nested message is known when its header is
 * due and nothing is measured or moved. Callers write fields in reverse order: what is written last comes first.
 * The memory is used again for the next message, so that a stream of them stays in the processor's cache.
 */
export class ProtoWriter {
  #bytes = Buffer.allocUnsafeSlow(FIRST_CAPACITY);
  #start = FIRST_CAPACITY;
  #end = FIRST_CAPACITY;

  /** Bytes written since `finish`; pass it to `message` after the nested fields are written. */
  get size(): number {
    return this.#end - this.#start;
  }

  /** Bytes of memory that it holds. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** The message, valid until this writer is used again. */
  finish(): Uint8Array {
    const message = this.#bytes.subarray(this.#start, this.#end);
    this.#start = this.#end = this.#bytes.length;
    return message;
  }

  /** Closes a nested message whose first field was written when `size` was `sizeBefore`. */
  message(field: number, sizeBefore: number): void {
    this.varint(this.size - sizeBefore);
    this.varint((field << 3) | WIRE_BYTES);
  }

  string(field: number, text: string): void {
    const length = text.length;
    if (this.#start < length * 3 + 20) this.#reserve(length * 3 + 20);
    const end = this.#start;
    const bytes = this.#bytes;
    const at = this.#start - length;
    let i = 0;
    for (; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) break;
      bytes[at + i] = unit;
    }
    if (i === length) this.#start = at;
    else {
      const size = Buffer.byteLength(text);
      this.#start -= size;
      bytes.write(text, this.#start, size, "utf8");
    }
    this.varint(end - this.#start);
    this.varint((field << 3) | WIRE_BYTES);
  }

  bytes(field: number, data: Uint8Array): void {
    if (this.#start < data.length + 20) this.#reserve(data.length + 20);
    this.#copy(data, 0, data.length);
    this.varint(data.length);
    this.varint((field << 3) | WIRE_BYTES);
  }

  /** Fields that are encoded already: `source` from `from` to `to`. */
  raw(source: Uint8Array, from: number, to: number): void {
    if (this.#start < to - from) this.#reserve(to - from);
    this.#copy(source, from, to);
  }

  #copy(source: Uint8Array, from: number, to: number): void {
    const size = to - from;
    let at = (this.#start -= size);
    const bytes = this.#bytes;
    // Fast path: a loop over a few bytes beats the call.
    if (size < SHORT_COPY) for (let i = from; i < to; i++) bytes[at++] = source[i]!;
    else bytes.set(size === source.length ? source : source.subarray(from, to), at);
  }

  /** An int64, left out when it is 0. */
  int64(field: number, value: number): void {
    if (value === 0) return;
    if (value > 0 && value < MAX_INT64) this.varint(value);
    else this.#varint64(value);
    this.varint((field << 3) | WIRE_VARINT);
  }

  /** An unsigned 32-bit or enum value, left out when it is 0. */
  uint32(field: number, value: number): void {
    if (value === 0) return;
    this.varint(value);
    this.varint((field << 3) | WIRE_VARINT);
  }

  /** Eight bytes by their halves: the bits of a double. */
  fixed64(field: number, low: number, high: number): void {
    if (this.#start < 20) this.#reserve(20);
    const at = (this.#start -= 8);
    this.#bytes.writeInt32LE(low, at);
    this.#bytes.writeInt32LE(high, at + 4);
    this.varint((field << 3) | WIRE_FIXED64);
  }

  double(field: number, value: number): void {
    scratch[0] = value;
    this.fixed64(field, scratchWords[0]!, scratchWords[1]!);
  }

  /** Left out when false. */
  bool(field: number, value: boolean): void {
    if (value) this.uint32(field, 1);
  }

  /** A bare varint of a non-negative integer. */
  varint(value: number): void {
    if (this.#start < 10) this.#reserve(10);
    const bytes = this.#bytes;
    if (value < 0x80) {
      bytes[--this.#start] = value;
      return;
    }
    if (value < 0x4000) {
      const at = (this.#start -= 2);
      bytes[at] = (value & 0x7f) | 0x80;
      bytes[at + 1] = value >>> 7;
      return;
    }
    // Fast path: integer arithmetic on two halves; a division of doubles for every 7 bits is three times slower.
    let low = value;
    let high = 0;
    if (value >= TWO_28) {
      low = value % TWO_28;
      high = (value - low) / TWO_28;
    }
    let size = high > 0 ? 5 : value < 0x20_0000 ? 3 : 4;
    for (let rest = high >>> 7; rest > 0; rest >>>= 7) size++;
    let at = (this.#start -= size);
    const last = at + size - 1;
    let rest = low;
    for (let i = 0; i < 4 && at < last; i++) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    if (high > 0) {
      rest = high;
      while (at < last) {
        bytes[at++] = (rest & 0x7f) | 0x80;
        rest >>>= 7;
      }
    }
    bytes[last] = rest;
  }

  /** Negative numbers (ten bytes of two's complement) and the largest int64. */
  #varint64(value: number): void {
    let low: number;
    let high: number;
    if (value >= MAX_INT64) {
      low = 0xffff_ffff;
      high = 0x7fff_ffff;
    } else if (value <= MIN_INT64) {
      low = 0;
      high = 0x8000_0000;
    } else {
      const whole = Math.trunc(value);
      high = Math.floor(whole / TWO_32);
      low = whole - high * TWO_32;
    }
    if (this.#start < 10) this.#reserve(10);
    const size = value < 0 ? 10 : 9;
    this.#start -= size;
    for (let i = 0; i < size; i++) {
      const septet = low & 0x7f;
      this.#bytes[this.#start + i] = i === size - 1 ? septet : septet | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high = high >>> 7;
    }
  }

  /** Makes room for `count` more bytes below what is written. */
  #reserve(count: number): void {
    const size = this.size;
    const grown = Buffer.allocUnsafeSlow((size + count) * 2);
    grown.set(this.#bytes.subarray(this.#start, this.#end), grown.length - size);
    this.#bytes = grown;
    this.#end = grown.length;
    this.#start = grown.length - size;
  }
}

/** Walks the fields of a message. Every method throws `corrupt` at bytes that break the format. */
export class ProtoReader {
  readonly bytes: Uint8Array;
  /** Offset of the next byte. */
  at: number;
  /** Offset after the last byte. */
  end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get more(): boolean {
    return this.at < this.end;
  }

  /** The next field's key: number × 8 + wire type. */
  key(): number {
    const key = this.uint32();
    if (key < 8) throw corrupt("a field has the number 0");
    return key;
  }

  /** An unsigned varint; bits above 2^32 are dropped, as for an int32 or enum. */
  uint32(): number {
    const { bytes, end } = this;
    let at = this.at;
    if (at >= end) throw corrupt("it is cut off");
    let byte = bytes[at++]!;
    let value = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (at >= end) throw corrupt("it is cut off");
      if (shift > 63) throw corrupt("a varint is longer than 10 bytes");
      byte = bytes[at++]!;
      if (shift < 32) value |= (byte & 0x7f) << shift;
    }
    this.at = at;
    return value >>> 0;
  }

  /** A signed 64-bit varint as a number. */
  int64(): number {
    const { bytes, end } = this;
    let at = this.at;
    // Three parts of 28, 28 and 8 bits; only the last one can reach the sign.
    let low = 0;
    let middle = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= end) throw corrupt("it is cut off");
      const byte = bytes[at++]!;
      const septet = byte & 0x7f;
      if (shift < 28) low |= septet << shift;
      else if (shift < 56) middle |= septet << (shift - 28);
      else if (shift < 70) high |= septet << (shift - 56);
      else throw corrupt("a varint is longer than 10 bytes");
      if (byte < 0x80) break;
    }
    this.at = at;
    if (high === 0) return low + middle * 2 ** 28;
    const lowWord = (low | (middle << 28)) >>> 0;
    const highWord = (middle >>> 4) | (high << 24);
    return highWord * TWO_32 + lowWord;
  }

  double(): number {
    if (this.end - this.at < 8) throw corrupt("it is cut off");
    const { bytes, at } = this;
    this.at = at + 8;
    return new DataView(bytes.buffer, bytes.byteOffset + at, 8).getFloat64(0, true);
  }

  /** The bits of the double read last: a number may not keep those of a NaN. */
  doubleBits(): bigint {
    const { bytes, at } = this;
    return new DataView(bytes.buffer, bytes.byteOffset + at - 8, 8).getBigUint64(0, true);
  }

  /** A zigzag-encoded 64-bit varint (`sint64`, `sint32`) as a number. */
  sint64(): number {
    const value = this.int64();
    const encoded = value < 0 ? value + 2 ** 64 : value;
    return encoded % 2 === 0 ? encoded / 2 : -(encoded + 1) / 2;
  }

  bool(): boolean {
    return this.int64() !== 0;
  }

  /** The size of a length-delimited field, which lies wholly before `end`. */
  size(): number {
    // Fast path: nearly all sizes are below 128.
    const first = this.at < this.end ? this.bytes[this.at]! : 0x80;
    let size = first;
    if (first < 0x80) this.at++;
    else size = this.int64();
    if (size < 0 || size > this.end - this.at) throw corrupt("a field reaches beyond the end");
    return size;
  }

  /** A view of the field's bytes. */
  view(): Uint8Array {
    const size = this.size();
    const at = this.at;
    this.at = at + size;
    return new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + at, size);
  }

  string(): string {
    const size = this.size();
    const at = this.at;
    this.at = at + size;
    return decodeText(this.bytes, at, this.at);
  }

  /** A reader over a nested message; this one goes on after it. */
  nested(): ProtoReader {
    const size = this.size();
    const at = this.at;
    this.at = at + size;
    return new ProtoReader(this.bytes, at, this.at);
  }

  /** Goes into a nested message, with this same reader; `leave` wants what it returns. */
  enter(): number {
    const outer = this.end;
    const size = this.size();
    this.end = this.at + size;
    return outer;
  }

  /** Goes on behind the nested message. */
  leave(outer: number): void {
    this.at = this.end;
    this.end = outer;
  }

  /** Passes over the value of a field nobody asked for. */
  skip(key: number): void {
    switch (key & 7) {
      case WIRE_VARINT:
        this.int64();
        return;
      case WIRE_BYTES: {
        const size = this.size();
        this.at += size;
        return;
      }
      case WIRE_FIXED64:
      case WIRE_FIXED32:
        this.at += (key & 7) === WIRE_FIXED64 ? 8 : 4;
        if (this.at > this.end) throw corrupt("it is cut off");
        return;
      default:
        throw corrupt(`a field has the unknown wire type ${key & 7}`);
    }
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 bytes as text; throws `corrupt` when they are not. Nearly all label names and values are short ASCII. */
export function decodeText(bytes: Uint8Array, at: number, end: number): string {
  for (let i = at; i < end; i++) if (bytes[i]! >= 0x80) return decodeUnicode(bytes, at, end);
  if (end - at > SHORT_TEXT) return asBuffer(bytes).toString("latin1", at, end);
  let text = "";
  for (let i = at; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

/** Up to here a text put together from characters is flat in V8; a longer one would be a tree of parts. */
const SHORT_TEXT = 12;

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decodeUnicode(bytes: Uint8Array, at: number, end: number): string {
  try {
    return utf8.decode(new Uint8Array(bytes.buffer, bytes.byteOffset + at, end - at));
  } catch (error) {
    throw new AppError("corrupt", "cannot decode message: a text is not valid UTF-8", {
      cause: error,
    });
  }
}

export function corrupt(why: string): AppError {
  return new AppError("corrupt", `cannot decode message: ${why}`);
}

const ENCODER = new TextEncoder();
/** A buffer that has grown beyond this gives its memory back when it is cleared. */
const KEPT_BYTES = 4 * 1024 * 1024;

/** A growable byte buffer that encoders append to. Hot encoders call `reserve` once, then write to `bytes` and `view`. */
export class ByteBuffer {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView<ArrayBuffer>;
  /** How many leading bytes are in use. */
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `size` more bytes; `bytes` and `view` may be replaced. */
  reserve(size: number): void {
    const needed = this.length + size;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  /** Empties the buffer, and lets go of its memory when that is far above the usual. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length <= KEPT_BYTES) return;
    this.bytes = new Uint8Array(KEPT_BYTES / 4);
    this.view = new DataView(this.bytes.buffer);
  }

  putByte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  /** A non-negative integer below 2^53 as eight big-endian bytes. */
  putUint64(value: number): void {
    this.reserve(8);
    this.view.setUint32(this.length, Math.floor(value / 4294967296));
    this.view.setUint32(this.length + 4, value >>> 0);
    this.length += 8;
  }

  /** A signed integer within ±2^53 as eight big-endian bytes. */
  putInt64(value: number): void {
    this.reserve(8);
    const high = Math.floor(value / 4294967296);
    this.view.setInt32(this.length, high);
    this.view.setUint32(this.length + 4, value - high * 4294967296);
    this.length += 8;
  }

  putUvarint(value: number): void {
    this.reserve(10);
    let rest = value;
    while (rest >= 128) {
      this.bytes[this.length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.length++] = rest;
  }

  /** Zigzag. */
  putVarint(value: number): void {
    this.putUvarint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  putFloat64(value: number): void {
    this.reserve(8);
    this.view.setFloat64(this.length, value);
    this.length += 8;
  }

  /** The UTF-8 bytes of `text` with their count as uvarint in front. */
  putText(text: string): void {
    const size = Buffer.byteLength(text);
    this.putUvarint(size);
    this.reserve(size);
    ENCODER.encodeInto(text, this.bytes.subarray(this.length, this.length + size));
    this.length += size;
  }

  putBytes(source: Uint8Array, start = 0, end = source.length): void {
    this.reserve(end - start);
    this.bytes.set(
      start === 0 && end === source.length ? source : source.subarray(start, end),
      this.length,
    );
    this.length += end - start;
  }
}

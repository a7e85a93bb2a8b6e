const TWO_32 = 4294967296;

/** Writes the bit fields of histogram chunks, most significant bit first. Format: docs/format/chunks.md. */
export class BitWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #size = 0;
  /** The bits not yet written, left-aligned, and how many they are (< 32). */
  #pending = 0;
  #pendingCount = 0;

  /** Bytes written so far, the begun one included. */
  get size(): number {
    return this.#size + ((this.#pendingCount + 7) >>> 3);
  }

  clear(): void {
    this.#size = 0;
    this.#pending = 0;
    this.#pendingCount = 0;
  }

  /** What was written, after `header`; the last byte is filled with zero bits. The caller's own copy. */
  toBytes(header: Uint8Array): Uint8Array {
    const result = new Uint8Array(header.length + this.size);
    result.set(header);
    result.set(this.#bytes.subarray(0, this.#size), header.length);
    for (let at = header.length + this.#size, bits = this.#pending; at < result.length; at++) {
      result[at] = bits >>> 24;
      bits <<= 8;
    }
    return result;
  }

  /** The lowest `count` bits of `value`, 1 … 32. */
  writeBits(value: number, count: number): void {
    const bits = count === 32 ? value : value & ((1 << count) - 1);
    const total = this.#pendingCount + count;
    if (total < 32) {
      this.#pending |= bits << (32 - total);
      this.#pendingCount = total;
      return;
    }
    if (this.#size + 4 > this.#bytes.length) this.#grow();
    const left = total - 32;
    this.#view.setInt32(this.#size, this.#pending | (bits >>> left));
    this.#size += 4;
    this.#pending = left === 0 ? 0 : bits << (32 - left);
    this.#pendingCount = left;
  }

  writeWords(high: number, low: number): void {
    this.writeBits(high, 32);
    this.writeBits(low, 32);
  }

  /** A whole number in the signed varbit code. */
  writeVarbit(value: number): void {
    if (value === 0) this.writeBits(0, 1);
    else if (value >= -3 && value <= 4) this.writeBits(0x10 | (value & 7), 5);
    else if (value >= -31 && value <= 32) this.writeBits(0x180 | (value & 0x3f), 9);
    else if (value >= -255 && value <= 256) this.writeBits(0x1c00 | (value & 0x1ff), 13);
    else if (value >= -2047 && value <= 2048) this.writeBits(0x1e000 | (value & 0xfff), 17);
    else if (value >= -131071 && value <= 131072) this.writeBits(0xf80000 | (value & 0x3ffff), 24);
    else if (value >= -16777215 && value <= 16777216) {
      this.writeBits(0x7e, 7);
      this.writeBits(value, 25);
    } else {
      const high = Math.floor(value / TWO_32);
      const low = value - high * TWO_32;
      if (value > -(2 ** 55) && value <= 2 ** 55) {
        this.writeBits(0xfe, 8);
        this.writeBits(high, 24);
        this.writeBits(low | 0, 32);
      } else {
        this.writeBits(0xff, 8);
        this.writeWords(high | 0, low | 0);
      }
    }
  }

  /** A whole number ≥ 0 in the unsigned varbit code. */
  writeVarbitUnsigned(value: number): void {
    if (value === 0) this.writeBits(0, 1);
    else if (value < 1 << 3) this.writeBits(0x10 | value, 5);
    else if (value < 1 << 6) this.writeBits(0x180 | value, 9);
    else if (value < 1 << 9) this.writeBits(0x1c00 | value, 13);
    else if (value < 1 << 12) this.writeBits(0x1e000 | value, 17);
    else if (value < 1 << 18) this.writeBits(0xf80000 | value, 24);
    else if (value < 1 << 25) {
      this.writeBits(0x7e, 7);
      this.writeBits(value, 25);
    } else {
      const high = Math.floor(value / TWO_32);
      const low = (value - high * TWO_32) | 0;
      if (high < 1 << 24) {
        this.writeBits(0xfe, 8);
        this.writeBits(high, 24);
        this.writeBits(low, 32);
      } else {
        this.writeBits(0xff, 8);
        this.writeWords(high | 0, low);
      }
    }
  }

  /**
   * The XOR code from the value in words `2 · field` of `previous` to that in words `2 · at` of `next`. `windows` holds
   * leading and trailing zeros for each field, 255 leading where there is no window yet.
   */
  writeXor(
    previous: Int32Array,
    windows: Uint8Array,
    to: { field: number; next: Int32Array; at: number },
  ): void {
    const { field, next, at } = to;
    const xorLow = next[2 * at]! ^ previous[2 * field]!;
    const xorHigh = next[2 * at + 1]! ^ previous[2 * field + 1]!;
    if ((xorHigh | xorLow) === 0) {
      this.writeBits(0, 1);
      return;
    }
    // The five bits of the leading-zero count hold at most 31.
    const zerosBefore = xorHigh !== 0 ? Math.clz32(xorHigh) : 31;
    const zerosAfter =
      xorLow !== 0 ? 31 - Math.clz32(xorLow & -xorLow) : 63 - Math.clz32(xorHigh & -xorHigh);
    let leading = windows[2 * field]!;
    let trailing = windows[2 * field + 1]!;
    if (leading !== 255 && zerosBefore >= leading && zerosAfter >= trailing) this.writeBits(2, 2);
    else {
      leading = zerosBefore;
      trailing = zerosAfter;
      windows[2 * field] = leading;
      windows[2 * field + 1] = trailing;
      this.writeBits((3 << 11) | (leading << 6) | ((64 - leading - trailing) & 63), 13);
    }
    const significant = 64 - leading - trailing;
    const top = leading === 0 ? xorHigh : (xorHigh << leading) | (xorLow >>> (32 - leading));
    const bottom = leading === 0 ? xorLow : xorLow << leading;
    if (significant <= 32) this.writeBits(top >>> (32 - significant), significant);
    else {
      this.writeBits(top, 32);
      this.writeBits(bottom >>> (64 - significant), significant - 32);
    }
  }

  #grow(): void {
    const bytes = new Uint8Array(this.#bytes.length * 2);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

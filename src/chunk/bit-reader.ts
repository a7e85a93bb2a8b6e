import { AppError } from "../base/errors.ts";

const TWO_32 = 4294967296;
/** A read goes at most this far past the last byte before it is noticed. */
const SLACK_BYTES = 32;
const TOO_SHORT = "the samples do not fit into the bytes";

/**
 * Reads the bit fields of histogram chunks, most significant bit first. It works on a copy of the chunk with some
 * zero bytes behind it, so that every field is one or two unaligned loads; whoever reads past the end gets `corrupt`.
 * Format: docs/format/chunks.md.
 */
export class BitReader {
  /** Words of the value read last: 64-bit fields keep their bits here, and no NaN passes through a number. */
  high = 0;
  low = 0;

  readonly #what: string;
  #bytes = new Uint8Array(2048);
  #view = new DataView(this.#bytes.buffer);
  #position = 0;
  #limit = 0;

  /** `what` names the chunk in messages. */
  constructor(what: string) {
    this.#what = what;
  }

  /** Starts with byte `start` of `data`, which is copied. */
  reset(data: Uint8Array, start: number): void {
    const room = data.length + SLACK_BYTES;
    if (this.#bytes.length < room) {
      this.#bytes = new Uint8Array(room * 2);
      this.#view = new DataView(this.#bytes.buffer);
    }
    this.#bytes.set(data);
    this.#bytes.fill(0, data.length, room);
    this.#position = start * 8;
    this.#limit = data.length * 8;
    if (this.#position > this.#limit) throw this.corrupt(TOO_SHORT);
  }

  /** How many bits are left. */
  get remaining(): number {
    return this.#limit - this.#position;
  }

  corrupt(why: string): AppError {
    return new AppError("corrupt", `cannot decode ${this.#what}: ${why}`);
  }

  readByte(): number {
    const value = (this.#peek() >>> 24) & 0xff;
    this.#skip(8);
    return value;
  }

  /** The next `width` bits, at most 32 of them, as an int32 whose upper bits are zero (with 32, the sign may be set). */
  readBits(width: number): number {
    if (width === 0) return 0;
    const at = this.#position >>> 3;
    const shift = this.#position & 7;
    const value = (this.#view.getInt32(at) << shift) | (this.#bytes[at + 4]! >>> (8 - shift));
    this.#skip(width);
    return width === 32 ? value : value >>> (32 - width);
  }

  /** A LEB128 number whose bytes need not begin at a byte's border; whole numbers beyond 2^53 are rounded. */
  readUvarint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.readByte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw this.corrupt("a number is longer than 10 bytes");
  }

  /** As `readUvarint`, signed. */
  readVarint(): number {
    const folded = this.readUvarint();
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }

  /** Sets `high` and `low`. */
  readWords(): void {
    const at = this.#position >>> 3;
    const shift = this.#position & 7;
    const view = this.#view;
    const bytes = this.#bytes;
    this.high = (view.getInt32(at) << shift) | (bytes[at + 4]! >>> (8 - shift));
    this.low = (view.getInt32(at + 4) << shift) | (bytes[at + 8]! >>> (8 - shift));
    this.#skip(64);
  }

  /** A signed number of the varbit code; whole numbers beyond 2^53 are rounded. */
  readVarbit(): number {
    const w = this.#peek();
    if (w >= 0) {
      this.#skip(1);
      return 0;
    }
    const ones = Math.clz32(~w);
    // In an n-bit field the lowest value in two's complement stands for the highest one.
    switch (ones) {
      case 1: {
        this.#skip(5);
        const value = (w << 2) >> 29;
        return value === -4 ? 4 : value;
      }
      case 2: {
        this.#skip(9);
        const value = (w << 3) >> 26;
        return value === -32 ? 32 : value;
      }
      case 3: {
        this.#skip(13);
        const value = (w << 4) >> 23;
        return value === -256 ? 256 : value;
      }
      case 4: {
        this.#skip(17);
        const value = (w << 5) >> 20;
        return value === -2048 ? 2048 : value;
      }
      case 5: {
        this.#skip(24);
        const value = (w << 6) >> 14;
        return value === -131072 ? 131072 : value;
      }
      case 6: {
        this.#skip(7);
        const value = this.#peek() >> 7;
        this.#skip(25);
        return value === -16777216 ? 16777216 : value;
      }
      case 7: {
        this.#skip(8);
        const top = this.#peek() >> 8;
        this.#skip(24);
        const value = top * TWO_32 + this.#read32();
        return value === -(2 ** 55) ? 2 ** 55 : value;
      }
      default:
        this.#skip(8);
        this.readWords();
        return this.high * TWO_32 + (this.low >>> 0);
    }
  }

  /**
   * Reads how the difference of each of the buckets `from` (inclusive) to `end` (exclusive) to its neighbour changes
   * its change, brings `state` up to date, and writes the counts, which start from 0 at `from`, to `into` from `at` on.
   */
  readCounts(
    state: { deltas: Float64Array; changes: Float64Array },
    place: { into: Float64Array; at: number; from: number; end: number },
  ): void {
    const view = this.#view;
    const limit = this.#limit;
    const { deltas, changes } = state;
    const { into, at, end } = place;
    let position = this.#position;
    let count = 0;
    for (let i = place.from; i < end; i++) {
      if (position > limit) break;
      const w = view.getInt32(position >>> 3) << (position & 7);
      let value = 0;
      if (w >= 0) position++;
      else {
        const ones = Math.clz32(~w);
        if (ones <= 5) {
          // Fast path: code and field lie within the 25 valid bits.
          const width = ones === 5 ? 18 : ones * 3;
          value = (w << (ones + 1)) >> (32 - width);
          if (value === -1 << (width - 1)) value = -value;
          position += ones + 1 + width;
        } else {
          this.#position = position;
          value = this.readVarbit();
          position = this.#position;
        }
      }
      const change = changes[i]! + value;
      const delta = deltas[i]! + change;
      changes[i] = change;
      deltas[i] = delta;
      count += delta;
      into[at + i] = count;
    }
    this.#position = position;
    if (position > limit) throw this.corrupt(TOO_SHORT);
  }

  /** An unsigned number of the varbit code; whole numbers beyond 2^53 are rounded. */
  readVarbitUnsigned(): number {
    const w = this.#peek();
    if (w >= 0) {
      this.#skip(1);
      return 0;
    }
    switch (Math.clz32(~w)) {
      case 1:
        this.#skip(5);
        return (w << 2) >>> 29;
      case 2:
        this.#skip(9);
        return (w << 3) >>> 26;
      case 3:
        this.#skip(13);
        return (w << 4) >>> 23;
      case 4:
        this.#skip(17);
        return (w << 5) >>> 20;
      case 5:
        this.#skip(24);
        return (w << 6) >>> 14;
      case 6: {
        this.#skip(7);
        const value = this.#peek() >>> 7;
        this.#skip(25);
        return value;
      }
      case 7: {
        this.#skip(8);
        const top = this.#peek() >>> 8;
        this.#skip(24);
        return top * TWO_32 + this.#read32();
      }
      default:
        this.#skip(8);
        this.readWords();
        return (this.high >>> 0) * TWO_32 + (this.low >>> 0);
    }
  }

  /** `readXors` for one field. */
  readXor(words: Int32Array, windows: Uint8Array, field: number): void {
    this.readXors(words, windows, { start: field, end: field + 1 });
  }

  /**
   * Applies one XOR code each to the values of fields `start` (inclusive) to `end` (exclusive). A field has its value in
   * words `2 · field` (low) and `2 · field + 1` (high), and in `windows`, at the same places, how many leading and
   * trailing zeros its last window had.
   */
  readXors(words: Int32Array, windows: Uint8Array, fields: { start: number; end: number }): void {
    const view = this.#view;
    const bytes = this.#bytes;
    const limit = this.#limit;
    const end = fields.end * 2;
    let position = this.#position;
    for (let at = fields.start * 2; at < end; at += 2) {
      if (position > limit) break;
      const w = view.getInt32(position >>> 3) << (position & 7);
      if (w >= 0) {
        position++;
        continue;
      }
      let leading = windows[at]!;
      let trailing = windows[at + 1]!;
      if ((w & 0x40000000) !== 0) {
        leading = (w >>> 25) & 31;
        const width = (w >>> 19) & 63;
        trailing = 64 - leading - (width === 0 ? 64 : width);
        if (trailing < 0) throw this.corrupt("a value has more than 64 bits");
        windows[at] = leading;
        windows[at + 1] = trailing;
        position += 13;
      } else position += 2;
      const significant = 64 - leading - trailing;
      const byte = position >>> 3;
      const shift = position & 7;
      const top = (view.getInt32(byte) << shift) | (bytes[byte + 4]! >>> (8 - shift));
      if (significant <= 32) {
        const bits = top >>> (32 - significant);
        if (trailing >= 32) words[at + 1]! ^= bits << (trailing - 32);
        else {
          words[at]! ^= bits << trailing;
          if (trailing !== 0) words[at + 1]! ^= bits >>> (32 - trailing);
        }
      } else {
        const bottom =
          ((view.getInt32(byte + 4) << shift) | (bytes[byte + 8]! >>> (8 - shift))) &
          (-1 << (64 - significant));
        if (leading === 0) {
          words[at + 1]! ^= top;
          words[at]! ^= bottom;
        } else {
          words[at + 1]! ^= top >>> leading;
          words[at]! ^= (top << (32 - leading)) | (bottom >>> leading);
        }
      }
      position += significant;
    }
    this.#position = position;
    if (position > limit) throw this.corrupt(TOO_SHORT);
  }

  /** The next 32 bits, of which at least 25 are valid. */
  #peek(): number {
    return this.#view.getInt32(this.#position >>> 3) << (this.#position & 7);
  }

  #read32(): number {
    const at = this.#position >>> 3;
    const shift = this.#position & 7;
    const value = (this.#view.getInt32(at) << shift) | (this.#bytes[at + 4]! >>> (8 - shift));
    this.#skip(32);
    return value >>> 0;
  }

  #skip(bits: number): void {
    this.#position += bits;
    if (this.#position > this.#limit) throw this.corrupt(TOO_SHORT);
  }
}

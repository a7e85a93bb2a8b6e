import { AppError } from "../base/errors.ts";
import type { RecordBytes } from "./record.ts";

const TWO_32 = 4294967296;

/**
 * Reads the fields of a record one by one. Throws `corrupt` where the record ends too early. Integers beyond 2^53 are
 * rounded.
 */
export class RecordReader {
  readonly #what: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  #at: number;

  /** Starts behind the type byte. `what` names the kind of record in errors. */
  constructor(record: RecordBytes, what: string) {
    this.#what = what;
    this.#bytes = record.bytes;
    this.#view = record.view;
    this.#at = record.start + 1;
    this.#end = record.end;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  byte(): number {
    return this.#bytes[this.#take(1)]!;
  }

  uint64(): number {
    const at = this.#take(8);
    return this.#view.getUint32(at) * TWO_32 + this.#view.getUint32(at + 4);
  }

  int64(): number {
    const at = this.#take(8);
    return this.#view.getInt32(at) * TWO_32 + this.#view.getUint32(at + 4);
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8));
  }

  /** `count` floats, bit for bit. */
  float64s(count: number): Float64Array {
    const at = this.#take(count * 8);
    const values = new Float64Array(count);
    const words = new Int32Array(values.buffer);
    for (let i = 0; i < count; i++) {
      words[2 * i + 1] = this.#view.getInt32(at + 8 * i);
      words[2 * i] = this.#view.getInt32(at + 8 * i + 4);
    }
    return values;
  }

  uvarint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
      if (scale > 2 ** 63) throw this.corrupt("a number is too long");
    }
  }

  /** Zigzag. */
  varint(): number {
    const unsigned = this.uvarint();
    return unsigned % 2 === 0 ? unsigned / 2 : -(unsigned + 1) / 2;
  }

  /** How many elements follow, each of `size` bytes at least: no record can claim more than its bytes hold. */
  count(size: number): number {
    const count = this.uvarint();
    if (count * size > this.#end - this.#at) throw this.corrupt(`${count} elements do not fit`);
    return count;
  }

  text(): string {
    const length = this.count(1);
    const start = this.#take(length);
    const { buffer, byteOffset } = this.#bytes;
    return Buffer.from(buffer, byteOffset + start, length).toString("utf8");
  }

  corrupt(reason: string): AppError {
    return new AppError("corrupt", `cannot decode WAL record: ${this.#what}: ${reason}`);
  }

  #take(size: number): number {
    const at = this.#at;
    if (size > this.#end - at) throw this.corrupt("it ends too early");
    this.#at = at + size;
    return at;
  }
}

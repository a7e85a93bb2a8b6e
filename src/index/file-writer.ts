import { type FileHandle, open } from "node:fs/promises";
import { crc32c } from "../base/crc32c.ts";
import { AppError, isDiskFull, messageOf, systemCode } from "../base/errors.ts";

const FLUSH_BYTES = 1024 * 1024;
const TWO_32 = 4294967296;
const ENCODER = new TextEncoder();

/**
 * A new file written from front to back. Numbers and bytes go into a buffer at once; `drain` hands the buffer to the
 * file when it is full, and is called between entries, so that an entry's checksum is taken over bytes at hand.
 */
export class FileWriter {
  readonly path: string;
  readonly #file: FileHandle;
  #bytes = new Uint8Array(FLUSH_BYTES + 64 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #flushed = 0;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** Fails when the file exists. */
  static async create(path: string): Promise<FileWriter> {
    try {
      return new FileWriter(path, await open(path, "wx"));
    } catch (error) {
      throw writeError(path, error);
    }
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#flushed + this.#length;
  }

  putU8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  putU32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
  }

  /** `values[start, end)`. */
  putU32s(values: Uint32Array, start: number, end: number): void {
    this.#reserve((end - start) * 4);
    const view = this.#view;
    let at = this.#length;
    for (let i = start; i < end; i++, at += 4) view.setUint32(at, values[i]!);
    this.#length = at;
  }

  putU64(value: number): void {
    this.putU32(Math.floor(value / TWO_32));
    this.putU32(value % TWO_32);
  }

  putUvarint(value: number): void {
    this.#reserve(10);
    const bytes = this.#bytes;
    let at = this.#length;
    let rest = value;
    while (rest > 0x7fffffff) {
      bytes[at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    // Fast path: what is left is an int32, as most numbers are from the start.
    let small = rest | 0;
    for (; small >= 128; small >>>= 7) bytes[at++] = (small & 127) | 128;
    bytes[at++] = small;
    this.#length = at;
  }

  putVarint(value: number): void {
    this.putUvarint(zigzag(value));
  }

  /** The first `count` of `values`, each as by `putUvarint`. */
  putUvarints(values: Float64Array, count: number): void {
    this.#reserve(count * 10);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < count; i++) {
      let rest = values[i]!;
      while (rest > 0x7fffffff) {
        bytes[at++] = (rest % 128) | 128;
        rest = Math.floor(rest / 128);
      }
      let small = rest | 0;
      for (; small >= 128; small >>>= 7) bytes[at++] = (small & 127) | 128;
      bytes[at++] = small;
    }
    this.#length = at;
  }

  putBytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** `bytes[start, end)`. */
  putRange(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    this.#reserve(size);
    const into = this.#bytes;
    const at = this.#length;
    // A view and a native copy cost more than a loop does for a few bytes.
    if (size < 32) for (let i = 0; i < size; i++) into[at + i] = bytes[start + i]!;
    else into.set(bytes.subarray(start, end), at);
    this.#length = at + size;
  }

  /** The length in bytes, then the text. */
  putText(text: string): void {
    const bytes = ENCODER.encode(text);
    this.putUvarint(bytes.length);
    this.putBytes(bytes);
  }

  /** Puts how many bytes came since `from` in front of them, and gives the size of that. See `checksumFrom`. */
  insertLength(from: number): number {
    const start = from - this.#flushed;
    const end = this.#length;
    const size = uvarintSize(end - start);
    this.#reserve(size);
    this.#bytes.copyWithin(start + size, start, end);
    this.#length = start;
    this.putUvarint(end - start);
    this.#length = end + size;
    return size;
  }

  /** Zero bytes up to a multiple of `size`. */
  align(size: number): void {
    for (let missing = (size - (this.position % size)) % size; missing > 0; missing--)
      this.putU8(0);
  }

  /** The checksum of what was put since `from`, a position no older than the last `drain`; `seed` continues one. */
  checksumFrom(from: number, seed = 0): number {
    return crc32c(this.#bytes, from - this.#flushed, this.#length, seed);
  }

  /** Replaces four bytes at `position`, which is no older than the last `drain`. */
  setU32(position: number, value: number): void {
    this.#view.setUint32(position - this.#flushed, value);
  }

  /** Whether `drain` would write. */
  get isFull(): boolean {
    return this.#length >= FLUSH_BYTES;
  }

  /** Writes the buffer to the file if it is full. */
  async drain(): Promise<void> {
    if (this.isFull) await this.flush();
  }

  async flush(): Promise<void> {
    try {
      let written = 0;
      while (written < this.#length) {
        const result = await this.#file.write(
          this.#bytes,
          written,
          this.#length - written,
          this.#flushed + written,
        );
        written += result.bytesWritten;
      }
      this.#flushed += this.#length;
      this.#length = 0;
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  /** Writes everything, and waits until the disk has it. */
  async sync(): Promise<void> {
    await this.flush();
    try {
      await this.#file.sync();
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + size));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** What `putUvarint` has to put for a signed number: 0, -1, 1, -2, … are 0, 1, 2, 3, …. */
export function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

/** How many bytes `putUvarint` takes. */
export function uvarintSize(value: number): number {
  let size = 1;
  let rest = value;
  for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) size++;
  for (let small = rest | 0; small >= 128; small >>>= 7) size++;
  return size;
}

/** A failed write as the program reports it. */
export function writeError(path: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = systemCode(error);
  const isFull = isDiskFull(error);
  return new AppError(
    isFull ? "resource-exhausted" : "unavailable",
    `cannot write ${path}: ${isFull ? `the disk is full (${code})` : messageOf(error)}`,
    { cause: error },
  );
}

import { crc32c } from "../base/crc32c.ts";
import { uint32At } from "./byte-cursor.ts";

/** From so many refs on a native loop turns their bytes round faster. */
const NATIVE_MIN_REFS = 16;

/** How many bytes the list at `at` takes: `length (4) | count (4) | refs (4 each) | checksum (4)`. */
export function listSize(bytes: Uint8Array, at: number): number {
  return uint32At(bytes, at) + 8;
}

/** Whether the list at `at`, which is all there, is as it was written. */
export function isListIntact(bytes: Uint8Array, at: number): boolean {
  const length = uint32At(bytes, at);
  const end = at + 4 + length;
  return (
    length === 4 + refCount(bytes, at) * 4 && crc32c(bytes, at + 4, end) === uint32At(bytes, end)
  );
}

export function refCount(bytes: Uint8Array, at: number): number {
  return uint32At(bytes, at + 4);
}

/** Refs of one or several lists, which do not share any. */
export class RefList {
  #refs = new Int32Array(0);
  #count = 0;
  #isSorted = true;

  /** Adds those of the list at `at`, which is intact. */
  add(bytes: Uint8Array, at: number): void {
    const count = refCount(bytes, at);
    const start = this.#count;
    this.#count += count;
    if (this.#count > this.#refs.length) this.#grow();
    const refs = this.#refs;
    if (count < NATIVE_MIN_REFS)
      for (let i = 0, from = at + 8; i < count; i++, from += 4)
        refs[start + i] = uint32At(bytes, from);
    else {
      const target = Buffer.from(refs.buffer, start * 4, count * 4);
      target.set(bytes.subarray(at + 8, at + 8 + count * 4));
      target.swap32();
    }
    if (start > 0 && count > 0 && refs[start]! < refs[start - 1]!) this.#isSorted = false;
  }

  /** All of them, ascending. */
  take(): Int32Array {
    const refs = this.#refs.subarray(0, this.#count);
    // The built-in sort of a typed array is a native sort of integers.
    return this.#isSorted ? refs : refs.sort();
  }

  #grow(): void {
    const grown = new Int32Array(Math.max(this.#count, this.#refs.length * 2));
    grown.set(this.#refs);
    this.#refs = grown;
  }
}

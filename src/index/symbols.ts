import { AppError } from "../base/errors.ts";
import type { ByteCondition } from "../model/matcher.ts";
import { copyBytes } from "./byte-cursor.ts";

/** The largest label name or value in UTF-8 bytes. */
export const SYMBOL_MAX_BYTES = 16 * 1024 * 1024;

/**
 * Texts interned as bytes: each distinct text is stored once in an arena and known by a small number. Looking one up
 * is a hash and a comparison of bytes; no JavaScript string is kept, so a million symbols cost the garbage collector
 * nothing.
 */
export class SymbolTable {
  #arena = Buffer.alloc(64 * 1024);
  #used = 0;
  #count = 0;
  /** Symbol `id` is `#arena[#offsets[id], #offsets[id + 1])`. */
  #offsets = new Uint32Array(1024);
  #hashes = new Int32Array(1024);
  /** Open addressing: id + 1, or 0. */
  #slots = new Int32Array(4096);
  #scratch = Buffer.alloc(1024);

  get count(): number {
    return this.#count;
  }

  /** The bytes of all symbols together. */
  get size(): number {
    return this.#used;
  }

  /** The id of `text`, or -1 when it is not in the table. */
  find(text: string): number {
    const length = this.#toScratch(text);
    const hash = hashBytes(this.#scratch, length);
    return this.#slots[this.#probe(hash, length)]! - 1;
  }

  /** The id of `text`, added if new. */
  intern(text: string): number {
    const length = this.#toScratch(text);
    const hash = hashBytes(this.#scratch, length);
    const slot = this.#probe(hash, length);
    const known = this.#slots[slot]!;
    if (known !== 0) return known - 1;
    const id = this.#count;
    this.#reserve(length);
    this.#scratch.copy(this.#arena, this.#used, 0, length);
    this.#used += length;
    this.#hashes[id] = hash;
    this.#offsets[id + 1] = this.#used;
    this.#slots[slot] = id + 1;
    this.#count++;
    if (this.#count * 2 > this.#slots.length) this.#rehash();
    return id;
  }

  /** The text of symbol `id`. */
  text(id: number): string {
    return this.#arena.toString("utf8", this.#offsets[id]!, this.#offsets[id + 1]!);
  }

  /** The bytes of symbol `id`: a view that stays as it is. */
  bytes(id: number): Uint8Array {
    return this.#arena.subarray(this.#offsets[id]!, this.#offsets[id + 1]!);
  }

  /** The length of symbol `id` in bytes. */
  sizeOf(id: number): number {
    return this.#offsets[id + 1]! - this.#offsets[id]!;
  }

  /** Copies all bytes of symbol `id` to `target` from `at` on, and returns the bits that any of them has. */
  copyTo(id: number, target: Uint8Array, at: number): number {
    return copyBytes(this.#arena, this.#offsets[id]!, this.#offsets[id + 1]!, target, at);
  }

  /** Whether `condition` holds for the bytes of symbol `id`. */
  fits(id: number, condition: ByteCondition): boolean {
    return condition(this.#arena, this.#offsets[id]!, this.#offsets[id + 1]!);
  }

  /** The order of two symbols by their bytes. */
  compare(a: number, b: number): number {
    if (a === b) return 0;
    const arena = this.#arena;
    const offsets = this.#offsets;
    let i = offsets[a]!;
    let j = offsets[b]!;
    const endA = offsets[a + 1]!;
    const endB = offsets[b + 1]!;
    while (i < endA && j < endB) {
      const difference = arena[i++]! - arena[j++]!;
      if (difference !== 0) return difference;
    }
    return endA - i - (endB - j);
  }

  /** Four bytes of symbol `id` from byte `4 · depth` on as one number, zeros behind its end; 0 from there on. */
  key(id: number, depth: number): number {
    const at = this.#offsets[id]! + 4 * depth;
    const end = this.#offsets[id + 1]!;
    if (at >= end) return 0;
    const arena = this.#arena;
    if (at + 4 <= end) return arena.readUInt32BE(at);
    let key = arena[at]! << 24;
    if (at + 1 < end) key |= arena[at + 1]! << 16;
    if (at + 2 < end) key |= arena[at + 2]! << 8;
    return key >>> 0;
  }

  #toScratch(text: string): number {
    if (this.#scratch.length < text.length * 3) {
      if (text.length > SYMBOL_MAX_BYTES)
        throw new AppError("bad-data", `cannot store a label of ${text.length} characters`);
      this.#scratch = Buffer.alloc(text.length * 3);
    }
    return this.#scratch.write(text, 0, "utf8");
  }

  #probe(hash: number, length: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const arena = this.#arena;
    const scratch = this.#scratch;
    let slot = hash & mask;
    for (;;) {
      const id = slots[slot]! - 1;
      if (id < 0) return slot;
      if (this.#hashes[id] === hash) {
        const start = this.#offsets[id]!;
        if (this.#offsets[id + 1]! - start === length) {
          let i = 0;
          while (i < length && arena[start + i] === scratch[i]) i++;
          if (i === length) return slot;
        }
      }
      slot = (slot + 1) & mask;
    }
  }

  #reserve(length: number): void {
    if (this.#used + length > this.#arena.length) {
      const size = Math.max(this.#arena.length * 2, this.#used + length);
      if (size > 2 ** 32 - 1)
        throw new AppError("resource-exhausted", "cannot store label: the symbols exceed 4 GiB");
      const grown = Buffer.alloc(size);
      this.#arena.copy(grown, 0, 0, this.#used);
      this.#arena = grown;
    }
    if (this.#count + 2 > this.#offsets.length) {
      const offsets = new Uint32Array(this.#offsets.length * 2);
      offsets.set(this.#offsets);
      this.#offsets = offsets;
      const hashes = new Int32Array(this.#hashes.length * 2);
      hashes.set(this.#hashes);
      this.#hashes = hashes;
    }
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let id = 0; id < this.#count; id++) {
      let slot = this.#hashes[id]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = id + 1;
    }
    this.#slots = slots;
  }
}

function hashBytes(bytes: Uint8Array, length: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

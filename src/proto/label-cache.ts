import { ProtoReader } from "./wire.ts";

/** Bytes of Label messages kept before the cache starts over; all in all it takes about six times as much memory. */
const MAX_ARENA_BYTES = 2 * 1024 * 1024;
const FIRST_SLOTS = 1024;

/**
 * Decoded labels by the bytes of their Label message. In a series stream nearly every pair (`job`, `instance`, …)
 * comes thousands of times: it is decoded once, and equal texts are the same string in memory. A hit needs a hash
 * and a comparison of the bytes, so a collision cannot mix up labels. One cache may serve many streams at a time.
 */
export class LabelCache {
  #arena = new Uint8Array(16 * 1024);
  #arenaSize = 0;
  /** Per entry: where its bytes start in the arena, how many they are, and their hash. */
  #starts: number[] = [];
  #sizes: number[] = [];
  #hashes: number[] = [];
  #slots = new Int32Array(FIRST_SLOTS).fill(-1);
  readonly names: string[] = [];
  readonly values: string[] = [];

  /**
   * The entry of the Label at `at`: an index into `names` and `values`, valid until the next call. `likely` is the
   * entry to try first (any number will do): series come sorted, so most labels equal those of the series before.
   */
  lookup(bytes: Uint8Array, range: { at: number; end: number; likely: number }): number {
    const { at, end, likely } = range;
    if (likely < this.names.length && this.#isEntry(likely, bytes, range)) return likely;
    const hash = hashBytes(bytes, at, end);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const entry = this.#slots[slot]!;
      if (entry < 0) return this.#add({ bytes, at, end }, hash);
      if (this.#hashes[entry] === hash && this.#isEntry(entry, bytes, range)) return entry;
      slot = (slot + 1) & mask;
    }
  }

  #isEntry(entry: number, bytes: Uint8Array, range: { at: number; end: number }): boolean {
    const { at } = range;
    const size = range.end - at;
    if (this.#sizes[entry] !== size) return false;
    const arena = this.#arena;
    const start = this.#starts[entry]!;
    // From the end: values differ there more often than at the start, where the name is.
    for (let i = size - 1; i >= 0; i--) if (arena[start + i] !== bytes[at + i]) return false;
    return true;
  }

  #add(label: { bytes: Uint8Array; at: number; end: number }, hash: number): number {
    const { bytes, at, end } = label;
    const size = end - at;
    let name = "";
    let value = "";
    const reader = new ProtoReader(bytes, at, end);
    while (reader.more) {
      const key = reader.key();
      if (key === 0x0a) name = reader.string();
      else if (key === 0x12) value = reader.string();
      else reader.skip(key);
    }
    if (this.#arenaSize + size > MAX_ARENA_BYTES) this.#clear();
    const entry = this.names.length;
    this.names.push(name);
    this.values.push(value);
    this.#starts.push(this.#arenaSize);
    this.#sizes.push(size);
    this.#hashes.push(hash);
    if (this.#arenaSize + size > this.#arena.length) {
      const grown = new Uint8Array(Math.max(this.#arena.length * 2, this.#arenaSize + size));
      grown.set(this.#arena);
      this.#arena = grown;
    }
    this.#arena.set(new Uint8Array(bytes.buffer, bytes.byteOffset + at, size), this.#arenaSize);
    this.#arenaSize += size;
    if (entry * 2 >= this.#slots.length) this.#grow();
    else this.#insert(entry);
    return entry;
  }

  #insert(entry: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hashes[entry]! & mask;
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry;
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 4).fill(-1);
    for (let entry = 0; entry < this.names.length; entry++) this.#insert(entry);
  }

  #clear(): void {
    this.#arenaSize = 0;
    this.#starts = [];
    this.#sizes = [];
    this.#hashes = [];
    this.names.length = 0;
    this.values.length = 0;
    this.#slots = new Int32Array(FIRST_SLOTS).fill(-1);
  }
}

/** Four bytes a step, multiplied and mixed; only speed and spread matter, equality is checked on the bytes. */
function hashBytes(bytes: Uint8Array, at: number, end: number): number {
  let hash = end - at;
  let i = at;
  for (const last = end - 4; i <= last; i += 4) {
    const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x85ebca6b);
  return hash ^ (hash >>> 13);
}

import { ByteCursor, compareBytes, copyBytes, decodeText } from "./byte-cursor.ts";
import type { ByteSource } from "./byte-source.ts";
import { EntryWalk } from "./entry-walk.ts";
import { corruptAt, readSection, type Section } from "./section.ts";
import type { SymbolEntries } from "./symbol-entries.ts";

/** How many symbols are kept as strings. */
const TEXT_CACHE_MAX = 500_000;
const ENCODER = new TextEncoder();

/**
 * The symbol table of a block's index: its bytes as they are in the file and where each symbol starts, so that a million
 * symbols are two objects for the garbage collector. A symbol's number is its place in byte order.
 */
export class BlockSymbols {
  readonly count: number;
  readonly #source: ByteSource;
  readonly #bytes: Uint8Array;
  /** Symbol `i` with its length in front is `#bytes[#entries[i], #entries[i + 1])`. */
  readonly #entries: Uint32Array;
  /** The offset of `#bytes`' start in the file. Version 1 names a symbol by the offset of its entry. */
  readonly #base: number;
  readonly #version: number;
  #texts: (string | undefined)[] = [];
  #textCount = 0;

  private constructor(source: ByteSource, section: Section, version: number) {
    const { bytes, start } = section;
    this.#source = source;
    this.#bytes = bytes;
    this.#base = start;
    this.#version = version;
    const cursor = new ByteCursor(bytes, `symbols of ${source.name}`);
    const count = cursor.u32();
    if (count > bytes.length) throw cursor.corrupt("there are more symbols than bytes");
    this.count = count;
    const entries = new Uint32Array(count + 1);
    const walk = new EntryWalk(bytes);
    for (let i = 0; i < count;) {
      i += walk.texts(cursor.at, entries.subarray(i, count));
      cursor.at = walk.at;
      if (i === count) break;
      // One that is longer than what the walk has before it, or damaged.
      entries[i++] = cursor.at;
      cursor.range();
    }
    entries[count] = cursor.at;
    this.#entries = entries;
  }

  /** Reads the table in `source` from `offset` to `end`. */
  static async read(
    source: ByteSource,
    place: { offset: number; end: number },
    version: number,
  ): Promise<BlockSymbols> {
    const section = await readSection(source, { what: "symbol table", ...place });
    return new BlockSymbols(source, section, version);
  }

  /** The number of the symbol that a series entry refers to as `reference`. */
  resolve(reference: number): number {
    if (this.#version !== 1) {
      if (reference < this.count) return reference;
    } else {
      const wanted = reference - this.#base;
      let low = 0;
      let high = this.count;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (this.#entries[middle]! < wanted) low = middle + 1;
        else high = middle;
      }
      if (low < this.count && this.#entries[low] === wanted) return low;
    }
    throw corruptAt(this.#source, this.#base, `there is no symbol ${reference} in the table`);
  }

  text(symbol: number): string {
    const known = this.#texts[symbol];
    if (known !== undefined) return known;
    if (this.#textCount === 0 || this.#textCount >= TEXT_CACHE_MAX) {
      this.#texts = Array.from<string | undefined>({ length: this.count });
      this.#textCount = 0;
    }
    this.#textCount++;
    const text = decodeText(this.#bytes, this.#start(symbol), this.#entries[symbol + 1]!);
    this.#texts[symbol] = text;
    return text;
  }

  /** The bytes of a symbol: a view, not to be changed. */
  bytesOf(symbol: number): Uint8Array {
    return this.#bytes.subarray(this.#start(symbol), this.#entries[symbol + 1]!);
  }

  /** Adds a symbol to `entries`; see there. */
  addTo(entries: SymbolEntries, symbol: number): boolean {
    return entries.add(this.#bytes, this.#start(symbol), this.#entries[symbol + 1]!);
  }

  sizeOf(symbol: number): number {
    return this.#entries[symbol + 1]! - this.#start(symbol);
  }

  /** Copies all bytes of a symbol to `target` from `at` on, and returns the bits that any of them has. */
  copyTo(symbol: number, target: Uint8Array, at: number): number {
    return copyBytes(this.#bytes, this.#start(symbol), this.#entries[symbol + 1]!, target, at);
  }

  /** The order of symbol `a` here and symbol `b` of another table. */
  compareWith(a: number, other: BlockSymbols, b: number): number {
    // Merging blocks compares all their symbols, so nothing is allocated here.
    const ours = this.#bytes;
    const theirs = other.#bytes;
    let i = this.#start(a);
    let j = other.#start(b);
    const endA = this.#entries[a + 1]!;
    const endB = other.#entries[b + 1]!;
    while (i < endA && j < endB) {
      const difference = ours[i++]! - theirs[j++]!;
      if (difference !== 0) return difference;
    }
    return endA - i - (endB - j);
  }

  /** The number of `text`, or -1. */
  find(text: string): number {
    const bytes = ENCODER.encode(text);
    const wanted = { bytes, start: 0, end: bytes.length };
    const range = { bytes: this.#bytes, start: 0, end: 0 };
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      range.start = this.#start(middle);
      range.end = this.#entries[middle + 1]!;
      const order = compareBytes(range, wanted);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }

  /** Where the bytes of a symbol start, behind their length. */
  #start(symbol: number): number {
    const bytes = this.#bytes;
    let at = this.#entries[symbol]!;
    while (bytes[at]! > 127) at++;
    return at + 1;
  }
}

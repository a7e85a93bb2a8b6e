import { ByteCursor, compareBytes, decodeText } from "./byte-cursor.ts";
import type { ByteSource } from "./byte-source.ts";
import { corruptAt, readSection } from "./section.ts";
import type { SymbolEntries } from "./symbol-entries.ts";

/** How many symbols are kept as strings. */
const TEXT_CACHE_MAX = 500_000;
const ENCODER = new TextEncoder();

/**
 * The symbol table of a block's index: its bytes as they are in the file and the offset of each symbol, so that a
 * million symbols are two objects for the garbage collector. A symbol's number is its place in byte order.
 */
export class BlockSymbols {
  readonly count: number;
  readonly #source: ByteSource;
  readonly #bytes: Uint8Array;
  /** Symbol `i` is `#bytes[#starts[i], #ends[i])`. */
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;
  /** Version 1 names a symbol by its offset in the file; this is that offset of `#bytes`' start. */
  readonly #base: number;
  #entryStarts: Uint32Array | undefined;
  #texts: (string | undefined)[] = [];
  #textCount = 0;

  private constructor(
    source: ByteSource,
    section: { bytes: Uint8Array; start: number },
    version: number,
  ) {
    const { bytes, start } = section;
    this.#source = source;
    this.#bytes = bytes;
    this.#base = start;
    const cursor = new ByteCursor(bytes, `symbols of ${source.name}`);
    this.count = cursor.u32();
    if (this.count > bytes.length) throw cursor.corrupt("there are more symbols than bytes");
    this.#starts = new Uint32Array(this.count);
    this.#ends = new Uint32Array(this.count);
    if (version === 1) this.#entryStarts = new Uint32Array(this.count);
    const starts = this.#starts;
    const ends = this.#ends;
    const entryStarts = this.#entryStarts;
    let at = cursor.at;
    for (let i = 0; i < starts.length; i++) {
      if (entryStarts !== undefined) entryStarts[i] = at;
      let length = at < bytes.length ? bytes[at]! : 128;
      if (length < 128) at++;
      else {
        cursor.at = at;
        length = cursor.uvarint();
        at = cursor.at;
      }
      starts[i] = at;
      at += length;
      if (at > bytes.length) throw cursor.short();
      ends[i] = at;
    }
  }

  static async read(source: ByteSource, offset: number, version: number): Promise<BlockSymbols> {
    return new BlockSymbols(source, await readSection(source, offset, "symbol table"), version);
  }

  /** The bytes kept in memory. */
  get size(): number {
    return this.#bytes.byteLength + this.#starts.byteLength + this.#ends.byteLength;
  }

  /** The number of the symbol that a series entry refers to as `reference`. */
  resolve(reference: number): number {
    const entries = this.#entryStarts;
    if (entries === undefined) {
      if (reference < this.count) return reference;
    } else {
      let low = 0;
      let high = this.count;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (entries[middle]! + this.#base < reference) low = middle + 1;
        else high = middle;
      }
      if (low < this.count && entries[low]! + this.#base === reference) return low;
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
    const text = decodeText(this.#bytes, this.#starts[symbol]!, this.#ends[symbol]!);
    this.#texts[symbol] = text;
    return text;
  }

  /** The bytes of a symbol: a view, not to be changed. */
  bytesOf(symbol: number): Uint8Array {
    return this.#bytes.subarray(this.#starts[symbol]!, this.#ends[symbol]!);
  }

  /** Adds a symbol to `entries`; see there. */
  addTo(entries: SymbolEntries, symbol: number): boolean {
    return entries.add(this.#bytes, this.#starts[symbol]!, this.#ends[symbol]!);
  }

  sizeOf(symbol: number): number {
    return this.#ends[symbol]! - this.#starts[symbol]!;
  }

  /** The order of symbol `a` here and symbol `b` of another table. */
  compareWith(a: number, other: BlockSymbols, b: number): number {
    // Merging blocks compares all their symbols, so nothing is allocated here.
    const ours = this.#bytes;
    const theirs = other.#bytes;
    let i = this.#starts[a]!;
    let j = other.#starts[b]!;
    const endA = this.#ends[a]!;
    const endB = other.#ends[b]!;
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
      range.start = this.#starts[middle]!;
      range.end = this.#ends[middle]!;
      const order = compareBytes(range, wanted);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }
}

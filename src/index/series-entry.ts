import { crc32c } from "../base/crc32c.ts";
import { ByteCursor, uint32At } from "./byte-cursor.ts";

/**
 * One series of an index, decoded into columns that the next one overwrites. Entry: docs/format/index.md.
 */
export class SeriesEntry {
  /** As in postings. */
  ref = 0;
  labelCount = 0;
  /** Name, value, name, value, … as numbers of symbols. */
  symbols = new Uint32Array(64);
  chunkCount = 0;
  /** ms. */
  minTimes = new Float64Array(64);
  /** ms, inclusive. */
  maxTimes = new Float64Array(64);
  /** Segment number × 2^32 + offset, segments counted from 0. */
  chunkRefs = new Float64Array(64);
  readonly #cursor: ByteCursor;

  constructor(what: string) {
    this.#cursor = new ByteCursor(new Uint8Array(0), what);
  }

  /** How many bytes the entry at `at` takes with its length and checksum; undefined when not even its length is there. */
  sizeAt(bytes: Uint8Array, at: number): number | undefined {
    const cursor = this.#cursor;
    if (bytes.length - at < 10) {
      let i = at;
      while (i < bytes.length && bytes[i]! >= 128) i++;
      if (i >= bytes.length) return undefined;
    }
    cursor.reset(bytes, at, bytes.length);
    const length = cursor.uvarint();
    return cursor.at - at + length + 4;
  }

  /** Decodes the entry at `at`, all of which is in `bytes`. `resolve` turns a symbol reference into its number. */
  decode(bytes: Uint8Array, at: number, resolve: (reference: number) => number): void {
    const cursor = this.#cursor;
    cursor.reset(bytes, at, bytes.length);
    const length = cursor.uvarint();
    const start = cursor.at;
    cursor.skip(length + 4);
    const end = start + length;
    if (crc32c(bytes, start, end) !== uint32At(bytes, end))
      throw cursor.corrupt("its checksum is wrong");
    cursor.reset(bytes, start, end);
    const labels = cursor.uvarint();
    if (labels * 2 > length) throw cursor.corrupt("it has more labels than bytes");
    if (labels * 2 > this.symbols.length) this.symbols = new Uint32Array(labels * 4);
    for (let i = 0; i < 2 * labels; i++) this.symbols[i] = resolve(cursor.uvarint());
    this.labelCount = labels;
    const chunks = cursor.uvarint();
    if (chunks * 3 > length) throw cursor.corrupt("it has more chunks than bytes");
    if (chunks > this.minTimes.length) this.#growChunks(chunks);
    this.chunkCount = chunks;
    let time = 0;
    let ref = 0;
    for (let i = 0; i < chunks; i++) {
      time += i === 0 ? cursor.varint() : cursor.uvarint();
      this.minTimes[i] = time;
      time += cursor.uvarint();
      this.maxTimes[i] = time;
      ref += i === 0 ? cursor.uvarint() : cursor.varint();
      if (ref < 0) throw cursor.corrupt("a chunk has a negative reference");
      this.chunkRefs[i] = ref;
    }
    if (cursor.at !== end) throw cursor.corrupt("it is longer than its content");
  }

  #growChunks(count: number): void {
    this.minTimes = new Float64Array(count * 2);
    this.maxTimes = new Float64Array(count * 2);
    this.chunkRefs = new Float64Array(count * 2);
  }
}

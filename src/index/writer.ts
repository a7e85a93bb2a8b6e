import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError, assert } from "../base/errors.ts";
import { FileWriter, uvarintSize, zigzag } from "./file-writer.ts";
import { INDEX_MAGIC, INDEX_VERSION, type IndexToc, SERIES_ALIGN } from "./format.ts";
import { PairPages } from "./pair-pages.ts";
import { SymbolEntries } from "./symbol-entries.ts";

/** After so many small entries everything else gets a turn. */
const ENTRIES_PER_TURN = 8192;
/** The symbol table is written in pieces of this size. */
const PIECE_BYTES = 64 * 1024;
const ENCODER = new TextEncoder();

/** The chunks of a series, `count` leading entries of each column. */
export interface ChunkColumns {
  readonly count: number;
  /** ms. */
  readonly minTimes: Float64Array;
  /** ms, inclusive. */
  readonly maxTimes: Float64Array;
  /** Segment number × 2^32 + offset, segments counted from 0. */
  readonly refs: Float64Array;
}

export interface IndexWriterOptions {
  /** Also write the label index sections that Prometheus before 3.7 wrote and none reads. Default no. */
  readonly labelIndices?: boolean;
}

/**
 * Writes an index of version 2 from front to back: first all symbols, then the series in label order, then `finish`.
 * The bytes are Prometheus's for the same input. Besides the symbols it holds eight bytes per label of a series, from
 * which the postings are made at the end. Format: docs/format/index.md.
 */
export class IndexWriter {
  readonly #out: FileWriter;
  readonly #labelIndices: boolean;
  #symbols = new SymbolEntries();
  /** Per label name (its symbol): pairs of series ref and value symbol, in the order of the series. */
  readonly #names = new Map<number, PairPages>();
  readonly #all = new PairPages();
  /** Of the series that is written. */
  #numbers = new Float64Array(256);
  #previous = new Uint32Array(64);
  #previousCount = 0;
  #seriesCount = 0;
  #lastChunkRef = -1;
  readonly #toc = {
    symbols: 0,
    series: 0,
    labelIndices: 0,
    labelIndicesTable: 0,
    postings: 0,
    postingsTable: 0,
  };

  private constructor(out: FileWriter, options: IndexWriterOptions) {
    this.#out = out;
    this.#labelIndices = options.labelIndices ?? false;
  }

  /** Starts a new file at `path`. */
  static async create(path: string, options: IndexWriterOptions = {}): Promise<IndexWriter> {
    const out = await FileWriter.create(path);
    out.putU32(INDEX_MAGIC);
    out.putU8(INDEX_VERSION);
    return new IndexWriter(out, options);
  }

  get seriesCount(): number {
    return this.#seriesCount;
  }

  /** Writes the symbol table: each label name and value once, in byte order, the empty text first. */
  async addSymbols(symbols: Iterable<Uint8Array> | SymbolEntries): Promise<void> {
    const out = this.#out;
    this.#toc.symbols = out.position;
    if (symbols instanceof SymbolEntries) this.#symbols = symbols;
    else
      for (const symbol of symbols) {
        if (this.#symbols.count % ENTRIES_PER_TURN === 0) await nextTurn();
        if (!this.#symbols.add(symbol, 0, symbol.length))
          throw new AppError("internal", `cannot write ${out.path}: symbols are not in order`);
      }
    const entries = this.#symbols;
    out.putU32(4 + entries.size);
    let from = out.position;
    let checksum = 0;
    out.putU32(entries.count);
    for (let at = 0; at < entries.size; at += PIECE_BYTES) {
      out.putRange(entries.bytes, at, Math.min(at + PIECE_BYTES, entries.size));
      if (!out.isFull) continue;
      checksum = out.checksumFrom(from, checksum);
      await out.drain();
      from = out.position;
    }
    out.putU32(out.checksumFrom(from, checksum));
    this.#toc.series = out.position;
  }

  /**
   * Writes a series: `symbols` is name, value, name, value, … as places in the symbol table, in order of the names.
   * Series must come in label order, chunks in order of time and of their place in the files. Call `drain` in between.
   */
  addSeries(series: { symbols: Uint32Array; labelCount: number }, chunks: ChunkColumns): void {
    const out = this.#out;
    const { symbols, labelCount } = series;
    this.#checkOrder(symbols, labelCount);
    out.align(SERIES_ALIGN);
    const ref = out.position / SERIES_ALIGN;
    if (ref >= 2 ** 31)
      throw new AppError(
        "resource-exhausted",
        `cannot write ${out.path}: an index may have up to 32 GiB`,
      );
    let from = out.position;
    const size = 2 + 2 * labelCount + 3 * chunks.count;
    if (this.#numbers.length < size) this.#numbers = new Float64Array(size * 2);
    const numbers = this.#numbers;
    let count = 0;
    numbers[count++] = labelCount;
    for (let i = 0; i < 2 * labelCount; i++) numbers[count++] = symbols[i]!;
    numbers[count++] = chunks.count;
    let time = 0;
    let chunkRef = 0;
    for (let i = 0; i < chunks.count; i++) {
      const minTime = chunks.minTimes[i]!;
      const maxTime = chunks.maxTimes[i]!;
      const next = chunks.refs[i]!;
      assert(
        maxTime >= minTime && (i === 0 || minTime > time) && next > this.#lastChunkRef,
        "chunks of a series must be in order",
      );
      numbers[count++] = i === 0 ? zigzag(minTime) : minTime - time;
      numbers[count++] = maxTime - minTime;
      numbers[count++] = i === 0 ? next : zigzag(next - chunkRef);
      time = maxTime;
      chunkRef = next;
      this.#lastChunkRef = next;
    }
    out.putUvarints(numbers, count);
    from += out.insertLength(from);
    out.putU32(out.checksumFrom(from));
    this.#seriesCount++;
    this.#all.add(ref, 0);
    for (let i = 0; i < labelCount; i++) {
      let pages = this.#names.get(symbols[2 * i]!);
      if (pages === undefined) this.#names.set(symbols[2 * i]!, (pages = new PairPages()));
      pages.add(ref, symbols[2 * i + 1]!);
    }
  }

  /** Whether a `drain` is due. */
  get isFull(): boolean {
    return this.#out.isFull;
  }

  drain(): Promise<void> {
    return this.#out.drain();
  }

  /** Writes postings, tables and table of contents; the file is on disk when it resolves. */
  async finish(): Promise<IndexToc> {
    const out = this.#out;
    const toc = this.#toc;
    const names = [...this.#names.keys()].sort((a, b) => a - b);
    toc.labelIndices = out.position;
    const indices = await this.#writeLabelIndices(this.#labelIndices ? names : []);
    out.align(4);
    toc.postings = out.position;
    const table = await this.#writePostings(names);
    toc.labelIndicesTable = out.position;
    if (this.#labelIndices)
      await this.#writeTable(indices, (i) => {
        out.putUvarint(1);
        this.#putSymbol(indices.names[i]!);
        out.putUvarint(indices.offsets[i]!);
      });
    toc.postingsTable = out.position;
    await this.#writeTable(table, (i) => {
      out.putUvarint(2);
      this.#putSymbol(table.names[i]!);
      this.#putSymbol(table.values[i]!);
      out.putUvarint(table.offsets[i]!);
    });
    const from = out.position;
    for (const offset of [
      toc.symbols,
      toc.series,
      toc.labelIndices,
      toc.labelIndicesTable,
      toc.postings,
      toc.postingsTable,
    ])
      out.putU64(offset);
    out.putU32(out.checksumFrom(from));
    await out.sync();
    return toc;
  }

  close(): Promise<void> {
    return this.#out.close();
  }

  #checkOrder(symbols: Uint32Array, labelCount: number): void {
    const previous = this.#previous;
    const count = labelCount * 2;
    let ascends = this.#seriesCount === 0;
    for (let i = 0; !ascends && i < count; i++) {
      if (i >= this.#previousCount) ascends = true;
      else if (symbols[i]! !== previous[i]!) {
        assert(symbols[i]! > previous[i]!, "series must come in label order");
        ascends = true;
      }
    }
    assert(ascends, "series must come in label order, each once");
    if (previous.length < count) this.#previous = new Uint32Array(count * 2);
    for (let i = 0; i < count; i++) {
      const symbol = symbols[i]!;
      assert(symbol < this.#symbols.count, "a series uses a symbol that is not in the table");
      this.#previous[i] = symbol;
    }
    this.#previousCount = count;
  }

  async #writePostings(names: readonly number[]): Promise<TableColumns> {
    const table: TableColumns = { size: 0, names: [], values: [], offsets: [] };
    const all = new Uint32Array(this.#all.count);
    this.#all.scatter(all, new Uint32Array(1));
    // The list of all series has two empty texts for a name and a value.
    this.#addEntry(table, 0, 0);
    await this.#writeList(all, 0, all.length);
    const counts = new Uint32Array(this.#symbols.count);
    for (const name of names) {
      const pages = this.#names.get(name)!;
      const values = pages.countValues(counts);
      // Lists one behind the other, in order of the values: `counts` becomes where each goes on.
      const refs = new Uint32Array(pages.count);
      let start = 0;
      for (const value of values) {
        const count = counts[value]!;
        counts[value] = start;
        start += count;
      }
      pages.scatter(refs, counts);
      start = 0;
      for (const value of values) {
        const end = counts[value]!;
        counts[value] = 0;
        this.#addEntry(table, name, value);
        const wait = this.#writeList(refs, start, end);
        if (wait !== undefined) await wait;
        if (table.offsets.length % ENTRIES_PER_TURN === 0) await nextTurn();
        start = end;
      }
      this.#names.delete(name);
      await nextTurn();
    }
    return table;
  }

  #writeList(refs: Uint32Array, start: number, end: number): Promise<void> | undefined {
    const out = this.#out;
    out.putU32(4 + 4 * (end - start));
    const from = out.position;
    out.putU32(end - start);
    out.putU32s(refs, start, end);
    out.putU32(out.checksumFrom(from));
    return out.isFull ? out.drain() : undefined;
  }

  async #writeLabelIndices(names: readonly number[]): Promise<TableColumns> {
    const out = this.#out;
    const table: TableColumns = { size: 0, names: [], values: [], offsets: [] };
    const counts = new Uint32Array(this.#symbols.count);
    for (const name of names) {
      const values = this.#names.get(name)!.countValues(counts);
      for (const value of values) counts[value] = 0;
      out.align(4);
      this.#addEntry(table, name);
      out.putU32(8 + 4 * values.length);
      const from = out.position;
      out.putU32(1);
      out.putU32(values.length);
      out.putU32s(values, 0, values.length);
      out.putU32(out.checksumFrom(from));
      await out.drain();
    }
    return table;
  }

  /** Adds an entry for what is written next, of one key or two. */
  #addEntry(table: TableColumns, name: number, value?: number): void {
    const { position } = this.#out;
    table.names.push(name);
    table.offsets.push(position);
    table.size += 1 + this.#symbolSize(name) + uvarintSize(position);
    if (value === undefined) return;
    table.values.push(value);
    table.size += this.#symbolSize(value);
  }

  /** A section `length | count | entries | checksum`; `put` puts entry `i`. */
  async #writeTable(table: TableColumns, put: (i: number) => void): Promise<void> {
    const out = this.#out;
    const count = table.offsets.length;
    out.putU32(4 + table.size);
    let from = out.position;
    let checksum = 0;
    out.putU32(count);
    for (let i = 0; i < count; i++) {
      put(i);
      if (i % ENTRIES_PER_TURN === 0) await nextTurn();
      if (!out.isFull) continue;
      checksum = out.checksumFrom(from, checksum);
      await out.drain();
      from = out.position;
    }
    out.putU32(out.checksumFrom(from, checksum));
  }

  /** The length of a symbol, and its text. */
  #putSymbol(symbol: number): void {
    this.#out.putRange(this.#symbols.bytes, this.#symbols.start(symbol), this.#symbols.end(symbol));
  }

  #symbolSize(symbol: number): number {
    return this.#symbols.end(symbol) - this.#symbols.start(symbol);
  }
}

/** The entries of an offset table: symbols of its keys and where in the file what they name is. */
interface TableColumns {
  /** Bytes of all entries. */
  size: number;
  readonly names: number[];
  /** Of two keys the second. */
  readonly values: number[];
  readonly offsets: number[];
}

/** The texts in byte order, each once, with the empty text in front, as `addSymbols` wants them. */
export function symbolBytes(texts: Iterable<string>): Uint8Array[] {
  const unique = new Set(texts);
  unique.add("");
  return Array.from(unique, (text) => ENCODER.encode(text)).sort((a, b) => Buffer.compare(a, b));
}

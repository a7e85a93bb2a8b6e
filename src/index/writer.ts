import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError, assert } from "../base/errors.ts";
import { FileWriter } from "./file-writer.ts";
import { INDEX_MAGIC, INDEX_VERSION, type IndexToc, SERIES_ALIGN } from "./format.ts";

/** After so many small entries everything else gets a turn. */
const ENTRIES_PER_TURN = 8192;
/** The largest page of the postings' collector, in words; a pair takes two. */
const PAGE_WORDS = 32 * 1024;
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
  #symbolSizes = 0;
  #symbols: Uint8Array[] = [];
  /** Per label name (its symbol): pairs of series ref and value symbol, in the order of the series. */
  readonly #names = new Map<number, PairPages>();
  readonly #all = new PairPages();
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
  async addSymbols(symbols: Iterable<Uint8Array>): Promise<void> {
    const out = this.#out;
    this.#toc.symbols = out.position;
    this.#symbols = [...symbols];
    let previous: Uint8Array | undefined;
    for (const [i, symbol] of this.#symbols.entries()) {
      if (i % ENTRIES_PER_TURN === 0) await nextTurn();
      if (previous !== undefined && Buffer.compare(previous, symbol) >= 0)
        throw new AppError("internal", `cannot write ${out.path}: symbols are not in order`);
      previous = symbol;
      this.#symbolSizes += symbol.length + uvarintSize(symbol.length);
    }
    out.putU32(4 + this.#symbolSizes);
    let from = out.position;
    let checksum = 0;
    out.putU32(this.#symbols.length);
    for (const [i, symbol] of this.#symbols.entries()) {
      out.putUvarint(symbol.length);
      out.putBytes(symbol);
      if (i % ENTRIES_PER_TURN === 0) await nextTurn();
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
    out.putUvarint(seriesSize(series, chunks));
    const from = out.position;
    out.putUvarint(labelCount);
    for (let i = 0; i < 2 * labelCount; i++) out.putUvarint(symbols[i]!);
    out.putUvarint(chunks.count);
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
      if (i === 0) out.putVarint(minTime);
      else out.putUvarint(minTime - time);
      out.putUvarint(maxTime - minTime);
      if (i === 0) out.putUvarint(next);
      else out.putVarint(next - chunkRef);
      time = maxTime;
      chunkRef = next;
      this.#lastChunkRef = next;
    }
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
    const indices = this.#labelIndices ? await this.#writeLabelIndices(names) : [];
    out.align(4);
    toc.postings = out.position;
    const table = await this.#writePostings(names);
    toc.labelIndicesTable = out.position;
    if (this.#labelIndices)
      await this.#writeTable(indices.length, function* (put) {
        for (const { name, offset } of indices) {
          put.putUvarint(1);
          put.name(name);
          put.putUvarint(offset);
          yield;
        }
      });
    toc.postingsTable = out.position;
    const { offsets } = table;
    await this.#writeTable(offsets.length, function* (put) {
      for (let i = 0; i < offsets.length; i++) {
        put.putUvarint(2);
        if (i === 0) {
          put.putUvarint(0);
          put.putUvarint(0);
        } else {
          put.name(table.names[i]!);
          put.name(table.values[i]!);
        }
        put.putUvarint(offsets[i]!);
        yield;
      }
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
      assert(symbol < this.#symbols.length, "a series uses a symbol that is not in the table");
      this.#previous[i] = symbol;
    }
    this.#previousCount = count;
  }

  async #writePostings(
    names: readonly number[],
  ): Promise<{ names: number[]; values: number[]; offsets: number[] }> {
    const out = this.#out;
    const table = { names: [0], values: [0], offsets: [out.position] };
    const all = new Uint32Array(this.#all.count);
    let filled = 0;
    this.#all.forEach((ref) => (all[filled++] = ref));
    await this.#writeList(all, 0, all.length);
    const counts = new Uint32Array(this.#symbols.length);
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
      pages.forEach((ref, value) => (refs[counts[value]!++] = ref));
      start = 0;
      for (const value of values) {
        const end = counts[value]!;
        counts[value] = 0;
        table.names.push(name);
        table.values.push(value);
        table.offsets.push(out.position);
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
    for (let i = start; i < end; i++) out.putU32(refs[i]!);
    out.putU32(out.checksumFrom(from));
    return out.isFull ? out.drain() : undefined;
  }

  async #writeLabelIndices(names: readonly number[]): Promise<{ name: number; offset: number }[]> {
    const out = this.#out;
    const indices: { name: number; offset: number }[] = [];
    const counts = new Uint32Array(this.#symbols.length);
    for (const name of names) {
      const values = this.#names.get(name)!.countValues(counts);
      for (const value of values) counts[value] = 0;
      out.align(4);
      indices.push({ name, offset: out.position });
      out.putU32(8 + 4 * values.length);
      const from = out.position;
      out.putU32(1);
      out.putU32(values.length);
      for (const value of values) out.putU32(value);
      out.putU32(out.checksumFrom(from));
      await out.drain();
    }
    return indices;
  }

  /** A section `length | count | entries | checksum` whose entries `fill` puts, yielding after each. */
  async #writeTable(
    count: number,
    fill: (put: TableWriter) => Generator<void, void>,
  ): Promise<void> {
    const out = this.#out;
    const sizes = new TableSizes(this.#symbols);
    let done = 0;
    for (const _ of fill(sizes)) if (++done % ENTRIES_PER_TURN === 0) await nextTurn();
    out.putU32(4 + sizes.size);
    let from = out.position;
    let checksum = 0;
    out.putU32(count);
    const symbols = this.#symbols;
    const put: TableWriter = {
      putUvarint: (value) => out.putUvarint(value),
      name(symbol) {
        const bytes = symbols[symbol]!;
        out.putUvarint(bytes.length);
        out.putBytes(bytes);
      },
    };
    for (const _ of fill(put)) {
      if (++done % ENTRIES_PER_TURN === 0) await nextTurn();
      if (!out.isFull) continue;
      checksum = out.checksumFrom(from, checksum);
      await out.drain();
      from = out.position;
    }
    out.putU32(out.checksumFrom(from, checksum));
  }
}

interface TableWriter {
  putUvarint(value: number): void;
  name(symbol: number): void;
}

/** Adds up what a table will take. */
class TableSizes implements TableWriter {
  size = 0;
  readonly #symbols: readonly Uint8Array[];

  constructor(symbols: readonly Uint8Array[]) {
    this.#symbols = symbols;
  }

  putUvarint(value: number): void {
    this.size += uvarintSize(value);
  }

  name(symbol: number): void {
    const { length } = this.#symbols[symbol]!;
    this.size += uvarintSize(length) + length;
  }
}

/** Pairs of a ref and a value in pages, so that growing copies nothing; the first pages are small, as most names need. */
class PairPages {
  readonly #pages: Uint32Array[] = [];
  #last = new Uint32Array(0);
  #used = 0;
  count = 0;

  add(ref: number, value: number): void {
    if (this.#used === this.#last.length) {
      this.#last = new Uint32Array(Math.min(Math.max(this.#last.length * 2, 128), PAGE_WORDS));
      this.#pages.push(this.#last);
      this.#used = 0;
    }
    this.#last[this.#used++] = ref;
    this.#last[this.#used++] = value;
    this.count++;
  }

  forEach(visit: (ref: number, value: number) => void): void {
    let rest = this.count;
    for (const page of this.#pages)
      for (let i = 0; i < page.length && rest > 0; i += 2, rest--) visit(page[i]!, page[i + 1]!);
  }

  /** Adds how often each value occurs to `counts` (all 0 before); the values in order. */
  countValues(counts: Uint32Array): Uint32Array {
    const values: number[] = [];
    this.forEach((_ref, value) => {
      if (counts[value]!++ === 0) values.push(value);
    });
    return Uint32Array.from(values).sort();
  }
}

function seriesSize(
  series: { symbols: Uint32Array; labelCount: number },
  chunks: ChunkColumns,
): number {
  const { symbols, labelCount } = series;
  let size = uvarintSize(labelCount) + uvarintSize(chunks.count);
  for (let i = 0; i < 2 * labelCount; i++) size += uvarintSize(symbols[i]!);
  let time = 0;
  let ref = 0;
  for (let i = 0; i < chunks.count; i++) {
    const minTime = chunks.minTimes[i]!;
    size += uvarintSize(i === 0 ? folded(minTime) : minTime - time);
    time = chunks.maxTimes[i]!;
    size += uvarintSize(time - minTime);
    const next = chunks.refs[i]!;
    size += uvarintSize(i === 0 ? next : folded(next - ref));
    ref = next;
  }
  return size;
}

function folded(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

function uvarintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** The texts in byte order, each once, with the empty text in front, as `addSymbols` wants them. */
export function symbolBytes(texts: Iterable<string>): Uint8Array[] {
  const unique = new Set(texts);
  unique.add("");
  return Array.from(unique, (text) => ENCODER.encode(text)).sort((a, b) => Buffer.compare(a, b));
}

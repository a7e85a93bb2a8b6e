import { crc32c } from "../base/crc32c.ts";
import { AppError } from "../base/errors.ts";
import { LabelPacker } from "../model/label-packer.ts";
import type { Labels } from "../model/labels.ts";
import { byteChoice, formatMatcher, type Matcher, matchesEmpty } from "../model/matcher.ts";
import { BlockSymbols } from "./block-symbols.ts";
import { ByteCursor, uint32At } from "./byte-cursor.ts";
import { type ByteSource, planWindows } from "./byte-source.ts";
import {
  INDEX_HEADER_BYTES,
  INDEX_MAGIC,
  type IndexToc,
  SERIES_ALIGN,
  TOC_BYTES,
} from "./format.ts";
import { KeptRefs } from "./kept-refs.ts";
import { intersect, subtract, uniteDisjoint } from "./postings-math.ts";
import { PostingsTable } from "./postings-table.ts";
import { PostingsTableV1 } from "./postings-table-v1.ts";
import { isListIntact, listSize, RefList, refCount } from "./ref-list.ts";
import { corruptAt } from "./section.ts";
import { EntryReader } from "./entry-reader.ts";
import type { SeriesColumns } from "./series-columns.ts";
import type { SeriesEntry } from "./series-entry.ts";
import { type EntriesAt, walkSeries } from "./series-walk.ts";
import { forEachRead } from "./spare-memory.ts";

/** Postings are held as signed 32-bit numbers of 16 bytes: an index beyond 32 GiB is refused. */
export const INDEX_MAX_BYTES = 2 ** 31 * SERIES_ALIGN;
/** Series entries, or lists, nearer than this are read together. */
const GAP_BYTES = 16 * 1024;
const READ_MAX_BYTES = 1024 * 1024;
/** Read behind the last entry of a piece; a longer entry costs a read of its own. */
const SERIES_TAIL_BYTES = 1024;
const LIST_TAIL_BYTES = 8 * 1024;

const keptRefs = new KeptRefs();

/**
 * Reads a block's index, versions 1 to 3. Opening reads the table of contents, the symbols and the postings offset
 * table, and checks their checksums; lists and series are read by ranges when they are asked for, and each is checked
 * then. What a matcher found is kept for the next query. Format: docs/format/index.md.
 */
export class IndexReader {
  readonly source: ByteSource;
  readonly version: number;
  readonly toc: IndexToc;
  readonly symbols: BlockSymbols;
  readonly #packer: LabelPacker;
  readonly #table: PostingsTable | PostingsTableV1;
  /** What a reference in postings is multiplied by to give an offset. */
  readonly #unit: number;
  readonly #keptOwner = keptRefs.newOwner();

  private constructor(parts: {
    source: ByteSource;
    version: number;
    toc: IndexToc;
    symbols: BlockSymbols;
    table: PostingsTable | PostingsTableV1;
  }) {
    this.source = parts.source;
    this.version = parts.version;
    this.toc = parts.toc;
    this.symbols = parts.symbols;
    this.#packer = new LabelPacker(parts.symbols);
    this.#table = parts.table;
    this.#unit = parts.version === 1 ? 1 : SERIES_ALIGN;
  }

  /**
   * Opens the index in `source`, which it then owns. `version` overrides the one in the file: early blocks carry a
   * wrong one. Throws `corrupt` for bytes that are no index or break a checksum.
   */
  static async open(source: ByteSource, options: { version?: number } = {}): Promise<IndexReader> {
    try {
      return await IndexReader.#open(source, options);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  static async #open(source: ByteSource, options: { version?: number }): Promise<IndexReader> {
    if (source.size < INDEX_HEADER_BYTES + TOC_BYTES)
      throw new AppError(
        "corrupt",
        `cannot read ${source.name}: ${source.size} bytes are too few for an index`,
      );
    if (source.size >= INDEX_MAX_BYTES)
      throw new AppError(
        "resource-exhausted",
        `cannot read ${source.name}: an index may have up to 32 GiB`,
      );
    const [header, tocBytes] = await Promise.all([
      source.read(0, INDEX_HEADER_BYTES),
      source.read(source.size - TOC_BYTES, TOC_BYTES),
    ]);
    if (uint32At(header, 0) !== INDEX_MAGIC)
      throw corruptAt(source, 0, "this is no index: the magic number is wrong");
    const version = options.version ?? header[4]!;
    if (version < 1 || version > 3) throw corruptAt(source, 4, `unknown index version ${version}`);
    const toc = parseToc(source, tocBytes);
    const Table = version === 1 ? PostingsTableV1 : PostingsTable;
    const [table, symbols] = await Promise.all([
      Table.read(source, { offset: toc.postingsTable, end: source.size - TOC_BYTES }),
      BlockSymbols.read(source, { offset: toc.symbols, end: toc.series }, version),
    ]);
    return new IndexReader({ source, version, toc, symbols, table });
  }

  close(): Promise<void> {
    keptRefs.drop(this.#keptOwner);
    return this.source.close();
  }

  /** All label names in byte order. */
  labelNames(): readonly string[] {
    return this.#table.names();
  }

  /** How many label pairs the index has. */
  get pairCount(): number {
    return this.#table.pairCount;
  }

  valueCount(name: string): number {
    return this.#table.valueCount(name);
  }

  /** The values of `name` in byte order. */
  async labelValues(name: string): Promise<string[]> {
    const values: string[] = [];
    await this.#table.forEachValue(name, (value) => values.push(value));
    return values;
  }

  /** Calls `visit` with each value of `name` and how many series carry it. */
  async forEachValueCount(
    name: string,
    visit: (value: string, seriesCount: number) => void,
  ): Promise<void> {
    const values: string[] = [];
    const lists: number[] = [];
    await this.#table.forEachValue(name, (value, list) => {
      values.push(value);
      lists.push(list);
    });
    const counts = new Map<number, number>();
    await this.#forEachList(Float64Array.from(lists).sort(), (bytes, at, offset) =>
      counts.set(offset, refCount(bytes, at)),
    );
    for (const [i, value] of values.entries()) visit(value, counts.get(lists[i]!)!);
  }

  /** The refs of all series, ascending, which is the order of their labels. */
  async allPostings(): Promise<Int32Array> {
    return this.#table.all === undefined ? new Int32Array(0) : this.#list(this.#table.all);
  }

  async postings(name: string, value: string): Promise<Int32Array> {
    const offset = await this.#table.find(name, value);
    return offset === undefined ? new Int32Array(0) : this.#list(offset);
  }

  /** The refs of the series for which all matchers hold, ascending. */
  async matching(matchers: readonly Matcher[]): Promise<Int32Array> {
    let result: Int32Array | undefined;
    const excluded: Matcher[] = [];
    // What is found without a look at all values narrows the result first.
    const ordered = [...matchers].sort(
      (a, b) => Number(b.set !== undefined) - Number(a.set !== undefined),
    );
    for (const matcher of ordered) {
      if (matchesEmpty(matcher)) {
        excluded.push(matcher);
        continue;
      }
      const list = await this.#union(matcher, true);
      result = result === undefined ? list : intersect(result, list);
      if (result.length === 0) return result;
    }
    result ??= await this.allPostings();
    for (const matcher of excluded) {
      if (result.length === 0) break;
      result = subtract(result, await this.#union(matcher, false));
    }
    return result;
  }

  /**
   * Reads the series `refs[from]` to `refs[to - 1]` (ascending) and calls `visit` with each, decoded into an entry that
   * the next one overwrites.
   */
  async forEachSeries(
    refs: Int32Array,
    range: { from: number; to: number },
    visit: (entry: SeriesEntry) => void,
  ): Promise<void> {
    const entries = new EntryReader(this.source, this.#resolver());
    await this.#forEachPiece(refs, range, async (piece) => {
      for (let i = 0; i < piece.refs.length; i++) {
        const entry = entries.read(piece, i);
        visit(entry instanceof Promise ? await entry : entry);
      }
    });
  }

  /**
   * Reads the series `refs[from]` to `refs[to - 1]` (ascending) into `columns`, with those of their chunks that reach into the
   * range of times.
   */
  async readSeries(
    refs: Int32Array,
    range: { from: number; to: number },
    options: { minTimeMs: number; maxTimeMs: number },
    columns: SeriesColumns,
  ): Promise<void> {
    const entries = new EntryReader(this.source, this.#resolver());
    // In version 1 symbols are named by their places.
    const symbolCount = this.version === 1 ? 0 : this.symbols.count;
    const { minTimeMs, maxTimeMs } = options;
    const kernel = { symbolCount, minTimeMs, maxTimeMs };
    await this.#forEachPiece(refs, range, async (piece) => {
      const to = piece.refs.length;
      for (let from = 0; from < to;) {
        from += walkSeries(piece, { from, to }, kernel, columns);
        if (from < to) columns.add(await entries.read(piece, from++), options);
      }
    });
  }

  #resolver(): (reference: number) => number {
    const { symbols } = this;
    return this.version === 1
      ? (reference) => symbols.resolve(reference)
      : (reference) => (reference < symbols.count ? reference : symbols.resolve(reference));
  }

  /** Calls `use` with the bytes of entries that are read together, piece by piece, which are lent. */
  async #forEachPiece(
    refs: Int32Array,
    { from, to }: { from: number; to: number },
    use: (piece: EntriesAt & { readonly offset: number }) => Promise<void>,
  ): Promise<void> {
    const { source } = this;
    const offsets = new Float64Array(to - from);
    for (let i = from; i < to; i++) {
      const offset = refs[i]! * this.#unit;
      if (offset < INDEX_HEADER_BYTES || offset >= source.size)
        throw corruptAt(source, offset, "postings name a series outside the file");
      offsets[i - from] = offset;
    }
    const windows = planWindows(offsets, {
      from: 0,
      to: offsets.length,
      gap: GAP_BYTES,
      tail: SERIES_TAIL_BYTES,
      maxBytes: READ_MAX_BYTES,
      limit: source.size,
    });
    await forEachRead(source, windows, (bytes, window) =>
      use({
        bytes,
        offset: window.start,
        starts: offsets.subarray(window.from, window.to).map((offset) => offset - window.start),
        refs: refs.subarray(from + window.from, from + window.to),
      }),
    );
  }

  /** The labels whose symbols are `symbols[from]` (name, value, name, value, …) to `symbols[to - 1]`. */
  labelsOf(symbols: Uint32Array, from: number, to: number): Labels {
    const packer = this.#packer;
    for (let i = from; i < to; i += 2) packer.add(symbols[i]!, symbols[i + 1]!);
    return packer.take();
  }

  /** The series that have a value of the matcher's label for which it answers `wanted`; not to be changed. */
  async #union(matcher: Matcher, wanted: boolean): Promise<Int32Array> {
    // What is wanted follows from the matcher, so that it need not be in the key.
    const key = formatMatcher(matcher);
    const kept = keptRefs.get(this.#keptOwner, key);
    if (kept !== undefined) return kept;
    const refs = await this.#readUnion(matcher, wanted);
    keptRefs.add(this.#keptOwner, key, refs);
    return refs;
  }

  async #readUnion(matcher: Matcher, wanted: boolean): Promise<Int32Array> {
    const { name } = matcher;
    if (wanted && matcher.set !== undefined) {
      const lists: Int32Array[] = [];
      for (const value of new Set(matcher.set)) {
        const list = await this.postings(name, value);
        if (list.length > 0) lists.push(list);
      }
      return uniteDisjoint(lists);
    }
    // Fast path: `!=` leaves out one value, which needs no look at the others.
    if (!wanted && matcher.operator === "!=") return this.postings(name, matcher.value);
    const offsets = await this.#listsOf(matcher, wanted);
    return this.#lists(Float64Array.from(offsets).sort());
  }

  /** The lists of the values for which `matcher` answers `wanted`. */
  async #listsOf(matcher: Matcher, wanted: boolean): Promise<number[]> {
    const { name } = matcher;
    const isPrefixKnown = wanted === (matcher.operator === "=~");
    const choice = byteChoice(matcher, { isPrefixKnown });
    if (choice !== undefined) {
      const isMatchWanted = choice.isMatchWanted === wanted;
      return this.#table.chosenLists(name, { automaton: choice.automaton, isMatchWanted });
    }
    const offsets: number[] = [];
    await this.#table.forEachValue(name, (value, list) => {
      if (matcher.matches(value) === wanted) offsets.push(list);
    });
    return offsets;
  }

  #list(offset: number): Promise<Int32Array> {
    return this.#lists(Float64Array.of(offset));
  }

  /** The refs in the lists at `offsets` (ascending), which share none. */
  async #lists(offsets: Float64Array): Promise<Int32Array> {
    const refs = new RefList();
    await this.#forEachList(offsets, (bytes, at) => refs.add(bytes, at));
    return refs.take();
  }

  /** Reads the lists at `offsets` (ascending) and calls `visit` with where each of them is. */
  async #forEachList(
    offsets: Float64Array,
    visit: (bytes: Uint8Array, at: number, offset: number) => void,
  ): Promise<void> {
    const { source } = this;
    for (const offset of offsets)
      if (offset < INDEX_HEADER_BYTES || offset + 12 > source.size)
        throw corruptAt(source, offset, "postings are outside the file");
    const windows = planWindows(offsets, {
      from: 0,
      to: offsets.length,
      gap: GAP_BYTES,
      tail: LIST_TAIL_BYTES,
      maxBytes: READ_MAX_BYTES,
      limit: source.size,
    });
    await forEachRead(source, windows, async (bytes, window) => {
      for (let i = window.from; i < window.to; i++) {
        const offset = offsets[i]!;
        let at = offset - window.start;
        let held = bytes;
        const size = listSize(bytes, at);
        if (at + size > bytes.length) {
          if (offset + size > source.size)
            throw corruptAt(source, offset, "postings are longer than the file");
          held = await source.read(offset, size);
          at = 0;
        }
        if (!isListIntact(held, at)) throw corruptAt(source, offset, "postings are damaged");
        visit(held, at, offset);
      }
    });
  }
}

function parseToc(source: ByteSource, bytes: Uint8Array): IndexToc {
  if (crc32c(bytes, 0, TOC_BYTES - 4) !== uint32At(bytes, TOC_BYTES - 4))
    throw corruptAt(source, source.size - TOC_BYTES, "the table of contents has a wrong checksum");
  const cursor = new ByteCursor(bytes, `table of contents of ${source.name}`);
  return {
    symbols: cursor.u64(),
    series: cursor.u64(),
    labelIndices: cursor.u64(),
    labelIndicesTable: cursor.u64(),
    postings: cursor.u64(),
    postingsTable: cursor.u64(),
  };
}

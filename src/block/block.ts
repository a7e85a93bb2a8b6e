import { basename, join } from "node:path";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { compareText } from "../base/text.ts";
import { openFileSource } from "../index/byte-source.ts";
import { IndexReader } from "../index/reader.ts";
import { SeriesColumns } from "../index/series-columns.ts";
import { type GroupedBatch, type GroupedRequest, NotInColumnsError } from "../storage/grouped.ts";
import { sortSeries } from "../storage/merge.ts";
import { sampled, samplePositions, wantsSample } from "../storage/series-sample.ts";
import {
  type Chunk,
  type LabelRequest,
  type LabelResult,
  type Queryable,
  type SelectRequest,
  type Series,
  type SeriesBatch,
  type SeriesCount,
  type SeriesSample,
} from "../storage/queryable.ts";
import { ChunkFiles } from "./chunk-files.ts";
import { FoundSeries } from "./found-series.ts";
import { GroupedEntries } from "./grouped-entries.ts";
import { NewestSamples } from "./newest-samples.ts";
import { type BlockMeta, readMeta } from "./meta.ts";
import { withoutDeleted } from "./recode.ts";
import { readable } from "../storage/started-chunk.ts";
import { isWritable } from "../storage/chunk-encodings.ts";
import { coverage, type Interval, readTombstones, type Tombstones } from "./tombstones.ts";
import { isUlid } from "./ulid.ts";

/** Series in one batch of a result that is sorted here, and read at once at least. */
const BATCH_SERIES = 256;
/** Entries of series that are read and decoded in one go. */
const READ_SERIES = 1024;
/** The same of a grouped select, which keeps little of them. */
const GROUPED_SERIES = 8192;

/** Opens the block in `folder`: `meta.json`, index, chunk segments and tombstones. */
export async function openBlock(folder: string): Promise<Block> {
  // At the same time: most of it is waiting for files.
  const parts = await Promise.allSettled([
    openIndex(folder),
    damageOf(folder, () => ChunkFiles.openFolder(folder)),
    readTombstones(folder),
  ]);
  const [index, chunks, tombstones] = parts;
  if (
    index.status === "fulfilled" &&
    chunks.status === "fulfilled" &&
    tombstones.status === "fulfilled"
  )
    return new Block({
      folder,
      ...index.value,
      chunks: chunks.value,
      tombstones: tombstones.value,
    });
  if (index.status === "fulfilled") await index.value.index.close();
  if (chunks.status === "fulfilled") await chunks.value.close();
  throw parts.find((part) => part.status === "rejected")?.reason;
}

async function openIndex(folder: string): Promise<{ meta: BlockMeta; index: IndexReader }> {
  const [meta, source] = await Promise.allSettled([
    readOwnMeta(folder),
    damageOf(folder, () => openFileSource(join(folder, "index"))),
  ]);
  if (meta.status === "rejected") {
    if (source.status === "fulfilled") await source.value.close();
    throw meta.reason;
  }
  if (source.status === "rejected") throw source.reason;
  // Blocks of meta version 2 hold an index of version 2 that calls itself 1.
  const options = meta.value.version === 2 ? { version: 2 } : {};
  const index = await damageOf(folder, () => IndexReader.open(source.value, options));
  return { meta: meta.value, index };
}

async function readOwnMeta(folder: string): Promise<BlockMeta> {
  const meta = await readMeta(folder);
  const name = basename(folder);
  if (isUlid(name) && name !== meta.ulid)
    throw new AppError("corrupt", `cannot open block ${folder}: its meta.json is of ${meta.ulid}`);
  return meta;
}

/** Runs `act`; a file that is not there is damage to the block. */
async function damageOf<T>(folder: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof AppError) throw error;
    const code = systemCode(error) === "ENOENT" ? "corrupt" : "unavailable";
    throw new AppError(code, `cannot open block ${folder}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * An immutable block. Nothing of it is in memory but symbols and sampled offsets; a select reads postings, series and
 * chunks by ranges, each held against its checksum. Deleted samples are left out.
 */
export class Block implements Queryable {
  readonly folder: string;
  readonly meta: BlockMeta;
  readonly index: IndexReader;
  readonly chunks: ChunkFiles;
  readonly tombstones: Tombstones;
  #readers = 0;
  #closing = false;

  constructor(parts: {
    folder: string;
    meta: BlockMeta;
    index: IndexReader;
    chunks: ChunkFiles;
    tombstones: Tombstones;
  }) {
    this.folder = parts.folder;
    this.meta = parts.meta;
    this.index = parts.index;
    this.chunks = parts.chunks;
    this.tombstones = parts.tombstones;
  }

  /** Bytes of index and chunks. */
  get size(): number {
    return this.index.source.size + this.chunks.size;
  }

  /** Whether samples may lie in the range, both ends inclusive. */
  overlaps(range: { minTimeMs: number; maxTimeMs: number }): boolean {
    return range.minTimeMs < this.meta.maxTime && range.maxTimeMs >= this.meta.minTime;
  }

  /** Closes the files as soon as no select reads from them any more. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#readers === 0) await this.#closeFiles();
  }

  async *select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    if (!this.overlaps(request)) return;
    this.#acquire();
    try {
      const strip = request.withoutReplicaLabels?.filter((name) => this.index.valueCount(name) > 0);
      if (strip === undefined || strip.length === 0) yield* this.#select(request);
      else yield* this.#selectWithout(strip, request);
    } finally {
      this.#release();
    }
  }

  /** As `select`, in columns; throws `NotInColumnsError` before the first batch where they gain nothing. */
  async *selectGrouped(request: GroupedRequest): AsyncGenerator<GroupedBatch> {
    if (!this.overlaps(request)) return;
    if (request.foreignNames.some((name) => this.index.valueCount(name) > 0))
      throw new NotInColumnsError();
    this.#acquire();
    try {
      yield* this.#selectGrouped(request);
    } finally {
      this.#release();
    }
  }

  async labelNames(request: LabelRequest): Promise<LabelResult> {
    if (!this.overlaps(request)) return { values: [], warnings: [] };
    if (request.matchers.length === 0) return limited(this.index.labelNames(), request);
    const found = new Set<number>();
    await this.#forEachSymbol(request, (name) => found.add(name));
    return limited(this.#texts(found), request);
  }

  async labelValues(name: string, request: LabelRequest): Promise<LabelResult> {
    if (!this.overlaps(request)) return { values: [], warnings: [] };
    this.#acquire();
    try {
      if (request.matchers.length === 0)
        return limited(await this.index.labelValues(name), request);
      const wanted = this.index.symbols.find(name);
      const found = new Set<number>();
      await this.#forEachSymbol(request, (symbol, value) => {
        if (symbol === wanted) found.add(value);
      });
      return limited(this.#texts(found), request);
    } finally {
      this.#release();
    }
  }

  /** Keeps the files open until the matching `#release`. */
  #acquire(): void {
    if (this.#closing)
      throw new AppError("unavailable", `cannot read block ${this.meta.ulid}: it is closed`);
    this.#readers++;
  }

  #release(): void {
    if (--this.#readers === 0 && this.#closing)
      // Nobody waits for it, and a file that does not close harms none.
      void this.#closeFiles().catch(() => {});
  }

  async #closeFiles(): Promise<void> {
    await this.index.close();
    await this.chunks.close();
  }

  async *#select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const refs = await this.index.matching(request.matchers);
    let left = request.limit !== undefined && request.limit > 0 ? request.limit : Infinity;
    let told: { expected?: SeriesCount } =
      left < Infinity ? {} : { expected: this.#expected(refs.length, request) };
    if (told.expected !== undefined && wantsSample(request, refs.length)) {
      const { sample, warnings } = await this.#sample(refs, request);
      yield { series: [], warnings, expected: { ...told.expected, samples: [sample] } };
      told = {};
    }
    for (let from = 0; from < refs.length && left > 0;) {
      const to = Math.min(refs.length, from + Math.max(BATCH_SERIES, Math.min(left, READ_SERIES)));
      const found = await this.#find(refs, { from, to }, request);
      from = to;
      for (let at = 0; at < found.count && left > 0;) {
        if (request.signal?.aborted === true)
          throw new AppError("canceled", "cannot finish select: the query was canceled");
        const end = found.pieceEnd(at, Math.min(found.count, at + left));
        const batch =
          request.skipChunks === true
            ? { series: found.labels.slice(at, end).map((labels) => ({ labels, chunks: [] })) }
            : await this.#readChunks(found, at, end);
        at = end;
        left -= batch.series.length;
        if (batch.series.length === 0 && batch.warnings === undefined) continue;
        yield { ...batch, ...told };
        told = {};
      }
    }
  }

  /** How many of `atMost` matching series have samples for the request: all if it asks for the whole block, else none for sure. */
  #expected(
    atMost: number,
    { minTimeMs, maxTimeMs }: { readonly minTimeMs: number; readonly maxTimeMs: number },
  ): SeriesCount {
    const { meta, tombstones } = this;
    const isWhole =
      minTimeMs <= meta.minTime && maxTimeMs >= meta.maxTime - 1 && tombstones.size === 0;
    return { atLeast: isWhole ? atMost : 0, atMost };
  }

  async #sample(
    refs: Int32Array,
    request: SelectRequest,
  ): Promise<{ sample: SeriesSample; warnings: readonly string[] }> {
    const chosen = samplePositions(refs.length, request).map((i) => refs[i]!);
    const found = await this.#find(chosen, { from: 0, to: chosen.length }, request);
    const chunkLists: (readonly Chunk[])[] = [];
    const warnings: string[] = [];
    for (let at = 0; at < found.count;) {
      const end = found.pieceEnd(at, found.count);
      const batch = await this.#readChunks(found, at, end);
      for (const { chunks } of batch.series) chunkLists.push(sampled(chunks));
      warnings.push(...(batch.warnings ?? []));
      at = end;
    }
    const { minTime: minTimeMs, maxTime } = this.meta;
    const part = { of: refs.length, minTimeMs, maxTimeMs: maxTime - 1 };
    return { sample: { chunkLists, size: chosen.length, ...part }, warnings };
  }

  /** The series `refs[from]` to `refs[to - 1]` that have chunks for the request. */
  async #find(
    refs: Int32Array,
    range: { from: number; to: number },
    request: { readonly minTimeMs: number; readonly maxTimeMs: number },
  ): Promise<FoundSeries> {
    const { index, tombstones } = this;
    const columns = new SeriesColumns();
    await index.readSeries(refs, range, request, columns);
    const found = new FoundSeries();
    found.addAll(columns, {
      intervals: (ref) => tombstones.get(ref),
      labels: (symbols, from, to) => index.labelsOf(symbols, from, to),
    });
    return found;
  }

  async *#selectGrouped(request: GroupedRequest): AsyncGenerator<GroupedBatch> {
    const refs = await this.index.matching(request.matchers);
    const size = Math.min(GROUPED_SERIES, refs.length);
    const entries = new GroupedEntries(this.index, request, size);
    const samples = new NewestSamples(size);
    for (let from = 0; from < refs.length; from += size) {
      if (request.signal?.aborted === true)
        throw new AppError("canceled", "cannot finish select: the query was canceled");
      const range = { from, to: Math.min(from + size, refs.length) };
      await entries.read(refs, range, (ref) => this.tombstones.get(ref) !== undefined);
      await samples.read(entries, this.chunks, request);
      const { count, groups, isOther } = entries;
      const others: number[] = [];
      for (let i = 0; i < count; i++) if (isOther[i] === 1) others.push(i);
      if (from === 0 && 2 * others.length > count) throw new NotInColumnsError();
      const { chunks, warnings } = await this.#chunksOf(entries, others, request);
      const { values, chunkCount, sampleCount, byteCount } = samples;
      const hashes = entries.hashes.subarray(0, request.wantsHashes ? 2 * count : 0);
      yield {
        count,
        groups,
        values,
        chunks,
        hashes,
        chunkCount,
        sampleCount,
        byteCount,
        warnings,
        ...(from === 0 && { atLeast: this.#expected(refs.length, request).atLeast }),
        labelsOf: (place) => entries.labelsOf(place),
      };
    }
  }

  /** All chunks in the range of the series at `places`. */
  async #chunksOf(
    entries: GroupedEntries,
    places: readonly number[],
    request: GroupedRequest,
  ): Promise<{ chunks: Map<number, readonly Chunk[]>; warnings: readonly string[] }> {
    const chunks = new Map<number, readonly Chunk[]>();
    if (places.length === 0) return { chunks, warnings: [] };
    const refs = Int32Array.from(places, (place) => entries.seriesRefs[place]!);
    const found = await this.#find(refs, { from: 0, to: refs.length }, request);
    const { series, warnings = [] } = await this.#readChunks(found, 0, found.count);
    const placeOf = new Map(places.map((place) => [entries.labelsOf(place).key(), place]));
    for (const place of places) chunks.set(place, []);
    for (const { labels, chunks: own } of series) chunks.set(placeOf.get(labels.key())!, own);
    return { chunks, warnings };
  }

  /** The series `from` (inclusive) to `to` (exclusive) of `found` with their chunks. */
  async #readChunks(found: FoundSeries, from: number, to: number): Promise<SeriesBatch> {
    const start = found.chunksFrom(from);
    const read = await this.chunks.readChunks(found, { from: start, to: found.chunksFrom(to) });
    const warnings: string[] = [];
    const series: Series[] = [];
    for (let i = from; i < to; i++) {
      let chunks: Chunk[] = [];
      const end = found.chunksFrom(i + 1);
      for (let at = found.chunksFrom(i); at < end; at++) chunks.push(readable(read[at - start]!));
      const intervals = found.intervals.get(i);
      if (intervals !== undefined) chunks = this.#applied(chunks, intervals, warnings);
      if (chunks.length > 0) series.push({ labels: found.labels[i]!, chunks });
    }
    return warnings.length === 0 ? { series } : { series, warnings: [...new Set(warnings)] };
  }

  /** Stripping labels changes the order and may make series equal, so all of them are needed first. */
  async *#selectWithout(
    names: readonly string[],
    request: SelectRequest,
  ): AsyncGenerator<SeriesBatch> {
    const all: Series[] = [];
    const warnings: string[] = [];
    const { limit, sampleAbove: _, ...unlimited } = request;
    for await (const batch of this.#select(unlimited)) {
      warnings.push(...(batch.warnings ?? []));
      for (const { labels, chunks } of batch.series)
        all.push({ labels: labels.without(names), chunks });
    }
    const sorted = sortSeries(all);
    const end = Math.min(sorted.length, limit || Infinity);
    if (warnings.length > 0) yield { series: [], warnings };
    for (let i = 0; i < end; i += BATCH_SERIES)
      yield { series: sorted.slice(i, Math.min(i + BATCH_SERIES, end)) };
  }

  #applied(chunks: readonly Chunk[], intervals: readonly Interval[], warnings: string[]): Chunk[] {
    const kept: Chunk[] = [];
    for (const chunk of chunks) {
      if (coverage(intervals, chunk) === "none") kept.push(chunk);
      else if (isWritable(chunk)) kept.push(...withoutDeleted(chunk, intervals));
      else
        warnings.push(
          `block ${this.meta.ulid}: chunks of an unknown encoding that are deleted in part are left out`,
        );
    }
    return kept;
  }

  async #forEachSymbol(
    request: LabelRequest,
    visit: (name: number, value: number) => void,
  ): Promise<void> {
    const refs = await this.index.matching(request.matchers);
    await this.index.forEachSeries(refs, { from: 0, to: refs.length }, (entry) => {
      for (let i = 0; i < entry.labelCount; i++)
        visit(entry.symbols[2 * i]!, entry.symbols[2 * i + 1]!);
    });
  }

  #texts(symbols: Iterable<number>): string[] {
    return Array.from(symbols, (symbol) => this.index.symbols.text(symbol)).sort(compareText);
  }
}

function limited(values: readonly string[], { limit }: LabelRequest): LabelResult {
  const cut = limit !== undefined && limit > 0 && values.length > limit;
  return { values: cut ? values.slice(0, limit) : values, warnings: [] };
}

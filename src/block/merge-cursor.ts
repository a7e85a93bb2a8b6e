import { SeriesColumns } from "../index/series-columns.ts";
import type { Chunk } from "../storage/queryable.ts";
import { readable } from "../storage/started-chunk.ts";
import type { Block } from "./block.ts";
import { ChunkFrames } from "./chunk-frames.ts";
import { withoutAllDeleted } from "./recode.ts";
import { checkDecodes, ofReadable } from "./unreadable.ts";
import { coverage, type Interval } from "./tombstones.ts";

/** Series of each block that are in memory at a time. */
const BATCH_SERIES = 2048;
/** Their chunks are read in pieces of about this size, one series at least. */
const PIECE_BYTES = 1024 * 1024;
const ALL_TIMES = { minTimeMs: -Infinity, maxTimeMs: Infinity };

/**
 * The series of a block in label order, read in batches into columns that the next batch overwrites: nothing is allocated
 * for a series or a chunk. Chunks of which all is deleted are left out.
 */
export class MergeCursor {
  readonly #block: Block;
  readonly #places: Uint32Array;
  #refs: Int32Array = new Int32Array(0);
  #next = 0;
  #count = 0;
  #index = 0;
  /** The series of the batch. */
  readonly #columns = new SeriesColumns();
  readonly #intervals: (readonly Interval[] | undefined)[] = [];
  /** Which series' chunks are in `frames`: up to this one (exclusive), and from which chunk on. */
  #pieceEnd = 0;
  #pieceStart = 0;
  /** Names and values of all series of the batch, as places in the merged symbol table. */
  symbols = new Uint32Array(0);
  /** The chunks of some series of the batch. */
  readonly frames = new ChunkFrames();
  /** The current series: `symbols[symbolStart, symbolEnd)`, frames `frameStart` (inclusive) to `frameEnd` (exclusive). */
  symbolStart = 0;
  symbolEnd = 0;
  frameStart = 0;
  frameEnd = 0;

  /** `places` has the place of each symbol of the block in the merged table. */
  constructor(block: Block, places: Uint32Array) {
    this.#block = block;
    this.#places = places;
  }

  async open(): Promise<void> {
    this.#refs = await this.#block.index.allPostings();
    await this.fill();
  }

  /** Whether there is no current series: at the end, or when `fill` is due. */
  get isDone(): boolean {
    return this.#index >= this.#pieceEnd;
  }

  /** Steps on; false when `fill` is due. */
  step(): boolean {
    this.#index++;
    return this.#show();
  }

  /** Reads what comes next, unless the block is at its end. */
  async fill(): Promise<void> {
    if (this.#index >= this.#count) {
      this.#count = 0;
      this.#index = 0;
      this.#pieceEnd = 0;
      if (this.#next >= this.#refs.length) return;
      await this.#readSeries();
    }
    await this.#readPiece();
    this.#show();
  }

  /** Whether parts of the current series are deleted. */
  get hasDeleted(): boolean {
    return this.#intervals[this.#index] !== undefined;
  }

  /** The chunks of the current series without what is deleted; their data is good until `fill`. */
  chunks(): readonly Chunk[] {
    return this.#withoutDeleted(this.#stored().map(readable));
  }

  /** As `chunks`, without those that cannot be decoded. */
  readableChunks(): readonly Chunk[] {
    const chunks = ofReadable(this.#stored(), (stored) => {
      const chunk = readable(stored);
      checkDecodes(chunk);
      return [chunk];
    });
    return this.#withoutDeleted(chunks);
  }

  #stored(): Chunk[] {
    const chunks: Chunk[] = [];
    for (let i = this.frameStart; i < this.frameEnd; i++) chunks.push(this.frames.chunk(i));
    return chunks;
  }

  #withoutDeleted(chunks: readonly Chunk[]): readonly Chunk[] {
    const intervals = this.#intervals[this.#index];
    return intervals === undefined ? chunks : withoutAllDeleted(chunks, intervals);
  }

  #show(): boolean {
    if (this.isDone) return false;
    const i = this.#index;
    const columns = this.#columns;
    this.symbolStart = columns.symbolsFrom(i);
    this.symbolEnd = columns.symbolEnds[i]!;
    this.frameStart = columns.chunksFrom(i) - this.#pieceStart;
    this.frameEnd = columns.chunkEnds[i]! - this.#pieceStart;
    return true;
  }

  /** Reads the chunks of the series from the current one on. */
  async #readPiece(): Promise<void> {
    const { chunkRefs: refs, minTimes, maxTimes, chunkEnds } = this.#columns;
    const from = this.#columns.chunksFrom(this.#index);
    let end = this.#index + 1;
    // A piece ends where a segment does too: refs are far apart there.
    while (end < this.#count && Math.abs(refs[chunkEnds[end]! - 1]! - refs[from]!) <= PIECE_BYTES)
      end++;
    this.#pieceStart = from;
    this.#pieceEnd = end;
    const to = chunkEnds[end - 1]!;
    const places = { refs, minTimes, maxTimes };
    await this.#block.chunks.readFrames(places, { from, to }, this.frames);
  }

  async #readSeries(): Promise<void> {
    const from = this.#next;
    const to = Math.min(from + BATCH_SERIES, this.#refs.length);
    this.#next = to;
    const columns = this.#columns;
    columns.clear();
    await this.#block.index.readSeries(this.#refs, { from, to }, ALL_TIMES, columns);
    this.#count = columns.count;
    const { symbols } = columns;
    const places = this.#places;
    const symbolCount = columns.symbolsFrom(columns.count);
    for (let i = 0; i < symbolCount; i++) symbols[i] = places[symbols[i]!]!;
    this.symbols = symbols;
    if (this.#block.tombstones.size > 0) this.#leaveOutDeleted();
  }

  /** Closes the gaps that chunks leave of which all is deleted. */
  #leaveOutDeleted(): void {
    const { tombstones } = this.#block;
    const { count, refs, chunkRefs, minTimes, maxTimes, chunkEnds } = this.#columns;
    let kept = 0;
    let from = 0;
    for (let i = 0; i < count; i++) {
      const intervals = tombstones.get(refs[i]!);
      this.#intervals[i] = intervals;
      const end = chunkEnds[i]!;
      for (let k = from; k < end; k++) {
        const chunk = { minTimeMs: minTimes[k]!, maxTimeMs: maxTimes[k]! };
        if (intervals !== undefined && coverage(intervals, chunk) === "all") continue;
        minTimes[kept] = chunk.minTimeMs;
        maxTimes[kept] = chunk.maxTimeMs;
        chunkRefs[kept++] = chunkRefs[k]!;
      }
      from = end;
      chunkEnds[i] = kept;
    }
  }
}

/** The order of two cursors' current series by their labels. */
export function compareCurrent(a: MergeCursor, b: MergeCursor): number {
  const x = a.symbols;
  const y = b.symbols;
  let i = a.symbolStart;
  let j = b.symbolStart;
  const endA = a.symbolEnd;
  const endB = b.symbolEnd;
  for (; i < endA && j < endB; i++, j++) if (x[i] !== y[j]) return x[i]! - y[j]!;
  return endA - i - (endB - j);
}

import type { Chunk } from "../storage/queryable.ts";
import { readable } from "../storage/started-chunk.ts";
import type { Block } from "./block.ts";
import { ChunkFrames } from "./chunk-frames.ts";
import { withoutAllDeleted } from "./recode.ts";
import { coverage, type Interval } from "./tombstones.ts";

/** Series of each block that are in memory at a time. */
const BATCH_SERIES = 2048;
/** Their chunks are read in pieces of about this size, one series at least. */
const PIECE_BYTES = 1024 * 1024;

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
  /** Where the symbols and the chunks of series `i` end. */
  readonly #symbolEnds = new Uint32Array(BATCH_SERIES);
  readonly #chunkEnds = new Uint32Array(BATCH_SERIES);
  readonly #intervals: (readonly Interval[] | undefined)[] = [];
  readonly #chunks = {
    refs: new Float64Array(BATCH_SERIES),
    minTimes: new Float64Array(BATCH_SERIES),
    maxTimes: new Float64Array(BATCH_SERIES),
  };
  /** Which series' chunks are in `frames`: up to this one (exclusive), and from which chunk on. */
  #pieceEnd = 0;
  #pieceStart = 0;
  /** Names and values of all series of the batch, as places in the merged symbol table. */
  symbols = new Uint32Array(BATCH_SERIES * 16);
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
    const chunks: Chunk[] = [];
    for (let i = this.frameStart; i < this.frameEnd; i++)
      chunks.push(readable(this.frames.chunk(i)));
    const intervals = this.#intervals[this.#index];
    return intervals === undefined ? chunks : withoutAllDeleted(chunks, intervals);
  }

  #show(): boolean {
    if (this.isDone) return false;
    const i = this.#index;
    this.symbolStart = i === 0 ? 0 : this.#symbolEnds[i - 1]!;
    this.symbolEnd = this.#symbolEnds[i]!;
    this.frameStart = this.#firstChunk(i) - this.#pieceStart;
    this.frameEnd = this.#chunkEnds[i]! - this.#pieceStart;
    return true;
  }

  #firstChunk(series: number): number {
    return series === 0 ? 0 : this.#chunkEnds[series - 1]!;
  }

  /** Reads the chunks of the series from the current one on. */
  async #readPiece(): Promise<void> {
    const { refs } = this.#chunks;
    const from = this.#firstChunk(this.#index);
    let end = this.#index + 1;
    // A piece ends where a segment does too: refs are far apart there.
    while (
      end < this.#count &&
      Math.abs(refs[this.#chunkEnds[end]! - 1]! - refs[from]!) <= PIECE_BYTES
    )
      end++;
    this.#pieceStart = from;
    this.#pieceEnd = end;
    const to = this.#chunkEnds[end - 1]!;
    await this.#block.chunks.readFrames(this.#chunks, { from, to }, this.frames);
  }

  async #readSeries(): Promise<void> {
    const { index, tombstones } = this.#block;
    const from = this.#next;
    const to = Math.min(from + BATCH_SERIES, this.#refs.length);
    this.#next = to;
    const chunks = this.#chunks;
    let symbolCount = 0;
    let chunkCount = 0;
    await index.forEachSeries(this.#refs, { from, to }, (entry) => {
      const intervals = tombstones.size === 0 ? undefined : tombstones.get(entry.ref);
      this.#reserve(symbolCount + 2 * entry.labelCount, chunkCount + entry.chunkCount);
      for (let i = 0; i < 2 * entry.labelCount; i++)
        this.symbols[symbolCount++] = this.#places[entry.symbols[i]!]!;
      for (let i = 0; i < entry.chunkCount; i++) {
        const minTimeMs = entry.minTimes[i]!;
        const maxTimeMs = entry.maxTimes[i]!;
        if (intervals !== undefined && coverage(intervals, { minTimeMs, maxTimeMs }) === "all")
          continue;
        chunks.minTimes[chunkCount] = minTimeMs;
        chunks.maxTimes[chunkCount] = maxTimeMs;
        chunks.refs[chunkCount++] = entry.chunkRefs[i]!;
      }
      this.#symbolEnds[this.#count] = symbolCount;
      this.#chunkEnds[this.#count] = chunkCount;
      this.#intervals[this.#count++] = intervals;
    });
  }

  #reserve(symbolCount: number, chunkCount: number): void {
    if (symbolCount > this.symbols.length) {
      const symbols = new Uint32Array(symbolCount * 2);
      symbols.set(this.symbols);
      this.symbols = symbols;
    }
    const chunks = this.#chunks;
    if (chunkCount <= chunks.refs.length) return;
    const grown = (column: Float64Array): Float64Array<ArrayBuffer> => {
      const larger = new Float64Array(chunkCount * 2);
      larger.set(column);
      return larger;
    };
    chunks.refs = grown(chunks.refs);
    chunks.minTimes = grown(chunks.minTimes);
    chunks.maxTimes = grown(chunks.maxTimes);
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

import type { SeriesColumns } from "../index/series-columns.ts";
import type { Labels } from "../model/labels.ts";
import { coverage, type Interval } from "./tombstones.ts";

/** Chunks whose data is read together, at most, unless one series has more. */
const PIECE_CHUNKS = 2048;

/**
 * Series of a block that a select found, and where the chunks it wants of them are, in columns: a wide query has a hundred
 * thousand of both.
 */
export class FoundSeries {
  readonly labels: Labels[] = [];
  /** What was deleted of a series, by its place; without those of which nothing was. */
  readonly intervals = new Map<number, readonly Interval[]>();
  refs = new Float64Array(512);
  minTimes = new Float64Array(512);
  maxTimes = new Float64Array(512);
  #chunkCount = 0;
  /** The chunks of series `i` end here and start where those of the one before end. */
  readonly #ends: number[] = [];

  get count(): number {
    return this.labels.length;
  }

  /** Where the chunks of series `i` start, for `count` where all end. */
  chunksFrom(i: number): number {
    return i === 0 ? 0 : this.#ends[i - 1]!;
  }

  /** Takes in the series of `columns` that have chunks which are not all deleted. */
  addAll(
    columns: SeriesColumns,
    of: {
      intervals: (ref: number) => readonly Interval[] | undefined;
      labels: (symbols: Uint32Array, from: number, to: number) => Labels;
    },
  ): void {
    for (let i = 0; i < columns.count; i++) {
      const intervals = of.intervals(columns.refs[i]!);
      const before = this.#chunkCount;
      const end = columns.chunkEnds[i]!;
      for (let k = columns.chunksFrom(i); k < end; k++) {
        const minTimeMs = columns.minTimes[k]!;
        const maxTimeMs = columns.maxTimes[k]!;
        if (intervals !== undefined && coverage(intervals, { minTimeMs, maxTimeMs }) === "all")
          continue;
        if (this.#chunkCount === this.refs.length) this.#grow();
        this.refs[this.#chunkCount] = columns.chunkRefs[k]!;
        this.minTimes[this.#chunkCount] = minTimeMs;
        this.maxTimes[this.#chunkCount++] = maxTimeMs;
      }
      if (this.#chunkCount === before) continue;
      if (intervals !== undefined) this.intervals.set(this.labels.length, intervals);
      this.labels.push(of.labels(columns.symbols, columns.symbolsFrom(i), columns.symbolEnds[i]!));
      this.#ends.push(this.#chunkCount);
    }
  }

  /** Where the series end, from `from` on and up to `to`, whose chunks are read together. */
  pieceEnd(from: number, to: number): number {
    const start = this.chunksFrom(from);
    let end = from + 1;
    while (end < to && this.#ends[end]! - start <= PIECE_CHUNKS) end++;
    return end;
  }

  #grow(): void {
    this.refs = doubled(this.refs);
    this.minTimes = doubled(this.minTimes);
    this.maxTimes = doubled(this.maxTimes);
  }
}

function doubled(column: Float64Array): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(column.length * 2);
  grown.set(column);
  return grown;
}

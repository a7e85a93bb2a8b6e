import type { SeriesEntry } from "../index/series-entry.ts";
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

  /** Takes the series in if it has chunks that reach into the range, both ends inclusive, and are not all deleted. */
  add(
    entry: SeriesEntry,
    wanted: {
      minTimeMs: number;
      maxTimeMs: number;
      intervals: readonly Interval[] | undefined;
      labelsOf: (entry: SeriesEntry) => Labels;
    },
  ): void {
    const { intervals } = wanted;
    const before = this.#chunkCount;
    for (let i = 0; i < entry.chunkCount; i++) {
      const minTimeMs = entry.minTimes[i]!;
      const maxTimeMs = entry.maxTimes[i]!;
      if (minTimeMs > wanted.maxTimeMs) break;
      if (maxTimeMs < wanted.minTimeMs) continue;
      if (intervals !== undefined && coverage(intervals, { minTimeMs, maxTimeMs }) === "all")
        continue;
      if (this.#chunkCount === this.refs.length) this.#grow();
      this.refs[this.#chunkCount] = entry.chunkRefs[i]!;
      this.minTimes[this.#chunkCount] = minTimeMs;
      this.maxTimes[this.#chunkCount++] = maxTimeMs;
    }
    if (this.#chunkCount === before) return;
    if (intervals !== undefined) this.intervals.set(this.labels.length, intervals);
    this.labels.push(wanted.labelsOf(entry));
    this.#ends.push(this.#chunkCount);
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

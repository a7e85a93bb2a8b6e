import type { SeriesEntry } from "./series-entry.ts";

/** Entries of series in columns, which the next ones overwrite: what a wide query reads has no object each. */
export class SeriesColumns {
  count = 0;
  /** As in postings. */
  refs = new Int32Array(256);
  /** Of series `i`: `symbols[symbolEnds[i - 1], symbolEnds[i])`, name, value, name, value, … as numbers of symbols. */
  symbols = new Uint32Array(4096);
  symbolEnds = new Uint32Array(256);
  /** Of series `i` the chunks `chunkEnds[i - 1]` (inclusive) to `chunkEnds[i]` (exclusive). */
  chunkEnds = new Uint32Array(256);
  /** ms. */
  minTimes = new Float64Array(512);
  /** ms, inclusive. */
  maxTimes = new Float64Array(512);
  /** Segment number × 2^32 + offset, segments counted from 0. */
  chunkRefs = new Float64Array(512);

  clear(): void {
    this.count = 0;
  }

  symbolsFrom(i: number): number {
    return i === 0 ? 0 : this.symbolEnds[i - 1]!;
  }

  chunksFrom(i: number): number {
    return i === 0 ? 0 : this.chunkEnds[i - 1]!;
  }

  /** Makes room for so many more. */
  reserve({ series, symbols, chunks }: { series: number; symbols: number; chunks: number }): void {
    const { count } = this;
    if (count + series > this.refs.length) {
      const size = 2 * (count + series);
      this.refs = grown(this.refs, new Int32Array(size));
      this.symbolEnds = grown(this.symbolEnds, new Uint32Array(size));
      this.chunkEnds = grown(this.chunkEnds, new Uint32Array(size));
    }
    const symbolEnd = this.symbolsFrom(count) + symbols;
    if (symbolEnd > this.symbols.length)
      this.symbols = grown(this.symbols, new Uint32Array(2 * symbolEnd));
    const chunkEnd = this.chunksFrom(count) + chunks;
    if (chunkEnd <= this.minTimes.length) return;
    this.minTimes = grown(this.minTimes, new Float64Array(2 * chunkEnd));
    this.maxTimes = grown(this.maxTimes, new Float64Array(2 * chunkEnd));
    this.chunkRefs = grown(this.chunkRefs, new Float64Array(2 * chunkEnd));
  }

  /** Adds an entry with those of its chunks that reach into the range. */
  add(entry: SeriesEntry, range: { minTimeMs: number; maxTimeMs: number }): void {
    const symbols = 2 * entry.labelCount;
    this.reserve({ series: 1, symbols, chunks: entry.chunkCount });
    const i = this.count;
    const from = this.symbolsFrom(i);
    this.refs[i] = entry.ref;
    for (let k = 0; k < symbols; k++) this.symbols[from + k] = entry.symbols[k]!;
    this.symbolEnds[i] = from + symbols;
    let to = this.chunksFrom(i);
    for (let k = 0; k < entry.chunkCount; k++) {
      const minTimeMs = entry.minTimes[k]!;
      const maxTimeMs = entry.maxTimes[k]!;
      if (minTimeMs > range.maxTimeMs || maxTimeMs < range.minTimeMs) continue;
      this.minTimes[to] = minTimeMs;
      this.maxTimes[to] = maxTimeMs;
      this.chunkRefs[to++] = entry.chunkRefs[k]!;
    }
    this.chunkEnds[i] = to;
    this.count++;
  }
}

function grown<T extends Int32Array | Uint32Array | Float64Array>(column: T, into: T): T {
  into.set(column);
  return into;
}

import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { type Chunk, ENCODING_XOR } from "../storage/queryable.ts";
import { decodeHistogramChunk, encodeHistogramRun } from "../storage/chunk-encodings.ts";
import { readable } from "../storage/started-chunk.ts";
import { coverage, type Interval, isDeleted } from "./tombstones.ts";

/** Samples of float chunks in columns that grow: where chunks are decoded to be cut or merged. */
export class FloatColumns {
  times = new Float64Array(1024);
  values = new Float64Array(1024);
  count = 0;

  /** Appends the samples of an XOR chunk. */
  add(chunk: Chunk): void {
    const needed = this.count + xorSampleCount(chunk.data);
    if (needed > this.times.length) {
      const times = new Float64Array(needed * 2);
      times.set(this.times);
      this.times = times;
      const values = new Float64Array(needed * 2);
      // The typed array's own copy keeps the bits of every NaN.
      values.set(this.values);
      this.values = values;
    }
    decodeXor(chunk.data, { times: this.times, values: this.values, offset: this.count });
    this.count = needed;
  }

  /** Keeps the samples `from` (inclusive) to `to` (exclusive) as a chunk. */
  encode(from: number, to: number): Chunk {
    return {
      encoding: ENCODING_XOR,
      minTimeMs: this.times[from]!,
      maxTimeMs: this.times[to - 1]!,
      data: encodeXor(this.times, this.values, { start: from, end: to }),
    };
  }

  /** Leaves out the samples that `gone` names, in place. */
  remove(gone: (timeMs: number) => boolean): void {
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      if (gone(this.times[i]!)) continue;
      if (kept !== i) {
        this.times[kept] = this.times[i]!;
        this.values.copyWithin(kept, i, i + 1);
      }
      kept++;
    }
    this.count = kept;
  }
}

const columns = new FloatColumns();

/**
 * What is left of a chunk without its deleted samples: one chunk, none, or several of a histogram. Throws `execution` for
 * encodings that cannot be written.
 */
export function withoutDeleted(stored: Chunk, intervals: readonly Interval[]): readonly Chunk[] {
  const chunk = readable(stored);
  if (chunk.encoding === ENCODING_XOR) {
    columns.count = 0;
    columns.add(chunk);
    columns.remove((timeMs) => isDeleted(intervals, timeMs));
    return columns.count === 0 ? [] : [columns.encode(0, columns.count)];
  }
  const { times, histograms } = decodeHistogramChunk(chunk);
  const kept = histograms.map((_, i) => i).filter((i) => !isDeleted(intervals, times[i]!));
  return encodeHistogramRun(chunk.encoding, {
    times: Float64Array.from(kept, (i) => times[i]!),
    histograms: kept.map((i) => histograms[i]!),
  });
}

/** As `withoutDeleted`, for the chunks of a series; those without deleted samples stay as they are. */
export function withoutAllDeleted(
  chunks: readonly Chunk[],
  intervals: readonly Interval[],
): readonly Chunk[] {
  return chunks.flatMap((chunk) => {
    const covered = coverage(intervals, chunk);
    if (covered === "none") return chunk;
    return covered === "all" ? [] : withoutDeleted(chunk, intervals);
  });
}

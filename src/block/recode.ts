import { AppError } from "../base/errors.ts";
import { decodeXor, encodeXor, xorSampleCount } from "../chunk/xor.ts";
import {
  type Chunk,
  ENCODING_FLOAT_HISTOGRAM,
  ENCODING_HISTOGRAM,
  ENCODING_XOR,
} from "../storage/queryable.ts";
import { type Interval, isDeleted } from "./tombstones.ts";

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
 * The chunk without its deleted samples; undefined when none is left. Only float chunks can be cut: throws
 * `execution` for others.
 */
export function withoutDeleted(chunk: Chunk, intervals: readonly Interval[]): Chunk | undefined {
  if (chunk.encoding !== ENCODING_XOR)
    throw new AppError("execution", `cannot cut a chunk of encoding ${chunk.encoding}`);
  columns.count = 0;
  columns.add(chunk);
  columns.remove((timeMs) => isDeleted(intervals, timeMs));
  return columns.count === 0 ? undefined : columns.encode(0, columns.count);
}

/** How many samples a chunk holds; all encodings have the count in front. */
export function sampleCountOf(chunk: Pick<Chunk, "data"> & { encoding: number }): number {
  const count = xorSampleCount(chunk.data);
  // Histogram encodings with start timestamps share the first two bits.
  return chunk.encoding === 5 || chunk.encoding === 6 ? count & 0x3fff : count;
}

export function isHistogram(encoding: number): boolean {
  return (
    encoding === ENCODING_HISTOGRAM ||
    encoding === ENCODING_FLOAT_HISTOGRAM ||
    encoding === 5 ||
    encoding === 6
  );
}

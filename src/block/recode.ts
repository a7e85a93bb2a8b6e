import { AppError } from "../base/errors.ts";
import { decodeStored as decodeFloats } from "../chunk/float-histogram.ts";
import { decodeStored as decodeIntegers } from "../chunk/histogram.ts";
import { encodeHistograms } from "../chunk/histogram-encode.ts";
import type { HistogramSamples } from "../chunk/histogram-samples.ts";
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
 * What is left of a chunk without its deleted samples: one chunk, none, or several of a histogram. Throws `execution` for
 * encodings that cannot be written.
 */
export function withoutDeleted(chunk: Chunk, intervals: readonly Interval[]): readonly Chunk[] {
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

/** The samples of a chunk of histograms, at the resolution that is stored. Throws `execution` for other encodings. */
export function decodeHistogramChunk(chunk: Chunk): HistogramSamples {
  if (chunk.encoding === ENCODING_HISTOGRAM) return decodeIntegers(chunk.data);
  if (chunk.encoding === ENCODING_FLOAT_HISTOGRAM) return decodeFloats(chunk.data);
  const { encoding }: { encoding: number } = chunk;
  throw new AppError("execution", `cannot change a chunk of encoding ${encoding}`);
}

/** Histograms in order of time as chunks. */
export function encodeHistogramRun(
  encoding: typeof ENCODING_HISTOGRAM | typeof ENCODING_FLOAT_HISTOGRAM,
  samples: HistogramSamples,
): readonly Chunk[] {
  const kind = encoding === ENCODING_HISTOGRAM ? "integer" : "float";
  return encodeHistograms(kind, samples).map((chunk) => ({ ...chunk, encoding }));
}

/** How many samples a chunk holds; all encodings have the count in front. */
export function sampleCountOf(chunk: Pick<Chunk, "data"> & { encoding: number }): number {
  const count = xorSampleCount(chunk.data);
  // Histogram encodings with start timestamps share the first two bits.
  return chunk.encoding === 5 || chunk.encoding === 6 ? count & 0x3fff : count;
}

/** Whether chunks of this encoding can be decoded and made anew. */
export function isWritable({ encoding }: Chunk): boolean {
  return [ENCODING_XOR, ENCODING_HISTOGRAM, ENCODING_FLOAT_HISTOGRAM].includes(encoding);
}

export function isHistogram(encoding: number): boolean {
  return (
    encoding === ENCODING_HISTOGRAM ||
    encoding === ENCODING_FLOAT_HISTOGRAM ||
    encoding === 5 ||
    encoding === 6
  );
}

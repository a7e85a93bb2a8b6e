import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import type { FloatHistogram } from "../model/histogram.ts";
import { decodeHistogramChunk, sampleCountOf } from "./chunk-encodings.ts";
import { type Chunk, ENCODING_XOR } from "./queryable.ts";

/**
 * The samples of one replica of a series, in columns, decoded chunk by chunk when they are looked at. Chunks say how
 * many samples they hold, so that every sample has its place in the columns before its chunk is decoded:
 *
 *     chunks    │ 0, 120 samples │ 1, 120 samples │ 2, 31 samples │
 *     columns   0                120              240             271      times, values
 *     decoded     yes              no               yes
 *
 * The trick: a replica that is never needed costs no decoding, and one instance serves one series after the other.
 */
export class ReplicaSamples {
  chunks: readonly Chunk[] = [];
  /** Where each chunk begins in the columns, and behind the last one where all end. */
  starts = new Int32Array(64);
  times = new Float64Array(1024);
  values = new Float64Array(1024);
  /** The bits of `values`: a NaN does not survive as a number. */
  words = new Int32Array(this.values.buffer);
  count = 0;
  #isDecoded = new Uint8Array(64);
  #histograms: (readonly FloatHistogram[] | undefined)[] = [];

  /** Takes chunks in order of time that do not overlap. */
  reset(chunks: readonly Chunk[]): void {
    this.chunks = chunks;
    if (chunks.length >= this.starts.length) {
      this.starts = new Int32Array(chunks.length * 2);
      this.#isDecoded = new Uint8Array(chunks.length * 2);
    }
    let count = 0;
    for (let i = 0; i < chunks.length; i++) {
      this.starts[i] = count;
      this.#isDecoded[i] = 0;
      const chunk = chunks[i]!;
      count += chunk.encoding === ENCODING_XOR ? xorSampleCount(chunk.data) : sampleCountOf(chunk);
    }
    this.starts[chunks.length] = count;
    this.count = count;
    this.#histograms.length = 0;
    if (count <= this.times.length) return;
    this.times = new Float64Array(count * 2);
    this.values = new Float64Array(count * 2);
    this.words = new Int32Array(this.values.buffer);
  }

  /** The chunk of the sample at `index`, looked for from chunk `from` on. */
  chunkOf(index: number, from: number): number {
    let at = from;
    while (this.starts[at + 1]! <= index) at++;
    return at;
  }

  isDecoded(chunk: number): boolean {
    return this.#isDecoded[chunk] === 1;
  }

  decode(chunk: number): void {
    if (this.#isDecoded[chunk] === 1) return;
    this.#isDecoded[chunk] = 1;
    const encoded = this.chunks[chunk]!;
    const start = this.starts[chunk]!;
    if (encoded.encoding === ENCODING_XOR) {
      decodeXor(encoded.data, { times: this.times, values: this.values, offset: start });
      return;
    }
    const { times, histograms } = decodeHistogramChunk(encoded);
    this.times.set(times, start);
    // They have no value as numbers have; comparisons with NaN are false.
    this.values.fill(NaN, start, start + times.length);
    this.#histograms[chunk] = histograms;
  }

  isFloat(chunk: number): boolean {
    return this.chunks[chunk]!.encoding === ENCODING_XOR;
  }

  /** The histograms of a decoded chunk of histograms. */
  histogramsOf(chunk: number): readonly FloatHistogram[] {
    const histograms = this.#histograms[chunk];
    if (histograms === undefined) throw new Error("BUG: the chunk is not decoded");
    return histograms;
  }

  /** The first sample at or behind `from` (which is in `fromChunk` or later) at `timeMs` or later; `count` if none is. */
  seek(from: number, timeMs: number, fromChunk = 0): number {
    if (from >= this.count) return this.count;
    for (let chunk = this.chunkOf(from, fromChunk); chunk < this.chunks.length; chunk++) {
      if (this.chunks[chunk]!.maxTimeMs < timeMs) continue;
      this.decode(chunk);
      const { times } = this;
      const end = this.starts[chunk + 1]!;
      for (let i = Math.max(from, this.starts[chunk]!); i < end; i++)
        if (times[i]! >= timeMs) return i;
    }
    return this.count;
  }
}

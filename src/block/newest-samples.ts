import { writeStale } from "../base/float.ts";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { ENCODING_XOR } from "../storage/queryable.ts";
import type { ChunkFrames } from "./chunk-frames.ts";
import type { GroupedEntries } from "./grouped-entries.ts";

/** Reads of chunks of floats the newest sample within a range. */
export class NewestSamples {
  /** By place; a stale marker where there is none in the range. */
  readonly values: Float64Array;
  chunkCount = 0;
  sampleCount = 0;
  byteCount = 0;
  readonly #words: Int32Array;
  #times = new Float64Array(256);
  #samples = new Float64Array(256);
  #sampleWords = new Int32Array(this.#samples.buffer);

  constructor(capacity: number) {
    this.values = new Float64Array(capacity);
    this.#words = new Int32Array(this.values.buffer);
  }

  /** Reads chunk by chunk of `frames`, which are those of `entries`; what is no chunk of floats becomes one of the others. */
  read(
    entries: GroupedEntries,
    frames: ChunkFrames,
    { minTimeMs, maxTimeMs }: { minTimeMs: number; maxTimeMs: number },
  ): void {
    this.chunkCount = 0;
    this.sampleCount = 0;
    this.byteCount = 0;
    const { isOther } = entries;
    for (let i = 0; i < entries.count; i++) {
      if (frames.encoding(i) !== ENCODING_XOR) isOther[i] = 1;
      if (isOther[i] === 1) continue;
      const { data } = frames.chunk(i);
      const count = this.#decode(data);
      this.chunkCount++;
      this.sampleCount += count;
      this.byteCount += data.length;
      let newest = count - 1;
      while (newest >= 0 && this.#times[newest]! > maxTimeMs) newest--;
      if (newest < 0 || this.#times[newest]! < minTimeMs) writeStale(this.values, i);
      else {
        this.#words[2 * i] = this.#sampleWords[2 * newest]!;
        this.#words[2 * i + 1] = this.#sampleWords[2 * newest + 1]!;
      }
    }
  }

  #decode(data: Uint8Array): number {
    const count = xorSampleCount(data);
    if (count > this.#times.length) {
      this.#times = new Float64Array(2 * count);
      this.#samples = new Float64Array(2 * count);
      this.#sampleWords = new Int32Array(this.#samples.buffer);
    }
    return decodeXor(data, { times: this.#times, values: this.#samples, offset: 0 });
  }
}

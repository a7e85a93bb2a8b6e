import { writeStale } from "../base/float.ts";
import { sampleMemory } from "../chunk/sample-memory.ts";
import { decodeXor } from "../chunk/xor.ts";
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
  readonly #words: Uint32Array;

  constructor(capacity: number) {
    this.values = new Float64Array(capacity);
    this.#words = new Uint32Array(this.values.buffer);
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
    const { times, values, words } = sampleMemory();
    for (let i = 0; i < entries.count; i++) {
      if (frames.encoding(i) !== ENCODING_XOR) isOther[i] = 1;
      if (isOther[i] === 1) continue;
      const { data } = frames.chunk(i);
      const count = decodeXor(data, { times, values, offset: 0 });
      this.chunkCount++;
      this.sampleCount += count;
      this.byteCount += data.length;
      let newest = count - 1;
      while (newest >= 0 && times[newest]! > maxTimeMs) newest--;
      if (newest < 0 || times[newest]! < minTimeMs) writeStale(this.values, i);
      else {
        this.#words[2 * i] = words[2 * newest]!;
        this.#words[2 * i + 1] = words[2 * newest + 1]!;
      }
    }
  }
}

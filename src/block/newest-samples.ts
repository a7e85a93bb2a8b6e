import { writeStale } from "../base/float.ts";
import { sampleMemory } from "../chunk/sample-memory.ts";
import { decodeXor } from "../chunk/xor.ts";
import { ENCODING_XOR } from "../storage/queryable.ts";
import type { ChunkFiles } from "./chunk-files.ts";
import { ChunkFrames } from "./chunk-frames.ts";
import type { GroupedEntries } from "./grouped-entries.ts";
import { OTHER_ENCODING, walkNewest } from "./newest-walk.ts";

/** Reads of chunks of floats the newest sample within a range. */
export class NewestSamples {
  /** By place; a stale marker where there is none in the range. */
  readonly values: Float64Array;
  chunkCount = 0;
  sampleCount = 0;
  byteCount = 0;
  readonly #words: Uint32Array;
  readonly #frames = new ChunkFrames();

  constructor(capacity: number) {
    this.values = new Float64Array(capacity);
    this.#words = new Uint32Array(this.values.buffer);
  }

  /** Reads the chunks of `entries`; a series whose chunk is not one of floats becomes one of the others. */
  async read(
    entries: GroupedEntries,
    chunks: ChunkFiles,
    range: { readonly minTimeMs: number; readonly maxTimeMs: number },
  ): Promise<void> {
    this.chunkCount = 0;
    this.sampleCount = 0;
    this.byteCount = 0;
    const refs = entries.refs.subarray(0, entries.count);
    await chunks.forEachPiece(refs, async (piece) => {
      const to = piece.starts.length;
      for (let from = 0; from < to;) {
        const { count, counts, words, byteCount } = walkNewest(piece, { from, to }, range);
        const place = piece.from + from;
        this.#words.set(words, 2 * place);
        this.byteCount += byteCount;
        for (let i = 0; i < count; i++)
          if (counts[i] === OTHER_ENCODING) entries.isOther[place + i] = 1;
          else {
            this.chunkCount++;
            this.sampleCount += counts[i]!;
          }
        from += count;
        // Where it stopped may be no more than the end of what it looks at in one go.
        if (count === 0) await this.#readOne(entries, piece.from + from++, { chunks, range });
      }
    });
  }

  /** With all checks. */
  async #readOne(
    entries: GroupedEntries,
    place: number,
    from: {
      readonly chunks: ChunkFiles;
      readonly range: { readonly minTimeMs: number; readonly maxTimeMs: number };
    },
  ): Promise<void> {
    const frames = this.#frames;
    const { minTimeMs, maxTimeMs } = from.range;
    await from.chunks.readFrames(entries, { from: place, to: place + 1 }, frames);
    if (frames.encoding(0) !== ENCODING_XOR) {
      entries.isOther[place] = 1;
      return;
    }
    const { data } = frames.chunk(0);
    const { times, values, words } = sampleMemory();
    const count = decodeXor(data, { times, values, offset: 0 });
    this.chunkCount++;
    this.sampleCount += count;
    this.byteCount += data.length;
    let newest = count - 1;
    while (newest >= 0 && times[newest]! > maxTimeMs) newest--;
    if (newest < 0 || times[newest]! < minTimeMs) writeStale(this.values, place);
    else this.#words.set(words.subarray(2 * newest, 2 * newest + 2), 2 * place);
  }
}

import { firstWrong } from "../base/crc32c.ts";
import type { ChunkColumns } from "../index/writer.ts";
import { sampleCountFrom } from "../storage/chunk-encodings.ts";
import type { Chunk, ChunkEncoding } from "../storage/queryable.ts";

/** Where chunks are and what the index says about them. */
export type ChunkPlaces = Omit<ChunkColumns, "count">;

/**
 * Chunks as they lie in a segment, with length, encoding and checksum around their data, in one buffer that is used
 * again: so a merge copies them without an object for each, and without computing a checksum anew.
 *
 *     length of the data (uvarint) | encoding (1) | data | checksum (4)
 */
export class ChunkFrames {
  bytes = new Uint8Array(0);
  /** Frame `i` is `bytes[starts[i], ends[i])`. */
  starts = new Uint32Array(0);
  ends = new Uint32Array(0);
  /** ms. */
  minTimes = new Float64Array(0);
  /** ms, inclusive. */
  maxTimes = new Float64Array(0);
  /** Where the encoding is. */
  #bodyStarts = new Uint32Array(0);
  #used = 0;

  /** Becomes the chunks `from` (inclusive) to `to` (exclusive) of `chunks`, for now `size` bytes that are to be filled. */
  reset(chunks: ChunkPlaces, range: { from: number; to: number; size: number }): void {
    const { from, to, size } = range;
    if (to - from > this.starts.length) {
      const count = (to - from) * 2;
      this.starts = new Uint32Array(count);
      this.ends = new Uint32Array(count);
      this.minTimes = new Float64Array(count);
      this.maxTimes = new Float64Array(count);
      this.#bodyStarts = new Uint32Array(count);
    }
    this.minTimes.set(chunks.minTimes.subarray(from, to));
    this.maxTimes.set(chunks.maxTimes.subarray(from, to));
    if (size > this.bytes.length) this.bytes = new Uint8Array(size);
    this.#used = size;
  }

  /** Takes the first `count` frames into a buffer of their own, one behind the other. */
  pack(count: number): void {
    const { bytes, starts, ends } = this;
    let size = 0;
    for (let i = 0; i < count; i++) size += ends[i]! - starts[i]!;
    const packed = new Uint8Array(size);
    let at = 0;
    for (let i = 0; i < count;) {
      const start = starts[i]!;
      const moved = start - at;
      let end = start;
      // Those of one series lie together.
      for (; i < count && starts[i] === end; i++) {
        end = ends[i]!;
        starts[i]! -= moved;
        ends[i]! -= moved;
        this.#bodyStarts[i]! -= moved;
      }
      packed.set(bytes.subarray(start, end), at);
      at += end - start;
    }
    this.bytes = packed;
    this.#used = size;
  }

  /** Makes room for `size` more bytes; where they start. */
  append(size: number): number {
    const start = this.#used;
    this.#used += size;
    if (this.#used > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.#used, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, start));
      this.bytes = grown;
    }
    return start;
  }

  /** Frame `i` starts at `start`: its size, of which not all need be there yet. 0 for no length before `end`. */
  measure(i: number, start: number, end: number): number {
    const { bytes } = this;
    let dataSize = 0;
    let scale = 1;
    for (let at = start; at < start + 5 && at < end; at++) {
      const byte = bytes[at]!;
      dataSize += (byte & 127) * scale;
      scale *= 128;
      if (byte >= 128) continue;
      this.starts[i] = start;
      this.#bodyStarts[i] = at + 1;
      this.ends[i] = at + 2 + dataSize + 4;
      return at + 2 + dataSize + 4 - start;
    }
    return 0;
  }

  /** The first of the frames `from` (inclusive) to `to` (exclusive), which are all there, with a wrong checksum; `to` if none. */
  firstWrong(range: { from: number; to: number }): number {
    const { bytes, ends } = this;
    return firstWrong({ bytes, starts: this.#bodyStarts, ends }, range);
  }

  dataSize(i: number): number {
    return this.ends[i]! - 5 - this.#bodyStarts[i]!;
  }

  encoding(i: number): number {
    return this.bytes[this.#bodyStarts[i]!]!;
  }

  sampleCount(i: number): number {
    const at = this.#bodyStarts[i]! + 1;
    if (this.dataSize(i) < 2) return 0;
    return sampleCountFrom(this.encoding(i), (this.bytes[at]! << 8) | this.bytes[at + 1]!);
  }

  /** Frame `i` as a chunk whose data is a view of the buffer. */
  chunk(i: number): Chunk {
    return {
      // Encodings that are not known here are carried as they are.
      encoding: this.encoding(i) as ChunkEncoding,
      minTimeMs: this.minTimes[i]!,
      maxTimeMs: this.maxTimes[i]!,
      data: this.bytes.subarray(this.#bodyStarts[i]! + 1, this.ends[i]! - 4),
    };
  }
}

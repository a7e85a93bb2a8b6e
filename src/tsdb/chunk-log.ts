import { assert } from "../base/errors.ts";
import type { Chunk, ChunkEncoding } from "../storage/queryable.ts";

/**
 * The finished chunks of a head, written one after the other into slabs of 1 MiB. Each entry points to the chunk of
 * the same series before it, so a series needs only the address of its newest one. Chunks finish about in the order of
 * their time, so retention drops whole slabs from the front; a pointer into a dropped slab is the end of the list.
 *
 * ```
 *   ┌──────────────┬──────────────┬───────────┬────────────────────────────┬───────────────┐
 *   │ previous f64 │ min time f64 │ span u32  │ encoding u8 · length u24   │ chunk bytes … │  padded to 8
 *   └──────────────┴──────────────┴───────────┴────────────────────────────┴───────────────┘
 * ```
 *
 * An address is slab number × slab size + offset; 0 is none. Bytes never change once written, so a view handed to a
 * reader stays valid even after its slab was dropped.
 */
const SLAB_BYTES = 1024 * 1024;
const HEADER_BYTES = 24;

interface Slab {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly floats: Float64Array;
  readonly words: Uint32Array;
  used: number;
  maxTimeMs: number;
  chunkCount: number;
  sampleCount: number;
}

/** A chunk of histograms may be large, but never this large. */
const CHUNK_MAX_BYTES = 2 ** 24 - 1;

export interface FinishedChunk {
  readonly encoding: ChunkEncoding;
  readonly previous: number;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly bytes: Uint8Array;
}

export class ChunkLog {
  readonly #slabs = new Map<number, Slab>();
  #first = 0;
  #last = -1;
  #chunkCount = 0;
  #sampleCount = 0;

  get chunkCount(): number {
    return this.#chunkCount;
  }

  get sampleCount(): number {
    return this.#sampleCount;
  }

  /** The bytes of all slabs. */
  get size(): number {
    return this.#slabs.size * SLAB_BYTES;
  }

  /** Stores a chunk of `length` bytes, which `fill` writes, and returns its address. */
  add(
    entry: Omit<FinishedChunk, "bytes"> & { sampleCount: number },
    length: number,
    fill: (bytes: Uint8Array, offset: number) => void,
  ): number {
    assert(length <= CHUNK_MAX_BYTES, "a chunk is too large");
    const size = (HEADER_BYTES + length + 7) & ~7;
    let slab = this.#slabs.get(this.#last);
    if (slab === undefined || slab.used + size > SLAB_BYTES) slab = this.#addSlab(size);
    const offset = slab.used;
    slab.used += size;
    slab.floats[offset >> 3] = entry.previous;
    slab.floats[(offset >> 3) + 1] = entry.minTimeMs;
    slab.words[(offset >> 2) + 4] = entry.maxTimeMs - entry.minTimeMs;
    slab.words[(offset >> 2) + 5] = (entry.encoding << 24) | length;
    fill(slab.bytes, offset + HEADER_BYTES);
    if (entry.maxTimeMs > slab.maxTimeMs) slab.maxTimeMs = entry.maxTimeMs;
    slab.chunkCount++;
    slab.sampleCount += entry.sampleCount;
    this.#chunkCount++;
    this.#sampleCount += entry.sampleCount;
    return this.#last * SLAB_BYTES + offset;
  }

  /** The chunk at `address`, or undefined when there is none or retention has dropped it. */
  get(address: number): FinishedChunk | undefined {
    const slab = this.#slabs.get(Math.floor(address / SLAB_BYTES));
    if (slab === undefined || address === 0) return undefined;
    const offset = address % SLAB_BYTES;
    const minTimeMs = slab.floats[(offset >> 3) + 1]!;
    const start = offset + HEADER_BYTES;
    const word = slab.words[(offset >> 2) + 5]!;
    return {
      encoding: (word >>> 24) as ChunkEncoding,
      previous: slab.floats[offset >> 3]!,
      minTimeMs,
      maxTimeMs: minTimeMs + slab.words[(offset >> 2) + 4]!,
      bytes: slab.bytes.subarray(start, start + (word & CHUNK_MAX_BYTES)),
    };
  }

  /** Drops slabs, oldest first, whose chunks all end before `minTimeMs`. */
  dropBefore(minTimeMs: number): void {
    for (let number = this.#first; number <= this.#last; number++) {
      const slab = this.#slabs.get(number);
      if (slab === undefined) continue;
      if (slab.maxTimeMs >= minTimeMs) break;
      this.#slabs.delete(number);
      this.#first = number + 1;
      this.#chunkCount -= slab.chunkCount;
      this.#sampleCount -= slab.sampleCount;
    }
  }

  #addSlab(size: number): Slab {
    const bytes = new Uint8Array(Math.max(SLAB_BYTES, size));
    const slab: Slab = {
      bytes,
      floats: new Float64Array(bytes.buffer),
      words: new Uint32Array(bytes.buffer),
      // Address 0 means none, so nothing starts there.
      used: this.#last < 0 ? 8 : 0,
      maxTimeMs: -Infinity,
      chunkCount: 0,
      sampleCount: 0,
    };
    this.#slabs.set(++this.#last, slab);
    return slab;
  }
}

/** A stored chunk as readers get it. */
export function toChunk(finished: FinishedChunk): Chunk {
  return {
    encoding: finished.encoding,
    minTimeMs: finished.minTimeMs,
    maxTimeMs: finished.maxTimeMs,
    data: finished.bytes,
  };
}

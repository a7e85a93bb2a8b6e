import { assert } from "../base/errors.ts";
import type { Chunk, ChunkEncoding } from "../storage/queryable.ts";
import type { HeadChunkFiles } from "./head-chunk-files.ts";

/**
 * The finished chunks of a head, in the order in which they finished. Each entry points to the chunk of the same series
 * before it, so a series needs only the address of its newest one. Bytes are written to slabs of 1 MiB; full slabs go to
 * files, and leave the memory when there is more of them than `memoryBytes`.
 *
 * ```
 *   entry   ┌──────────────┬──────────────┬────────────┬────────────┬──────────┬───────────┬─────────┬────────────┐
 *           │ previous f64 │ min time f64 │ file place │ slab place │ span u32 │ encoding  │ ref u32 │ sample     │
 *           │              │              │ f64        │ f64        │          │ u8 · size │         │ count u32  │
 *           └──────────────┴──────────────┴────────────┴────────────┴──────────┴───────────┴─────────┴────────────┘
 *   pages   │ entries 0 … 1023 │ 1024 … 2047 │ …      dropped from the front when all of a page is too old
 *   bytes   │ slab │ slab │ slab │ …                 slabs before the last one are full, and then written
 * ```
 *
 * An address is entry number + 1; 0 is none. A pointer to a dropped entry is the end of the list. Bytes never change once
 * written, so a view handed to a reader stays valid even after its slab was dropped.
 */
const SLAB_BYTES = 1024 * 1024;
const PAGE_ENTRIES = 1024;
/** A chunk of histograms may be large, but never this large. */
const CHUNK_MAX_BYTES = 2 ** 24 - 1;
/** Full slabs that are kept in memory beside their files, by default. */
export const CHUNK_MEMORY_BYTES = 64 * 1024 * 1024;

const PREVIOUS = 0;
const MIN_TIME = 1;
const FILE_PLACE = 2;
const SLAB_PLACE = 3;
const FLOATS = 4;
const SPAN = 0;
const SIZE = 1;
const REF = 2;
const SAMPLES = 3;
const WORDS = 4;

interface Page {
  readonly floats: Float64Array;
  readonly words: Uint32Array;
  count: number;
  maxTimeMs: number;
  sampleCount: number;
}

interface Slab {
  readonly bytes: Uint8Array;
  used: number;
  /** The entry after its last one. */
  end: number;
}

export interface FinishedChunk {
  readonly address: number;
  readonly encoding: ChunkEncoding;
  readonly previous: number;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

export interface NewChunk extends Omit<FinishedChunk, "address"> {
  readonly ref: number;
  readonly sampleCount: number;
}

export class ChunkLog {
  readonly #pages = new Map<number, Page>();
  readonly #slabs = new Map<number, Slab>();
  #files: HeadChunkFiles | undefined;
  #memoryBytes = CHUNK_MEMORY_BYTES;
  #firstPage = 0;
  #next = 0;
  #firstSlab = 0;
  #lastSlab = -1;
  /** Entries before this one are in files. */
  #saved = 0;
  #chunkCount = 0;
  #sampleCount = 0;

  get chunkCount(): number {
    return this.#chunkCount;
  }

  get sampleCount(): number {
    return this.#sampleCount;
  }

  /** Whether full slabs wait for being written to files. */
  get hasUnsaved(): boolean {
    return this.#files !== undefined && this.#saved < this.#sealedEnd();
  }

  /** From now on full slabs go to `files`; of those that have, the newest `memoryBytes` stay in memory too. */
  useFiles(files: HeadChunkFiles, memoryBytes = CHUNK_MEMORY_BYTES): void {
    this.#files = files;
    this.#memoryBytes = memoryBytes;
    this.#saved = this.#next;
  }

  /** Stores a chunk of `size` bytes, which `fill` writes, and returns its address. */
  add(entry: NewChunk, size: number, fill: (bytes: Uint8Array, offset: number) => void): number {
    assert(size <= CHUNK_MAX_BYTES, "a chunk is too large");
    let slab = this.#slabs.get(this.#lastSlab);
    if (slab === undefined || slab.used + size > slab.bytes.length) slab = this.#addSlab(size);
    fill(slab.bytes, slab.used);
    const address = this.#addEntry(entry, size, {
      file: -1,
      slab: this.#lastSlab * SLAB_BYTES + slab.used,
    });
    slab.used += size;
    slab.end = this.#next;
    return address;
  }

  /** Adds a chunk of `size` bytes that is in a file. */
  addStored(entry: NewChunk, size: number, place: number): number {
    return this.#addEntry(entry, size, { file: place, slab: -1 });
  }

  /** The chunk at `address`, or undefined when there is none or it has been dropped. */
  get(address: number): FinishedChunk | undefined {
    const page =
      address === 0 ? undefined : this.#pages.get(Math.floor((address - 1) / PAGE_ENTRIES));
    if (page === undefined) return undefined;
    const i = (address - 1) % PAGE_ENTRIES;
    const minTimeMs = page.floats[FLOATS * i + MIN_TIME]!;
    return {
      address,
      encoding: (page.words[WORDS * i + SIZE]! >>> 24) as ChunkEncoding,
      previous: page.floats[FLOATS * i + PREVIOUS]!,
      minTimeMs,
      maxTimeMs: minTimeMs + page.words[WORDS * i + SPAN]!,
    };
  }

  /** As readers get it. Throws `corrupt` when its file is damaged. */
  read({ address, encoding, minTimeMs, maxTimeMs }: FinishedChunk): Chunk {
    return { encoding, minTimeMs, maxTimeMs, data: this.#bytes(address - 1) };
  }

  /** Makes `previous` the chunk before the one at `address`. */
  link(address: number, previous: number): void {
    const page = this.#pages.get(Math.floor((address - 1) / PAGE_ENTRIES));
    if (page !== undefined)
      page.floats[FLOATS * ((address - 1) % PAGE_ENTRIES) + PREVIOUS] = previous;
  }

  /** Drops pages, oldest first, whose chunks all end before `minTimeMs`. */
  dropBefore(minTimeMs: number): void {
    for (; this.#firstPage * PAGE_ENTRIES < this.#next; this.#firstPage++) {
      const page = this.#pages.get(this.#firstPage);
      if (page === undefined) continue;
      if (page.maxTimeMs >= minTimeMs) break;
      this.#pages.delete(this.#firstPage);
      this.#chunkCount -= page.count;
      this.#sampleCount -= page.sampleCount;
    }
    const first = this.#firstPage * PAGE_ENTRIES;
    if (first > this.#next) this.#next = first;
    if (first > this.#saved) this.#saved = first;
    this.#dropSlabs((slab) => slab.end <= first);
  }

  /** Writes full slabs to files; with `all`, the last one too. */
  async save(options: { all: boolean }): Promise<void> {
    const files = this.#files;
    if (files === undefined) return;
    const end = options.all ? this.#next : this.#sealedEnd();
    while (this.#saved < end) {
      const first = this.#saved;
      const chunks = [];
      let index = first;
      for (let size = 0; index < end && size < SLAB_BYTES; index++) {
        const chunk = this.#chunkAt(index);
        if (chunk === undefined) continue;
        chunks.push({ ...chunk, index });
        size += chunk.data.length;
      }
      const places = await files.write(chunks);
      for (const [k, chunk] of chunks.entries()) {
        const page = this.#pages.get(Math.floor(chunk.index / PAGE_ENTRIES));
        if (page !== undefined)
          page.floats[FLOATS * (chunk.index % PAGE_ENTRIES) + FILE_PLACE] = places[k]!;
      }
      this.#saved = Math.max(this.#saved, index);
    }
    const most = Math.floor(this.#memoryBytes / SLAB_BYTES);
    this.#dropSlabs((slab, number) => slab.end <= this.#saved && this.#lastSlab - number >= most);
  }

  /** Without the chunks of pages that have been dropped. */
  #chunkAt(index: number): (Chunk & { ref: number }) | undefined {
    const found = this.get(index + 1);
    if (found === undefined) return undefined;
    const page = this.#pages.get(Math.floor(index / PAGE_ENTRIES))!;
    return { ...this.read(found), ref: page.words[WORDS * (index % PAGE_ENTRIES) + REF]! };
  }

  #bytes(index: number): Uint8Array {
    const page = this.#pages.get(Math.floor(index / PAGE_ENTRIES))!;
    const i = index % PAGE_ENTRIES;
    const size = page.words[WORDS * i + SIZE]! & CHUNK_MAX_BYTES;
    const place = page.floats[FLOATS * i + SLAB_PLACE]!;
    const slab = place < 0 ? undefined : this.#slabs.get(Math.floor(place / SLAB_BYTES));
    if (slab !== undefined)
      return slab.bytes.subarray(place % SLAB_BYTES, (place % SLAB_BYTES) + size);
    const file = page.floats[FLOATS * i + FILE_PLACE]!;
    return this.#files!.read(file, { ref: page.words[WORDS * i + REF]!, size });
  }

  #addEntry(entry: NewChunk, size: number, place: { file: number; slab: number }): number {
    const number = Math.floor(this.#next / PAGE_ENTRIES);
    let page = this.#pages.get(number);
    if (page === undefined) this.#pages.set(number, (page = newPage()));
    const i = this.#next % PAGE_ENTRIES;
    const { floats, words } = page;
    floats[FLOATS * i + PREVIOUS] = entry.previous;
    floats[FLOATS * i + MIN_TIME] = entry.minTimeMs;
    floats[FLOATS * i + FILE_PLACE] = place.file;
    floats[FLOATS * i + SLAB_PLACE] = place.slab;
    words[WORDS * i + SPAN] = entry.maxTimeMs - entry.minTimeMs;
    words[WORDS * i + SIZE] = (entry.encoding << 24) | size;
    words[WORDS * i + REF] = entry.ref;
    words[WORDS * i + SAMPLES] = entry.sampleCount;
    page.count++;
    page.sampleCount += entry.sampleCount;
    if (entry.maxTimeMs > page.maxTimeMs) page.maxTimeMs = entry.maxTimeMs;
    this.#chunkCount++;
    this.#sampleCount += entry.sampleCount;
    return ++this.#next;
  }

  /** Entries before this one are in full slabs. */
  #sealedEnd(): number {
    return this.#slabs.get(this.#lastSlab - 1)?.end ?? this.#saved;
  }

  #addSlab(size: number): Slab {
    const bytes = new Uint8Array(Math.max(SLAB_BYTES, size));
    const slab: Slab = { bytes, used: 0, end: this.#next };
    this.#slabs.set(++this.#lastSlab, slab);
    return slab;
  }

  /** Drops slabs from the front for as long as `isGone` holds; the one being filled stays. */
  #dropSlabs(isGone: (slab: Slab, number: number) => boolean): void {
    for (; this.#firstSlab < this.#lastSlab; this.#firstSlab++) {
      const slab = this.#slabs.get(this.#firstSlab);
      if (slab !== undefined && !isGone(slab, this.#firstSlab)) break;
      this.#slabs.delete(this.#firstSlab);
    }
  }
}

function newPage(): Page {
  return {
    floats: new Float64Array(PAGE_ENTRIES * FLOATS),
    words: new Uint32Array(PAGE_ENTRIES * WORDS),
    count: 0,
    maxTimeMs: -Infinity,
    sampleCount: 0,
  };
}

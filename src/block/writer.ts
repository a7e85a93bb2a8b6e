import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { FileWriter, writeError } from "../index/file-writer.ts";
import type { SymbolEntries } from "../index/symbol-entries.ts";
import { IndexWriter } from "../index/writer.ts";
import { CHUNKS_FOLDER, ChunkFilesWriter } from "./chunk-files.ts";
import type { ChunkFrames } from "./chunk-frames.ts";
import { type BlockMeta, formatMeta, META_FILE } from "./meta.ts";
import { isHistogram, sampleCountOf } from "../storage/chunk-encodings.ts";
import {
  countTombstones,
  TOMBSTONES_FILE,
  type Tombstones,
  writeTombstones,
} from "./tombstones.ts";

/** What a block is called while it is written; leftovers of that name are deleted at the next start. */
export const CREATION_SUFFIX = ".tmp-for-creation";
export const DELETION_SUFFIX = ".tmp-for-deletion";

/** Frames up to so many bytes are copied together: little beside a segment, which they must fit in. */
const RUN_MAX_BYTES = 64 * 1024;

/** The steps of writing a block, in order, at which a test stops the process. */
export const FAILPOINTS = [
  "folder-made",
  "symbols-written",
  "first-series-written",
  "series-written",
  "chunks-flushed",
  "chunks-synced",
  "index-written",
  "tombstones-written",
  "meta-written",
  "meta-renamed",
  "folder-synced",
  "block-renamed",
  "parent-synced",
] as const;
export type Failpoint = (typeof FAILPOINTS)[number];

export interface BlockWriterOptions {
  /** The data folder the block will be in. */
  readonly parent: string;
  readonly ulid: string;
  readonly segmentMaxBytes?: number;
  /** Also write the index sections that Prometheus before 3.7 wrote and none reads. Default no. */
  readonly labelIndices?: boolean;
  /** Called at each step; for tests of crashes. */
  readonly onStep?: (step: Failpoint) => void;
}

/**
 * Writes a block: symbols, then each series with its chunks in label order, then `finish`. Everything goes into
 * `<ulid>.tmp-for-creation`, is brought to disk, and gets its name in one step at the end: a block is there whole or not
 * at all. Format: docs/format/block.md.
 */
export class BlockWriter {
  readonly #options: BlockWriterOptions;
  readonly #folder: string;
  readonly #index: IndexWriter;
  readonly #chunks: ChunkFilesWriter;
  #minTimes = new Float64Array(64);
  #maxTimes = new Float64Array(64);
  #refs = new Float64Array(64);
  #count = 0;
  #floatSamples = 0;
  #histogramSamples = 0;

  private constructor(
    options: BlockWriterOptions,
    parts: { folder: string; index: IndexWriter; chunks: ChunkFilesWriter },
  ) {
    this.#options = options;
    this.#folder = parts.folder;
    this.#index = parts.index;
    this.#chunks = parts.chunks;
  }

  static async create(options: BlockWriterOptions): Promise<BlockWriter> {
    const folder = join(options.parent, `${options.ulid}${CREATION_SUFFIX}`);
    try {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      const chunks = await ChunkFilesWriter.create(folder, options);
      const index = await IndexWriter.create(join(folder, "index"), options);
      options.onStep?.("folder-made");
      return new BlockWriter(options, { folder, index, chunks });
    } catch (error) {
      throw writeError(folder, error);
    }
  }

  get seriesCount(): number {
    return this.#index.seriesCount;
  }

  get sampleCount(): number {
    return this.#floatSamples + this.#histogramSamples;
  }

  /** All label names and values, once each, in byte order, the empty text first. */
  async addSymbols(symbols: Iterable<Uint8Array> | SymbolEntries): Promise<void> {
    await this.#index.addSymbols(symbols);
    this.#options.onStep?.("symbols-written");
  }

  /**
   * Adds a chunk to the series that the next `endSeries` names; chunks come in order of time and do not overlap. Waits
   * only when it gives a promise.
   */
  addChunk(chunk: {
    encoding: number;
    data: Uint8Array;
    minTimeMs: number;
    maxTimeMs: number;
  }): Promise<void> | undefined {
    const ref = this.#chunks.add(chunk.encoding, chunk.data);
    if (ref === undefined) return this.#chunks.makeRoom().then(() => this.addChunk(chunk));
    if (this.#count === this.#refs.length) this.#grow();
    const i = this.#count++;
    this.#minTimes[i] = chunk.minTimeMs;
    this.#maxTimes[i] = chunk.maxTimeMs;
    this.#refs[i] = ref;
    this.#counted(chunk.encoding, sampleCountOf(chunk));
    return undefined;
  }

  /** As `addChunk` for the frames `from` (inclusive) to `to` (exclusive) of `frames`, bytes and checksums as they are. */
  addFrames(
    frames: ChunkFrames,
    { from, to }: { from: number; to: number },
  ): Promise<void> | undefined {
    for (let first = from; first < to;) {
      let end = first + 1;
      const limit = frames.starts[first]! + RUN_MAX_BYTES;
      while (end < to && frames.starts[end] === frames.ends[end - 1] && frames.ends[end]! <= limit)
        end++;
      const ref = this.#chunks.addFrames(frames, { from: first, to: end });
      if (ref === undefined)
        return this.#chunks.makeRoom().then(() => this.addFrames(frames, { from: first, to }));
      const moved = ref - frames.starts[first]!;
      while (this.#count + end - first > this.#refs.length) this.#grow();
      for (let i = first; i < end; i++) {
        const place = this.#count++;
        this.#minTimes[place] = frames.minTimes[i]!;
        this.#maxTimes[place] = frames.maxTimes[i]!;
        this.#refs[place] = frames.starts[i]! + moved;
        this.#counted(frames.encoding(i), frames.sampleCount(i));
      }
      first = end;
    }
    return undefined;
  }

  /** Writes the series of the chunks added since the last one. Waits only when it gives a promise. */
  endSeries(series: { symbols: Uint32Array; labelCount: number }): Promise<void> | undefined {
    this.#index.addSeries(series, {
      count: this.#count,
      minTimes: this.#minTimes,
      maxTimes: this.#maxTimes,
      refs: this.#refs,
    });
    this.#count = 0;
    if (this.#index.seriesCount === 1) this.#options.onStep?.("first-series-written");
    return this.#index.isFull || this.#chunks.isFull ? this.#drain() : undefined;
  }

  /** Brings the block to disk under its name, and gives its folder. `stats` of the meta are filled in here. */
  async finish(
    meta: Omit<BlockMeta, "stats" | "ulid" | "version">,
    tombstones: Tombstones = new Map(),
  ): Promise<string> {
    const step = this.#options.onStep ?? ((): void => {});
    const { parent, ulid } = this.#options;
    const folder = this.#folder;
    try {
      step("series-written");
      await this.#chunks.flush();
      step("chunks-flushed");
      await this.#chunks.sync();
      await this.#chunks.close();
      step("chunks-synced");
      await this.#index.finish();
      await this.#index.close();
      step("index-written");
      await writeTombstones(join(folder, TOMBSTONES_FILE), tombstones);
      step("tombstones-written");
      const numTombstones = countTombstones(tombstones);
      await writeMeta(
        folder,
        {
          ulid,
          minTime: meta.minTime,
          maxTime: meta.maxTime,
          stats: {
            numSamples: this.sampleCount,
            numFloatSamples: this.#floatSamples,
            ...(this.#histogramSamples > 0 ? { numHistogramSamples: this.#histogramSamples } : {}),
            numSeries: this.#index.seriesCount,
            numChunks: this.#chunks.chunkCount,
            ...(numTombstones > 0 ? { numTombstones } : {}),
          },
          compaction: meta.compaction,
          version: 1,
          ...(meta.extra === undefined ? {} : { extra: meta.extra }),
        },
        () => step("meta-written"),
      );
      step("meta-renamed");
      await syncFolder(join(folder, CHUNKS_FOLDER));
      await syncFolder(folder);
      step("folder-synced");
      const final = join(parent, ulid);
      await rename(folder, final);
      step("block-renamed");
      await syncFolder(parent);
      step("parent-synced");
      return final;
    } catch (error) {
      throw writeError(folder, error);
    }
  }

  /** Gives up: closes and deletes what was written. */
  async abandon(): Promise<void> {
    await this.#chunks.close().catch(() => {});
    await this.#index.close().catch(() => {});
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #drain(): Promise<void> {
    await this.#chunks.drain();
    await this.#index.drain();
  }

  #counted(encoding: number, samples: number): void {
    if (isHistogram(encoding)) this.#histogramSamples += samples;
    else this.#floatSamples += samples;
  }

  #grow(): void {
    const size = this.#refs.length * 2;
    const grown = (column: Float64Array): Float64Array<ArrayBuffer> => {
      const larger = new Float64Array(size);
      larger.set(column);
      return larger;
    };
    this.#minTimes = grown(this.#minTimes);
    this.#maxTimes = grown(this.#maxTimes);
    this.#refs = grown(this.#refs);
  }
}

/** Writes `meta.json` aside and renames it. `onWritten` is called in between. */
export async function writeMeta(
  folder: string,
  meta: BlockMeta,
  onWritten: () => void = () => {},
): Promise<void> {
  const path = join(folder, META_FILE);
  const building = `${path}.tmp`;
  await rm(building, { force: true });
  const out = await FileWriter.create(building);
  try {
    out.putBytes(new TextEncoder().encode(formatMeta(meta)));
    await out.sync();
  } finally {
    await out.close();
  }
  onWritten();
  await rename(building, path);
}

/** Makes names made, changed and deleted in `folder` survive a power loss. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

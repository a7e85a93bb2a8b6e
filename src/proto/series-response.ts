import { compareText } from "../base/text.ts";
import { LabelCache } from "./label-cache.ts";
import { ProtoReader, ProtoWriter, corrupt } from "./wire.ts";

/**
 * `thanos.SeriesResponse` (docs/format/storeapi.md), the message queries spend their bytes on. Written by hand: chunk
 * data is copied once on the way out and not at all on the way in, and each distinct label is decoded once.
 */

/** A chunk as the storage waist has it: Prometheus's encoding numbers, times in ms. */
export interface ChunkMessage<Encoding extends number = number> {
  readonly encoding: Encoding;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly data: Uint8Array;
}

/** The labels of a series to be written, in sorted order. */
export interface LabelsMessage {
  readonly count: number;
  nameAt(index: number): string;
  valueAt(index: number): string;
}

export interface SeriesMessage {
  readonly labels: LabelsMessage;
  readonly chunks: readonly ChunkMessage[];
}

/** Prometheus's chunk encodings are 1 to 3, StoreAPI's chunk types 0 to 2. */
const TYPE_TO_ENCODING_OFFSET = 1;
const MAX_CHUNK_TYPE = 2;

const SERIES_FIELD = 1;
const WARNING_FIELD = 2;
const BATCH_FIELD = 4;

/** Writes the frames of one stream; each is valid until the next one is written. */
export class SeriesEncoder {
  readonly #writer = new ProtoWriter();

  /** One frame with one series. */
  series(series: SeriesMessage): Uint8Array {
    this.#series(SERIES_FIELD, series);
    return this.#writer.finish();
  }

  /** One frame with many. */
  batch(batch: readonly SeriesMessage[]): Uint8Array {
    const before = this.#writer.size;
    for (let i = batch.length - 1; i >= 0; i--) this.#series(1, batch[i]!);
    this.#writer.message(BATCH_FIELD, before);
    return this.#writer.finish();
  }

  warning(text: string): Uint8Array {
    this.#writer.string(WARNING_FIELD, text);
    return this.#writer.finish();
  }

  #series(field: number, { labels, chunks }: SeriesMessage): void {
    const writer = this.#writer;
    const before = writer.size;
    for (let i = chunks.length - 1; i >= 0; i--) {
      const chunk = chunks[i]!;
      const beforeChunk = writer.size;
      writer.bytes(2, chunk.data);
      writer.uint32(1, chunk.encoding - TYPE_TO_ENCODING_OFFSET);
      writer.message(3, beforeChunk);
      writer.int64(2, chunk.maxTimeMs);
      writer.int64(1, chunk.minTimeMs);
      writer.message(2, beforeChunk);
    }
    for (let i = labels.count - 1; i >= 0; i--) {
      const beforeLabel = writer.size;
      writer.string(2, labels.valueAt(i));
      writer.string(1, labels.nameAt(i));
      writer.message(1, beforeLabel);
    }
    writer.message(field, before);
  }
}

/** Where a decoder puts what a frame holds. */
export interface SeriesSink<Encoding extends number> {
  /** `labels`: name, value, … sorted by name in byte order, without empty values; the sink may keep both arrays. */
  series(labels: string[], chunks: ChunkMessage<Encoding>[]): void;
  warning(text: string): void;
}

/** Reads the frames of one stream. Chunk data are views of the frame. */
export class SeriesDecoder {
  readonly #cache: LabelCache;
  /** The cache's entries of the series before, by position. */
  readonly #entries: number[] = [];
  readonly #range = { at: 0, end: 0, likely: 0 };

  constructor(cache = new LabelCache()) {
    this.#cache = cache;
  }

  /** Throws `corrupt`; series before the broken one have then been delivered. */
  decode(frame: Uint8Array, sink: SeriesSink<1 | 2 | 3>): void {
    const reader = new ProtoReader(frame);
    while (reader.more) {
      const key = reader.key();
      if (key === 0x0a) this.#series(reader.nested(), sink);
      else if (key === 0x12) sink.warning(reader.string());
      else if (key === 0x22) {
        const batch = reader.nested();
        while (batch.more) {
          const inner = batch.key();
          if (inner === 0x0a) this.#series(batch.nested(), sink);
          else batch.skip(inner);
        }
      } // Hints (3), and frames of kinds to come, are passed over.
      else reader.skip(key);
    }
  }

  #series(reader: ProtoReader, sink: SeriesSink<1 | 2 | 3>): void {
    const cache = this.#cache;
    const range = this.#range;
    const labels: string[] = [];
    const chunks: ChunkMessage<1 | 2 | 3>[] = [];
    let previous = "";
    let inOrder = true;
    while (reader.more) {
      const key = reader.key();
      if (key === 0x0a) {
        const size = reader.size();
        const position = labels.length >> 1;
        range.at = reader.at;
        range.end = reader.at += size;
        range.likely = this.#entries[position] ?? 0;
        const entry = cache.lookup(reader.bytes, range);
        this.#entries[position] = entry;
        const name = cache.names[entry]!;
        const value = cache.values[entry]!;
        // Byte order and JavaScript's order agree where this holds for ASCII; the rare rest is looked at closely.
        if (value === "" || compareText(previous, name) >= 0) inOrder = false;
        previous = name;
        labels.push(name, value);
      } else if (key === 0x12) {
        const chunk = readAggrChunk(reader.nested());
        if (chunk !== undefined) chunks.push(chunk);
      } else reader.skip(key);
    }
    sink.series(inOrder ? labels : normalize(labels), chunks);
  }
}

/** Only the raw chunk is read; aggregates of downsampled data (4 to 8) are passed over. */
function readAggrChunk(reader: ProtoReader): ChunkMessage<1 | 2 | 3> | undefined {
  let minTimeMs = 0;
  let maxTimeMs = 0;
  let type = 0;
  let data: Uint8Array | undefined;
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) minTimeMs = reader.int64();
    else if (key === 0x10) maxTimeMs = reader.int64();
    else if (key === 0x1a) {
      const raw = reader.nested();
      data = EMPTY;
      while (raw.more) {
        const inner = raw.key();
        if (inner === 0x08) type = raw.uint32();
        else if (inner === 0x12) data = raw.view();
        else raw.skip(inner);
      }
    } else reader.skip(key);
  }
  if (data === undefined || data.length === 0) return undefined;
  return { encoding: encodingOf(type), minTimeMs, maxTimeMs, data };
}

const EMPTY = new Uint8Array(0);

function encodingOf(type: number): 1 | 2 | 3 {
  switch (type) {
    case 0:
      return 1;
    case 1:
      return 2;
    case MAX_CHUNK_TYPE:
      return 3;
    default:
      throw corrupt(`chunk type ${type} is unknown`);
  }
}

/** Sorts labels a peer sent out of order and drops what is not a label (empty names or values). */
function normalize(flat: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (let i = 0; i < flat.length; i += 2) byName.set(flat[i]!, flat[i + 1]!);
  return [...byName.entries()]
    .filter(([name, value]) => name !== "" && value !== "")
    .sort(([a], [b]) => compareText(a, b))
    .flat();
}

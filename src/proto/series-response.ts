import { compareText } from "../base/text.ts";
import { MAX_INT64, MIN_INT64, ProtoReader, ProtoWriter, corrupt } from "./wire.ts";

/**
 * `thanos.SeriesResponse` (docs/format/storeapi.md), the message queries spend their bytes on. Written by hand: chunk
 * data is copied once on the way out and not at all on the way in, and labels stay bytes until somebody asks for them.
 */

/** A chunk as the storage waist has it: Prometheus's encoding numbers, times in ms. */
export interface ChunkMessage<Encoding extends number = number> {
  readonly encoding: Encoding;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly data: Uint8Array;
}

/** Label messages one behind the other, each with its key: the labels of a series as they are in its message. */
export interface EncodedLabels {
  readonly bytes: Uint8Array;
  /** Inclusive. */
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** The labels of a series to be written, in sorted order. */
export interface LabelsMessage {
  /** All of them, encoded already, when they are there in this form; else undefined. */
  readonly packed: EncodedLabels | undefined;
  readonly count: number;
  nameAt(index: number): string;
  valueAt(index: number): string;
}

export interface SeriesMessage {
  readonly labels: LabelsMessage;
  readonly chunks: readonly ChunkMessage[];
}

/** How many series a stream has, as far as the store knows before it reads them. */
export interface SeriesCountMessage {
  readonly atLeast: number;
  /** Infinity: not known. */
  readonly atMost: number;
  readonly samples?: readonly SeriesSampleMessage[];
}

/** `size` series chosen `of` as many by chance: the chunks of those that have any. */
export interface SeriesSampleMessage<Encoding extends number = number> {
  readonly chunkLists: readonly (readonly ChunkMessage<Encoding>[])[];
  readonly size: number;
  readonly of: number;
  /** Infinite: not known. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

/** Prometheus's chunk encodings are 1 to 3, StoreAPI's chunk types 0 to 2. */
const TYPE_TO_ENCODING_OFFSET = 1;
const MAX_CHUNK_TYPE = 2;

/** Field 1 of a series is a label, whose fields are 1 and 2. */
const LABEL_KEY = 0x0a;
const NAME_KEY = 0x0a;
const VALUE_KEY = 0x12;

const NO_LABELS: LabelsMessage = {
  packed: undefined,
  count: 0,
  nameAt: () => "",
  valueAt: () => "",
};

const SERIES_FIELD = 1;
const WARNING_FIELD = 2;
const BATCH_FIELD = 4;
/** Ours alone, see docs/format/storeapi.md. */
const COUNT_FIELD = 1000;

/** Writes the frames of one stream; each is valid until the next one is written. */
export class SeriesEncoder {
  readonly #writer = new ProtoWriter();

  /** Bytes of memory that it holds, about two of its largest frames. */
  get capacity(): number {
    return this.#writer.capacity;
  }

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

  /** A frame that says how many series there are. */
  count({ atLeast, atMost, samples = [] }: SeriesCountMessage): Uint8Array {
    const writer = this.#writer;
    const before = writer.size;
    for (let i = samples.length - 1; i >= 0; i--) this.#sample(samples[i]!);
    if (atMost !== Infinity) writer.int64(2, atMost);
    writer.int64(1, atLeast);
    writer.message(COUNT_FIELD, before);
    return writer.finish();
  }

  #sample({ chunkLists, size, of, minTimeMs, maxTimeMs }: SeriesSampleMessage): void {
    const writer = this.#writer;
    const before = writer.size;
    writer.int64(5, Math.min(maxTimeMs, MAX_INT64));
    writer.int64(4, Math.max(minTimeMs, MIN_INT64));
    for (let i = chunkLists.length - 1; i >= 0; i--)
      this.#series(3, { labels: NO_LABELS, chunks: chunkLists[i]! });
    writer.int64(2, of);
    writer.int64(1, size);
    writer.message(3, before);
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
    const { packed } = labels;
    if (packed === undefined) this.#labels(labels);
    else writer.raw(packed.bytes, packed.from, packed.to);
    writer.message(field, before);
  }

  #labels(labels: LabelsMessage): void {
    const writer = this.#writer;
    for (let i = labels.count - 1; i >= 0; i--) {
      const before = writer.size;
      writer.string(2, labels.valueAt(i));
      writer.string(1, labels.nameAt(i));
      writer.message(1, before);
    }
  }
}

/** As it was read. */
export interface ReadCount<Encoding extends number> extends SeriesCountMessage {
  readonly samples?: readonly SeriesSampleMessage<Encoding>[];
}

/** Where a decoder puts what a frame holds. */
export interface SeriesSink<Encoding extends number> {
  /**
   * `labels`: sorted by name in byte order, without empty values; in their bytes if these are ASCII and in the form that
   * everybody writes, else name, value, … as texts.
   */
  series(labels: EncodedLabels | string[], chunks: ChunkMessage<Encoding>[]): void;
  warning(text: string): void;
  count(count: ReadCount<Encoding>): void;
}

/** Reads the frames of one stream. Labels and chunk data are views of the frame. */
export class SeriesDecoder {
  /** Throws `corrupt`; series before the broken one have then been delivered. */
  decode(frame: Uint8Array, sink: SeriesSink<1 | 2 | 3>): void {
    const reader = new ProtoReader(frame);
    while (reader.more) {
      const key = reader.key();
      if (key === 0x0a) readSeries(reader, sink);
      else if (key === 0x12) sink.warning(reader.string());
      else if (key === COUNT_FIELD * 8 + 2) sink.count(readCount(reader.nested()));
      else if (key === 0x22) {
        const end = reader.enter();
        while (reader.more) {
          const inner = reader.key();
          if (inner === 0x0a) readSeries(reader, sink);
          else reader.skip(inner);
        }
        reader.leave(end);
      } // Hints (3), and frames of kinds to come, are passed over.
      else reader.skip(key);
    }
  }
}

function readCount(reader: ProtoReader): ReadCount<1 | 2 | 3> {
  let atLeast = 0;
  let atMost = Infinity;
  const samples: SeriesSampleMessage<1 | 2 | 3>[] = [];
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) atLeast = reader.int64();
    else if (key === 0x10) atMost = reader.int64();
    else if (key === 0x1a) samples.push(readSample(reader.nested()));
    else reader.skip(key);
  }
  return { atLeast, atMost, ...(samples.length > 0 && { samples }) };
}

function readSample(reader: ProtoReader): SeriesSampleMessage<1 | 2 | 3> {
  let size = 0;
  let of = 0;
  let minTimeMs = 0;
  let maxTimeMs = 0;
  const chunkLists: ChunkMessage<1 | 2 | 3>[][] = [];
  const sink = {
    series: (_: unknown, chunks: ChunkMessage<1 | 2 | 3>[]) => void chunkLists.push(chunks),
  };
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) size = reader.int64();
    else if (key === 0x10) of = reader.int64();
    else if (key === 0x1a) readSeries(reader, sink);
    else if (key === 0x20) minTimeMs = reader.int64();
    else if (key === 0x28) maxTimeMs = reader.int64();
    else reader.skip(key);
  }
  // Those of another version may not say it.
  if (minTimeMs === 0 && maxTimeMs === 0) [minTimeMs, maxTimeMs] = [-Infinity, Infinity];
  if (minTimeMs === MIN_INT64) minTimeMs = -Infinity;
  if (maxTimeMs === MAX_INT64) maxTimeMs = Infinity;
  if (!(size >= chunkLists.length && of >= size))
    throw corrupt(`a sample of ${size} series of ${of} has ${chunkLists.length}`);
  return { chunkLists, size, of, minTimeMs, maxTimeMs };
}

function readSeries(reader: ProtoReader, sink: Pick<SeriesSink<1 | 2 | 3>, "series">): void {
  const outer = reader.enter();
  const from = reader.at;
  let isUsual = passLabels(reader);
  const to = reader.at;
  const chunks: ChunkMessage<1 | 2 | 3>[] = [];
  while (reader.more) {
    const key = reader.key();
    if (key === 0x12) {
      const chunk = readAggrChunk(reader);
      if (chunk !== undefined) chunks.push(chunk);
    } else {
      if (key === LABEL_KEY) isUsual = false;
      reader.skip(key);
    }
  }
  const labels = isUsual ? { bytes: reader.bytes, from, to } : readLabels(reader, from);
  reader.leave(outer);
  sink.series(labels, chunks);
}

/**
 * Steps over the labels at the start of a series. Whether they are ASCII, in order, complete and written in the usual way:
 * if not it stops at the first one that is not.
 */
function passLabels(reader: ProtoReader): boolean {
  const { bytes } = reader;
  let previousFrom = 0;
  let previousTo = 0;
  while (reader.more && bytes[reader.at] === LABEL_KEY) {
    const start = reader.at++;
    const labelSize = reader.size();
    const end = reader.at + labelSize;
    if (bytes[reader.at] === NAME_KEY) {
      reader.at++;
      const nameSize = reader.size();
      const nameFrom = reader.at;
      const nameTo = nameFrom + nameSize;
      if (nameTo < end && bytes[nameTo] === VALUE_KEY) {
        reader.at = nameTo + 1;
        const valueSize = reader.size();
        const valueFrom = reader.at;
        let bits = 0;
        for (let i = nameFrom; i < nameTo; i++) bits |= bytes[i]!;
        for (let i = valueFrom; i < end; i++) bits |= bytes[i]!;
        if (
          bits < 0x80 &&
          nameSize > 0 &&
          valueSize > 0 &&
          valueFrom + valueSize === end &&
          isBefore(bytes, previousFrom, previousTo, nameFrom, nameTo)
        ) {
          previousFrom = nameFrom;
          previousTo = nameTo;
          reader.at = end;
          continue;
        }
      }
    }
    reader.at = start;
    return false;
  }
  return true;
}

/** Whether the bytes of one range sort before those of the other. */
function isBefore(
  bytes: Uint8Array,
  from: number,
  to: number,
  otherFrom: number,
  otherTo: number,
): boolean {
  let i = from;
  let j = otherFrom;
  while (i < to && j < otherTo && bytes[i] === bytes[j]) {
    i++;
    j++;
  }
  return i === to ? j < otherTo : j < otherTo && bytes[i]! < bytes[j]!;
}

/** All labels of the series that starts at `from`, as texts; puts right what a peer sent out of order. */
function readLabels(reader: ProtoReader, from: number): string[] {
  const byName = new Map<string, string>();
  reader.at = from;
  while (reader.more) {
    const key = reader.key();
    if (key !== LABEL_KEY) {
      reader.skip(key);
      continue;
    }
    const outer = reader.enter();
    let name = "";
    let value = "";
    while (reader.more) {
      const inner = reader.key();
      if (inner === NAME_KEY) name = reader.string();
      else if (inner === VALUE_KEY) value = reader.string();
      else reader.skip(inner);
    }
    reader.leave(outer);
    byName.set(name, value);
  }
  return [...byName]
    .filter(([name, value]) => name !== "" && value !== "")
    .sort(([a], [b]) => compareText(a, b))
    .flat();
}

/** Only the raw chunk is read; aggregates of downsampled data (4 to 8) are passed over. */
function readAggrChunk(reader: ProtoReader): ChunkMessage<1 | 2 | 3> | undefined {
  const outer = reader.enter();
  let minTimeMs = 0;
  let maxTimeMs = 0;
  let type = 0;
  let data: Uint8Array | undefined;
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) minTimeMs = reader.int64();
    else if (key === 0x10) maxTimeMs = reader.int64();
    else if (key === 0x1a) {
      const aggregate = reader.enter();
      data = EMPTY;
      while (reader.more) {
        const inner = reader.key();
        if (inner === 0x08) type = reader.uint32();
        else if (inner === 0x12) data = reader.view();
        else reader.skip(inner);
      }
      reader.leave(aggregate);
    } else reader.skip(key);
  }
  reader.leave(outer);
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

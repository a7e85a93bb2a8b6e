import { crc32c } from "../base/crc32c.ts";
import { AppError } from "../base/errors.ts";
import { compressSnappy } from "../base/snappy.ts";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import type { Labels } from "../model/labels.ts";
import { ProtoWriter } from "../proto/wire.ts";
import { decodeHistogramChunk } from "../storage/chunk-encodings.ts";
import { mergeChunkLists } from "../storage/merge-chunks.ts";
import {
  type Chunk,
  ENCODING_FLOAT_HISTOGRAM,
  ENCODING_XOR,
  type Series,
} from "../storage/queryable.ts";
import { writeHistogram } from "./histogram-message.ts";

/** Answers of remote read, server side (read-answer.ts has the frames' drawing). */

/** Varint of the size, checksum. */
const FRAME_HEAD_MAX_BYTES = 9;

/**
 * One series as frames of about `maxFrameBytes`, each a `prometheus.ChunkedReadResponse` of one series: clients look for
 * no second one. Every frame has at least one chunk, and the labels.
 */
export function encodeSeriesFrames(
  series: Series,
  options: { queryIndex: number; maxFrameBytes: number },
): Buffer[] {
  const { queryIndex, maxFrameBytes } = options;
  const { labels } = series;
  // Readers take the chunks one after the other: none may reach into the next.
  const chunks = mergeChunkLists(series.chunks.map((chunk) => [chunk]));
  const frames: Buffer[] = [];
  const labelBytes = labelsSize(labels);
  for (let from = 0; from < chunks.length;) {
    let left = maxFrameBytes - labelBytes - chunks[from]!.data.length;
    let to = from + 1;
    while (to < chunks.length && left > 0) left -= chunks[to++]!.data.length;
    frames.push(encodeFrame({ labels, chunks: chunks.slice(from, to) }, queryIndex));
    from = to;
  }
  return frames;
}

function encodeFrame(series: Series, queryIndex: number): Buffer {
  const writer = new ProtoWriter();
  writer.int64(2, queryIndex);
  const start = writer.size;
  for (const chunk of series.chunks.toReversed()) {
    const before = writer.size;
    writer.bytes(4, chunk.data);
    writer.uint32(3, chunk.encoding);
    writer.int64(2, chunk.maxTimeMs);
    writer.int64(1, chunk.minTimeMs);
    writer.message(2, before);
  }
  writeLabels(writer, series.labels);
  writer.message(1, start);
  const message = writer.finish();
  const frame = Buffer.allocUnsafe(FRAME_HEAD_MAX_BYTES + message.length);
  let at = 0;
  for (let rest = message.length; ; rest >>>= 7) {
    frame[at++] = rest < 128 ? rest : (rest & 127) | 128;
    if (rest < 128) break;
  }
  at = frame.writeUInt32BE(crc32c(message), at);
  frame.set(message, at);
  return frame.subarray(0, at + message.length);
}

export function writeLabels(writer: ProtoWriter, labels: Labels): void {
  for (let i = labels.count - 1; i >= 0; i--) {
    const before = writer.size;
    writer.string(2, labels.valueAt(i));
    writer.string(1, labels.nameAt(i));
    writer.message(1, before);
  }
}

function labelsSize(labels: Labels): number {
  let size = 0;
  for (let i = 0; i < labels.count; i++)
    size += labels.nameAt(i).length + labels.valueAt(i).length + 6;
  return size;
}

/** A `prometheus.ReadResponse` that grows, for readers that want samples and not chunks. */
export class SamplesResponse {
  readonly #results: Buffer[] = [];
  readonly #sampleLimit: number;
  #series: Buffer[] = [];
  #sampleCount = 0;

  /** `sampleLimit` 0: no limit. */
  constructor(sampleLimit: number) {
    this.#sampleLimit = sampleLimit;
  }

  /** Throws `bad-data` when the response grows beyond its limit of samples. */
  add(series: Series, range: { minTimeMs: number; maxTimeMs: number }): void {
    const writer = new ProtoWriter();
    const start = writer.size;
    const chunks = mergeChunkLists(series.chunks.map((chunk) => [chunk]));
    const floats: Chunk[] = [];
    let count = 0;
    // Fields are written from the last to the first: histograms, then samples, then labels.
    for (const chunk of chunks.toReversed())
      if (chunk.encoding === ENCODING_XOR) floats.push(chunk);
      else count += writeHistograms(writer, chunk, range);
    for (const chunk of floats) count += writeSamples(writer, chunk, range);
    this.#sampleCount += count;
    if (this.#sampleLimit > 0 && this.#sampleCount > this.#sampleLimit)
      throw new AppError("bad-data", `exceeded sample limit (${this.#sampleLimit})`);
    if (count === 0) return;
    writeLabels(writer, series.labels);
    writer.message(1, start);
    this.#series.push(Buffer.from(writer.finish()));
  }

  /** The series of one query are all there. */
  endQuery(): void {
    const size = this.#series.reduce((sum, { length }) => sum + length, 0);
    const writer = new ProtoWriter();
    writer.varint(size);
    writer.varint(0x0a);
    this.#results.push(Buffer.from(writer.finish()), ...this.#series);
    this.#series = [];
  }

  /** The body as it is sent. */
  finish(): Buffer {
    return Buffer.from(compressSnappy(Buffer.concat(this.#results)));
  }
}

type Range = { readonly minTimeMs: number; readonly maxTimeMs: number };

function writeSamples(writer: ProtoWriter, chunk: Chunk, range: Range): number {
  const size = xorSampleCount(chunk.data);
  const times = new Float64Array(size);
  const values = new Float64Array(size);
  const words = new Int32Array(values.buffer);
  decodeXor(chunk.data, { times, values, offset: 0 });
  let count = 0;
  for (let i = size - 1; i >= 0; i--) {
    const t = times[i]!;
    if (t < range.minTimeMs || t > range.maxTimeMs) continue;
    const before = writer.size;
    writer.int64(2, t);
    writer.fixed64(1, words[2 * i]!, words[2 * i + 1]!);
    writer.message(2, before);
    count++;
  }
  return count;
}

function writeHistograms(writer: ProtoWriter, chunk: Chunk, range: Range): number {
  const { times, histograms } = decodeHistogramChunk(chunk);
  const isFloat = chunk.encoding === ENCODING_FLOAT_HISTOGRAM;
  let count = 0;
  for (let i = times.length - 1; i >= 0; i--) {
    const timeMs = times[i]!;
    if (timeMs < range.minTimeMs || timeMs > range.maxTimeMs) continue;
    const before = writer.size;
    writeHistogram(writer, { timeMs, histogram: histograms[i]!, isFloat });
    writer.message(4, before);
    count++;
  }
  return count;
}

import { crc32c } from "../base/crc32c.ts";
import { AppError } from "../base/errors.ts";
import { compressSnappy, decompressSnappy } from "../base/snappy.ts";
import { compareText } from "../base/text.ts";
import { validateHistogram, validateIntegerHistogram } from "../model/histogram-validate.ts";
import { Labels } from "../model/labels.ts";
import type { Matcher, MatchOperator } from "../model/matcher.ts";
import {
  MATCHER_EQ,
  MATCHER_NEQ,
  MATCHER_NRE,
  MATCHER_RE,
  writeMatchers,
} from "../proto/series-request.ts";
import { readPair } from "../proto/small-messages.ts";
import {
  ENCODING_STARTED_FLOAT_HISTOGRAM,
  ENCODING_STARTED_HISTOGRAM,
  ENCODING_XOR2,
  readable,
} from "../storage/started-chunk.ts";
import { corrupt, ProtoReader, ProtoWriter } from "../proto/wire.ts";
import {
  type Chunk,
  type ChunkEncoding,
  ENCODING_FLOAT_HISTOGRAM,
  ENCODING_HISTOGRAM,
  ENCODING_XOR,
  type SelectHints,
  type Series,
} from "../storage/queryable.ts";
import { encodeHistogramRun } from "../storage/chunk-encodings.ts";
import { pushXorChunks } from "../storage/xor-chunks.ts";
import { type HistogramMessage, readHistogram } from "./histogram-message.ts";

/**
 * Prometheus's remote read (https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/), client side.
 *
 * Streamed answers are frames, each a `prometheus.ChunkedReadResponse` whose chunks are those of a block:
 *
 *     ┌────────────────┬──────────────────────┬───────────────┐
 *     │ size (uvarint) │ CRC-32C (4 B, big e.) │ message       │  … until the body ends
 *     └────────────────┴──────────────────────┴───────────────┘
 */
export const STREAMED_TYPE = "application/x-streamed-protobuf";
export const READ_HEADERS = {
  "Content-Type": "application/x-protobuf",
  "Content-Encoding": "snappy",
  "X-Prometheus-Remote-Read-Version": "0.1.0",
} as const;

/** Prometheus's frames are about 1 MiB; one series' chunk may stretch them. */
export const FRAME_MAX_BYTES = 64 * 1024 * 1024;
export const SAMPLES_MAX_BYTES = 512 * 1024 * 1024;

/** `prometheus.ReadRequest.ResponseType` */
export const RESPONSE_SAMPLES = 0;
export const RESPONSE_STREAMED_CHUNKS = 1;
const CHECKSUM_BYTES = 4;
const VARINT_MAX_BYTES = 5;

const TYPES: Readonly<Record<MatchOperator, number>> = {
  "=": MATCHER_EQ,
  "!=": MATCHER_NEQ,
  "=~": MATCHER_RE,
  "!~": MATCHER_NRE,
};

/** A `prometheus.ReadRequest` with one query, compressed. Streamed chunks are preferred, samples accepted. */
export function encodeReadRequest(query: {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly matchers: readonly Matcher[];
  readonly hints?: SelectHints;
}): Uint8Array {
  const writer = new ProtoWriter();
  // Both accepted types are written out, packed: the default value would otherwise vanish.
  const before = writer.size;
  writer.varint(RESPONSE_SAMPLES);
  writer.varint(RESPONSE_STREAMED_CHUNKS);
  writer.message(2, before);
  const start = writer.size;
  if (query.hints !== undefined) writeHints(writer, query.hints, query);
  writeMatchers(
    writer,
    3,
    query.matchers.map(({ name, operator, value }) => ({ type: TYPES[operator], name, value })),
  );
  writer.int64(2, query.maxTimeMs);
  writer.int64(1, query.minTimeMs);
  writer.message(1, start);
  return compressSnappy(writer.finish());
}

function writeHints(
  writer: ProtoWriter,
  hints: SelectHints,
  range: { readonly minTimeMs: number; readonly maxTimeMs: number },
): void {
  const before = writer.size;
  writer.int64(7, hints.rangeMs);
  writer.bool(6, hints.by);
  for (const name of hints.grouping.toReversed()) writer.string(5, name);
  writer.int64(4, range.maxTimeMs);
  writer.int64(3, range.minTimeMs);
  writer.string(2, hints.func);
  writer.int64(1, hints.stepMs);
  writer.message(4, before);
}

/** The series of a streamed answer, frame by frame; a series may go on in the next frame. Throws `corrupt`. */
export async function* decodeFrames(
  body: AsyncIterable<Uint8Array>,
  frameMaxBytes = FRAME_MAX_BYTES,
): AsyncGenerator<Series[]> {
  let pieces: Uint8Array[] = [];
  let size = 0;
  let needed = 1;
  for await (const piece of body) {
    pieces.push(piece);
    size += piece.length;
    // Pieces are put together only when a frame is complete.
    if (size < needed) continue;
    const held = pieces.length === 1 ? piece : Buffer.concat(pieces, size);
    let at = 0;
    for (;;) {
      const frame = frameAt(held, at, frameMaxBytes);
      needed = frame.end - at;
      if (frame.end > held.length) break;
      if (crc32c(held, frame.start, frame.end) !== frame.checksum)
        throw corrupt("a frame's checksum differs");
      // A copy: chunks outlive the buffer of the connection.
      yield decodeChunkedResponse(held.slice(frame.start, frame.end));
      at = frame.end;
    }
    pieces = at < held.length ? [held.subarray(at)] : [];
    size = held.length - at;
  }
  if (size > 0) throw corrupt("the stream ends within a frame");
}

/** The frame at `at`; `end` beyond the bytes says how many are needed at least to know more. */
function frameAt(
  bytes: Uint8Array,
  at: number,
  maxBytes: number,
): { start: number; end: number; checksum: number } {
  let size = 0;
  let scale = 1;
  let i = at;
  for (;;) {
    if (i >= bytes.length) return { start: i, end: i + 1, checksum: 0 };
    if (i - at >= VARINT_MAX_BYTES) throw corrupt("a frame's size is too large");
    const byte = bytes[i++]!;
    size += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) break;
  }
  if (size > maxBytes)
    throw new AppError(
      "resource-exhausted",
      `cannot read a frame of ${size} bytes: the limit is ${maxBytes}`,
    );
  const start = i + CHECKSUM_BYTES;
  const checksum =
    start > bytes.length
      ? 0
      : ((bytes[i]! << 24) | (bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!) >>> 0;
  return { start, end: start + size, checksum };
}

function decodeChunkedResponse(message: Uint8Array): Series[] {
  const series: Series[] = [];
  const reader = new ProtoReader(message);
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) series.push(decodeChunkedSeries(reader.nested()));
    else reader.skip(key);
  }
  return series;
}

function decodeChunkedSeries(reader: ProtoReader): Series {
  const labels: string[] = [];
  const chunks: Chunk[] = [];
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) labels.push(...readPair(reader.nested()));
    else if (key === 0x12) chunks.push(decodeChunk(reader.nested()));
    else reader.skip(key);
  }
  return { labels: labelsOf(labels), chunks };
}

/** Servers send labels sorted; one that does not would make a series that equals no other. */
function labelsOf(flat: readonly string[]): Labels {
  const pairs: [string, string][] = [];
  let isSorted = true;
  for (let i = 0; i < flat.length; i += 2) {
    if (i > 0 && compareText(flat[i - 2]!, flat[i]!) >= 0) isSorted = false;
    pairs.push([flat[i]!, flat[i + 1]!]);
  }
  return isSorted ? Labels.fromSorted(flat) : Labels.fromPairs(pairs);
}

function decodeChunk(reader: ProtoReader): Chunk {
  let minTimeMs = 0;
  let maxTimeMs = 0;
  let type = 0;
  let data: Uint8Array = new Uint8Array(0);
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) minTimeMs = reader.int64();
    else if (key === 0x10) maxTimeMs = reader.int64();
    else if (key === 0x18) type = reader.uint32();
    else if (key === 0x22) data = reader.view();
    else reader.skip(key);
  }
  return readable({ encoding: encodingOf(type), minTimeMs, maxTimeMs, data });
}

function encodingOf(type: number): ChunkEncoding {
  switch (type) {
    case ENCODING_XOR:
    case ENCODING_HISTOGRAM:
    case ENCODING_FLOAT_HISTOGRAM:
    case ENCODING_XOR2:
    case ENCODING_STARTED_HISTOGRAM:
    case ENCODING_STARTED_FLOAT_HISTOGRAM:
      // No chunk here has the last three: they are made readable at once.
      return type as ChunkEncoding;
    default:
      throw new AppError("unavailable", `cannot read Prometheus's chunk encoding ${type}`);
  }
}

/** What a server without streaming answers, as chunks. Throws `corrupt`. */
export function decodeReadResponse(body: Uint8Array): Series[] {
  const reader = new ProtoReader(decompressSnappy(body, SAMPLES_MAX_BYTES));
  const series: Series[] = [];
  while (reader.more) {
    const key = reader.key();
    if (key !== 0x0a) {
      reader.skip(key);
      continue;
    }
    const result = reader.nested();
    while (result.more) {
      const inner = result.key();
      if (inner === 0x0a) series.push(decodeTimeSeries(result.nested()));
      else result.skip(inner);
    }
  }
  return series;
}

function decodeTimeSeries(reader: ProtoReader): Series {
  const labels: string[] = [];
  const samples: ProtoReader[] = [];
  const histograms: HistogramMessage[] = [];
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) labels.push(...readPair(reader.nested()));
    else if (key === 0x12) samples.push(reader.nested());
    else if (key === 0x22) histograms.push(readHistogram(reader.nested()));
    else reader.skip(key);
  }
  const chunks = [...encodeSamples(samples), ...encodeHistogramMessages(histograms)];
  if (samples.length > 0 && histograms.length > 0) chunks.sort((a, b) => a.minTimeMs - b.minTimeMs);
  return { labels: labelsOf(labels), chunks };
}

/** Stretches of one kind each. */
function encodeHistogramMessages(messages: readonly HistogramMessage[]): Chunk[] {
  const chunks: Chunk[] = [];
  for (let from = 0; from < messages.length;) {
    const { isFloat } = messages[from]!;
    let to = from;
    while (to < messages.length && messages[to]!.isFloat === isFloat) {
      const { timeMs, histogram } = messages[to]!;
      if (to > 0 && timeMs < messages[to - 1]!.timeMs)
        throw corrupt("histograms are not in the order of time");
      if (isFloat) validateHistogram(histogram);
      else validateIntegerHistogram(histogram);
      to++;
    }
    const run = messages.slice(from, to);
    const encoding = isFloat ? ENCODING_FLOAT_HISTOGRAM : ENCODING_HISTOGRAM;
    const times = Float64Array.from(run, ({ timeMs }) => timeMs);
    const histograms = run.map(({ histogram }) => histogram);
    chunks.push(...encodeHistogramRun(encoding, { times, histograms }));
    from = to;
  }
  return chunks;
}

/** Values are copied bit by bit: staleness markers are NaNs that must not change. */
function encodeSamples(samples: readonly ProtoReader[]): Chunk[] {
  const times = new Float64Array(samples.length);
  const values = new Float64Array(samples.length);
  const bytes = new Uint8Array(values.buffer);
  samples.forEach((sample, i) => {
    while (sample.more) {
      const key = sample.key();
      if (key === 0x09) {
        if (sample.end - sample.at < 8) throw corrupt("it is cut off");
        for (let b = 0; b < 8; b++) bytes[i * 8 + b] = sample.bytes[sample.at + b]!;
        sample.at += 8;
      } else if (key === 0x10) times[i] = sample.int64();
      else sample.skip(key);
    }
    if (i > 0 && times[i]! < times[i - 1]!) throw corrupt("samples are not in the order of time");
  });
  return pushXorChunks([], { times, values });
}

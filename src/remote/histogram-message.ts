import {
  type CounterResetHint,
  type FloatHistogram,
  NO_BUCKETS,
  NO_SPANS,
} from "../model/histogram.ts";
import { readSpan } from "../proto/small-messages.ts";
import { corrupt, type ProtoReader, type ProtoWriter } from "../proto/wire.ts";

/**
 * A native histogram as remote write 1.0 and 2.0 and remote read carry it: `prometheus.Histogram`, the same numbers in
 * all three. Format: docs/format/remote.md.
 */
export interface HistogramMessage {
  readonly timeMs: number;
  readonly histogram: FloatHistogram;
  /** The counts may be any floats. */
  readonly isFloat: boolean;
}

const HINTS: readonly CounterResetHint[] = ["unknown", "reset", "not_reset", "gauge"];

const DOUBLE_BYTES = 8;

/** One that was read: 2.0 can tell when its series started; 0 when it does not. */
export interface ReadHistogramMessage extends HistogramMessage {
  readonly startMs: number;
}

/** Reads one message. Throws `corrupt` when it is malformed; whether the histogram is valid is not looked at. */
export function readHistogram(reader: ProtoReader): ReadHistogramMessage {
  let count = 0;
  let zeroCount = 0;
  let sum = 0;
  let schema = 0;
  let zeroThreshold = 0;
  let timeMs = 0;
  let startMs = 0;
  let hint = 0;
  let isFloat = false;
  const positiveSpans: number[] = [];
  const negativeSpans: number[] = [];
  // An integer histogram has deltas, a float one counts. A list may come in parts, packed or one value at a time.
  const positiveDeltas: number[] = [];
  const negativeDeltas: number[] = [];
  const positiveCounts: number[] = [];
  const negativeCounts: number[] = [];
  const customValues: number[] = [];
  while (reader.more) {
    const key = reader.key();
    switch (key) {
      case 0x08:
        count = unsigned(reader.int64());
        isFloat = false;
        break;
      case 0x11:
        count = double(reader);
        isFloat = true;
        break;
      case 0x19:
        sum = double(reader);
        break;
      case 0x20:
        schema = reader.sint64();
        break;
      case 0x29:
        zeroThreshold = double(reader);
        break;
      case 0x30:
        zeroCount = unsigned(reader.int64());
        break;
      case 0x39:
        zeroCount = double(reader);
        break;
      case 0x42:
        readSpan(reader.nested(), negativeSpans);
        break;
      case 0x48:
        negativeDeltas.push(reader.sint64());
        break;
      case 0x4a:
        readDeltas(reader.nested(), negativeDeltas);
        break;
      case 0x51:
        negativeCounts.push(double(reader));
        break;
      case 0x52:
        readDoubles(reader.nested(), negativeCounts);
        break;
      case 0x5a:
        readSpan(reader.nested(), positiveSpans);
        break;
      case 0x60:
        positiveDeltas.push(reader.sint64());
        break;
      case 0x62:
        readDeltas(reader.nested(), positiveDeltas);
        break;
      case 0x69:
        positiveCounts.push(double(reader));
        break;
      case 0x6a:
        readDoubles(reader.nested(), positiveCounts);
        break;
      case 0x70:
        hint = reader.uint32();
        break;
      case 0x78:
        timeMs = reader.int64();
        break;
      case 0x81:
        customValues.push(double(reader));
        break;
      case 0x82:
        readDoubles(reader.nested(), customValues);
        break;
      case 0x88:
        startMs = reader.int64();
        break;
      default:
        reader.skip(key);
    }
  }
  return {
    timeMs,
    startMs,
    isFloat,
    histogram: {
      counterResetHint: HINTS[hint] ?? "unknown",
      schema,
      zeroThreshold,
      zeroCount,
      count,
      sum,
      positiveSpans: positiveSpans.length === 0 ? NO_SPANS : Int32Array.from(positiveSpans),
      negativeSpans: negativeSpans.length === 0 ? NO_SPANS : Int32Array.from(negativeSpans),
      positiveBuckets: isFloat ? columnOf(positiveCounts) : summedUp(positiveDeltas),
      negativeBuckets: isFloat ? columnOf(negativeCounts) : summedUp(negativeDeltas),
      customValues: columnOf(customValues),
    },
  };
}

/** Writes one message's fields, last first as `ProtoWriter` wants them. */
export function writeHistogram(writer: ProtoWriter, message: HistogramMessage): void {
  const { histogram: h, isFloat, timeMs } = message;
  writeDoubles(writer, 16, h.customValues);
  writer.int64(15, timeMs);
  writer.uint32(14, HINTS.indexOf(h.counterResetHint));
  writeSide(writer, 11, { spans: h.positiveSpans, buckets: h.positiveBuckets, isFloat });
  writeSide(writer, 8, { spans: h.negativeSpans, buckets: h.negativeBuckets, isFloat });
  // Counts are members of a `oneof`: which one is there says what kind of histogram it is, so zeros are written too.
  if (isFloat) writer.double(7, h.zeroCount);
  else writeCount(writer, 6, h.zeroCount);
  if (h.zeroThreshold !== 0) writer.double(5, h.zeroThreshold);
  writer.uint32(4, h.schema < 0 ? -2 * h.schema - 1 : 2 * h.schema);
  writer.double(3, h.sum);
  if (isFloat) writer.double(2, h.count);
  else writeCount(writer, 1, h.count);
}

function writeCount(writer: ProtoWriter, field: number, count: number): void {
  writer.varint(count);
  writer.varint(field << 3);
}

/** Spans, deltas and counts follow each other: 8, 9, 10 and 11, 12, 13. */
function writeSide(
  writer: ProtoWriter,
  field: number,
  side: { spans: Int32Array; buckets: Float64Array; isFloat: boolean },
): void {
  const { spans, buckets, isFloat } = side;
  if (isFloat) writeDoubles(writer, field + 2, buckets);
  else if (buckets.length > 0) {
    const before = writer.size;
    for (let i = buckets.length - 1; i >= 0; i--) {
      const delta = buckets[i]! - (i === 0 ? 0 : buckets[i - 1]!);
      writer.varint(delta < 0 ? -2 * delta - 1 : 2 * delta);
    }
    writer.message(field + 1, before);
  }
  for (let i = spans.length - 2; i >= 0; i -= 2) {
    const before = writer.size;
    writer.uint32(2, spans[i + 1]!);
    writer.uint32(1, spans[i]! < 0 ? -2 * spans[i]! - 1 : 2 * spans[i]!);
    writer.message(field, before);
  }
}

function writeDoubles(writer: ProtoWriter, field: number, values: Float64Array): void {
  if (values.length > 0)
    writer.bytes(
      field,
      new Uint8Array(values.buffer, values.byteOffset, values.length * DOUBLE_BYTES),
    );
}

function readDeltas(reader: ProtoReader, deltas: number[]): void {
  while (reader.more) deltas.push(reader.sint64());
}

function readDoubles(reader: ProtoReader, values: number[]): void {
  while (reader.more) values.push(double(reader));
}

/** Bucket counts from the differences between neighbours. */
function summedUp(deltas: readonly number[]): Float64Array {
  let absolute = 0;
  return columnOf(deltas.map((delta) => (absolute += delta)));
}

function columnOf(values: readonly number[]): Float64Array {
  return values.length === 0 ? NO_BUCKETS : Float64Array.from(values);
}

const scratch = new Float64Array(1);
const scratchWords = new Int32Array(scratch.buffer);

/** The bits stay as they are: a sum may be the staleness marker. */
function double(reader: ProtoReader): number {
  const { bytes, at } = reader;
  if (reader.end - at < DOUBLE_BYTES) throw corrupt("it is cut off");
  scratchWords[0] = word(bytes, at);
  scratchWords[1] = word(bytes, at + 4);
  reader.at = at + DOUBLE_BYTES;
  return scratch[0]!;
}

function word(bytes: Uint8Array, i: number): number {
  return bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
}

/** A varint as it stands for a uint64. */
function unsigned(value: number): number {
  return value < 0 ? value + 2 ** 64 : value;
}

import { writeStale } from "../base/float.ts";
import {
  CUSTOM_BUCKETS_SCHEMA,
  type CounterResetHint,
  type FloatHistogram,
  isKnownSchema,
  isStaleHistogram,
  NO_BUCKETS,
  NO_SPANS,
  spanBucketCount,
} from "../model/histogram.ts";
import { RecordReader } from "./record-reader.ts";
import { skipStartTime } from "./started-samples.ts";
import type { ByteBuffer } from "./byte-buffer.ts";
import type { RecordBytes } from "./record.ts";
import type { RecordGroup } from "./writer.ts";

/** Records of native histograms: whole counts or floats, with exponential or custom buckets. Format: docs/format/wal.md. */
export const RECORD_HISTOGRAMS = 7;
export const RECORD_FLOAT_HISTOGRAMS = 8;
export const RECORD_CUSTOM_HISTOGRAMS = 9;
export const RECORD_CUSTOM_FLOAT_HISTOGRAMS = 10;
/** With start times, of any buckets; Prometheus 3.11 and later write them when told to. */
const RECORD_STARTED_HISTOGRAMS = 12;
const RECORD_STARTED_FLOAT_HISTOGRAMS = 13;

export interface LoggedHistogram {
  readonly ref: number;
  readonly timeMs: number;
  readonly kind: "integer" | "float";
  readonly histogram: FloatHistogram;
}

const HINTS: readonly CounterResetHint[] = ["unknown", "reset", "not_reset", "gauge"];

/** Adds the records that `samples` take: one for each kind and way of buckets among them. */
export function encodeHistogramRecords(
  group: RecordGroup,
  samples: readonly LoggedHistogram[],
): void {
  for (const type of [
    RECORD_HISTOGRAMS,
    RECORD_CUSTOM_HISTOGRAMS,
    RECORD_FLOAT_HISTOGRAMS,
    RECORD_CUSTOM_FLOAT_HISTOGRAMS,
  ]) {
    const own = samples.filter((sample) => typeOf(sample) === type);
    const first = own[0];
    if (first === undefined) continue;
    const { buffer } = group;
    buffer.putByte(type);
    buffer.putUint64(first.ref);
    buffer.putInt64(first.timeMs);
    for (const { ref, timeMs, histogram } of own) {
      buffer.putVarint(ref - first.ref);
      buffer.putVarint(timeMs - first.timeMs);
      if (first.kind === "integer") putIntegers(buffer, histogram);
      else putFloats(buffer, histogram);
      if (histogram.schema === CUSTOM_BUCKETS_SCHEMA) putValues(buffer, histogram.customValues);
    }
    group.end();
  }
}

function typeOf({ kind, histogram }: LoggedHistogram): number {
  if (histogram.schema === CUSTOM_BUCKETS_SCHEMA)
    return kind === "integer" ? RECORD_CUSTOM_HISTOGRAMS : RECORD_CUSTOM_FLOAT_HISTOGRAMS;
  return kind === "integer" ? RECORD_HISTOGRAMS : RECORD_FLOAT_HISTOGRAMS;
}

/** The counts of a stale histogram mean nothing; in JavaScript they may be no numbers at all. */
function putIntegers(out: ByteBuffer, h: FloatHistogram): void {
  const isStale = isStaleHistogram(h);
  putHead(out, h);
  out.putUvarint(isStale ? 0 : h.zeroCount);
  out.putUvarint(isStale ? 0 : h.count);
  putSum(out, h);
  putSpans(out, h.positiveSpans);
  putSpans(out, h.negativeSpans);
  for (const buckets of [h.positiveBuckets, h.negativeBuckets]) {
    out.putUvarint(buckets.length);
    let previous = 0;
    for (const count of buckets) {
      out.putVarint(count - previous);
      previous = count;
    }
  }
}

function putFloats(out: ByteBuffer, h: FloatHistogram): void {
  putHead(out, h);
  putValue(out, h.zeroCount);
  putValue(out, h.count);
  putSum(out, h);
  putSpans(out, h.positiveSpans);
  putSpans(out, h.negativeSpans);
  putValues(out, h.positiveBuckets);
  putValues(out, h.negativeBuckets);
}

function putHead(out: ByteBuffer, h: FloatHistogram): void {
  out.putByte(HINTS.indexOf(h.counterResetHint));
  out.putVarint(h.schema);
  putValue(out, h.zeroThreshold);
}

function putSpans(out: ByteBuffer, spans: Int32Array): void {
  out.putUvarint(spans.length / 2);
  for (let s = 0; s < spans.length; s += 2) {
    out.putVarint(spans[s]!);
    out.putUvarint(spans[s + 1]!);
  }
}

function putValues(out: ByteBuffer, values: Float64Array): void {
  out.putUvarint(values.length);
  for (const value of values) putValue(out, value);
}

const scratch = new Float64Array(1);
const scratchWords = new Int32Array(scratch.buffer);

/** A float's bits; a NaN goes through typed arrays only, so that its payload stays. */
function putValue(out: ByteBuffer, value: number): void {
  scratch[0] = value;
  putScratch(out);
}

function putScratch(out: ByteBuffer): void {
  out.reserve(8);
  out.view.setInt32(out.length, scratchWords[1]!);
  out.view.setInt32(out.length + 4, scratchWords[0]!);
  out.length += 8;
}

/** A staleness marker that was quieted on its way gets its own bits again. */
function putSum(out: ByteBuffer, h: FloatHistogram): void {
  if (isStaleHistogram(h)) writeStale(scratch, 0);
  else scratch[0] = h.sum;
  putScratch(out);
}

/** Whether `type` is that of a record of histograms. */
export function isHistogramRecord(type: number): boolean {
  return (type >= RECORD_HISTOGRAMS && type <= RECORD_CUSTOM_FLOAT_HISTOGRAMS) || isStarted(type);
}

function isStarted(type: number): boolean {
  return type === RECORD_STARTED_HISTOGRAMS || type === RECORD_STARTED_FLOAT_HISTOGRAMS;
}

/**
 * Reads the samples of a record of histograms, without their start times. Throws `corrupt` when it is malformed. Samples of schemas nobody knows are
 * passed over.
 */
export function decodeHistogramRecord(
  record: RecordBytes,
  onSample: (sample: LoggedHistogram) => void,
): void {
  const type = record.bytes[record.start]!;
  const reader = new RecordReader(record, "a record of histograms");
  if (reader.isAtEnd) return;
  if (isStarted(type)) return decodeStarted(reader, type, onSample);
  const kind =
    type === RECORD_HISTOGRAMS || type === RECORD_CUSTOM_HISTOGRAMS ? "integer" : "float";
  const isCustom = type >= RECORD_CUSTOM_HISTOGRAMS;
  const firstRef = reader.uint64();
  const firstTimeMs = reader.int64();
  while (!reader.isAtEnd) {
    const ref = firstRef + reader.varint();
    const timeMs = firstTimeMs + reader.varint();
    const histogram = readHistogram(reader, { kind, isCustom });
    if (isKnownSchema(histogram.schema)) onSample({ ref, timeMs, kind, histogram });
  }
}

function decodeStarted(
  reader: RecordReader,
  type: number,
  onSample: (sample: LoggedHistogram) => void,
): void {
  const kind = type === RECORD_STARTED_HISTOGRAMS ? "integer" : "float";
  let ref = reader.varint();
  const firstTimeMs = reader.varint();
  let timeMs = firstTimeMs;
  reader.varint();
  for (;;) {
    const histogram = readHistogram(reader, { kind, isCustom: "by schema" });
    if (isKnownSchema(histogram.schema)) onSample({ ref, timeMs, kind, histogram });
    if (reader.isAtEnd) return;
    ref += reader.varint();
    timeMs = firstTimeMs + reader.varint();
    skipStartTime(reader);
  }
}

function readHistogram(
  reader: RecordReader,
  { kind, isCustom }: { kind: "integer" | "float"; isCustom: boolean | "by schema" },
): FloatHistogram {
  const counterResetHint = HINTS[reader.byte()] ?? "unknown";
  const schema = reader.varint();
  const zeroThreshold = reader.float64();
  const [zeroCount, count] =
    kind === "integer"
      ? [reader.uvarint(), reader.uvarint()]
      : [reader.float64(), reader.float64()];
  const [sum] = reader.float64s(1) as Float64Array & [number];
  const positiveSpans = readSpans(reader);
  const negativeSpans = readSpans(reader);
  const positiveBuckets = readBuckets(reader, kind);
  const negativeBuckets = readBuckets(reader, kind);
  if (
    spanBucketCount(positiveSpans) !== positiveBuckets.length ||
    spanBucketCount(negativeSpans) !== negativeBuckets.length
  )
    throw reader.corrupt("buckets and spans do not agree");
  const hasBounds = isCustom === "by schema" ? schema === CUSTOM_BUCKETS_SCHEMA : isCustom;
  return {
    counterResetHint,
    schema,
    zeroThreshold,
    zeroCount,
    count,
    sum,
    positiveSpans,
    negativeSpans,
    positiveBuckets,
    negativeBuckets,
    customValues: hasBounds ? reader.float64s(reader.count(8)) : NO_BUCKETS,
  };
}

function readSpans(reader: RecordReader): Int32Array {
  const count = reader.count(2);
  if (count === 0) return NO_SPANS;
  const spans = new Int32Array(count * 2);
  for (let s = 0; s < spans.length; s += 2) {
    spans[s] = reader.varint();
    spans[s + 1] = reader.uvarint();
  }
  return spans;
}

function readBuckets(reader: RecordReader, kind: "integer" | "float"): Float64Array {
  const count = reader.count(kind === "integer" ? 1 : 8);
  if (count === 0) return NO_BUCKETS;
  if (kind === "float") return reader.float64s(count);
  const buckets = new Float64Array(count);
  let absolute = 0;
  for (let i = 0; i < count; i++) buckets[i] = absolute += reader.varint();
  return buckets;
}

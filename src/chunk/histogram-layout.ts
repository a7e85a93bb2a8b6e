import {
  CUSTOM_BUCKETS_SCHEMA,
  type FloatHistogram,
  isKnownSchema,
  NO_BUCKETS,
  NO_SPANS,
  spanBucketCount,
} from "../model/histogram.ts";
import type { BitReader } from "./bit-reader.ts";
import type { BitWriter } from "./bit-writer.ts";

/** Sample count (2 bytes) and flags (1 byte). */
export const HISTOGRAM_HEADER_BYTES = 3;
/** The largest number of samples whose count fits the chunk's header. */
export const HISTOGRAM_MAX_SAMPLES = 0xffff;

/** What a chunk says about a reset between it and the chunk before: the two highest bits of its flags. */
export type ChunkResetHeader = "unknown" | "reset" | "not_reset" | "gauge";

const HEADER_BITS: Record<ChunkResetHeader, number> = {
  unknown: 0,
  not_reset: 0x40,
  reset: 0x80,
  gauge: 0xc0,
};
const HEADERS: readonly ChunkResetHeader[] = ["unknown", "not_reset", "reset", "gauge"];

/** Everything the samples of one chunk have in common. */
export interface HistogramLayout {
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly positiveSpans: Int32Array;
  readonly negativeSpans: Int32Array;
  readonly customValues: Float64Array;
}

/** How many samples the chunk holds. */
export function histogramSampleCount(data: Uint8Array): number {
  return data.length < HISTOGRAM_HEADER_BYTES ? 0 : (data[0]! << 8) | data[1]!;
}

export function chunkResetHeader(data: Uint8Array): ChunkResetHeader {
  return HEADERS[(data[2] ?? 0) >>> 6] ?? "unknown";
}

export function headerBytes(sampleCount: number, reset: ChunkResetHeader): Uint8Array {
  return Uint8Array.of(sampleCount >>> 8, sampleCount & 255, HEADER_BITS[reset]);
}

/** The layout of a sample; a stale one has none. */
export function layoutOf(h: FloatHistogram, isStale: boolean): HistogramLayout {
  if (!isStale) {
    // Not `h` itself: an open chunk would keep its counts, and the slab they stand in, from being collected.
    const { schema, zeroThreshold, positiveSpans, negativeSpans, customValues } = h;
    return { schema, zeroThreshold, positiveSpans, negativeSpans, customValues };
  }
  return {
    schema: 0,
    zeroThreshold: 0,
    positiveSpans: NO_SPANS,
    negativeSpans: NO_SPANS,
    customValues: NO_BUCKETS,
  };
}

export function writeLayout(writer: BitWriter, layout: HistogramLayout): void {
  writeZeroThreshold(writer, layout.zeroThreshold);
  writer.writeVarbit(layout.schema);
  writeSpans(writer, layout.positiveSpans);
  writeSpans(writer, layout.negativeSpans);
  if (layout.schema !== CUSTOM_BUCKETS_SCHEMA) return;
  writer.writeVarbitUnsigned(layout.customValues.length);
  for (const bound of layout.customValues) writeCustomBound(writer, bound);
}

/**
 * Reads what `writeLayout` wrote. Throws `corrupt` for schemas nobody knows, for custom bounds whose spans run backwards or
 * past them, and for more buckets than there are bits left, each of which takes `bitsPerBucket` at least.
 */
export function readLayout(reader: BitReader, bitsPerBucket: number): HistogramLayout {
  const zeroThreshold = readZeroThreshold(reader);
  const schema = reader.readVarbit();
  const positiveSpans = readSpans(reader);
  const negativeSpans = readSpans(reader);
  if (!isKnownSchema(schema)) throw reader.corrupt(`it has the unknown schema ${schema}`);
  const isCustom = schema === CUSTOM_BUCKETS_SCHEMA;
  const customValues = isCustom ? readCustomBounds(reader) : NO_BUCKETS;
  const bucketCount = spanBucketCount(positiveSpans) + spanBucketCount(negativeSpans);
  if (bucketCount * bitsPerBucket > reader.remaining)
    throw reader.corrupt(`${bucketCount} buckets do not fit into its bytes`);
  if (isCustom) checkCustomSpans(reader, positiveSpans, customValues.length);
  return { schema, zeroThreshold, positiveSpans, negativeSpans, customValues };
}

function writeSpans(writer: BitWriter, spans: Int32Array): void {
  writer.writeVarbitUnsigned(spans.length / 2);
  for (let s = 0; s < spans.length; s += 2) {
    writer.writeVarbitUnsigned(spans[s + 1]!);
    writer.writeVarbit(spans[s]!);
  }
}

function readSpans(reader: BitReader): Int32Array {
  const count = reader.readVarbitUnsigned();
  if (count === 0) return NO_SPANS;
  // A span takes two bits at least.
  if (count * 2 > reader.remaining)
    throw reader.corrupt(`${count} spans do not fit into its bytes`);
  const spans = new Int32Array(count * 2);
  for (let s = 0; s < spans.length; s += 2) {
    const length = reader.readVarbitUnsigned();
    const offset = reader.readVarbit();
    // Indexes beyond 32 bits start over, as in Prometheus; spans of buckets on both sides of that run backwards.
    if (length > reader.remaining || (offset | 0) !== offset)
      throw reader.corrupt("a span is too long");
    spans[s] = offset;
    spans[s + 1] = length;
  }
  return spans;
}

function checkCustomSpans(reader: BitReader, spans: Int32Array, boundCount: number): void {
  let end = 0;
  for (let s = 0; s < spans.length; s += 2) {
    if (spans[s]! < 0) throw reader.corrupt("a span runs backwards");
    end += spans[s]! + spans[s + 1]!;
  }
  if (end > boundCount + 1) throw reader.corrupt("its buckets run past the custom bounds");
}

const threshold = new Float64Array(1);
const thresholdWords = new Uint32Array(threshold.buffer);

/** Powers of two from 2^−243 to 2^10 take one byte. */
function writeZeroThreshold(writer: BitWriter, value: number): void {
  if (value === 0) {
    writer.writeBits(0, 8);
    return;
  }
  threshold[0] = value;
  const high = thresholdWords[1]!;
  const exponent = (high >>> 20) - 1022;
  if (thresholdWords[0] === 0 && (high & 0xfffff) === 0 && exponent >= -242 && exponent <= 11)
    writer.writeBits(exponent + 243, 8);
  else {
    writer.writeBits(255, 8);
    writer.writeWords(high | 0, thresholdWords[0]! | 0);
  }
}

function readZeroThreshold(reader: BitReader): number {
  const byte = reader.readByte();
  if (byte === 0) return 0;
  if (byte !== 255) return 2 ** (byte - 244);
  return readFloat(reader);
}

function readFloat(reader: BitReader): number {
  reader.readWords();
  thresholdWords[0] = reader.low;
  thresholdWords[1] = reader.high;
  return threshold[0]!;
}

/** Bounds that are multiples of 0.001 up to 33554.430 are stored as that multiple plus one. */
function writeCustomBound(writer: BitWriter, bound: number): void {
  const thousandths = bound * 1000;
  // Halves are rounded away from zero, as Go does; all that get this far are positive.
  const whole = Math.floor(thousandths + 0.5);
  if (thousandths >= 0 && thousandths <= 33554430 && whole / 1000 === bound)
    writer.writeVarbitUnsigned(whole + 1);
  else {
    writer.writeBits(0, 1);
    threshold[0] = bound;
    writer.writeWords(thresholdWords[1]! | 0, thresholdWords[0]! | 0);
  }
}

function readCustomBounds(reader: BitReader): Float64Array {
  const count = reader.readVarbitUnsigned();
  if (count > reader.remaining)
    throw reader.corrupt(`${count} custom bounds do not fit into its bytes`);
  const bounds = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const stored = reader.readVarbitUnsigned();
    bounds[i] = stored === 0 ? readFloat(reader) : (stored - 1) / 1000;
  }
  return bounds;
}

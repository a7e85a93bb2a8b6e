import { AppError } from "../base/errors.ts";
import { decodeStored as decodeFloats } from "../chunk/float-histogram.ts";
import { decodeStored as decodeIntegers } from "../chunk/histogram.ts";
import { encodeHistograms } from "../chunk/histogram-encode.ts";
import type { HistogramSamples } from "../chunk/histogram-samples.ts";
import { xorSampleCount } from "../chunk/xor.ts";
import {
  type Chunk,
  ENCODING_FLOAT_HISTOGRAM,
  ENCODING_HISTOGRAM,
  ENCODING_XOR,
} from "./queryable.ts";
import { ENCODING_STARTED_FLOAT_HISTOGRAM, ENCODING_STARTED_HISTOGRAM } from "./started-chunk.ts";

/** The samples of a chunk of histograms, at the resolution that is stored. Throws `execution` for other encodings. */
export function decodeHistogramChunk(chunk: Chunk): HistogramSamples {
  if (chunk.encoding === ENCODING_HISTOGRAM) return decodeIntegers(chunk.data);
  if (chunk.encoding === ENCODING_FLOAT_HISTOGRAM) return decodeFloats(chunk.data);
  const { encoding }: { encoding: number } = chunk;
  throw new AppError("execution", `cannot change a chunk of encoding ${encoding}`);
}

/** Histograms in order of time as chunks. */
export function encodeHistogramRun(
  encoding: typeof ENCODING_HISTOGRAM | typeof ENCODING_FLOAT_HISTOGRAM,
  samples: HistogramSamples,
): readonly Chunk[] {
  const kind = encoding === ENCODING_HISTOGRAM ? "integer" : "float";
  return encodeHistograms(kind, samples).map((chunk) => ({ ...chunk, encoding }));
}

/** How many samples a chunk holds; all encodings have the count in front. */
export function sampleCountOf(chunk: Pick<Chunk, "data"> & { encoding: number }): number {
  return sampleCountFrom(chunk.encoding, xorSampleCount(chunk.data));
}

/** As `sampleCountOf`, from the two bytes a chunk's data starts with. */
export function sampleCountFrom(encoding: number, header: number): number {
  // Histogram encodings with start timestamps share the first two bits.
  return isStartedHistogram(encoding) ? header & 0x3fff : header;
}

/** Whether chunks of this encoding can be decoded and made anew. */
export function isWritable({ encoding }: Pick<Chunk, "encoding">): boolean {
  return [ENCODING_XOR, ENCODING_HISTOGRAM, ENCODING_FLOAT_HISTOGRAM].includes(encoding);
}

export function isHistogram(encoding: number): boolean {
  return (
    encoding === ENCODING_HISTOGRAM ||
    encoding === ENCODING_FLOAT_HISTOGRAM ||
    isStartedHistogram(encoding)
  );
}

function isStartedHistogram(encoding: number): boolean {
  return encoding === ENCODING_STARTED_HISTOGRAM || encoding === ENCODING_STARTED_FLOAT_HISTOGRAM;
}

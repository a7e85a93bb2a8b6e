import {
  EXPONENTIAL_SCHEMA_MAX,
  type FloatHistogram,
  newHistogram,
  spanBucketCount,
  withCounterResetHint,
} from "../model/histogram.ts";
import { reduceResolution } from "../model/histogram-arithmetic.ts";
import {
  BlockLayout,
  HINT_GAUGE,
  HINT_NOT_RESET,
  HINT_UNKNOWN,
  HistogramBlock,
} from "../model/histogram-block.ts";
import type { BitReader } from "./bit-reader.ts";
import type { ChunkResetHeader, HistogramLayout } from "./histogram-layout.ts";

/** The samples of one chunk in time order. */
export interface HistogramSamples {
  /** Milliseconds. */
  readonly times: Float64Array;
  readonly histograms: readonly FloatHistogram[];
}

/** Appends samples of one layout to a chunk's bit stream. */
export interface SampleWriter {
  /** Bytes of the stream so far, without the chunk's header. */
  readonly size: number;
  /** `h` has the layout of the first sample; the counts of a stale one are ignored. Times are whole milliseconds. */
  append(timeMs: number, h: FloatHistogram, isStale: boolean): void;
  toBytes(header: Uint8Array): Uint8Array;
}

/** Stale samples have no buckets, but take the place of so many at most in the rows of a chunk. */
const STALE_COUNTS_MAX = 2 ** 20;

/**
 * Makes room for the samples of a chunk, whose layout an empty block takes; the index of the first row. Undefined when
 * the block has another layout. Throws `corrupt` for more samples than there are bits for.
 */
export function openRows(
  block: HistogramBlock,
  chunk: { reader: BitReader; shape: HistogramLayout; sampleCount: number },
): number | undefined {
  const { reader, shape, sampleCount } = chunk;
  // Time, counts and sum take a bit each at least, and so does every bucket of a sample that is not stale, so no header
  // can claim memory its bytes do not pay for.
  const bucketCount = spanBucketCount(shape.positiveSpans) + spanBucketCount(shape.negativeSpans);
  if (
    sampleCount * 4 > reader.remaining ||
    sampleCount * bucketCount > reader.remaining + STALE_COUNTS_MAX
  )
    throw reader.corrupt(`${sampleCount} samples do not fit into its bytes`);
  if (!block.layout.equals(shape)) {
    if (block.size > 0) return undefined;
    block.reset(new BlockLayout(shape), 0);
  }
  block.reserve(block.size + sampleCount);
  return block.size;
}

/**
 * Within a chunk of a counter there is no reset, but whether there was one before its first sample cannot be trusted,
 * since the chunk before may be missing or have come later.
 */
export function setHints(
  block: HistogramBlock,
  chunk: { header: ChunkResetHeader; from: number; end: number },
): void {
  const isGauge = chunk.header === "gauge";
  block.hints.fill(isGauge ? HINT_GAUGE : HINT_NOT_RESET, chunk.from, chunk.end);
  if (!isGauge) block.hints[chunk.from] = HINT_UNKNOWN;
}

/** A stale sample as it is read: nothing but the marker. */
export function staleHistogram(sum: number): FloatHistogram {
  return newHistogram({ sum });
}

/** The samples of one chunk as objects. */
export function samplesOfChunk(
  data: Uint8Array,
  decodeInto: (data: Uint8Array, block: HistogramBlock) => boolean,
): HistogramSamples {
  const block = new HistogramBlock();
  decodeInto(data, block);
  return {
    times: block.times.slice(0, block.size),
    histograms: Array.from({ length: block.size }, (_, row) => block.at(row)),
  };
}

/** Samples of a resolution higher than any we know are read at the highest one we do. */
export function atKnownResolution(samples: HistogramSamples): HistogramSamples {
  const first = samples.histograms[0];
  if (first === undefined || first.schema <= EXPONENTIAL_SCHEMA_MAX) return samples;
  const histograms = samples.histograms.map((h) => {
    const reduced =
      h.schema > EXPONENTIAL_SCHEMA_MAX ? reduceResolution(h, EXPONENTIAL_SCHEMA_MAX) : undefined;
    return reduced === undefined ? h : withCounterResetHint(reduced, h.counterResetHint);
  });
  return { times: samples.times, histograms };
}

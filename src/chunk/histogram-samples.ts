import {
  type CounterResetHint,
  EXPONENTIAL_SCHEMA_MAX,
  type FloatHistogram,
  NO_BUCKETS,
  NO_SPANS,
  withCounterResetHint,
} from "../model/histogram.ts";
import { reduceResolution } from "../model/histogram-arithmetic.ts";
import type { ChunkResetHeader } from "./histogram-layout.ts";

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

/**
 * The hint of sample `k`: within a chunk of a counter there is no reset, but whether there was one before its first
 * sample cannot be trusted, since the chunk before may be missing or have come later.
 */
export function hintOfSample(header: ChunkResetHeader, k: number): CounterResetHint {
  if (header === "gauge") return "gauge";
  return k === 0 ? "unknown" : "not_reset";
}

/** A stale sample as it is read: nothing but the marker. */
export function staleHistogram(sum: number): FloatHistogram {
  return {
    counterResetHint: "unknown",
    schema: 0,
    zeroThreshold: 0,
    zeroCount: 0,
    count: 0,
    sum,
    positiveSpans: NO_SPANS,
    negativeSpans: NO_SPANS,
    positiveBuckets: NO_BUCKETS,
    negativeBuckets: NO_BUCKETS,
    customValues: NO_BUCKETS,
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

import type { FloatHistogram } from "../model/histogram.ts";
import { HistogramAppender, type HistogramKind } from "./histogram-appender.ts";

/** A finished chunk; encoding 2 for integers, 3 for floats. */
export interface EncodedHistogramChunk {
  readonly minTimeMs: number;
  /** Inclusive. */
  readonly maxTimeMs: number;
  readonly data: Uint8Array;
}

/** As Prometheus's head: a chunk is full at this size, but not before it has some samples. */
const CHUNK_TARGET_BYTES = 1024;
const CHUNK_MIN_SAMPLES = 10;

/**
 * Encodes samples in ascending time order as chunks of one kind. A chunk ends where the layout changes or the counter
 * is reset, and when it has `maxSamples`; without that, at 1,024 bytes but not before its tenth sample.
 */
export function encodeHistograms(
  kind: HistogramKind,
  samples: { times: Float64Array; histograms: readonly FloatHistogram[] },
  options: { maxSamples?: number } = {},
): EncodedHistogramChunk[] {
  const chunks: EncodedHistogramChunk[] = [];
  const finish = (chunk: HistogramAppender): void => {
    const { minTimeMs, maxTimeMs } = chunk;
    chunks.push({ minTimeMs, maxTimeMs, data: chunk.toBytes() });
  };
  const isFull = (chunk: HistogramAppender): boolean =>
    options.maxSamples === undefined
      ? chunk.size >= CHUNK_TARGET_BYTES && chunk.sampleCount >= CHUNK_MIN_SAMPLES
      : chunk.sampleCount >= options.maxSamples;
  let open: HistogramAppender | undefined;
  samples.histograms.forEach((histogram, k) => {
    const timeMs = samples.times[k]!;
    const next =
      open === undefined || isFull(open)
        ? HistogramAppender.after(open, { kind, timeMs, histogram })
        : open.append(timeMs, histogram);
    if (open !== undefined && next !== open) finish(open);
    open = next;
  });
  if (open !== undefined) finish(open);
  return chunks;
}

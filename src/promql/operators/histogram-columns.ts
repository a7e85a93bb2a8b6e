import { decodeFloatHistogram } from "../../chunk/float-histogram.ts";
import { decodeHistogram } from "../../chunk/histogram.ts";
import { type FloatHistogram, isStaleHistogram, newHistogram } from "../../model/histogram.ts";
import { detectReset } from "../../model/histogram-reset.ts";
import {
  ENCODING_FLOAT_HISTOGRAM,
  ENCODING_HISTOGRAM,
  ENCODING_XOR,
  type Chunk,
  type Series,
} from "../../storage/queryable.ts";
import type { SelectorPlan } from "../plan.ts";
import { histogramSamples, type HistogramSamples, type QueryContext } from "./row.ts";
import { isStartedChunk } from "../../storage/started-chunk.ts";
import type { HistogramReader } from "./histogram-reader.ts";

/** Native histograms of a series, read beside the floats. Float series never come here. */

/** Whether `series` holds more than floats: histograms, or start times that this query asks for. */
export function holdsMoreThanFloats(series: Series, query: QueryContext): boolean {
  for (const chunk of series.chunks)
    if (chunk.encoding !== ENCODING_XOR || (query.startTimes && isStartedChunk(chunk))) return true;
  return false;
}

/** What is to be read of a series. */
export interface HistogramRequest {
  readonly selector: SelectorPlan;
  readonly query: QueryContext;
  readonly reader: HistogramReader;
  /** Range vectors have no stale samples. */
  readonly dropsStale: boolean;
  readonly wantsStartTimes: boolean;
}

/** Histograms in time order, each time once; undefined without any. Lent until `reader` reads the next series. */
export function loadHistograms(
  series: Series,
  request: HistogramRequest,
): HistogramSamples | undefined {
  const { selector, dropsStale, wantsStartTimes } = request;
  const isStarted = wantsStartTimes && series.chunks.some(isStartedChunk);
  const read =
    isStarted || selector.skipsBuckets === true ? undefined : request.reader.read(series, request);
  if (read !== undefined) return read.times.length === 0 ? undefined : read;
  const loaded = loadObjects(series, selector, request.query);
  if (loaded === undefined) return undefined;
  const samples = dropsStale ? withoutStale(loaded) : loaded;
  if (samples === undefined || wantsStartTimes) return samples;
  return { ...samples, startTimes: undefined };
}

/** One by one, stale ones included. */
function loadObjects(
  series: Series,
  selector: SelectorPlan,
  query: QueryContext,
): HistogramSamples | undefined {
  const times: number[] = [];
  const histograms: FloatHistogram[] = [];
  const startTimes: number[] = [];
  let isStarted = false;
  let isSorted = true;
  let size = 0;
  for (const chunk of series.chunks) {
    if (chunk.encoding === ENCODING_XOR || !overlaps(chunk, selector)) continue;
    const decoded = decode(chunk);
    if (decoded === undefined) continue;
    isStarted ||= query.startTimes && isStartedChunk(chunk);
    for (let i = 0; i < decoded.histograms.length; i++) {
      const timeMs = decoded.times[i]!;
      if (times.length > 0 && timeMs <= times[times.length - 1]!) isSorted = false;
      times.push(timeMs);
      histograms.push(decoded.histograms[i]!);
      startTimes.push(isStartedChunk(chunk) ? chunk.startTimes[i]! : 0);
      size += histogramSamples(decoded.histograms[i]!);
    }
    query.budget.probe(size);
    query.stats.chunksRead++;
    query.stats.bytesRead += chunk.data.length;
  }
  if (times.length === 0) return undefined;
  query.stats.samplesRead += size;
  const samples = {
    times: Float64Array.from(times),
    histograms,
    startTimes: isStarted ? Float64Array.from(startTimes) : undefined,
  };
  const sorted = isSorted ? samples : sortByTime(samples);
  return selector.skipsBuckets === true ? withoutBuckets(sorted, selector.minTimeMs) : sorted;
}

/** Start times of floats by sample time, if any chunk tells them. */
export function floatStartTimes(
  series: Series,
  times: Float64Array,
  count: number,
): Float64Array | undefined {
  const known = new Map<number, number>();
  for (const chunk of series.chunks) {
    if (chunk.encoding !== ENCODING_XOR || !isStartedChunk(chunk)) continue;
    for (let i = 0; i < chunk.times.length; i++) known.set(chunk.times[i]!, chunk.startTimes[i]!);
  }
  if (known.size === 0) return undefined;
  const startTimes = new Float64Array(count);
  for (let i = 0; i < count; i++) startTimes[i] = known.get(times[i]!) ?? 0;
  return startTimes;
}

function overlaps(chunk: Chunk, range: { minTimeMs: number; maxTimeMs: number }): boolean {
  return chunk.maxTimeMs >= range.minTimeMs && chunk.minTimeMs <= range.maxTimeMs;
}

function decode(
  chunk: Chunk,
): { times: Float64Array; histograms: readonly FloatHistogram[] } | undefined {
  switch (chunk.encoding) {
    case ENCODING_HISTOGRAM:
      return decodeHistogram(chunk.data);
    case ENCODING_FLOAT_HISTOGRAM:
      return decodeFloatHistogram(chunk.data);
    case ENCODING_XOR:
      return undefined;
  }
}

/** Overlapping chunks: by time, the first chunk's sample wins. Nothing is known about resets between neighbours then. */
function sortByTime(samples: HistogramSamples): HistogramSamples {
  const { times, histograms, startTimes } = samples;
  const order = Uint32Array.from(times, (_, i) => i).sort((a, b) => times[a]! - times[b]! || a - b);
  const kept = order.filter((index, i) => i === 0 || times[order[i - 1]!] !== times[index]);
  return {
    times: Float64Array.from(kept, (i) => times[i]!),
    histograms: Array.from(kept, (i) => {
      const histogram = histograms[i]!;
      return histogram.counterResetHint === "gauge"
        ? histogram
        : { ...histogram, counterResetHint: "unknown" };
    }),
    startTimes: startTimes && Float64Array.from(kept, (i) => startTimes[i]!),
  };
}

/** The samples without stale ones, as range vectors want them. */
function withoutStale(samples: HistogramSamples): HistogramSamples | undefined {
  const { histograms } = samples;
  if (!histograms.some(isStaleHistogram)) return samples;
  const kept = histograms.flatMap((histogram, i) => (isStaleHistogram(histogram) ? [] : [i]));
  if (kept.length === 0) return undefined;
  const { times, startTimes } = samples;
  return {
    times: Float64Array.from(kept, (i) => times[i]!),
    histograms: kept.map((i) => histograms[i]!),
    startTimes: startTimes && Float64Array.from(kept, (i) => startTimes[i]!),
  };
}

/**
 * The histograms with count and sum only, for queries that ask for no more. Resets can be seen in the buckets alone,
 * so they are looked for here, and every hint but that of the first sample of the time range is settled.
 */
function withoutBuckets(samples: HistogramSamples, minTimeMs: number): HistogramSamples {
  let last: FloatHistogram | undefined;
  const histograms = samples.histograms.map((histogram, i) => {
    const { schema, count, sum } = histogram;
    let { counterResetHint } = histogram;
    if (!isStaleHistogram(histogram) && samples.times[i]! >= minTimeMs) {
      if (counterResetHint === "unknown" && last !== undefined)
        counterResetHint = detectReset(histogram, last) ? "reset" : "not_reset";
      last = histogram;
    }
    return newHistogram({ schema, count, sum, counterResetHint });
  });
  return { ...samples, histograms };
}

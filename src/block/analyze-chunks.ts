import { decodeHistogramChunk, isHistogram, sampleCountOf } from "../storage/chunk-encodings.ts";
import { readable } from "../storage/started-chunk.ts";
import type { Matcher } from "../model/matcher.ts";
import type { Block } from "./block.ts";
import type { ChunkPlace } from "./chunk-files.ts";

/** How often a figure is within `from` and `to`; as promtool's, `from` is one too high. */
export interface Bar {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export interface Distribution {
  readonly min: number;
  /** Whole, rounded down. */
  readonly avg: number;
  readonly max: number;
  readonly bars: readonly Bar[];
}

/** How well samples were compacted: promtool's figures of `--extended`. Null where there is no such chunk. */
export interface ChunkAnalysis {
  readonly chunkCount: number;
  readonly samplesPerFloatChunk: Distribution | null;
  readonly bytesPerFloatChunk: Distribution | null;
  readonly samplesPerHistogramChunk: Distribution | null;
  readonly bytesPerHistogramChunk: Distribution | null;
  readonly bucketsPerHistogramChunk: Distribution | null;
}

const BATCH_SERIES = 1024;

/** Reads all chunks of a block, or of the series that `matchers` select. */
export async function analyzeChunks(
  block: Block,
  options: { matchers?: readonly Matcher[]; onProgress?: (share: number) => void },
): Promise<ChunkAnalysis> {
  const { index, chunks } = block;
  const { matchers = [], onProgress } = options;
  const [floatSamples, floatBytes] = [new Counts(), new Counts()];
  const [histogramSamples, histogramBytes, histogramBuckets] = [
    new Counts(),
    new Counts(),
    new Counts(),
  ];
  const refs = await index.matching(matchers);
  let chunkCount = 0;
  for (let from = 0; from < refs.length; from += BATCH_SERIES) {
    const to = Math.min(from + BATCH_SERIES, refs.length);
    const places: ChunkPlace[] = [];
    await index.forEachSeries(refs, { from, to }, (entry) => {
      for (let i = 0; i < entry.chunkCount; i++)
        places.push({
          ref: entry.chunkRefs[i]!,
          minTimeMs: entry.minTimes[i]!,
          maxTimeMs: entry.maxTimes[i]!,
        });
    });
    for (const chunk of await chunks.read(places)) {
      chunkCount++;
      if (!isHistogram(chunk.encoding)) {
        floatSamples.add(sampleCountOf(chunk));
        floatBytes.add(chunk.data.length);
        continue;
      }
      histogramSamples.add(sampleCountOf(chunk));
      histogramBytes.add(chunk.data.length);
      let buckets = 0;
      for (const histogram of decodeHistogramChunk(readable(chunk)).histograms)
        buckets += histogram.positiveBuckets.length + histogram.negativeBuckets.length;
      histogramBuckets.add(buckets);
    }
    onProgress?.(to / refs.length);
  }
  return {
    chunkCount,
    samplesPerFloatChunk: floatSamples.distribution(),
    bytesPerFloatChunk: floatBytes.distribution(),
    samplesPerHistogramChunk: histogramSamples.distribution(),
    bytesPerHistogramChunk: histogramBytes.distribution(),
    bucketsPerHistogramChunk: histogramBuckets.distribution(),
  };
}

/** The widest bar. */
const STEP_MAX = 100_000;

class Counts {
  readonly #counts = new Map<number, number>();

  add(value: number): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
  }

  /** About ten bars of a power of ten each, and an empty one at the end. */
  distribution(): Distribution | null {
    const sorted = [...this.#counts].sort(([a], [b]) => a - b);
    const [first, last] = [sorted[0], sorted.at(-1)];
    if (first === undefined || last === undefined) return null;
    const [[min], [max]] = [first, last];
    let step = 10;
    while (step < Math.floor((max - min) / 10) && step < STEP_MAX) step *= 10;
    const start = min - (min % step);
    const counts = Array.from({ length: Math.floor((max - start) / step) + 2 }, () => 0);
    let sum = 0;
    let total = 0;
    for (const [value, count] of sorted) {
      sum += value * count;
      total += count;
      counts[Math.floor((value - start) / step)]! += count;
    }
    const bars = counts.map((count, i) => {
      const from = start + i * step;
      return { from: from + 1, to: from + step, count };
    });
    return { min, avg: Math.floor(sum / total), max, bars };
  }
}

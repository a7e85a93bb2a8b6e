/** A storage for scripts: samples in memory, read back as the chunks any other storage serves. */
import { AppError } from "../../base/errors.ts";
import { writeStale } from "../../base/float.ts";
import { compareText } from "../../base/text.ts";
import { encodeHistograms } from "../../chunk/histogram-encode.ts";
import { type FloatHistogram, newHistogram } from "../../model/histogram.ts";
import { histogramsEqual } from "../../model/histogram-equal.ts";
import { compareLabels, formatSeries, type Labels } from "../../model/labels.ts";
import {
  ENCODING_FLOAT_HISTOGRAM,
  type Chunk,
  type LabelRequest,
  type LabelResult,
  type Queryable,
  type SelectRequest,
  type Series,
  type SeriesBatch,
} from "../../storage/queryable.ts";
import type { StartedChunk } from "../../storage/started-chunk.ts";
import type { TestStorage } from "./run-script.ts";
import { pushXorChunks } from "../../storage/xor-chunks.ts";

const SERIES_PER_BATCH = 256;
/** The staleness marker as a sum. */
const STALE = staleSum();

function staleSum(): number {
  const sums = new Float64Array(1);
  writeStale(sums, 0);
  return sums[0]!;
}

export class MemoryStorage implements TestStorage {
  readonly #series = new Map<string, MemorySeries>();

  readonly queryable: Queryable = {
    select: (request) => this.#select(request),
    labelNames: async (request) =>
      this.#labelResult(request, (labels) => Array.from(labels, ([name]) => name)),
    labelValues: async (name, request) =>
      this.#labelResult(request, (labels) => (labels.has(name) ? [labels.get(name)] : [])),
  };

  /** Adds a sample behind the last one of its series. Throws `bad-data` for one that lies before it. */
  append(labels: Labels, timeMs: number, value: number, startMs = 0): void {
    this.#of(labels).append({ timeMs, value, isStale: false, histogram: undefined, startMs });
  }

  appendHistogram(labels: Labels, timeMs: number, histogram: FloatHistogram, startMs = 0): void {
    this.#of(labels).append({ timeMs, value: 0, isStale: false, histogram, startMs });
  }

  appendStale(labels: Labels, timeMs: number): void {
    this.#of(labels).appendStale(timeMs);
  }

  #of(labels: Labels): MemorySeries {
    const key = labels.key();
    let series = this.#series.get(key);
    if (series === undefined) {
      series = new MemorySeries(labels);
      this.#series.set(key, series);
    }
    return series;
  }

  #matching(request: SelectRequest | LabelRequest): MemorySeries[] {
    return [...this.#series.values()]
      .filter(
        (series) =>
          series.overlaps(request.minTimeMs, request.maxTimeMs) &&
          request.matchers.every((matcher) => matcher.matches(series.labels.get(matcher.name))),
      )
      .sort((a, b) => compareLabels(a.labels, b.labels));
  }

  async *#select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const limit = request.limit === undefined || request.limit === 0 ? Infinity : request.limit;
    const found = this.#matching(request).slice(0, limit);
    for (let i = 0; i < found.length; i += SERIES_PER_BATCH) {
      request.signal?.throwIfAborted();
      const series = found.slice(i, i + SERIES_PER_BATCH).map((one): Series => {
        const chunks = request.skipChunks === true ? [] : one.chunks(request);
        return { labels: one.labels, chunks };
      });
      yield { series };
    }
  }

  #labelResult(request: LabelRequest, pick: (labels: Labels) => string[]): LabelResult {
    const values = new Set(this.#matching(request).flatMap(({ labels }) => pick(labels)));
    return { values: [...values].sort(compareText).slice(0, request.limit), warnings: [] };
  }
}

interface Sample {
  readonly timeMs: number;
  /** A float, unless `histogram` is there. */
  readonly value: number;
  readonly isStale: boolean;
  readonly histogram: FloatHistogram | undefined;
  /** 0 where it is not known. */
  readonly startMs: number;
}

class MemorySeries {
  readonly labels: Labels;
  readonly #samples: Sample[] = [];
  /** Encoded once and kept until the next sample comes. */
  #chunks: Chunk[] | undefined;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  append(sample: Sample): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && sample.timeMs <= last.timeMs) {
      if (sample.timeMs === last.timeMs && isSame(last, sample)) return;
      throw new AppError(
        "bad-data",
        `cannot append to ${formatSeries(this.labels)} at ${sample.timeMs} ms: the series has a sample at ${last.timeMs} ms already`,
      );
    }
    this.#samples.push(sample);
    this.#chunks = undefined;
  }

  /** The marker is a histogram behind histograms, and a float elsewhere. */
  appendStale(timeMs: number): void {
    const histogram =
      this.#samples.at(-1)?.histogram === undefined ? undefined : newHistogram({ sum: STALE });
    this.append({ timeMs, value: 0, isStale: true, histogram, startMs: 0 });
  }

  overlaps(minTimeMs: number, maxTimeMs: number): boolean {
    const first = this.#samples[0];
    return (
      first !== undefined && first.timeMs <= maxTimeMs && this.#samples.at(-1)!.timeMs >= minTimeMs
    );
  }

  chunks(range: { minTimeMs: number; maxTimeMs: number }): Chunk[] {
    this.#chunks ??= this.#encode();
    return this.#chunks.filter(
      (chunk) => chunk.minTimeMs <= range.maxTimeMs && chunk.maxTimeMs >= range.minTimeMs,
    );
  }

  /** A chunk holds samples of one kind. */
  #encode(): Chunk[] {
    const chunks: Chunk[] = [];
    const samples = this.#samples;
    for (let start = 0; start < samples.length;) {
      const isHistogram = samples[start]!.histogram !== undefined;
      let end = start + 1;
      while (end < samples.length && (samples[end]!.histogram !== undefined) === isHistogram) end++;
      const run = samples.slice(start, end);
      chunks.push(...(isHistogram ? encodeHistogramRun(run) : encodeFloatRun(run)));
      start = end;
    }
    return chunks;
  }
}

function encodeFloatRun(run: readonly Sample[]): Chunk[] {
  const times = Float64Array.from(run, ({ timeMs }) => timeMs);
  const values = Float64Array.from(run, ({ value }) => value);
  for (const [i, { isStale }] of run.entries()) if (isStale) writeStale(values, i);
  return pushXorChunks([], { times, values }).map((chunk) => withStartTimes(chunk, run));
}

function encodeHistogramRun(run: readonly Sample[]): Chunk[] {
  const times = Float64Array.from(run, ({ timeMs }) => timeMs);
  const histograms = run.map(({ histogram }) => histogram!);
  return encodeHistograms("float", { times, histograms }).map((chunk) =>
    withStartTimes({ encoding: ENCODING_FLOAT_HISTOGRAM, ...chunk }, run),
  );
}

/** The encodings cannot tell start times, so they go beside the bytes. */
function withStartTimes(chunk: Chunk, run: readonly Sample[]): Chunk {
  const own = run.filter(({ timeMs }) => timeMs >= chunk.minTimeMs && timeMs <= chunk.maxTimeMs);
  if (own.every(({ startMs }) => startMs === 0)) return chunk;
  const started: StartedChunk = {
    ...chunk,
    times: Float64Array.from(own, ({ timeMs }) => timeMs),
    startTimes: Float64Array.from(own, ({ startMs }) => startMs),
  };
  return started;
}

function isSame(a: Sample, b: Sample): boolean {
  if (a.isStale || b.isStale) return a.isStale && b.isStale;
  if (a.histogram !== undefined && b.histogram !== undefined)
    return histogramsEqual(a.histogram, b.histogram);
  return a.histogram === b.histogram && Object.is(a.value, b.value);
}

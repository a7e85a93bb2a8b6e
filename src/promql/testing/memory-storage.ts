/** A storage for scripts: samples in memory, read back as the chunks any other storage serves. */
import { AppError } from "../../base/errors.ts";
import { STALE_NAN_HIGH, STALE_NAN_LOW, writeStale } from "../../base/float.ts";
import { compareText } from "../../base/text.ts";
import { encodeXor } from "../../chunk/xor.ts";
import { compareLabels, formatSeries, type Labels } from "../../model/labels.ts";
import {
  ENCODING_XOR,
  type Chunk,
  type LabelRequest,
  type LabelResult,
  type Queryable,
  type SelectRequest,
  type Series,
  type SeriesBatch,
} from "../../storage/queryable.ts";
import type { TestStorage } from "./run-script.ts";

/** Samples in one chunk, as Prometheus's head cuts them. */
const CHUNK_SAMPLES = 120;
const SERIES_PER_BATCH = 256;

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
  append(labels: Labels, timeMs: number, value: number): void {
    this.#of(labels).append(timeMs, value);
  }

  appendStale(labels: Labels, timeMs: number): void {
    this.#of(labels).append(timeMs, undefined);
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

class MemorySeries {
  readonly labels: Labels;
  #count = 0;
  #times = new Float64Array(16);
  #values = new Float64Array(16);
  /** Encoded once and kept until the next sample comes. */
  #chunks: Chunk[] | undefined;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  /** Without a value, the staleness marker. */
  append(timeMs: number, value: number | undefined): void {
    const last = this.#count - 1;
    if (last >= 0 && timeMs <= this.#times[last]!) {
      if (timeMs === this.#times[last] && this.#holds(last, value)) return;
      throw new AppError(
        "bad-data",
        `cannot append to ${formatSeries(this.labels)} at ${timeMs} ms: the series has a sample at ${this.#times[last]} ms already`,
      );
    }
    if (this.#count === this.#times.length) this.#grow();
    this.#times[this.#count] = timeMs;
    if (value === undefined) writeStale(this.#values, this.#count);
    else this.#values[this.#count] = value;
    this.#count++;
    this.#chunks = undefined;
  }

  overlaps(minTimeMs: number, maxTimeMs: number): boolean {
    return (
      this.#count > 0 && this.#times[0]! <= maxTimeMs && this.#times[this.#count - 1]! >= minTimeMs
    );
  }

  chunks(range: { minTimeMs: number; maxTimeMs: number }): Chunk[] {
    this.#chunks ??= this.#encode();
    return this.#chunks.filter(
      (chunk) => chunk.minTimeMs <= range.maxTimeMs && chunk.maxTimeMs >= range.minTimeMs,
    );
  }

  #encode(): Chunk[] {
    const chunks: Chunk[] = [];
    for (let start = 0; start < this.#count; start += CHUNK_SAMPLES) {
      const end = Math.min(start + CHUNK_SAMPLES, this.#count);
      chunks.push({
        encoding: ENCODING_XOR,
        minTimeMs: this.#times[start]!,
        maxTimeMs: this.#times[end - 1]!,
        data: encodeXor(this.#times, this.#values, { start, end }),
      });
    }
    return chunks;
  }

  #holds(index: number, value: number | undefined): boolean {
    const words = new Uint32Array(this.#values.buffer, 8 * index, 2);
    const isStale = words[0] === STALE_NAN_LOW && words[1] === STALE_NAN_HIGH;
    if (value === undefined || isStale) return value === undefined && isStale;
    return Object.is(this.#values[index], value);
  }

  #grow(): void {
    const times = new Float64Array(2 * this.#times.length);
    const values = new Float64Array(2 * this.#values.length);
    times.set(this.#times);
    values.set(this.#values);
    this.#times = times;
    this.#values = values;
  }
}

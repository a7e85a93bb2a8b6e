import { encodeXor } from "../chunk/xor-encode.ts";
import { encodeHistogramRun } from "../storage/chunk-encodings.ts";
import { mergeChunkLists } from "../storage/merge-chunks.ts";
import { type Chunk, ENCODING_XOR } from "../storage/queryable.ts";
import { encodingOf, type HistogramSample } from "./open-histograms.ts";

/** So many samples that came out of order are sorted in place before they become a chunk. Prometheus's default. */
export const OUT_OF_ORDER_CHUNK_SAMPLES = 32;

/** What came out of order to one series: chunks that may overlap, and the newest arrivals in order of time. */
class LateSeries {
  readonly closed: Chunk[] = [];
  times = new Float64Array(OUT_OF_ORDER_CHUNK_SAMPLES);
  words = new Int32Array(2 * OUT_OF_ORDER_CHUNK_SAMPLES);
  histograms: (HistogramSample | undefined)[] = [];
  count = 0;

  /** False when a sample of that time is among the newest arrivals. */
  insert(
    timeMs: number,
    value: { low: number; high: number } | undefined,
    histogram: HistogramSample | undefined,
  ): boolean {
    if (this.count === OUT_OF_ORDER_CHUNK_SAMPLES) this.#close();
    let at = this.count;
    while (at > 0 && this.times[at - 1]! > timeMs) at--;
    if (at > 0 && this.times[at - 1] === timeMs) return false;
    this.times.copyWithin(at + 1, at, this.count);
    this.words.copyWithin(2 * at + 2, 2 * at, 2 * this.count);
    this.times[at] = timeMs;
    this.words[2 * at] = value?.low ?? 0;
    this.words[2 * at + 1] = value?.high ?? 0;
    this.histograms.splice(at, 0, histogram);
    this.count++;
    return true;
  }

  /** As it is now: later insertions do not show. */
  view(): LateView {
    const { closed, times, words, histograms, count } = this;
    return {
      closed: closed.slice(),
      times: times.slice(0, count),
      words: words.slice(0, 2 * count),
      histograms: histograms.slice(),
    };
  }

  #close(): void {
    // Kept for long: a slice has its bytes alone.
    for (const chunk of openChunks(this.view()))
      this.closed.push({ ...chunk, data: chunk.data.slice() });
    this.histograms = [];
    this.count = 0;
  }
}

/** What came out of order to one series up to some moment. */
export interface LateView {
  readonly closed: readonly Chunk[];
  readonly times: Float64Array;
  /** The bits of the values: low word, high word. */
  readonly words: Int32Array;
  readonly histograms: readonly (HistogramSample | undefined)[];
}

/**
 * The samples of a head that are older than their series' newest one. They wait beside the others until they are cut to
 * blocks of their own:
 *
 *     insert ──► current ── freeze ──► frozen ── cut to blocks ──► dropped
 *                   └──────── queries ───┘
 */
export class OutOfOrderSamples {
  #current = new Map<number, LateSeries>();
  #frozen = new Map<number, LateSeries>();
  #minTimeMs = Infinity;
  #maxTimeMs = -Infinity;

  /** Infinity when there are none. */
  get minTimeMs(): number {
    return this.#minTimeMs;
  }

  /** -Infinity when there are none. */
  get maxTimeMs(): number {
    return this.#maxTimeMs;
  }

  get isEmpty(): boolean {
    return this.#current.size === 0 && this.#frozen.size === 0;
  }

  /** Whether there may be some in the range; both ends inclusive. */
  overlaps(range: { minTimeMs: number; maxTimeMs: number }): boolean {
    return range.minTimeMs <= this.#maxTimeMs && range.maxTimeMs >= this.#minTimeMs;
  }

  has(ref: number): boolean {
    return this.#current.has(ref) || this.#frozen.has(ref);
  }

  /** `low` and `high` are the halves of the value's bits. False when the sample is there already. */
  insert(ref: number, timeMs: number, low: number, high: number): boolean {
    return this.#insert(ref, timeMs, (series) => series.insert(timeMs, { low, high }, undefined));
  }

  insertHistogram(ref: number, sample: HistogramSample): boolean {
    const { timeMs } = sample;
    return this.#insert(ref, timeMs, (series) => series.insert(timeMs, undefined, sample));
  }

  /** What a series has now, for `chunksOfViews`. */
  views(ref: number): readonly LateView[] {
    const views: LateView[] = [];
    for (const series of [this.#frozen.get(ref), this.#current.get(ref)])
      if (series !== undefined) views.push(series.view());
    return views;
  }

  /**
   * From now on new samples are kept apart from those that are here, which a cut may write. False when an earlier cut has
   * not ended well: then its samples are frozen still.
   */
  freeze(): boolean {
    if (this.#frozen.size > 0) return false;
    this.#frozen = this.#current;
    this.#current = new Map();
    return true;
  }

  /** The series with frozen samples, ascending. */
  frozenRefs(): readonly number[] {
    return [...this.#frozen.keys()].sort((a, b) => a - b);
  }

  /** The frozen samples of a series, in chunks that do not overlap. */
  frozenChunks(ref: number, range: { minTimeMs: number; maxTimeMs: number }): readonly Chunk[] {
    const series = this.#frozen.get(ref);
    return series === undefined ? [] : chunksOfViews([series.view()], range);
  }

  /** The frozen samples are in blocks. */
  dropFrozen(): void {
    this.#frozen = new Map();
    this.#minTimeMs = Infinity;
    this.#maxTimeMs = -Infinity;
    for (const series of this.#current.values())
      for (const chunk of [...series.closed, ...openChunks(series.view())])
        this.#widen(chunk.minTimeMs, chunk.maxTimeMs);
  }

  #insert(ref: number, timeMs: number, into: (series: LateSeries) => boolean): boolean {
    let series = this.#current.get(ref);
    if (series === undefined) this.#current.set(ref, (series = new LateSeries()));
    if (!into(series)) return false;
    this.#widen(timeMs, timeMs);
    return true;
  }

  #widen(minTimeMs: number, maxTimeMs: number): void {
    if (minTimeMs < this.#minTimeMs) this.#minTimeMs = minTimeMs;
    if (maxTimeMs > this.#maxTimeMs) this.#maxTimeMs = maxTimeMs;
  }
}

/** The chunks of views that overlap a range (both ends inclusive), made anew where they overlap each other. */
export function chunksOfViews(
  views: readonly LateView[],
  range: { minTimeMs: number; maxTimeMs: number },
): readonly Chunk[] {
  const chunks = views
    .flatMap((view) => [...view.closed, ...openChunks(view)])
    .filter((one) => one.minTimeMs <= range.maxTimeMs && one.maxTimeMs >= range.minTimeMs);
  return mergeChunkLists(chunks.map((chunk) => [chunk]));
}

/** The newest arrivals as chunks, one for each run of samples of a kind. */
function openChunks({ times, words, histograms }: LateView): Chunk[] {
  const chunks: Chunk[] = [];
  const kindAt = (i: number): string => histograms[i]?.kind ?? "";
  for (let from = 0; from < times.length;) {
    const kind = kindAt(from);
    let to = from + 1;
    while (to < times.length && kindAt(to) === kind) to++;
    const some = times.slice(from, to);
    const first = histograms[from];
    if (first === undefined) {
      const values = new Float64Array(words.slice(2 * from, 2 * to).buffer);
      const data = encodeXor(some, values, { start: 0, end: some.length });
      const [minTimeMs, maxTimeMs] = [some[0]!, some.at(-1)!];
      chunks.push({ encoding: ENCODING_XOR, minTimeMs, maxTimeMs, data });
    } else
      chunks.push(
        ...encodeHistogramRun(encodingOf(first.kind), {
          times: some,
          histograms: histograms.slice(from, to).map((one) => one!.histogram),
        }),
      );
    from = to;
  }
  return chunks;
}

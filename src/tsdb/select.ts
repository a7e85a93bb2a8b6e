import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError } from "../base/errors.ts";
import { compareText } from "../base/text.ts";
import { withoutDeleted } from "../block/recode.ts";
import { decodeXor, encodeXor, XOR_MAX_SAMPLES } from "../chunk/xor.ts";
import type { MemPostings } from "../index/mem-postings.ts";
import { intersect, subtract, uniteDisjoint } from "../index/postings-math.ts";
import { compareLabels, Labels } from "../model/labels.ts";
import { type Matcher, matchesEmpty } from "../model/matcher.ts";
import {
  type Chunk,
  ENCODING_XOR,
  type LabelRequest,
  type LabelResult,
  type SelectRequest,
  type Series,
  type SeriesBatch,
} from "../storage/queryable.ts";
import { toChunk } from "./chunk-log.ts";
import type { HeadStore } from "./head-store.ts";
import {
  CHUNK_START,
  CHUNK_WORDS,
  FIRST_BLOCK,
  LAST_CHUNK,
  LAST_TIME,
  LAST_VALUE,
  LINE_WORDS,
  OPEN_HISTOGRAM,
  PAGE_SERIES,
  type SeriesPage,
} from "./series-table.ts";

/** Series in one batch of a result. */
const BATCH_SERIES = 256;
/** After so many batches the event loop gets a turn. */
const BATCHES_PER_TURN = 4;
/** How many symbols are kept as strings between queries. */
const TEXT_CACHE_MAX = 50_000;
/** Copies of open chunks share buffers of this size. */
const COPY_BUFFER_BYTES = 64 * 1024;
const PAGE_MASK = PAGE_SERIES - 1;

/** Reads a head. What a query sees is fixed when it starts: later samples are left out, even of series not yet read. */
export class HeadReader {
  readonly #store: HeadStore;
  readonly #texts = new Map<number, string>();
  #copies = new Uint8Array(0);
  #copiesUsed = 0;
  #textsOf: MemPostings | undefined;
  readonly #newestSample = sampleColumns();
  readonly #scratch = { times: new Float64Array(512), values: new Float64Array(512), offset: 0 };

  constructor(store: HeadStore) {
    this.#store = store;
  }

  async *select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    // No await stands between these lines, and an append is one synchronous step: the query has all of it or nothing.
    const refs = this.matchingRefs(request.matchers);
    const table = this.#store.series;
    const lastTimes = new Float64Array(refs.length);
    const sorted = refs.slice().sort((a, b) => table.compare(a, b));
    for (let i = 0; i < sorted.length; i++) lastTimes[i] = this.#lastTime(sorted[i]!);
    const strip = request.withoutReplicaLabels ?? [];
    const limit = request.limit ?? 0;
    let batch: Series[] = [];
    let count = 0;
    let batches = 0;
    const source =
      strip.length > 0
        ? this.#stripped(sorted, lastTimes, strip, request)
        : this.#plain(sorted, lastTimes, request);
    for (const series of source) {
      batch.push(series);
      if (++count === limit) break;
      if (batch.length < BATCH_SERIES) continue;
      yield { series: batch };
      batch = [];
      if (++batches % BATCHES_PER_TURN === 0) await nextTurn();
      if (request.signal?.aborted === true)
        throw new AppError("canceled", "cannot finish select: the query was canceled");
    }
    if (batch.length > 0) yield { series: batch };
  }

  /** The refs of all series that match, ascending. */
  matchingRefs(matchers: readonly Matcher[]): Int32Array {
    let result: Int32Array | undefined;
    const excluded: Int32Array[] = [];
    for (const matcher of matchers) {
      if (matchesEmpty(matcher)) excluded.push(this.#union(matcher, false));
      else {
        const list = this.#union(matcher, true);
        result = result === undefined ? list : intersect(result, list);
        if (result.length === 0) return result;
      }
    }
    result ??= this.#allRefs();
    for (const list of excluded) result = subtract(result, list);
    // Lists are views into the index; a result outlives the next append.
    return result.slice();
  }

  labelNames(request: LabelRequest): LabelResult {
    const { postings } = this.#store;
    const names = new Set<number>();
    if (request.matchers.length === 0) {
      for (const name of postings.names()) {
        let used = false;
        postings.forEachPairOf(name, () => (used = true));
        if (used) names.add(name);
      }
    } else this.#forEachPair(request, (pair) => names.add(postings.nameOf(pair)));
    return this.#labelResult(names, request);
  }

  labelValues(name: string, request: LabelRequest): LabelResult {
    const { postings } = this.#store;
    const id = postings.symbols.find(name);
    const values = new Set<number>();
    if (id >= 0) {
      if (request.matchers.length === 0)
        postings.forEachPairOf(id, (pair) => values.add(postings.valueOf(pair)));
      else
        this.#forEachPair(request, (pair) => {
          if (postings.nameOf(pair) === id) values.add(postings.valueOf(pair));
        });
    }
    return this.#labelResult(values, request);
  }

  /** The text of a symbol, cached. */
  text(symbol: number): string {
    const { postings } = this.#store;
    if (postings !== this.#textsOf) {
      this.#texts.clear();
      this.#textsOf = postings;
    }
    let text = this.#texts.get(symbol);
    if (text === undefined) {
      text = postings.symbols.text(symbol);
      if (this.#texts.size >= TEXT_CACHE_MAX) this.#texts.clear();
      this.#texts.set(symbol, text);
    }
    return text;
  }

  /** The labels of a series that exists. */
  labels(ref: number): Labels {
    const { postings, series } = this.#store;
    const page = series.pageOf(ref)!;
    const { start, count } = series.pairRange(page, ref);
    const flat: string[] = [];
    for (let i = start; i < start + count; i++) {
      const pair = page.pairs[i]!;
      flat.push(this.text(postings.nameOf(pair)), this.text(postings.valueOf(pair)));
    }
    return Labels.fromSorted(flat);
  }

  #labelResult(symbols: Iterable<number>, request: LabelRequest): LabelResult {
    const values = Array.from(symbols, (symbol) => this.text(symbol)).sort(compareText);
    const limit = request.limit ?? 0;
    const cut = limit > 0 && values.length > limit;
    return { values: cut ? values.slice(0, limit) : values, warnings: [] };
  }

  #forEachPair(request: LabelRequest, visit: (pair: number) => void): void {
    const { series } = this.#store;
    for (const ref of this.matchingRefs(request.matchers)) {
      const page = series.pageOf(ref)!;
      const { start, count } = series.pairRange(page, ref);
      for (let i = start; i < start + count; i++) visit(page.pairs[i]!);
    }
  }

  /** The refs that carry a value of the matcher's label for which it answers `wanted`. */
  #union(matcher: Matcher, wanted: boolean): Int32Array {
    const { postings } = this.#store;
    const { symbols } = postings;
    const name = symbols.find(matcher.name);
    const lists: Int32Array[] = [];
    if (name < 0) return new Int32Array(0);
    if (wanted && matcher.set !== undefined) {
      for (const value of new Set(matcher.set)) {
        const symbol = symbols.find(value);
        const pair = symbol < 0 ? -1 : postings.findPair(name, symbol);
        if (pair >= 0 && postings.countOf(pair) > 0) lists.push(postings.list(pair));
      }
    } else
      postings.forEachPairOf(name, (pair) => {
        if (matcher.matches(symbols.text(postings.valueOf(pair))) === wanted)
          lists.push(postings.list(pair));
      });
    return uniteDisjoint(lists);
  }

  #allRefs(): Int32Array {
    const { series } = this.#store;
    const refs = new Int32Array(series.count);
    let count = 0;
    series.forEach((ref) => (refs[count++] = ref));
    return refs;
  }

  #lastTime(ref: number): number {
    const page = this.#store.series.pageOf(ref)!;
    return page.floats[(((ref & PAGE_MASK) * LINE_WORDS) >> 1) + (LAST_TIME >> 1)]!;
  }

  *#plain(refs: Int32Array, lastTimes: Float64Array, request: SelectRequest): Generator<Series> {
    for (let i = 0; i < refs.length; i++) {
      const chunks = this.#chunks(refs[i]!, lastTimes[i]!, request);
      if (chunks !== undefined) yield { labels: this.labels(refs[i]!), chunks };
    }
  }

  /** Stripping labels changes the order and can make series equal; those become one series. */
  *#stripped(
    refs: Int32Array,
    lastTimes: Float64Array,
    strip: readonly string[],
    request: SelectRequest,
  ): Generator<Series> {
    const entries = Array.from(refs, (ref, i) => ({ i, labels: this.labels(ref).without(strip) }));
    entries.sort((a, b) => compareLabels(a.labels, b.labels));
    for (let from = 0; from < entries.length;) {
      const { labels } = entries[from]!;
      const chunks: Chunk[] = [];
      let found = false;
      let to = from;
      for (; to < entries.length && entries[to]!.labels.equals(labels); to++) {
        const { i } = entries[to]!;
        const own = this.#chunks(refs[i]!, lastTimes[i]!, request);
        if (own === undefined) continue;
        found = true;
        chunks.push(...own);
      }
      if (to - from > 1) chunks.sort((a, b) => a.minTimeMs - b.minTimeMs);
      if (found) yield { labels, chunks };
      from = to;
    }
  }

  /**
   * The chunks of a series that overlap the range, samples after `newestMs` left out; undefined when there are none or
   * the series is gone.
   */
  #chunks(ref: number, newestMs: number, request: SelectRequest): Chunk[] | undefined {
    const { series, log, open, histograms } = this.#store;
    const page = series.pageOf(ref);
    const base = (ref & PAGE_MASK) * LINE_WORDS;
    if (page === undefined || page.words[base + CHUNK_WORDS]! < 0) return undefined;
    const half = base >> 1;
    const minTimeMs = request.minTimeMs;
    const maxTimeMs = Math.min(request.maxTimeMs, newestMs);
    const chunks: Chunk[] = [];
    const lastTimeMs = page.floats[half + (LAST_TIME >> 1)]!;
    const startMs = page.floats[half + CHUNK_START]!;
    // Fast path: the newest sample is in the series' own line, and all that an instant selector looks at.
    if (
      request.hints?.newestOnly === true &&
      (page.words[base + FIRST_BLOCK]! & ~OPEN_HISTOGRAM) !== 0 &&
      lastTimeMs <= maxTimeMs &&
      lastTimeMs >= minTimeMs
    )
      return request.skipChunks === true ? [] : [this.#newest(page, base, lastTimeMs)];
    if (page.words[base + FIRST_BLOCK] !== 0 && startMs <= maxTimeMs && lastTimeMs >= minTimeMs) {
      if (request.skipChunks === true) return [];
      if (page.words[base + FIRST_BLOCK] === OPEN_HISTOGRAM) chunks.push(histograms.toChunk(ref));
      else {
        const data = this.#allocate(open.encodedSize(page, base));
        open.copyTo(page, base, data, 0);
        chunks.push({ encoding: ENCODING_XOR, minTimeMs: startMs, maxTimeMs: lastTimeMs, data });
      }
    }
    let stored = log.get(page.floats[half + LAST_CHUNK]!);
    while (stored !== undefined && stored.maxTimeMs >= minTimeMs) {
      if (stored.minTimeMs <= maxTimeMs) chunks.push(toChunk(stored));
      stored = log.get(stored.previous);
    }
    if (chunks.length === 0) return undefined;
    if (request.skipChunks === true) return [];
    chunks.reverse();
    const last = chunks.at(-1)!;
    if (last.maxTimeMs <= newestMs) return chunks;
    // The series got samples after the query started: the last chunk is cut back to what it was then.
    chunks.pop();
    for (const cut of this.#cutAfter(last, newestMs))
      if (cut.maxTimeMs >= minTimeMs) chunks.push(cut);
    return chunks.length === 0 ? undefined : chunks;
  }

  /** The newest sample as a chunk of its own. */
  #newest(page: SeriesPage, base: number, timeMs: number): Chunk {
    const { times, values, words } = this.#newestSample;
    times[0] = timeMs;
    words[0] = page.words[base + LAST_VALUE]!;
    words[1] = page.words[base + LAST_VALUE + 1]!;
    return {
      encoding: ENCODING_XOR,
      minTimeMs: timeMs,
      maxTimeMs: timeMs,
      data: encodeXor(times, values, { start: 0, end: 1 }),
    };
  }

  /** A piece of a larger buffer: a buffer of its own for each open chunk would cost more than filling it. */
  #allocate(size: number): Uint8Array {
    if (this.#copiesUsed + size > this.#copies.length) {
      this.#copies = new Uint8Array(Math.max(COPY_BUFFER_BYTES, size));
      this.#copiesUsed = 0;
    }
    const start = this.#copiesUsed;
    this.#copiesUsed += size;
    return this.#copies.subarray(start, start + size);
  }

  #cutAfter(chunk: Chunk, newestMs: number): readonly Chunk[] {
    if (chunk.encoding !== ENCODING_XOR)
      return withoutDeleted(chunk, [{ minTime: newestMs + 1, maxTime: Infinity }]);
    let scratch = this.#scratch;
    const needed = ((chunk.data[0] ?? 0) << 8) | (chunk.data[1] ?? 0);
    if (needed > scratch.times.length)
      scratch = {
        times: new Float64Array(XOR_MAX_SAMPLES),
        values: new Float64Array(XOR_MAX_SAMPLES),
        offset: 0,
      };
    let end = decodeXor(chunk.data, scratch);
    while (end > 0 && scratch.times[end - 1]! > newestMs) end--;
    if (end === 0) return [];
    const data = encodeXor(scratch.times, scratch.values, { start: 0, end });
    const { minTimeMs } = chunk;
    return [{ encoding: ENCODING_XOR, minTimeMs, maxTimeMs: scratch.times[end - 1]!, data }];
  }
}

/** Columns for one sample whose value is given by its bits. */
function sampleColumns(): { times: Float64Array; values: Float64Array; words: Int32Array } {
  const values = new Float64Array(1);
  return { times: new Float64Array(1), values, words: new Int32Array(values.buffer) };
}

import { AppError, assert } from "../base/errors.ts";
import { STALE_NAN_HIGH, STALE_NAN_LOW } from "../base/float.ts";
import { MemPostings } from "../index/mem-postings.ts";
import type { HistogramAppender } from "../chunk/histogram-appender.ts";
import { formatSeries, type Labels } from "../model/labels.ts";
import { ENCODING_XOR } from "../storage/queryable.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import { ChunkLog } from "./chunk-log.ts";
import type { ChunkChain } from "./head-chunk-chains.ts";
import { DeletedSamples } from "./deleted-samples.ts";
import { ExemplarStore } from "./exemplar-store.ts";
import { OpenChunks } from "./open-chunks.ts";
import { OutOfOrderSamples } from "./out-of-order.ts";
import { encodingOf, type HistogramSample, OpenHistograms, plannedEnd } from "./open-histograms.ts";
import {
  CHUNK_SPAN,
  CHUNK_START,
  CHUNK_WORDS,
  FIRST_BLOCK,
  LAST_CHUNK,
  LAST_TIME,
  LAST_VALUE,
  LINE_WORDS,
  META,
  OPEN_HISTOGRAM,
  PAGE_SERIES,
  REF_MAX,
  type SeriesPage,
  SeriesTable,
} from "./series-table.ts";

/** Chunks do not cross a multiple of this. */
export const CHUNK_RANGE_MS = 7_200_000;
/** A chunk this large is closed before the next sample: 1024 bytes less the largest sample. */
const CHUNK_MAX_BYTES = 1024 - 19;

/** What became of one sample. */
export const APPENDED = 0;
/** Same time and value as the newest sample: nothing to do, no error. */
export const REPEATED = 1;
export const DUPLICATE = 2;
export const OUT_OF_ORDER = 3;
export const UNKNOWN_REF = 4;
/** A staleness marker of a series whose last sample is a histogram: it is to be appended as a histogram. */
export const STALE_HISTOGRAM = 5;
export type AppendOutcome =
  | typeof APPENDED
  | typeof REPEATED
  | typeof DUPLICATE
  | typeof OUT_OF_ORDER
  | typeof UNKNOWN_REF
  | typeof STALE_HISTOGRAM;

const PAGE_MASK = PAGE_SERIES - 1;

/** All that a head holds in memory: series, index, chunks. Every method is synchronous and leaves it consistent. */
export class HeadStore {
  /** Replaced, with new numbers for pairs and symbols, when much of it is out of use: keep none across calls. */
  postings = new MemPostings();
  readonly series = new SeriesTable(this.postings);
  readonly open = new OpenChunks();
  readonly histograms: OpenHistograms;
  readonly log = new ChunkLog();
  readonly outOfOrder = new OutOfOrderSamples();
  readonly deleted = new DeletedSamples();
  readonly exemplars: ExemplarStore;
  /** What series say of themselves, by ref. */
  readonly metadata = new Map<number, MetricMetadata>();
  readonly #chunkSamples: number;
  readonly #chunkRangeMs: number;
  /** No more series than this; 0 for no limit. A replay runs without: what was once accepted is kept. */
  maxSeries = 0;
  readonly #nameIds = new Map<string, number>();
  #pairs = new Uint32Array(64);
  #openCount = 0;
  #openSampleCount = 0;
  #minTimeMs = Infinity;
  #maxTimeMs = -Infinity;

  constructor(options: { chunkSamples: number; chunkRangeMs: number; maxExemplars?: number }) {
    assert(
      options.chunkSamples >= 4 && options.chunkSamples <= 8000,
      "chunkSamples must be within 4 and 8000",
    );
    assert(
      options.chunkRangeMs > 0 && options.chunkRangeMs <= 43_200_000,
      "chunkRangeMs must be above 0 and at most 12 h",
    );
    this.#chunkSamples = options.chunkSamples;
    this.#chunkRangeMs = options.chunkRangeMs;
    this.exemplars = new ExemplarStore(options.maxExemplars ?? 0);
    this.histograms = new OpenHistograms((timeMs) => rangeEnd(timeMs, options.chunkRangeMs));
  }

  /** Infinity when there are no samples. */
  get minTimeMs(): number {
    return this.#minTimeMs;
  }

  /** -Infinity when there are no samples. */
  get maxTimeMs(): number {
    return this.#maxTimeMs;
  }

  get chunkCount(): number {
    return this.log.chunkCount + this.#openCount;
  }

  get sampleCount(): number {
    return this.log.sampleCount + this.#openSampleCount;
  }

  /** The ref of the series with exactly `labels`; 0 when it is not here. */
  find(labels: Labels): number {
    const { symbols } = this.postings;
    this.#reservePairs(labels.count);
    for (let i = 0; i < labels.count; i++) {
      const name = symbols.find(labels.nameAt(i));
      const value = name < 0 ? -1 : symbols.find(labels.valueAt(i));
      const pair = value < 0 ? -1 : this.postings.findPair(name, value);
      if (pair < 0) return 0;
      this.#pairs[i] = pair;
    }
    return this.series.find(this.#pairs, labels.count);
  }

  /**
   * The ref of the series with exactly `labels`, made if new: under `ref` if that is given, else under the next ref.
   * Throws `resource-exhausted` at the limit of series.
   */
  resolve(labels: Labels, ref?: number): { ref: number; created: boolean } {
    if (labels.count === 0) throw new AppError("bad-data", "cannot create series without labels");
    // At the limit nothing may be interned for a series that is going to be refused.
    if (this.maxSeries > 0 && this.series.count >= this.maxSeries) {
      const known = this.find(labels);
      if (known > 0) return { ref: known, created: false };
      throw new AppError(
        "resource-exhausted",
        `cannot create series ${formatSeries(labels)}: the head holds its limit of ${this.maxSeries} series`,
      );
    }
    const { symbols } = this.postings;
    this.#reservePairs(labels.count);
    for (let i = 0; i < labels.count; i++)
      this.#pairs[i] = this.postings.internPair(
        this.#nameId(labels.nameAt(i)),
        symbols.intern(labels.valueAt(i)),
      );
    const known = this.series.find(this.#pairs, labels.count);
    if (known > 0) return { ref: known, created: false };
    const next = ref ?? this.series.nextRef;
    if (next >= REF_MAX)
      throw new AppError("resource-exhausted", "cannot create series: all refs are used up");
    return { ref: this.series.add(this.#pairs, labels.count, next), created: true };
  }

  /** What `append` would say, without appending. */
  check(ref: number, t: number, low: number, high: number): AppendOutcome {
    const page = this.series.pageOf(ref);
    if (page === undefined) return UNKNOWN_REF;
    const base = (ref & PAGE_MASK) * LINE_WORDS;
    if (page.words[base + CHUNK_WORDS]! < 0) return UNKNOWN_REF;
    if (
      low === STALE_NAN_LOW &&
      high === STALE_NAN_HIGH &&
      page.words[base + FIRST_BLOCK] === OPEN_HISTOGRAM
    )
      return STALE_HISTOGRAM;
    return judge(page, base, t, low, high);
  }

  /** What `appendHistogram` would say, without appending. */
  checkHistogram(ref: number, sample: HistogramSample): AppendOutcome {
    const page = this.series.pageOf(ref);
    const base = (ref & PAGE_MASK) * LINE_WORDS;
    if (page === undefined || page.words[base + CHUNK_WORDS]! < 0) return UNKNOWN_REF;
    const last = page.floats[(base >> 1) + (LAST_TIME >> 1)]!;
    if (sample.timeMs > last) return APPENDED;
    if (sample.timeMs < last) return OUT_OF_ORDER;
    const isSame =
      page.words[base + FIRST_BLOCK] === OPEN_HISTOGRAM && this.histograms.isNewest(ref, sample);
    return isSame ? REPEATED : DUPLICATE;
  }

  /** Appends one histogram, which is valid. */
  appendHistogram(ref: number, sample: HistogramSample): AppendOutcome {
    const outcome = this.checkHistogram(ref, sample);
    if (outcome !== APPENDED) return outcome;
    const page = this.series.pageOf(ref)!;
    const { words, floats } = page;
    const base = (ref & PAGE_MASK) * LINE_WORDS;
    const t = sample.timeMs;
    this.#openSampleCount++;
    if (t > this.#maxTimeMs) this.#maxTimeMs = t;
    if (t < this.#minTimeMs) this.#minTimeMs = t;
    if (words[base + FIRST_BLOCK] !== OPEN_HISTOGRAM) {
      if (words[base + FIRST_BLOCK] !== 0)
        this.#finishChunk(page, base, ref, words[base + META]! >>> 17);
      words[base + FIRST_BLOCK] = OPEN_HISTOGRAM;
      this.#openCount++;
    }
    const finished = this.histograms.append(ref, sample);
    if (finished !== undefined) {
      this.#logHistograms(page, base, ref, finished);
      this.#openSampleCount -= finished.sampleCount;
    }
    floats[(base >> 1) + CHUNK_START] = this.histograms.get(ref).minTimeMs;
    floats[(base >> 1) + (LAST_TIME >> 1)] = t;
    return APPENDED;
  }

  /** How many samples the open chunk of a series has. */
  #openSamplesOf(page: SeriesPage, base: number, ref: number): number {
    return page.words[base + FIRST_BLOCK] === OPEN_HISTOGRAM
      ? this.histograms.get(ref).sampleCount
      : page.words[base + META]! >>> 17;
  }

  /** Appends one sample; `low` and `high` are the halves of the value's bits. */
  append(ref: number, t: number, low: number, high: number): AppendOutcome {
    const page = this.series.pageOf(ref);
    if (page === undefined) return UNKNOWN_REF;
    const { words, floats } = page;
    const base = (ref & PAGE_MASK) * LINE_WORDS;
    if (words[base + CHUNK_WORDS]! < 0) return UNKNOWN_REF;
    const outcome = judge(page, base, t, low, high);
    if (outcome !== APPENDED) return outcome;
    this.#openSampleCount++;
    if (t > this.#maxTimeMs) this.#maxTimeMs = t;
    if (t < this.#minTimeMs) this.#minTimeMs = t;
    if (words[base + FIRST_BLOCK] === 0) {
      this.#startChunk(page, base, t, low, high);
      return APPENDED;
    }
    const count = words[base + META]! >>> 17;
    const start = floats[(base >> 1) + CHUNK_START]!;
    // A quarter of the way, spread the chunks evenly up to the next range boundary.
    if (count === this.#chunkSamples >> 2)
      words[base + CHUNK_SPAN] =
        plannedEnd(start, floats[(base >> 1) + (LAST_TIME >> 1)]!, {
          rangeEndMs: start + words[base + CHUNK_SPAN]!,
          growth: 4,
        }) - start;
    if (
      t >= start + words[base + CHUNK_SPAN]! ||
      count >= this.#chunkSamples * 2 ||
      this.open.encodedSize(page, base) > CHUNK_MAX_BYTES
    ) {
      this.#finishChunk(page, base, ref, count);
      this.#startChunk(page, base, t, low, high);
      return APPENDED;
    }
    this.open.append(page, base, t, low, high);
    return APPENDED;
  }

  /**
   * Puts the chunks of a series that files hold behind those it has. Answers false when they are not later: then they are
   * left out.
   */
  attachChunks(ref: number, chain: ChunkChain): boolean {
    const page = this.series.pageOf(ref)!;
    const { words, floats } = page;
    const base = (ref & PAGE_MASK) * LINE_WORDS;
    const half = base >> 1;
    if (chain.minTimeMs <= floats[half + (LAST_TIME >> 1)]!) return false;
    if (words[base + FIRST_BLOCK] !== 0)
      this.#finishChunk(page, base, ref, words[base + META]! >>> 17);
    this.log.link(chain.first, floats[half + LAST_CHUNK]!);
    floats[half + LAST_CHUNK] = chain.last;
    floats[half + (LAST_TIME >> 1)] = chain.maxTimeMs;
    if (chain.minTimeMs < this.#minTimeMs) this.#minTimeMs = chain.minTimeMs;
    if (chain.maxTimeMs > this.#maxTimeMs) this.#maxTimeMs = chain.maxTimeMs;
    return true;
  }

  /**
   * Forgets chunks that end before `minTimeMs` (finished ones slab by slab, so a little later), and series whose newest
   * sample is older or that never had one. Returns how many series went. `keep` protects series from that.
   */
  truncate(minTimeMs: number, keep: (ref: number) => boolean): number {
    this.log.dropBefore(minTimeMs);
    const gone: number[] = [];
    this.series.forEach((ref, page, base) => {
      if (page.floats[(base >> 1) + (LAST_TIME >> 1)]! >= minTimeMs || keep(ref)) return;
      if (this.outOfOrder.has(ref)) return;
      if (page.words[base + FIRST_BLOCK] !== 0) {
        this.#openCount--;
        this.#openSampleCount -= this.#openSamplesOf(page, base, ref);
        this.#release(page, base, ref);
      }
      this.metadata.delete(ref);
      gone.push(ref);
    });
    if (gone.length > 0) this.series.remove(Int32Array.from(gone));
    this.deleted.truncateBefore(this.minDeletedTimeMs(minTimeMs), (ref) => this.series.has(ref));
    if (this.postings.pairCount > 2 * this.postings.livePairCount + UNUSED_PAIRS_MIN) {
      const { postings, pairs } = this.postings.compacted();
      this.postings = postings;
      this.series.renumber(postings, pairs);
      this.#nameIds.clear();
    }
    if (this.sampleCount === 0) {
      this.#minTimeMs = Infinity;
      this.#maxTimeMs = -Infinity;
    } else this.#minTimeMs = Math.max(this.#minTimeMs, minTimeMs);
    return gone.length;
  }

  /**
   * What is deleted before this may be forgotten when the samples before `minTimeMs` are: a chunk that reaches beyond
   * that, or one that came out of order, may still hold some.
   */
  minDeletedTimeMs(minTimeMs: number): number {
    return Math.min(minTimeMs - this.#chunkRangeMs, this.outOfOrder.minTimeMs);
  }

  #startChunk(page: SeriesPage, base: number, t: number, low: number, high: number): void {
    this.open.start(page, base, { t, low, high });
    page.words[base + CHUNK_SPAN] = rangeEnd(t, this.#chunkRangeMs) - t;
    this.#openCount++;
  }

  /** Moves the open chunk of a series, which has `count` samples if they are floats, to the log. */
  #finishChunk(page: SeriesPage, base: number, ref: number, count: number): void {
    const { floats } = page;
    const half = base >> 1;
    let finishedCount = count;
    if (page.words[base + FIRST_BLOCK] === OPEN_HISTOGRAM) {
      const appender = this.histograms.get(ref);
      finishedCount = appender.sampleCount;
      this.#logHistograms(page, base, ref, appender);
    } else
      floats[half + LAST_CHUNK] = this.log.add(
        {
          ref,
          encoding: ENCODING_XOR,
          previous: floats[half + LAST_CHUNK]!,
          minTimeMs: floats[half + CHUNK_START]!,
          maxTimeMs: floats[half + (LAST_TIME >> 1)]!,
          sampleCount: count,
        },
        this.open.encodedSize(page, base),
        (bytes, offset) => this.open.copyTo(page, base, bytes, offset),
      );
    this.#release(page, base, ref);
    this.#openCount--;
    this.#openSampleCount -= finishedCount;
  }

  #logHistograms(page: SeriesPage, base: number, ref: number, appender: HistogramAppender): void {
    const at = (base >> 1) + LAST_CHUNK;
    const { kind, minTimeMs, maxTimeMs, sampleCount } = appender;
    const previous = page.floats[at]!;
    const bytes = appender.toBytes();
    page.floats[at] = this.log.add(
      { ref, encoding: encodingOf(kind), previous, minTimeMs, maxTimeMs, sampleCount },
      bytes.length,
      (out, offset) => out.set(bytes, offset),
    );
  }

  #release(page: SeriesPage, base: number, ref: number): void {
    if (page.words[base + FIRST_BLOCK] === OPEN_HISTOGRAM) {
      this.histograms.delete(ref);
      page.words[base + FIRST_BLOCK] = 0;
    } else this.open.release(page, base);
  }

  #reservePairs(count: number): void {
    if (this.#pairs.length < count) this.#pairs = new Uint32Array(count * 2);
  }

  #nameId(name: string): number {
    let id = this.#nameIds.get(name);
    if (id === undefined) {
      id = this.postings.symbols.intern(name);
      if (this.#nameIds.size < NAME_CACHE_MAX) this.#nameIds.set(name, id);
    }
    return id;
  }
}

/** The index is not rebuilt for fewer unused label pairs than this. */
const UNUSED_PAIRS_MIN = 1000;
/** How many label names are kept as strings; there are rarely more than a few hundred. */
const NAME_CACHE_MAX = 10_000;

function judge(
  page: SeriesPage,
  base: number,
  t: number,
  low: number,
  high: number,
): AppendOutcome {
  const last = page.floats[(base >> 1) + (LAST_TIME >> 1)]!;
  if (t > last) return APPENDED;
  if (t < last) return OUT_OF_ORDER;
  if (page.words[base + FIRST_BLOCK] === OPEN_HISTOGRAM) return DUPLICATE;
  return page.words[base + LAST_VALUE] === low && page.words[base + LAST_VALUE + 1] === high
    ? REPEATED
    : DUPLICATE;
}

/** The end of the range that holds `t`; rounds towards zero as Go does. */
function rangeEnd(t: number, rangeMs: number): number {
  return Math.trunc(t / rangeMs) * rangeMs + rangeMs;
}

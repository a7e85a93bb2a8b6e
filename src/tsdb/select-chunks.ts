import { withoutDeleted } from "../block/recode.ts";
import { decodeXor, XOR_MAX_SAMPLES } from "../chunk/xor.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { AppError } from "../base/errors.ts";
import type { FinishedChunk } from "./chunk-log.ts";
import { mergeChunkLists } from "../storage/merge-chunks.ts";
import {
  type Chunk,
  ENCODING_XOR,
  type SelectRequest,
  type SeriesCount,
} from "../storage/queryable.ts";
import type { HeadStore } from "./head-store.ts";
import { chunksOfViews, type LateView } from "./out-of-order.ts";
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

/** Copies of open chunks share buffers of this size. */
const COPY_BUFFER_BYTES = 64 * 1024;
const PAGE_MASK = PAGE_SERIES - 1;

/** What a select sees of a head, whatever comes later. */
export interface SelectView {
  readonly request: SelectRequest;
  /** The request for samples that came in order. */
  readonly inOrder: SelectRequest;
  /** By position among the refs: the time of the newest sample that came in order. */
  readonly lastTimes: Float64Array;
  /** By ref: what came out of order. */
  readonly late: ReadonlyMap<number, readonly LateView[]> | undefined;
  /** What turned out to be unreadable. */
  readonly warnings: string[];
}

/** Reads the chunks of a head's series. */
export class ChunkReader {
  readonly #store: HeadStore;
  #copies = new Uint8Array(0);
  #copiesUsed = 0;
  readonly #newestSample = sampleColumns();
  readonly #scratch = { times: new Float64Array(512), values: new Float64Array(512), offset: 0 };

  constructor(store: HeadStore) {
    this.#store = store;
  }

  /** Fixes what a select of `refs` sees. `inOrderMinTimeMs`: of samples that came in order, older ones are in blocks. */
  view(
    refs: Int32Array,
    { request, inOrderMinTimeMs }: { request: SelectRequest; inOrderMinTimeMs: number },
  ): SelectView {
    const lastTimes = new Float64Array(refs.length);
    for (let i = 0; i < refs.length; i++) lastTimes[i] = this.#lastTime(refs[i]!);
    const { outOfOrder } = this.#store;
    const minTimeMs = Math.max(request.minTimeMs, inOrderMinTimeMs);
    let late: Map<number, readonly LateView[]> | undefined;
    if (outOfOrder.overlaps(request)) {
      late = new Map();
      for (const ref of refs) if (outOfOrder.has(ref)) late.set(ref, outOfOrder.views(ref));
    }
    return { request, inOrder: { ...request, minTimeMs }, lastTimes, late, warnings: [] };
  }

  /** How many of `refs` have samples: surely those whose newest one the request asks for, unless `mayJoin` makes fewer of them. */
  expected(refs: Int32Array, { lastTimes, inOrder }: SelectView, mayJoin: boolean): SeriesCount {
    const atMost = refs.length;
    if (mayJoin) return { atLeast: 0, atMost };
    const { minTimeMs, maxTimeMs } = inOrder;
    const { deleted } = this.#store;
    let atLeast = 0;
    for (let i = 0; i < atMost; i++) {
      const newestMs = lastTimes[i]!;
      if (newestMs >= minTimeMs && newestMs <= maxTimeMs && deleted.of(refs[i]!) === undefined)
        atLeast++;
    }
    return { atLeast, atMost };
  }

  /** The chunks of the series at `position` of the view; undefined when there are none or the series is gone. */
  read(ref: number, position: number, view: SelectView): readonly Chunk[] | undefined {
    // Fast path: of nearly all series nothing was ever deleted.
    if (this.#store.deleted.of(ref) === undefined) return this.#stored(ref, position, view);
    const { hints: _, skipChunks, ...request } = view.request;
    const { minTimeMs } = view.inOrder;
    const all = { ...view, request, inOrder: { ...request, minTimeMs } };
    const stored = this.#stored(ref, position, all);
    const left = stored === undefined ? [] : this.#store.deleted.apply(ref, stored);
    if (left.length === 0) return undefined;
    return skipChunks === true ? [] : left;
  }

  /** As `read`, with what was deleted. */
  #stored(ref: number, position: number, view: SelectView): readonly Chunk[] | undefined {
    const newestMs = view.lastTimes[position]!;
    const views = view.late?.get(ref);
    // Fast path: nearly all series have all their samples in order.
    if (views === undefined) return this.#inOrder(ref, newestMs, view);
    const late = chunksOfViews(views, view.request);
    if (late.length === 0) return this.#inOrder(ref, newestMs, view);
    // Its newest sample may be one that came out of order.
    const { hints: _, ...inOrder } = view.inOrder;
    const chunks = this.#inOrder(ref, newestMs, { inOrder, warnings: view.warnings });
    if (view.request.skipChunks === true) return [];
    return chunks === undefined ? late : mergeChunkLists([chunks, late]);
  }

  #lastTime(ref: number): number {
    const page = this.#store.series.pageOf(ref)!;
    return page.floats[(((ref & PAGE_MASK) * LINE_WORDS) >> 1) + (LAST_TIME >> 1)]!;
  }

  /**
   * The chunks of a series that overlap the range, samples after `newestMs` left out; undefined when there are none or
   * the series is gone.
   */
  #inOrder(
    ref: number,
    newestMs: number,
    { inOrder: request, warnings }: Pick<SelectView, "inOrder" | "warnings">,
  ): readonly Chunk[] | undefined {
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
      if (stored.minTimeMs <= maxTimeMs) {
        if (request.skipChunks === true) return [];
        const chunk = this.#read(stored, warnings);
        if (chunk !== undefined) chunks.push(chunk);
      }
      stored = log.get(stored.previous);
    }
    if (chunks.length === 0) return undefined;
    chunks.reverse();
    const last = chunks.at(-1)!;
    if (last.maxTimeMs <= newestMs) return chunks;
    // The series got samples after the query started: the last chunk is cut back to what it was then.
    chunks.pop();
    for (const cut of this.#cutAfter(last, newestMs))
      if (cut.maxTimeMs >= minTimeMs) chunks.push(cut);
    return chunks.length === 0 ? undefined : chunks;
  }

  /** Undefined, and a warning, when its file is damaged. */
  #read(stored: FinishedChunk, warnings: string[]): Chunk | undefined {
    try {
      return this.#store.log.read(stored);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "corrupt") throw error;
      warnings.push(error.message);
      return undefined;
    }
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

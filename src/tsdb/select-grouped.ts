import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError } from "../base/errors.ts";
import { LabelGroups } from "../index/label-groups.ts";
import type { Labels } from "../model/labels.ts";
import type { GroupedBatch, GroupedRequest } from "../storage/grouped.ts";
import type { Chunk } from "../storage/queryable.ts";
import type { HeadStore } from "./head-store.ts";
import type { ChunkReader, SelectView } from "./select-chunks.ts";
import {
  FIRST_BLOCK,
  LAST_TIME,
  LAST_VALUE,
  LINE_WORDS,
  OPEN_HISTOGRAM,
  PAGE_SERIES,
} from "./series-table.ts";

/** Series in one batch. */
const BATCH_SERIES = 4096;
/** What a sample counts for: as a chunk of its own. */
const SAMPLE_BYTES = 2 + 10 + 8;
const PAGE_MASK = PAGE_SERIES - 1;

/** Nothing in the range, one float, or anything else. */
const NONE = 0;
const FLOAT = 1;
const OTHER = 2;

interface Parts {
  readonly store: HeadStore;
  readonly chunks: ChunkReader;
  /** Ascending. */
  readonly refs: Int32Array;
  readonly request: GroupedRequest;
  readonly inOrderMinTimeMs: number;
}

/**
 * Newest samples and groups of a head's series. All is read at once when it is made, and in order of refs, which is nearly
 * the order of memory: the order of labels would miss the processor's caches several times a series.
 */
export class GroupedSeries {
  readonly #store: HeadStore;
  readonly #chunks: ChunkReader;
  readonly #refs: Int32Array;
  readonly #kinds: Uint8Array;
  readonly #values: Float64Array;
  readonly #groups: Uint32Array;
  readonly #hashes: Uint32Array;
  /** What a select sees of the others, and where they are in it, by place in `refs`. */
  readonly #view: SelectView;
  readonly #others = new Map<number, number>();
  readonly #removals: number;
  #floatCount = 0;

  constructor({ store, chunks, refs, request, inOrderMinTimeMs }: Parts) {
    this.#store = store;
    this.#chunks = chunks;
    this.#refs = refs;
    this.#kinds = new Uint8Array(refs.length);
    this.#values = new Float64Array(refs.length);
    this.#groups = new Uint32Array(refs.length);
    this.#hashes = new Uint32Array(request.wantsHashes ? 2 * refs.length : 0);
    this.#removals = store.series.removals;
    const minTimeMs = Math.max(request.minTimeMs, inOrderMinTimeMs);
    this.#readSamples({ minTimeMs, maxTimeMs: request.maxTimeMs }, request);
    this.#readLabels(request);
    const others = Int32Array.from(this.#others.keys(), (place) => refs[place]!);
    const { matchers, minTimeMs: from, maxTimeMs } = request;
    const hints = { stepMs: 0, func: "", rangeMs: 0, grouping: [], by: false, newestOnly: true };
    this.#view = chunks.view(others, {
      request: { matchers, minTimeMs: from, maxTimeMs, hints },
      inOrderMinTimeMs,
    });
  }

  #readSamples(
    inOrder: { minTimeMs: number; maxTimeMs: number },
    request: { minTimeMs: number; maxTimeMs: number },
  ): void {
    const { series, deleted, outOfOrder } = this.#store;
    const refs = this.#refs;
    const kinds = this.#kinds;
    const words = new Int32Array(this.#values.buffer);
    const { minTimeMs, maxTimeMs } = inOrder;
    const isDeletedFrom = deleted.seriesCount > 0;
    const isLate = outOfOrder.overlaps(request);
    for (let i = 0; i < refs.length; i++) {
      const ref = refs[i]!;
      const page = series.pageOf(ref)!;
      const base = (ref & PAGE_MASK) * LINE_WORDS;
      const lastTimeMs = page.floats[(base + LAST_TIME) >> 1]!;
      const firstBlock = page.words[base + FIRST_BLOCK]!;
      const isOther =
        (isLate && outOfOrder.has(ref)) || (isDeletedFrom && deleted.of(ref) !== undefined);
      if (lastTimeMs < minTimeMs && !isOther) continue;
      if (isOther || lastTimeMs > maxTimeMs || firstBlock === 0 || firstBlock === OPEN_HISTOGRAM) {
        kinds[i] = OTHER;
        this.#others.set(i, this.#others.size);
        continue;
      }
      kinds[i] = FLOAT;
      this.#floatCount++;
      words[2 * i] = page.words[base + LAST_VALUE]!;
      words[2 * i + 1] = page.words[base + LAST_VALUE + 1]!;
    }
  }

  #readLabels(request: GroupedRequest): void {
    const { series, postings } = this.#store;
    const { symbols } = postings;
    const labels = new LabelGroups(request, {
      find: (text) => symbols.find(text),
      bytesOf: (symbol) => symbols.bytes(symbol),
    });
    if (labels.isTrivial) return;
    const refs = this.#refs;
    for (let i = 0; i < refs.length; i++) {
      const ref = refs[i]!;
      const { pairs, labelStarts } = series.pageOf(ref)!;
      const start = labelStarts[ref & PAGE_MASK]!;
      const end = start + pairs[start]!;
      for (let at = start + 1; at <= end; at++) {
        const pair = pairs[at]!;
        labels.add(postings.nameOf(pair), postings.valueOf(pair));
      }
      this.#groups[i] = labels.take();
      if (!request.wantsHashes) continue;
      this.#hashes[2 * i] = labels.high;
      this.#hashes[2 * i + 1] = labels.low;
    }
  }

  /** Whether most series are more than one float that is known; then columns gain nothing. */
  get isMostlyOther(): boolean {
    return this.#others.size * 2 > this.#refs.length;
  }

  /** `order`: all places in `refs`, in the order of labels. */
  async *batches(
    order: Int32Array,
    labelsOf: (ref: number) => Labels,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<GroupedBatch> {
    const size = Math.min(BATCH_SERIES, order.length);
    const values = new Float64Array(size);
    const words = new Int32Array(values.buffer);
    const allWords = new Int32Array(this.#values.buffer);
    const groups = new Uint32Array(size);
    const hashes = new Uint32Array(this.#hashes.length > 0 ? 2 * size : 0);
    const refs = new Int32Array(size);
    const { warnings } = this.#view;
    let isFirst = true;
    for (let from = 0; from < order.length;) {
      const chunks = new Map<number, readonly Chunk[]>();
      let count = 0;
      for (; from < order.length && count < size; from++) {
        const place = order[from]!;
        const kind = this.#kinds[place]!;
        if (kind === NONE || this.#isGone(this.#refs[place]!)) continue;
        if (kind === OTHER) {
          const own = this.#chunks.read(this.#refs[place]!, this.#others.get(place)!, this.#view);
          if (own === undefined) continue;
          chunks.set(count, own);
        }
        words[2 * count] = allWords[2 * place]!;
        words[2 * count + 1] = allWords[2 * place + 1]!;
        groups[count] = this.#groups[place]!;
        if (hashes.length > 0) {
          hashes[2 * count] = this.#hashes[2 * place]!;
          hashes[2 * count + 1] = this.#hashes[2 * place + 1]!;
        }
        refs[count++] = this.#refs[place]!;
      }
      if (count === 0) continue;
      const floatCount = count - chunks.size;
      yield {
        count,
        values,
        groups,
        chunks,
        hashes: hashes.subarray(0, hashes.length > 0 ? 2 * count : 0),
        sampleCount: floatCount,
        chunkCount: floatCount,
        byteCount: floatCount * SAMPLE_BYTES,
        labelsOf: (place) => labelsOf(refs[place]!),
        warnings: warnings.splice(0),
        ...(isFirst && { atLeast: this.#floatCount }),
      };
      isFirst = false;
      await nextTurn();
      if (signal?.aborted === true)
        throw new AppError("canceled", "cannot finish select: the query was canceled");
    }
  }

  /** Whether a series went since all was read: its labels cannot be told any more. */
  #isGone(ref: number): boolean {
    const { series } = this.#store;
    return series.removals !== this.#removals && !series.has(ref);
  }
}

/** Whether no series has a label of `names`, and those of `refs` all have the same label names. */
export function canTakeNames(
  store: HeadStore,
  refs: Int32Array,
  names: readonly string[],
): boolean {
  const { series, postings } = store;
  for (const name of names) {
    let isThere = false;
    postings.forEachPairOf(postings.symbols.find(name), () => (isThere = true));
    if (isThere) return false;
  }
  const first: number[] = [];
  for (const [i, ref] of refs.entries()) {
    const page = series.pageOf(ref)!;
    const { start, count } = series.pairRange(page, ref);
    if (i > 0 && count !== first.length) return false;
    for (let k = 0; k < count; k++) {
      const name = postings.nameOf(page.pairs[start + k]!);
      if (i === 0) first.push(name);
      else if (name !== first[k]) return false;
    }
  }
  return true;
}

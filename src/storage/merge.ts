import { compareText } from "../base/text.ts";
import { compareLabels } from "../model/labels.ts";
import type { Chunk, Series, SeriesBatch, SeriesCount } from "./queryable.ts";

/**
 * Merges sorted series streams into one: series with equal labels become one series with the chunks of all.
 *
 *     source 0 ─ batch ─┐  cursor {batch, index}
 *     source 1 ─ batch ─┼─► heap by current labels ─► equal heads joined ─► batches out
 *     source 2 ─ batch ─┘
 *
 * Only a cursor that needs its next batch waits; all else runs without a promise per series.
 */
export interface MergeOptions {
  /** At most this many series come out; 0 or absent means all. */
  readonly limit?: number;
  /** Series per batch. Default 512. */
  readonly batchSize?: number;
  /** The chunks of two or more series with equal labels. Default: those of all, identical ones once. */
  readonly join?: (equal: readonly Series[]) => readonly Chunk[];
}

const DEFAULT_BATCH_SIZE = 512;

/**
 * Sources are read in parallel up to their first batch, then on demand. The first source that throws ends the merge
 * with its error; every other source is closed, as when the reader leaves early.
 */
export function mergeSelect(
  sources: readonly AsyncIterable<SeriesBatch>[],
  options: MergeOptions = {},
): AsyncIterable<SeriesBatch> {
  const limit = options.limit ?? 0;
  if (sources.length === 1 && limit === 0 && options.join === undefined) return sources[0]!;
  return merge(sources, {
    limit: limit === 0 ? Infinity : limit,
    batchSize: options.batchSize ?? DEFAULT_BATCH_SIZE,
    join: options.join ?? joinChunks,
  });
}

/** All chunks of series with equal labels, identical ones once. */
export function joinChunks(equal: readonly Series[]): readonly Chunk[] {
  return mergeChunks(equal.map(({ chunks }) => chunks));
}

/** What is told beside the series. */
interface Notes {
  /** Not told yet. */
  expected?: SeriesCount | undefined;
  readonly warnings: string[];
  readonly infos: string[];
}

/** A source and the series it stands at. */
class Cursor {
  /** Position among the sources: equal series are joined in this order. */
  readonly order: number;
  /** Known after `open`. */
  expected: SeriesCount | undefined;
  readonly #iterator: AsyncIterator<SeriesBatch>;
  readonly #notes: Notes;
  #batch: readonly Series[] = [];
  #index = 0;
  #done = false;

  constructor(source: AsyncIterable<SeriesBatch>, order: number, notes: Notes) {
    this.order = order;
    this.#iterator = source[Symbol.asyncIterator]();
    this.#notes = notes;
  }

  get hasEnded(): boolean {
    return this.#done;
  }

  /** The current series; undefined when the batch is used up (then `fill`) or the source has ended. */
  get current(): Series | undefined {
    return this.#batch[this.#index];
  }

  /** Steps to the next series; false when the next batch is needed for that. */
  step(): boolean {
    return ++this.#index < this.#batch.length;
  }

  /** Reads the first batch, which need not have series. */
  async open(): Promise<void> {
    this.expected = (await this.#read())?.expected;
  }

  /** Reads on to a batch with series; false at the end of the source. */
  async fill(): Promise<boolean> {
    while (!this.#done) if (((await this.#read())?.series.length ?? 0) > 0) return true;
    return false;
  }

  async #read(): Promise<SeriesBatch | undefined> {
    this.#batch = [];
    this.#index = 0;
    const next = await this.#iterator.next();
    if (next.done === true) {
      this.#done = true;
      return undefined;
    }
    const { series, warnings, infos } = next.value;
    if (warnings !== undefined) this.#notes.warnings.push(...warnings);
    if (infos !== undefined) this.#notes.infos.push(...infos);
    this.#batch = series;
    return next.value;
  }

  async close(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    await this.#iterator.return?.();
  }
}

async function* merge(
  sources: readonly AsyncIterable<SeriesBatch>[],
  options: Required<MergeOptions>,
): AsyncGenerator<SeriesBatch> {
  const notes: Notes = { warnings: [], infos: [] };
  const cursors = sources.map((source, order) => new Cursor(source, order, notes));
  try {
    await Promise.all(cursors.map((cursor) => cursor.open()));
    if (options.limit === Infinity) notes.expected = sumOf(cursors);
    // Those without a series may still have to read all that they have.
    const isReading = cursors.some(({ current, hasEnded }) => !hasEnded && current === undefined);
    if (notes.expected !== undefined && isReading) yield batchOf([], notes);
    const filled = await Promise.all(
      cursors.map(async (cursor) => cursor.current !== undefined || cursor.fill()),
    );
    const heap = new CursorHeap(cursors.filter((_, i) => filled[i]));
    let left = options.limit;
    let out: Series[] = [];
    while (heap.size > 0 && left > 0) {
      const first = heap.top;
      const series = first.current!;
      if (!first.step() && !(await first.fill())) heap.pop();
      else heap.sift();
      let equal: Series[] | undefined;
      while (heap.size > 0 && compareLabels(heap.top.current!.labels, series.labels) === 0) {
        const other = heap.top;
        (equal ??= [series]).push(other.current!);
        if (!other.step() && !(await other.fill())) heap.pop();
        else heap.sift();
      }
      out.push(
        equal === undefined ? series : { labels: series.labels, chunks: options.join(equal) },
      );
      left--;
      if (out.length >= options.batchSize) {
        yield batchOf(out, notes);
        out = [];
      }
    }
    if (out.length > 0 || notes.warnings.length > 0 || notes.infos.length > 0)
      yield batchOf(out, notes);
  } finally {
    await Promise.allSettled(cursors.map((cursor) => cursor.close()));
  }
}

/** The same series may be in all of the sources, or each of theirs in none of the others. */
function sumOf(cursors: readonly Cursor[]): SeriesCount | undefined {
  const counts = cursors.filter(({ hasEnded }) => !hasEnded).map(({ expected }) => expected);
  if (counts.every((count) => count === undefined)) return undefined;
  const samples = counts.flatMap((count) => count?.samples ?? []);
  return {
    atLeast: counts.reduce((most, count) => Math.max(most, count?.atLeast ?? 0), 0),
    atMost: counts.reduce((sum, count) => sum + (count?.atMost ?? Infinity), 0),
    ...(samples.length > 0 && { samples }),
  };
}

function batchOf(series: Series[], notes: Notes): SeriesBatch {
  const { expected, warnings, infos } = notes;
  notes.expected = undefined;
  return {
    series,
    ...(expected && { expected }),
    ...(warnings.length > 0 && { warnings: warnings.splice(0) }),
    ...(infos.length > 0 && { infos: infos.splice(0) }),
  };
}

/** A binary heap of cursors by their current series, then by source. */
class CursorHeap {
  readonly #cursors: Cursor[];

  constructor(cursors: Cursor[]) {
    this.#cursors = cursors;
    for (let i = (cursors.length >> 1) - 1; i >= 0; i--) this.#down(i);
  }

  get size(): number {
    return this.#cursors.length;
  }

  get top(): Cursor {
    return this.#cursors[0]!;
  }

  /** Restores the order after the top cursor moved on. */
  sift(): void {
    this.#down(0);
  }

  pop(): void {
    const last = this.#cursors.pop()!;
    if (this.#cursors.length === 0) return;
    this.#cursors[0] = last;
    this.#down(0);
  }

  #down(from: number): void {
    const cursors = this.#cursors;
    const count = cursors.length;
    const moving = cursors[from]!;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && before(cursors[child + 1]!, cursors[child]!)) child++;
      if (!before(cursors[child]!, moving)) break;
      cursors[at] = cursors[child]!;
      at = child;
    }
    cursors[at] = moving;
  }
}

function before(a: Cursor, b: Cursor): boolean {
  const order = compareLabels(a.current!.labels, b.current!.labels);
  return order === 0 ? a.order < b.order : order < 0;
}

/** All chunks sorted by time range and then content; of identical ones a single one is kept. */
export function mergeChunks(lists: readonly (readonly Chunk[])[]): readonly Chunk[] {
  const filled = lists.filter((list) => list.length > 0);
  if (filled.length <= 1) return filled[0] ?? [];
  const all = filled.flat().sort(compareChunks);
  return all.filter((chunk, i) => i === 0 || compareChunks(all[i - 1]!, chunk) !== 0);
}

/** Orders chunks by time and then content: 0 means that they are the same. */
export function compareChunks(a: Chunk, b: Chunk): number {
  return (
    a.minTimeMs - b.minTimeMs ||
    a.maxTimeMs - b.maxTimeMs ||
    a.encoding - b.encoding ||
    (a.data === b.data ? 0 : Buffer.compare(a.data, b.data))
  );
}

/**
 * Brings series whose labels were changed back into order and joins those that have become equal. Takes over the
 * array.
 */
export function sortSeries(series: Series[]): Series[] {
  let sorted = true;
  for (let i = 1; i < series.length && sorted; i++)
    sorted = compareLabels(series[i - 1]!.labels, series[i]!.labels) < 0;
  if (sorted) return series;
  series.sort((a, b) => compareLabels(a.labels, b.labels));
  const joined: Series[] = [];
  for (let i = 0; i < series.length;) {
    const { labels } = series[i]!;
    let end = i + 1;
    while (end < series.length && compareLabels(series[end]!.labels, labels) === 0) end++;
    joined.push(
      end === i + 1
        ? series[i]!
        : { labels, chunks: mergeChunks(series.slice(i, end).map(({ chunks }) => chunks)) },
    );
    i = end;
  }
  return joined;
}

/** Merges sorted, unique lists of texts into one, cut to `limit` (0 means all). */
export function mergeTexts(lists: readonly (readonly string[])[], limit = 0): readonly string[] {
  const filled = lists.filter((list) => list.length > 0);
  const merged =
    filled.length <= 1 ? (filled[0] ?? []) : [...new Set(filled.flat())].sort(compareText);
  return limit > 0 && merged.length > limit ? merged.slice(0, limit) : merged;
}

import { AppError } from "../../base/errors.ts";
import { isStaleWords } from "../../base/float.ts";
import { COLUMN_SAMPLES, sampleMemory, VALUES_AT } from "../../chunk/sample-memory.ts";
import { decodeXor, xorSampleCount } from "../../chunk/xor.ts";
import {
  type Chunk,
  ENCODING_XOR,
  type Series,
  type SeriesCount,
} from "../../storage/queryable.ts";
import { columnKernel } from "../functions/column-kernel.ts";
import { firstAfter } from "../functions/rate.ts";
import type { Frame, SelectorPlan } from "../plan.ts";
import { holdsMoreThanFloats, loadHistograms } from "./histogram-columns.ts";
import { HistogramAnswers } from "./histogram-answers.ts";
import { HistogramReader } from "./histogram-reader.ts";
import {
  ABSENT,
  emptyRow,
  FLOAT,
  selectorKey,
  type QueryContext,
  type Row,
  type VectorOperator,
  type WindowGeometry,
  type WindowOperator,
  type WindowSeries,
} from "./row.ts";
import { bytesSampleAbove, refuseBytes } from "./sampled-bytes.ts";
import { mixedWindow, pickNewestOfBoth } from "./select-mixed.ts";

/**
 * Selectors. Each series is decoded chunk by chunk into one pair of scratch columns, read there by the kernel above,
 * and forgotten: a selector's memory does not grow with the number of its series.
 */

/**
 * Decoded samples of one series, in the memory of the kernels if they fit: they are lent until the next series is loaded, by
 * whomever. Stale markers are kept, by their bits.
 */
export class SampleColumns {
  times = sampleMemory().times;
  values = sampleMemory().values;
  words = sampleMemory().words;
  count = 0;

  /** Decodes the chunks of `series` that reach into the bounds (inclusive); sorted by time, each time once. */
  load(
    series: Series,
    bounds: { minTimeMs: number; maxTimeMs: number },
    query: QueryContext,
  ): void {
    const { stats } = query;
    // Chunks say how many samples they hold: too long a series is refused before memory is taken for it.
    let size = 0;
    for (const chunk of series.chunks)
      if (isRead(chunk, bounds)) size += xorSampleCount(chunk.data);
    query.budget.probe(size);
    this.#reserve(size);
    let count = 0;
    let isSorted = true;
    for (const chunk of series.chunks) {
      if (!isRead(chunk, bounds)) continue;
      const read = decodeXor(chunk.data, { times: this.times, values: this.values, offset: count });
      if (count > 0 && read > 0 && this.times[count]! <= this.times[count - 1]!) isSorted = false;
      count += read;
      stats.chunksRead++;
      stats.bytesRead += chunk.data.length;
    }
    stats.seriesRead++;
    stats.samplesRead += count;
    this.count = count;
    if (!isSorted) this.#sort();
  }

  isStale(index: number): boolean {
    return isStaleWords(this.words, index);
  }

  /** Takes the stale markers out, as range vectors want it. */
  dropStale(): void {
    const { times, values, count } = this;
    // Fast path: nothing before the first NaN is stale.
    const first = values === sampleMemory().values ? columnKernel().firstNaN(VALUES_AT, count) : 0;
    let kept = first;
    for (let i = first; i < count; i++) {
      const value = values[i]!;
      if (value !== value && this.isStale(i)) continue;
      if (kept !== i) {
        times[kept] = times[i]!;
        this.words[2 * kept] = this.words[2 * i]!;
        this.words[2 * kept + 1] = this.words[2 * i + 1]!;
      }
      kept++;
    }
    this.count = kept;
  }

  #reserve(capacity: number): void {
    if (capacity <= COLUMN_SAMPLES) {
      ({ times: this.times, values: this.values, words: this.words } = sampleMemory());
      return;
    }
    if (capacity <= this.times.length) return;
    const size = Math.max(capacity, this.times.length * 2);
    this.times = new Float64Array(size);
    this.values = new Float64Array(size);
    this.words = new Uint32Array(this.values.buffer);
  }

  /** Overlapping chunks (a series that was moved between shards): by time, the first chunk's sample wins. */
  #sort(): void {
    const { times, words, count } = this;
    const order = Uint32Array.from({ length: count }, (_, i) => i).sort(
      (a, b) => times[a]! - times[b]! || a - b,
    );
    const sortedTimes = new Float64Array(count);
    const sortedValues = new Float64Array(count);
    const sortedWords = new Uint32Array(sortedValues.buffer);
    let kept = 0;
    for (const i of order) {
      if (kept > 0 && sortedTimes[kept - 1] === times[i]!) continue;
      sortedTimes[kept] = times[i]!;
      sortedWords[2 * kept] = words[2 * i]!;
      sortedWords[2 * kept + 1] = words[2 * i + 1]!;
      kept++;
    }
    this.times = sortedTimes;
    this.values = sortedValues;
    this.words = sortedWords;
    this.count = kept;
  }
}

/** Native histograms are not floats: `loadHistograms` reads them. */
function isRead(chunk: Chunk, bounds: { minTimeMs: number; maxTimeMs: number }): boolean {
  return (
    chunk.encoding === ENCODING_XOR &&
    chunk.maxTimeMs >= bounds.minTimeMs &&
    chunk.minTimeMs <= bounds.maxTimeMs
  );
}

/** Newest sample within the lookback at each step, or its time in seconds; `infoTime` rejects a native histogram. */
export function instantSelector(
  selector: SelectorPlan,
  frame: Frame,
  options: { reads: InstantReads },
): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      if (frame.count === 0) return;
      const rows = new InstantRows(selector, frame, options);
      await forEachSeries(selector, query, (series) => {
        const row = rows.of(series, query);
        if (row !== undefined) sink(row);
      });
    },
  };
}

export type InstantReads = "value" | "time" | "infoTime";

/** Makes rows of an instant selector. */
export class InstantRows {
  readonly #selector: SelectorPlan;
  readonly #frame: Frame;
  readonly #reads: InstantReads;
  readonly #columns = new SampleColumns();
  readonly #reader = new HistogramReader();
  readonly #answers: HistogramAnswers;
  readonly #values: Float64Array;
  readonly #present: Uint8Array;

  constructor(selector: SelectorPlan, frame: Frame, { reads }: { reads: InstantReads }) {
    this.#selector = selector;
    this.#frame = frame;
    this.#reads = reads;
    this.#answers = new HistogramAnswers(frame.count, { isCompact: false });
    this.#values = new Float64Array(frame.count);
    this.#present = new Uint8Array(frame.count);
  }

  /** The row of `series`, lent until the next one; undefined when it has no points. */
  of(series: Series, query: QueryContext): Row | undefined {
    const selector = this.#selector;
    const frame = this.#frame;
    const columns = this.#columns;
    const { labels } = series;
    // A time is not the metric any more.
    const reads = this.#reads;
    const dropName = reads !== "value";
    columns.load(series, selector, query);
    if (holdsMoreThanFloats(series, query)) {
      const histograms = loadHistograms(series, {
        selector,
        query,
        reader: this.#reader,
        dropsStale: false,
        wantsStartTimes: false,
      });
      const row = { ...emptyRow(labels, frame.count), dropName };
      const place = { selector, frame, reads, answers: this.#answers } as const;
      return pickNewestOfBoth({ floats: columns, histograms }, place, row) ? row : undefined;
    }
    if (columns.count === 0) return undefined;
    const row: Row = { labels, dropName, values: this.#values, present: this.#present };
    return pickNewest(columns, { selector, frame, reads }, row) ? row : undefined;
  }
}

function pickNewest(
  columns: SampleColumns,
  place: { selector: SelectorPlan; frame: Frame; reads: InstantReads },
  row: Row,
): boolean {
  const { times, values, count } = columns;
  const { selector, frame } = place;
  const readsTime = place.reads !== "value";
  const { atMs, offsetMs } = selector.reference;
  const out = row.values;
  const { present } = row;
  const lookbackMs = selector.lookbackMs;
  const stepMs = atMs === undefined ? frame.stepMs : 0;
  let referenceMs = (atMs ?? frame.startMs) - offsetMs;
  let next = firstAfter(times, count, referenceMs - lookbackMs);
  let isAny = false;
  for (let k = 0; k < frame.count; k++, referenceMs += stepMs) {
    while (next < count && times[next]! <= referenceMs) next++;
    const newest = next - 1;
    if (newest < 0 || times[newest]! <= referenceMs - lookbackMs) {
      present[k] = ABSENT;
      continue;
    }
    const value = values[newest]!;
    if (value !== value && columns.isStale(newest)) {
      present[k] = ABSENT;
      continue;
    }
    out[k] = readsTime ? times[newest]! / 1000 : value;
    present[k] = FLOAT;
    isAny = true;
  }
  return isAny;
}

export function windowGeometry(selector: SelectorPlan, frame: Frame): WindowGeometry {
  const { atMs, offsetMs } = selector.reference;
  return {
    firstEndMs: (atMs ?? frame.startMs) - offsetMs,
    stepMs: atMs === undefined ? frame.stepMs : 0,
    count: frame.count,
    rangeMs: selector.rangeMs,
    evaluationStartMs: frame.startMs,
    evaluationStepMs: frame.stepMs,
    lookbackMs: selector.lookbackMs,
    anchored: selector.anchored,
    smoothed: selector.smoothed,
  };
}

/** The samples a range function needs of each series, without stale markers. */
export function windowSelector(selector: SelectorPlan, frame: Frame): WindowOperator {
  return {
    kind: "window",
    geometry: windowGeometry(selector, frame),
    async stream(query, sink) {
      if (frame.count === 0) return;
      const columns = new SampleColumns();
      const reader = new HistogramReader();
      await forEachSeries(selector, query, (series) => {
        columns.load(series, selector, query);
        columns.dropStale();
        if (holdsMoreThanFloats(series, query)) {
          const window = mixedWindow(series, columns, { selector, query, reader });
          if (window !== undefined) sink(window);
          return;
        }
        if (columns.count === 0) return;
        const window: WindowSeries = {
          labels: series.labels,
          dropName: false,
          times: columns.times,
          values: columns.values,
          count: columns.count,
        };
        sink(window);
      });
    },
  };
}

/** How many series are taken between looks at the clock. */
const SERIES_PER_LOOK = 64;

/** Calls `visit` with each series of the selector, in label order, giving the event loop its turns. */
export async function forEachSeries(
  selector: SelectorPlan,
  query: QueryContext,
  visit: (series: Series) => void,
): Promise<void> {
  const key = selectorKey(selector);
  if (query.repeatedSelectors.has(key)) {
    let shared = query.sharedSeries.get(key);
    if (shared === undefined) {
      shared = readAll(selector, query);
      query.sharedSeries.set(key, shared);
    }
    await visitAll(await shared, query, visit);
    return;
  }
  for await (const series of batches(selector, query)) await visitAll(series, query, visit);
}

/** Calls `visit` with each of `all`, giving the event loop its turns. */
export async function visitAll(
  all: readonly Series[],
  query: QueryContext,
  visit: (series: Series) => void,
): Promise<void> {
  const { budget } = query;
  for (let i = 0; i < all.length; i++) {
    if (i % SERIES_PER_LOOK === 0 && budget.isDue()) await budget.breathe();
    visit(all[i]!);
  }
}

async function readAll(selector: SelectorPlan, query: QueryContext): Promise<readonly Series[]> {
  const all: Series[] = [];
  for await (const series of batches(selector, query)) all.push(...series);
  return all;
}

/** What the storage has for `selector`, counted by the budget; it may have been read already in part. */
export async function* batches(
  selector: SelectorPlan,
  query: QueryContext,
  options: {
    /** Told how many series there are, if the storage says so. */
    onExpected?: (expected: SeriesCount) => void;
    sampleAbove?: number;
  } = {},
): AsyncGenerator<readonly Series[]> {
  query.budget.check();
  const key = selectorKey(selector);
  const ahead = query.readAhead?.get(key);
  if (ahead !== undefined) {
    query.readAhead?.delete(key);
    try {
      for (const series of ahead.first) yield series;
      yield* ahead.rest;
    } finally {
      await ahead.rest.return(undefined);
    }
    return;
  }
  const { signal } = query.budget;
  const sampleAbove = Math.min(options.sampleAbove ?? Infinity, bytesSampleAbove(selector, query));
  const source = query.queryable.select({
    matchers: selector.matchers,
    minTimeMs: selector.minTimeMs,
    maxTimeMs: selector.maxTimeMs,
    hints: selector.hints,
    ...(sampleAbove < Infinity && { sampleAbove }),
    signal,
  });
  for await (const { series, expected, warnings, infos } of abortable(source, signal)) {
    if (expected !== undefined) {
      query.budget.expect(expected.atLeast);
      if (expected.samples !== undefined) refuseBytes(expected.samples, query);
      options.onExpected?.(expected);
    }
    query.budget.read(series);
    for (const warning of warnings ?? []) query.storageWarnings.add(warning);
    for (const info of infos ?? []) query.storageInfos.add(info);
    yield series;
  }
}

/** What `source` gives until `signal` aborts. */
export async function* abortable<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await unlessAborted(iterator.next(), signal);
      if (done === true) return;
      yield value;
    }
  } finally {
    // A source that hangs must not keep the query: its end is not waited for.
    void iterator.return?.().catch(() => undefined);
  }
}

/** A storage that does not listen to the signal still cannot hold a cancelled query. */
async function unlessAborted<T>(
  next: Promise<IteratorResult<T, unknown>>,
  signal: AbortSignal,
): Promise<IteratorResult<T, undefined>> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(AppError.from(signal.reason, "canceled"));
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    const result = await Promise.race([next, aborted]);
    return result.done === true ? { done: true, value: undefined } : result;
  } catch (thrown) {
    if (signal.aborted) throw AppError.from(signal.reason, "canceled");
    throw thrown;
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}

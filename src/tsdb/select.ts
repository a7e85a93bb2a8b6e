import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError } from "../base/errors.ts";
import { compareText } from "../base/text.ts";
import { intersect, subtract, uniteDisjoint } from "../index/postings-math.ts";
import { compareLabels, Labels } from "../model/labels.ts";
import { byteCondition, type Matcher, matchesEmpty } from "../model/matcher.ts";
import type { GroupedBatch, GroupedRequest } from "../storage/grouped.ts";
import type {
  Chunk,
  LabelRequest,
  LabelResult,
  SelectRequest,
  Series,
  SeriesBatch,
  SeriesCount,
  SeriesSample,
} from "../storage/queryable.ts";
import { sampled, samplePositions, wantsSample } from "../storage/series-sample.ts";
import type { HeadStore } from "./head-store.ts";
import { HeadLabels } from "./head-labels.ts";
import { ChunkReader, type SelectView } from "./select-chunks.ts";
import { canTakeNames, GroupedSeries } from "./select-grouped.ts";
import { SeriesOrder } from "./series-order.ts";

/** Series in one batch of a result. */
const BATCH_SERIES = 256;
/** After so many batches the event loop gets a turn. */
const BATCHES_PER_TURN = 4;

/** The series of a select. */
interface Found {
  /** Ascending. */
  readonly refs: Int32Array;
  /** Places in `refs`, in the order of labels. */
  readonly places: Int32Array;
  /** By place. */
  readonly view: SelectView;
}

/** Reads a head. What a query sees is fixed when it starts: later samples are left out, even of series not yet read. */
export class HeadReader {
  readonly #store: HeadStore;
  readonly #chunks: ChunkReader;
  readonly #order: SeriesOrder;
  #labels: HeadLabels;

  constructor(store: HeadStore) {
    this.#store = store;
    this.#chunks = new ChunkReader(store);
    this.#order = new SeriesOrder(store.series, () => store.postings);
    this.#labels = new HeadLabels(store.postings);
  }

  /** `inOrderMinTimeMs`: of samples that came in order, older ones are in blocks. */
  async *select(request: SelectRequest, inOrderMinTimeMs = -Infinity): AsyncGenerator<SeriesBatch> {
    // No await stands between these lines, and an append is one synchronous step: the query has all of it or nothing.
    let refs = this.matchingRefs(request.matchers);
    let view = this.#chunks.view(refs, { request, inOrderMinTimeMs });
    const strip = request.withoutReplicaLabels ?? [];
    const limit = request.limit ?? 0;
    const strips = strip.some((name) => this.#store.postings.symbols.find(name) >= 0);
    let told: { expected?: SeriesCount } =
      limit > 0 ? {} : { expected: this.#chunks.expected(refs, view, strips) };
    if (told.expected !== undefined && !strips && wantsSample(request, refs.length)) {
      const { removals } = this.#store.series;
      const samples = [this.#sample(refs, view, inOrderMinTimeMs)];
      yield { series: [], expected: { ...told.expected, samples } };
      told = {};
      // Series that went meanwhile have no labels to be sorted by.
      if (this.#store.series.removals !== removals) {
        refs = this.matchingRefs(request.matchers);
        view = this.#chunks.view(refs, { request, inOrderMinTimeMs });
      }
    }
    // Not before: most of what a first refusal by a sample would take.
    const places = this.#order.places(refs);
    let batch: Series[] = [];
    let count = 0;
    let batches = 0;
    const source =
      strip.length > 0
        ? this.#stripped({ refs, places, view }, strip)
        : this.#plain({ refs, places, view });
    for (const series of source) {
      batch.push(series);
      if (++count === limit) break;
      if (batch.length < BATCH_SERIES) continue;
      yield { series: batch, ...told };
      batch = [];
      told = {};
      if (++batches % BATCHES_PER_TURN === 0) await nextTurn();
      if (request.signal?.aborted === true)
        throw new AppError("canceled", "cannot finish select: the query was canceled");
    }
    const { warnings } = view;
    if (batch.length > 0 || warnings.length > 0) yield { series: batch, warnings, ...told };
  }

  /** As `select`, in columns. */
  selectGrouped(
    request: GroupedRequest,
    inOrderMinTimeMs = -Infinity,
  ): AsyncGenerator<GroupedBatch> | undefined {
    const refs = this.matchingRefs(request.matchers);
    const { foreignNames, signal } = request;
    if (foreignNames.length > 0 && !canTakeNames(this.#store, refs, foreignNames)) return undefined;
    const parts = { store: this.#store, chunks: this.#chunks, refs, request, inOrderMinTimeMs };
    const series = new GroupedSeries(parts);
    return series.isMostlyOther
      ? undefined
      : series.batches(this.#order.places(refs), (ref) => this.#labelsOf(ref), signal);
  }

  #sample(refs: Int32Array, view: SelectView, inOrderMinTimeMs: number): SeriesSample {
    const chunkLists: (readonly Chunk[])[] = [];
    const positions = samplePositions(refs.length, view.request);
    for (const i of positions) {
      const chunks = this.#chunks.read(refs[i]!, i, view);
      if (chunks !== undefined) chunkLists.push(sampled(chunks));
    }
    // What came out of order may be as old as samples in blocks.
    const minTimeMs = Math.min(inOrderMinTimeMs, this.#store.outOfOrder.minTimeMs);
    const part = { of: refs.length, minTimeMs, maxTimeMs: Infinity };
    return { chunkLists, size: positions.length, ...part };
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

  /** The labels of a series that exists, to be kept. */
  labels(ref: number): Labels {
    const { symbols } = this.#store.postings;
    const flat: string[] = [];
    this.#forEachLabel(ref, (name, value) => flat.push(symbols.text(name), symbols.text(value)));
    return Labels.fromSorted(flat);
  }

  #labelResult(symbols: Iterable<number>, request: LabelRequest): LabelResult {
    const table = this.#store.postings.symbols;
    const values = Array.from(symbols, (symbol) => table.text(symbol)).sort(compareText);
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
    } else {
      const condition = byteCondition(matcher);
      postings.forEachPairOf(name, (pair) => {
        const value = postings.valueOf(pair);
        const fits =
          condition === undefined
            ? matcher.matches(symbols.text(value))
            : symbols.fits(value, condition);
        if (fits === wanted) lists.push(postings.list(pair));
      });
    }
    return uniteDisjoint(lists);
  }

  #allRefs(): Int32Array {
    const { series } = this.#store;
    const refs = new Int32Array(series.count);
    let count = 0;
    series.forEach((ref) => (refs[count++] = ref));
    return refs;
  }

  *#plain({ refs, places, view }: Found): Generator<Series> {
    for (let i = 0; i < places.length; i++) {
      const place = places[i]!;
      const chunks = this.#chunks.read(refs[place]!, place, view);
      if (chunks !== undefined) yield { labels: this.#labelsOf(refs[place]!), chunks };
    }
  }

  /** The labels of a series that exists, for as long as a query needs them. */
  #labelsOf(ref: number): Labels {
    const { postings, series } = this.#store;
    if (postings !== this.#labels.postings) this.#labels = new HeadLabels(postings);
    const page = series.pageOf(ref)!;
    const { start, count } = series.pairRange(page, ref);
    return this.#labels.of(page.pairs, start, start + count);
  }

  #forEachLabel(ref: number, visit: (name: number, value: number) => void): void {
    const { postings, series } = this.#store;
    const page = series.pageOf(ref)!;
    const { start, count } = series.pairRange(page, ref);
    for (let i = start; i < start + count; i++) {
      const pair = page.pairs[i]!;
      visit(postings.nameOf(pair), postings.valueOf(pair));
    }
  }

  /** Stripping labels changes the order and can make series equal; those become one series. */
  *#stripped({ refs, places, view }: Found, strip: readonly string[]): Generator<Series> {
    const entries = Array.from(places, (i) => ({
      i,
      labels: this.#labelsOf(refs[i]!).without(strip),
    }));
    entries.sort((a, b) => compareLabels(a.labels, b.labels));
    for (let from = 0; from < entries.length;) {
      const { labels } = entries[from]!;
      const chunks: Chunk[] = [];
      let found = false;
      let to = from;
      for (; to < entries.length && entries[to]!.labels.equals(labels); to++) {
        const { i } = entries[to]!;
        const own = this.#chunks.read(refs[i]!, i, view);
        if (own === undefined) continue;
        found = true;
        chunks.push(...own);
      }
      if (to - from > 1) chunks.sort((a, b) => a.minTimeMs - b.minTimeMs);
      if (found) yield { labels, chunks };
      from = to;
    }
  }
}

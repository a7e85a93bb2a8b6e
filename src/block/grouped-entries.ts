import type { IndexReader } from "../index/reader.ts";
import { LabelHashes } from "../index/label-hashes.ts";
import { SeriesColumns } from "../index/series-columns.ts";
import { TupleNumbers } from "../index/tuple-numbers.ts";
import { METRIC_NAME, type Labels } from "../model/labels.ts";
import { type GroupedRequest, NotInColumnsError } from "../storage/grouped.ts";

/** Series of a block as a grouped select wants them: for each its group, and the chunk that has its newest sample. */
export class GroupedEntries {
  count = 0;
  readonly groups: Uint32Array;
  readonly hashes: Uint32Array;
  /** Of the series, as in postings. */
  readonly seriesRefs: Int32Array;
  /** Of the chunks; see `ChunkPlaces`. */
  readonly refs: Float64Array;
  readonly minTimes: Float64Array;
  readonly maxTimes: Float64Array;
  /** 1 where one chunk does not say it all. */
  readonly isOther: Uint8Array;
  readonly #columns = new SeriesColumns();
  /** Of the series in the columns. */
  readonly #places: Uint32Array;
  readonly #index: IndexReader;
  readonly #request: GroupedRequest;
  readonly #named: ReadonlySet<number>;
  /** The only one of them. */
  readonly #onlyName: number | undefined;
  readonly #numbers = new TupleNumbers();
  readonly #labelHashes: LabelHashes | undefined;
  /** The label names of the first series, where all must have the same. */
  #names: Uint32Array | undefined;

  constructor(index: IndexReader, request: GroupedRequest, capacity: number) {
    const { symbols } = index;
    const { grouping, without, wantsHashes } = request;
    this.#index = index;
    this.#request = request;
    const names = without ? [...grouping, METRIC_NAME] : grouping;
    this.#named = new Set(names.map((name) => symbols.find(name)));
    this.#onlyName = names.length === 1 ? symbols.find(names[0]!) : undefined;
    this.#labelHashes = wantsHashes
      ? new LabelHashes((symbol) => symbols.bytesOf(symbol))
      : undefined;
    this.groups = new Uint32Array(capacity);
    this.hashes = new Uint32Array(wantsHashes ? 2 * capacity : 0);
    this.seriesRefs = new Int32Array(capacity);
    this.refs = new Float64Array(capacity);
    this.minTimes = new Float64Array(capacity);
    this.maxTimes = new Float64Array(capacity);
    this.isOther = new Uint8Array(capacity);
    this.#places = new Uint32Array(capacity);
  }

  /** Becomes those of `refs[from]` to `refs[to - 1]` that have chunks in the range. `isOther`: something was deleted of it. */
  async read(
    refs: Int32Array,
    range: { from: number; to: number },
    isOther: (ref: number) => boolean,
  ): Promise<void> {
    const columns = this.#columns;
    columns.clear();
    this.count = 0;
    await this.#index.readSeries(refs, range, this.#request, columns);
    for (let place = 0; place < columns.count; place++) {
      if (this.#request.foreignNames.length > 0) this.#checkNames(place);
      const from = columns.chunksFrom(place);
      const chunk = columns.chunkEnds[place]! - 1;
      if (chunk < from) continue;
      const ref = columns.refs[place]!;
      const i = this.count++;
      this.#places[i] = place;
      this.seriesRefs[i] = ref;
      this.refs[i] = columns.chunkRefs[chunk]!;
      this.minTimes[i] = columns.minTimes[chunk]!;
      this.maxTimes[i] = columns.maxTimes[chunk]!;
      // An earlier chunk may reach beyond where the last one starts.
      this.isOther[i] = Number(
        isOther(ref) || (chunk > from && columns.maxTimes[chunk - 1]! >= columns.minTimes[chunk]!),
      );
      this.groups[i] = this.#numberOf(place);
      if (this.#labelHashes !== undefined) this.#hash(i, place, this.#labelHashes);
    }
  }

  labelsOf(i: number): Labels {
    const columns = this.#columns;
    const place = this.#places[i]!;
    const from = columns.symbolsFrom(place);
    return this.#index.labelsOf(columns.symbols, from, columns.symbolEnds[place]!);
  }

  #numberOf(place: number): number {
    const { grouping, without } = this.#request;
    if (!without && grouping.length === 0) return 0;
    const { symbols, symbolEnds } = this.#columns;
    const numbers = this.#numbers;
    const only = this.#onlyName;
    const end = symbolEnds[place]!;
    for (let k = this.#columns.symbolsFrom(place); k < end; k += 2) {
      const name = symbols[k]!;
      const isNamed = only === undefined ? this.#named.has(name) : name === only;
      if (isNamed === without) continue;
      numbers.add(name);
      numbers.add(symbols[k + 1]!);
    }
    return numbers.take();
  }

  #hash(i: number, place: number, hashes: LabelHashes): void {
    const { symbols, symbolEnds } = this.#columns;
    const end = symbolEnds[place]!;
    let high = 0;
    let low = 0;
    for (let k = this.#columns.symbolsFrom(place); k < end; k += 2) {
      const slot = hashes.slotOf(symbols[k]!, symbols[k + 1]!);
      high = (high + hashes.highs[slot]!) | 0;
      low = (low + hashes.lows[slot]!) | 0;
    }
    this.hashes[2 * i] = high;
    this.hashes[2 * i + 1] = low;
  }

  #checkNames(place: number): void {
    const { symbols, symbolEnds } = this.#columns;
    const from = this.#columns.symbolsFrom(place);
    const end = symbolEnds[place]!;
    this.#names ??= symbols.slice(from, end);
    if (end - from !== this.#names.length) throw new NotInColumnsError();
    for (let k = from; k < end; k += 2)
      if (symbols[k] !== this.#names[k - from]) throw new NotInColumnsError();
  }
}

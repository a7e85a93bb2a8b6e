import type { IndexReader } from "../index/reader.ts";
import { LabelGroups } from "../index/label-groups.ts";
import { SeriesColumns } from "../index/series-columns.ts";
import type { Labels } from "../model/labels.ts";
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
  readonly #labels: LabelGroups;
  /** The label names of the first series, where all must have the same. */
  #names: Uint32Array | undefined;

  constructor(index: IndexReader, request: GroupedRequest, capacity: number) {
    this.#index = index;
    this.#request = request;
    this.#labels = new LabelGroups(request, index.symbols);
    this.groups = new Uint32Array(capacity);
    this.hashes = new Uint32Array(request.wantsHashes ? 2 * capacity : 0);
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
      if (!this.#labels.isTrivial) this.#readLabels(i, place);
    }
  }

  labelsOf(i: number): Labels {
    const columns = this.#columns;
    const place = this.#places[i]!;
    const from = columns.symbolsFrom(place);
    return this.#index.labelsOf(columns.symbols, from, columns.symbolEnds[place]!);
  }

  #readLabels(i: number, place: number): void {
    const { symbols, symbolEnds } = this.#columns;
    const labels = this.#labels;
    const end = symbolEnds[place]!;
    for (let k = this.#columns.symbolsFrom(place); k < end; k += 2)
      labels.add(symbols[k]!, symbols[k + 1]!);
    this.groups[i] = labels.take();
    if (!this.#request.wantsHashes) return;
    this.hashes[2 * i] = labels.high;
    this.hashes[2 * i + 1] = labels.low;
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

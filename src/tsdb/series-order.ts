import { sortByKeys } from "../base/sort-by-keys.ts";
import type { MemPostings } from "../index/mem-postings.ts";
import { PAGE_SERIES, PAGE_SHIFT, type SeriesTable } from "./series-table.ts";

/** Fewer series are sorted by comparing their labels. */
const FEW_SERIES = 1024;
/** The order is made anew when more than this part of the series came after it was made. */
const MAX_NEW_PART = 1 / 8;
/** More of all series than this part are picked out of the order instead of sorted by their places in it. */
const DENSE_PART = 1 / 16;
const PAGE_MASK = PAGE_SERIES - 1;

/**
 * The series of a head in the order of their labels, kept from select to select: labels never change, so only series that
 * came since have to be put in their places. Made by the first select of many series; 8 bytes a series.
 */
export class SeriesOrder {
  readonly #table: SeriesTable;
  readonly #postings: () => MemPostings;
  /** All series there were, also those that are gone. */
  #sorted = new Uint32Array(0);
  /** By page: the place of a series in `#sorted` + 1, or 0. */
  #places: (Uint32Array | undefined)[] = [];
  /** No series from this ref on is in `#sorted`. */
  #nextRef = 0;

  constructor(table: SeriesTable, postings: () => MemPostings) {
    this.#table = table;
    this.#postings = postings;
  }

  /** `refs`, of series that exist, in the order of their labels. */
  sort(refs: Int32Array): Int32Array {
    const table = this.#table;
    if (refs.length < FEW_SERIES) return this.#compared(refs.slice());
    if (table.nextRef - this.#nextRef > table.count * MAX_NEW_PART) this.#make();
    const known = new Uint32Array(refs.length);
    let knownCount = 0;
    const others: number[] = [];
    for (const ref of refs) {
      const place = this.#places[ref >>> PAGE_SHIFT]?.[ref & PAGE_MASK] ?? 0;
      if (place === 0) others.push(ref);
      else known[knownCount++] = place - 1;
    }
    const sorted = this.#picked(known.subarray(0, knownCount), refs.length);
    return others.length === 0
      ? sorted
      : this.#inserted(sorted, knownCount, this.#compared(Int32Array.from(others)));
  }

  #compared(refs: Int32Array): Int32Array {
    const table = this.#table;
    return refs.sort((a, b) => table.compare(a, b));
  }

  /** The series at `places`, in order, in an array of `size`. */
  #picked(places: Uint32Array, size: number): Int32Array {
    const sorted = this.#sorted;
    const refs = new Int32Array(size);
    if (places.length <= sorted.length * DENSE_PART) {
      places.sort();
      for (let i = 0; i < places.length; i++) refs[i] = sorted[places[i]!]!;
      return refs;
    }
    const isWanted = new Uint8Array(sorted.length);
    for (let i = 0; i < places.length; i++) isWanted[places[i]!] = 1;
    let count = 0;
    for (let place = 0; place < sorted.length; place++)
      if (isWanted[place] === 1) refs[count++] = sorted[place]!;
    return refs;
  }

  /** Puts `others` among the first `count` of `refs`, whose rest is free. Both are in order. */
  #inserted(refs: Int32Array, count: number, others: Int32Array): Int32Array {
    const table = this.#table;
    let end = count;
    for (let i = others.length - 1; i >= 0; i--) {
      const ref = others[i]!;
      let low = 0;
      let high = end;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (table.compare(refs[middle]!, ref) < 0) low = middle + 1;
        else high = middle;
      }
      refs.copyWithin(low + i + 1, low, end);
      refs[low + i] = ref;
      end = low;
    }
    return refs;
  }

  #make(): void {
    const table = this.#table;
    const refs = new Uint32Array(table.count);
    let count = 0;
    table.forEach((ref) => (refs[count++] = ref));
    const places = placesOfPairs(this.#postings());
    sortByKeys(refs, {
      key(ref, depth) {
        const page = table.pageOf(ref)!;
        const at = page.labelStarts[ref & PAGE_MASK]!;
        return depth < page.pairs[at]! ? places[page.pairs[at + 1 + depth]!]! : 0;
      },
      compare: (a, b) => table.compare(a, b),
    });
    this.#sorted = refs;
    this.#places = [];
    for (let place = 0; place < refs.length; place++) {
      const ref = refs[place]!;
      const page = (this.#places[ref >>> PAGE_SHIFT] ??= new Uint32Array(PAGE_SERIES));
      page[ref & PAGE_MASK] = place + 1;
    }
    this.#nextRef = table.nextRef;
  }
}

/** The place of each pair in the order of names, then values, from 1 on. */
function placesOfPairs(postings: MemPostings): Uint32Array {
  const { symbols } = postings;
  const symbolPlaces = placesOf(symbols.count, {
    key: (symbol, depth) => symbols.key(symbol, depth),
    compare: (a, b) => symbols.compare(a, b),
  });
  const key = (pair: number, depth: number): number =>
    depth > 1 ? 0 : symbolPlaces[depth === 0 ? postings.nameOf(pair) : postings.valueOf(pair)]!;
  return placesOf(postings.pairCount, {
    key,
    compare: (a, b) => key(a, 0) - key(b, 0) || key(a, 1) - key(b, 1),
  });
}

function placesOf(count: number, order: Parameters<typeof sortByKeys>[1]): Uint32Array {
  const items = Uint32Array.from({ length: count }, (_, i) => i);
  sortByKeys(items, order);
  const places = new Uint32Array(count);
  for (let i = 0; i < count; i++) places[items[i]!] = i + 1;
  return places;
}

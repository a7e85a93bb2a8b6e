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
/** No head has as many series, and an order and a place together are one exact number. */
const TWO_26 = 2 ** 26;

/** Series whose order is known: where they come, and their places among the refs asked for. */
interface Known {
  readonly orders: Uint32Array;
  readonly places: Int32Array;
  count: number;
}

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

  /** The places of `refs`, of series that exist and ascending, in the order of their labels. */
  places(refs: Int32Array): Int32Array {
    const table = this.#table;
    if (refs.length < FEW_SERIES)
      return this.#compared(
        refs,
        Int32Array.from(refs, (_, i) => i),
      );
    if (table.nextRef - this.#nextRef > table.count * MAX_NEW_PART) this.#make();
    const known: Known = {
      orders: new Uint32Array(refs.length),
      places: new Int32Array(refs.length),
      count: 0,
    };
    const others: number[] = [];
    for (let i = 0; i < refs.length; i++) {
      const ref = refs[i]!;
      const order = this.#places[ref >>> PAGE_SHIFT]?.[ref & PAGE_MASK] ?? 0;
      if (order === 0) others.push(i);
      else {
        known.orders[known.count] = order - 1;
        known.places[known.count++] = i;
      }
    }
    this.#arrange(known);
    return others.length === 0
      ? known.places
      : this.#inserted(refs, known, this.#compared(refs, Int32Array.from(others)));
  }

  #compared(refs: Int32Array, places: Int32Array): Int32Array {
    const table = this.#table;
    return places.sort((a, b) => table.compare(refs[a]!, refs[b]!));
  }

  /** Puts the places of known series in order. */
  #arrange({ orders, places, count }: Known): void {
    const all = this.#sorted.length;
    if (count <= all * DENSE_PART) {
      const both = new Float64Array(count);
      for (let i = 0; i < count; i++) both[i] = orders[i]! * TWO_26 + places[i]!;
      both.sort();
      for (let i = 0; i < count; i++) places[i] = both[i]! % TWO_26;
      return;
    }
    const placeAt = new Int32Array(all);
    for (let i = 0; i < count; i++) placeAt[orders[i]!] = places[i]! + 1;
    let to = 0;
    for (let order = 0; order < all; order++)
      if (placeAt[order] !== 0) places[to++] = placeAt[order]! - 1;
  }

  /** Puts `others` among the known ones. Both are in order. */
  #inserted(refs: Int32Array, { places, count }: Known, others: Int32Array): Int32Array {
    const table = this.#table;
    let end = count;
    for (let i = others.length - 1; i >= 0; i--) {
      const place = others[i]!;
      let low = 0;
      let high = end;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (table.compare(refs[places[middle]!]!, refs[place]!) < 0) low = middle + 1;
        else high = middle;
      }
      places.copyWithin(low + i + 1, low, end);
      places[low + i] = place;
      end = low;
    }
    return places;
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

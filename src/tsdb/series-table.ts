import type { MemPostings } from "../index/mem-postings.ts";

/**
 * All series of a head as a struct of arrays: pages of 4096 series, found by the ref's upper bits. The state that an
 * append touches is one line of 64 bytes per series, so one append costs one cache miss:
 *
 * ```
 *   word  0      2      4      5        6     7       8       9       10       12       14     15
 *        ┌──────┬──────┬──────┬────────┬─────┬───────┬───────┬───────┬────────┬────────┬──────┬──────┐
 *        │ last │ last │ last │ pending│ meta│ write │ first │ chunk │ chunk  │ last   │ chunk│ hash │
 *        │ time │ value│ delta│ bits   │     │ at    │ block │ span  │ start  │ chunk  │ words│      │
 *        │ f64  │ bits │ ms   │        │     │       │       │ ms    │ f64    │ f64    │      │      │
 *        └──────┴──────┴──────┴────────┴─────┴───────┴───────┴───────┴────────┴────────┴──────┴──────┘
 *   meta: pending bit count (5) | leading (6) | trailing (6) | sample count of the open chunk (15)
 *   chunk words: 32-bit words of the open chunk already written, or -1 when the ref is not in use.
 *   first block: 0 without an open chunk, 1 while it is one of histograms; then meta and chunk span are 0.
 * ```
 *
 * Refs are never used twice. Series that were created together die together, mostly, so pages empty and are dropped.
 */
export const LINE_WORDS = 16;
export const LAST_TIME = 0;
export const LAST_VALUE = 2;
export const DELTA = 4;
export const PENDING = 5;
export const META = 6;
export const WRITE_AT = 7;
export const FIRST_BLOCK = 8;
/** In `FIRST_BLOCK`: the open chunk is one of histograms, which are kept elsewhere. Blocks start at multiples of 16. */
export const OPEN_HISTOGRAM = 1;
export const CHUNK_SPAN = 9;
export const CHUNK_START = 5;
export const LAST_CHUNK = 6;
export const CHUNK_WORDS = 14;
export const HASH = 15;

export const PAGE_SHIFT = 12;
export const PAGE_SERIES = 1 << PAGE_SHIFT;
const PAGE_MASK = PAGE_SERIES - 1;
/** Refs are positive int32. */
export const REF_MAX = 2 ** 31 - 1;

/** One page. `words` and `floats` are the same memory: float index = word index / 2. */
export interface SeriesPage {
  readonly words: Int32Array<ArrayBuffer>;
  readonly floats: Float64Array<ArrayBuffer>;
  /** Where the pairs of each series start in `pairs`; they end where the count in the first word says. */
  readonly labelStarts: Uint32Array;
  /** Per series: how many pairs, then the pairs in order of label name. */
  pairs: Uint32Array;
  pairsUsed: number;
  aliveCount: number;
}

export class SeriesTable {
  readonly #pages: (SeriesPage | undefined)[] = [];
  #postings: MemPostings;
  #slots = new Int32Array(4096);
  #count = 0;
  #nextRef = 1;
  #removals = 0;

  constructor(postings: MemPostings) {
    this.#postings = postings;
  }

  /** How many series there are. */
  get count(): number {
    return this.#count;
  }

  get nextRef(): number {
    return this.#nextRef;
  }

  /** How many times series have been removed. */
  get removals(): number {
    return this.#removals;
  }

  /** Refs up to and including `ref` will not be given out. */
  skipRefs(ref: number): void {
    if (ref >= this.#nextRef && ref < REF_MAX) this.#nextRef = ref + 1;
  }

  /** The page of `ref`, which may be undefined, and may hold the ref as unused (`CHUNK_WORDS` is -1). */
  pageOf(ref: number): SeriesPage | undefined {
    return this.#pages[ref >>> PAGE_SHIFT];
  }

  has(ref: number): boolean {
    if (ref < 0 || ref > REF_MAX) return false;
    const page = this.#pages[ref >>> PAGE_SHIFT];
    return page !== undefined && page.words[(ref & PAGE_MASK) * LINE_WORDS + CHUNK_WORDS]! >= 0;
  }

  /** The ref of the series with exactly the first `count` pairs of `pairs`, or 0. */
  find(pairs: Uint32Array, count: number): number {
    return this.#slots[this.#probe(pairs, count, hashPairs(pairs, count))]!;
  }

  /** Adds a series that `find` does not know, under `ref` or the next free ref, to the table and the postings. */
  add(pairs: Uint32Array, count: number, ref = this.#nextRef): number {
    const hash = hashPairs(pairs, count);
    const slot = this.#probe(pairs, count, hash);
    const page = (this.#pages[ref >>> PAGE_SHIFT] ??= newPage());
    const index = ref & PAGE_MASK;
    const base = index * LINE_WORDS;
    page.words.fill(0, base, base + LINE_WORDS);
    page.words[base + HASH] = hash;
    page.floats[(base >> 1) + (LAST_TIME >> 1)] = -Infinity;
    page.aliveCount++;
    page.labelStarts[index] = page.pairsUsed;
    if (page.pairsUsed + count + 1 > page.pairs.length) {
      const grown = new Uint32Array(Math.max(page.pairs.length * 2, page.pairsUsed + count + 1));
      grown.set(page.pairs);
      page.pairs = grown;
    }
    page.pairs[page.pairsUsed++] = count;
    for (let i = 0; i < count; i++) {
      page.pairs[page.pairsUsed++] = pairs[i]!;
      this.#postings.add(pairs[i]!, ref);
    }
    this.#slots[slot] = ref;
    this.#count++;
    this.skipRefs(ref);
    if (this.#count * 3 > this.#slots.length * 2) this.#rehash(this.#slots.length * 2);
    return ref;
  }

  /** Calls `visit` with the ref of every series, ascending. */
  forEach(visit: (ref: number, page: SeriesPage, base: number) => void): void {
    for (let p = 0; p < this.#pages.length; p++) {
      const page = this.#pages[p];
      if (page === undefined) continue;
      for (let i = 0; i < PAGE_SERIES; i++) {
        const base = i * LINE_WORDS;
        if (page.words[base + CHUNK_WORDS]! >= 0) visit((p << PAGE_SHIFT) | i, page, base);
      }
    }
  }

  /** Forgets `refs` (ascending). */
  remove(refs: Int32Array): void {
    this.#removals++;
    const pairs = new Set<number>();
    for (const ref of refs) {
      const page = this.#pages[ref >>> PAGE_SHIFT]!;
      page.words[(ref & PAGE_MASK) * LINE_WORDS + CHUNK_WORDS] = -1;
      const at = page.labelStarts[ref & PAGE_MASK]!;
      const count = page.pairs[at]!;
      for (let i = 1; i <= count; i++) pairs.add(page.pairs[at + i]!);
      this.#count--;
      if (--page.aliveCount === 0) this.#pages[ref >>> PAGE_SHIFT] = undefined;
    }
    for (const pair of pairs) this.#postings.filter(pair, (ref) => !this.has(ref));
    this.#rehash(this.#slots.length);
  }

  /** Goes over to `postings`, in which pair `i` of the postings so far is pair `pairs[i]`. */
  renumber(postings: MemPostings, pairs: Uint32Array): void {
    this.#postings = postings;
    this.forEach((ref, page, base) => {
      const { start, count } = this.pairRange(page, ref);
      for (let i = start; i < start + count; i++) page.pairs[i] = pairs[page.pairs[i]!]!;
      page.words[base + HASH] = hashPairs(page.pairs.subarray(start, start + count), count);
    });
    this.#rehash(this.#slots.length);
  }

  /** Where the pairs of a series start and how many there are, in `page.pairs`. */
  pairRange(page: SeriesPage, ref: number): { start: number; count: number } {
    const at = page.labelStarts[ref & PAGE_MASK]!;
    return { start: at + 1, count: page.pairs[at]! };
  }

  /** The order of two series by their labels. */
  compare(a: number, b: number): number {
    const pageA = this.#pages[a >>> PAGE_SHIFT]!;
    const pageB = this.#pages[b >>> PAGE_SHIFT]!;
    let i = pageA.labelStarts[a & PAGE_MASK]!;
    let j = pageB.labelStarts[b & PAGE_MASK]!;
    const countA = pageA.pairs[i]!;
    const countB = pageB.pairs[j]!;
    const count = countA < countB ? countA : countB;
    for (let k = 0; k < count; k++) {
      const x = pageA.pairs[++i]!;
      const y = pageB.pairs[++j]!;
      if (x !== y) {
        const postings = this.#postings;
        return (
          postings.symbols.compare(postings.nameOf(x), postings.nameOf(y)) ||
          postings.symbols.compare(postings.valueOf(x), postings.valueOf(y))
        );
      }
    }
    return countA - countB;
  }

  #probe(pairs: Uint32Array, count: number, hash: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const ref = slots[slot]!;
      if (ref === 0) return slot;
      const page = this.#pages[ref >>> PAGE_SHIFT]!;
      if (page.words[(ref & PAGE_MASK) * LINE_WORDS + HASH] === hash) {
        const at = page.labelStarts[ref & PAGE_MASK]!;
        if (page.pairs[at] === count) {
          let i = 0;
          while (i < count && page.pairs[at + 1 + i] === pairs[i]) i++;
          if (i === count) return slot;
        }
      }
      slot = (slot + 1) & mask;
    }
  }

  #rehash(size: number): void {
    const slots = new Int32Array(size);
    const mask = size - 1;
    this.forEach((ref, page, base) => {
      let slot = page.words[base + HASH]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = ref;
    });
    this.#slots = slots;
  }
}

function newPage(): SeriesPage {
  const words = new Int32Array(PAGE_SERIES * LINE_WORDS);
  for (let i = CHUNK_WORDS; i < words.length; i += LINE_WORDS) words[i] = -1;
  return {
    words,
    floats: new Float64Array(words.buffer),
    labelStarts: new Uint32Array(PAGE_SERIES),
    pairs: new Uint32Array(1024),
    pairsUsed: 0,
    aliveCount: 0,
  };
}

function hashPairs(pairs: Uint32Array, count: number): number {
  let hash = count;
  for (let i = 0; i < count; i++) {
    hash = Math.imul(hash ^ pairs[i]!, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

import { SymbolTable } from "./symbols.ts";

/**
 * The inverted index in memory. A label pair (name, value) is one small number, and each pair has the ascending list
 * of the refs that carry it. Lists live in one pool of 32-bit words; a full list moves to a piece of twice the size,
 * and the piece it leaves is used by the next list that grows to that size.
 */
export class MemPostings {
  readonly symbols = new SymbolTable();
  #pairNames = new Uint32Array(1024);
  #pairValues = new Uint32Array(1024);
  /** Where the list starts in the pool, its length, and its piece's size as a power of two. */
  #starts = new Uint32Array(1024);
  #counts = new Uint32Array(1024);
  #sizeClasses = new Uint8Array(1024);
  /** The pair of the same name that was added before, + 1. */
  #previousOfName = new Uint32Array(1024);
  #pairCount = 0;
  #livePairCount = 0;
  #slots = new Int32Array(4096);
  #pool = new Int32Array(4096);
  #poolUsed = 0;
  /** Free pieces by size class: the start of the first + 1; each holds the next in its first word. */
  readonly #free = new Float64Array(32);
  /** Last pair + 1 of each label name. */
  readonly #names = new Map<number, number>();

  /** How many pairs there are, including those that no series carries any more. */
  get pairCount(): number {
    return this.#pairCount;
  }

  /** How many pairs some series carries. */
  get livePairCount(): number {
    return this.#livePairCount;
  }

  nameOf(pair: number): number {
    return this.#pairNames[pair]!;
  }

  valueOf(pair: number): number {
    return this.#pairValues[pair]!;
  }

  /** How many series carry `pair`. */
  countOf(pair: number): number {
    return this.#counts[pair]!;
  }

  /** The symbols of all label names, in no order. */
  names(): Iterable<number> {
    return this.#names.keys();
  }

  /** The pair of two symbols, or -1. */
  findPair(name: number, value: number): number {
    return this.#slots[this.#probe(name, value)]! - 1;
  }

  /** The pair of two symbols, added if new. */
  internPair(name: number, value: number): number {
    const slot = this.#probe(name, value);
    const known = this.#slots[slot]!;
    if (known !== 0) return known - 1;
    const pair = this.#pairCount++;
    if (pair === this.#pairNames.length) this.#growPairs();
    this.#pairNames[pair] = name;
    this.#pairValues[pair] = value;
    this.#previousOfName[pair] = this.#names.get(name) ?? 0;
    this.#names.set(name, pair + 1);
    this.#slots[slot] = pair + 1;
    if (this.#pairCount * 2 > this.#slots.length) this.#rehash();
    return pair;
  }

  /** Calls `visit` with every pair of label name `name` (a symbol) that some series carries. */
  forEachPairOf(name: number, visit: (pair: number) => void): void {
    let pair = (this.#names.get(name) ?? 0) - 1;
    while (pair >= 0) {
      if (this.#counts[pair]! > 0) visit(pair);
      pair = this.#previousOfName[pair]! - 1;
    }
  }

  /** Adds `ref`, which must be higher than every ref of the list. */
  add(pair: number, ref: number): void {
    const count = this.#counts[pair]!;
    const sizeClass = this.#sizeClasses[pair]!;
    if (count === 0) this.#livePairCount++;
    if (count === 0 && sizeClass === 0) this.#move(pair, 1);
    else if (count === 1 << sizeClass) this.#move(pair, sizeClass + 1);
    this.#pool[this.#starts[pair]! + count] = ref;
    this.#counts[pair] = count + 1;
  }

  /** The refs of `pair`: a view that the next change to the index may invalidate. */
  list(pair: number): Int32Array {
    const start = this.#starts[pair]!;
    return this.#pool.subarray(start, start + this.#counts[pair]!);
  }

  /** Takes the refs for which `gone` holds out of the list of `pair`. */
  filter(pair: number, gone: (ref: number) => boolean): void {
    const start = this.#starts[pair]!;
    const end = start + this.#counts[pair]!;
    let to = start;
    for (let i = start; i < end; i++) {
      const ref = this.#pool[i]!;
      if (!gone(ref)) this.#pool[to++] = ref;
    }
    if (to === start && end > start) this.#livePairCount--;
    this.#counts[pair] = to - start;
  }

  /**
   * A copy without the pairs that no series carries and the symbols that only they used. Pairs and symbols get new
   * numbers: `pairs[old]` is the new number of a pair that is still carried.
   */
  compacted(): { postings: MemPostings; pairs: Uint32Array } {
    const postings = new MemPostings();
    const pairs = new Uint32Array(this.#pairCount);
    for (let pair = 0; pair < this.#pairCount; pair++) {
      if (this.#counts[pair] === 0) continue;
      const name = postings.symbols.intern(this.symbols.text(this.#pairNames[pair]!));
      const value = postings.symbols.intern(this.symbols.text(this.#pairValues[pair]!));
      const copy = postings.internPair(name, value);
      pairs[pair] = copy;
      for (const ref of this.list(pair)) postings.add(copy, ref);
    }
    return { postings, pairs };
  }

  #move(pair: number, sizeClass: number): void {
    const size = 1 << sizeClass;
    let start = this.#free[sizeClass]! - 1;
    if (start >= 0) this.#free[sizeClass] = this.#pool[start]! >>> 0;
    else {
      start = this.#poolUsed;
      this.#poolUsed += size;
      if (this.#poolUsed > this.#pool.length) {
        const grown = new Int32Array(Math.max(this.#pool.length * 2, this.#poolUsed));
        grown.set(this.#pool);
        this.#pool = grown;
      }
    }
    const from = this.#starts[pair]!;
    const count = this.#counts[pair]!;
    if (count > 0) {
      this.#pool.copyWithin(start, from, from + count);
      this.#pool[from] = this.#free[sizeClass - 1]!;
      this.#free[sizeClass - 1] = from + 1;
    }
    this.#starts[pair] = start;
    this.#sizeClasses[pair] = sizeClass;
  }

  #probe(name: number, value: number): number {
    const mask = this.#slots.length - 1;
    let slot = hashPair(name, value) & mask;
    for (;;) {
      const pair = this.#slots[slot]! - 1;
      if (pair < 0) return slot;
      if (this.#pairNames[pair] === name && this.#pairValues[pair] === value) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let pair = 0; pair < this.#pairCount; pair++) {
      let slot = hashPair(this.#pairNames[pair]!, this.#pairValues[pair]!) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = pair + 1;
    }
    this.#slots = slots;
  }

  #growPairs(): void {
    this.#pairNames = doubled(this.#pairNames);
    this.#pairValues = doubled(this.#pairValues);
    this.#starts = doubled(this.#starts);
    this.#counts = doubled(this.#counts);
    this.#previousOfName = doubled(this.#previousOfName);
    const classes = new Uint8Array(this.#sizeClasses.length * 2);
    classes.set(this.#sizeClasses);
    this.#sizeClasses = classes;
  }
}

function doubled(column: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(column.length * 2);
  grown.set(column);
  return grown;
}

function hashPair(name: number, value: number): number {
  let hash = Math.imul(name, 0x9e3779b1) ^ Math.imul(value, 0x85ebca6b);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

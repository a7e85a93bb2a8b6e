/** Beyond so many series a receiver starts over with an empty table. */
export const REFS_MAX_SERIES = 4_000_000;

const FIRST_SLOTS = 1024;

/**
 * 128 bits over bytes: four lanes, each of which takes in a word, its neighbour, and is multiplied. A word that
 * differs makes its lane differ for sure, and the next one in the step after; that two of ten million series come to the
 * same bits has a probability of about 10^-25.
 */
export class SeriesHash {
  a = 0;
  b = 0;
  c = 0;
  d = 0;

  /** Hashes the bytes of `view` from `at` to `end`. */
  ofBytes(view: DataView, at: number, end: number): void {
    const size = end - at;
    let a = size;
    let b = 0;
    let c = 0;
    let d = 0;
    if (size < 16) {
      for (let i = at; i < end; i++) {
        a = lane(a, view.getUint8(i), b, C1);
        b = lane(b, a, c, C2);
        c = lane(c, b, d, C3);
        d = lane(d, c, a, C4);
      }
      return this.#finish(a, b, c, d);
    }
    const last = end - 16;
    for (let i = at; ; i += 16) {
      // The last step takes the last 16 bytes, some of them for the second time.
      if (i > last) i = last;
      a = lane(a, view.getInt32(i, true), b, C1);
      b = lane(b, view.getInt32(i + 4, true), c, C2);
      c = lane(c, view.getInt32(i + 8, true), d, C3);
      d = lane(d, view.getInt32(i + 12, true), a, C4);
      if (i === last) break;
    }
    this.#finish(a, b, c, d);
  }

  /** Hashes the hashes that stand in `words` at four times each of the first `count` places. */
  ofHashes(words: Int32Array, places: Int32Array, count: number): void {
    // What is made of hashes is never what is made of bytes: no series has a negative size.
    let a = ~count;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = 0; i < count; i++) {
      const at = places[i]! * 4;
      a = lane(a, words[at]!, b, C1);
      b = lane(b, words[at + 1]!, c, C2);
      c = lane(c, words[at + 2]!, d, C3);
      d = lane(d, words[at + 3]!, a, C4);
    }
    this.#finish(a, b, c, d);
  }

  #finish(a: number, b: number, c: number, d: number): void {
    const sum = (a + b + c + d) | 0;
    this.a = avalanche(a ^ sum);
    this.b = avalanche((b + sum) | 0);
    this.c = avalanche((c + sum) | 0);
    this.d = avalanche((d + sum) | 0);
  }
}

// Odd, with bits all over (those of MurmurHash3's four lanes).
const C1 = 0x239b961b;
const C2 = 0xab0e9789 | 0;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93 | 0;

function lane(state: number, word: number, next: number, factor: number): number {
  const mixed = state ^ word;
  return Math.imul((((mixed << 15) | (mixed >>> 17)) + next) | 0, factor);
}

function avalanche(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/**
 * The refs of series that came before, by the hash of their labels as they were sent: for a series that is known no
 * string is made, and the table keeps 20 bytes of it.
 */
export class SeriesRefs {
  /** Four words of hash and the ref + 1 (0: free), for each slot. */
  #slots = new Int32Array(5 * 2 * FIRST_SLOTS);
  #mask = 2 * FIRST_SLOTS - 1;
  #count = 0;

  get isFull(): boolean {
    return this.#count > REFS_MAX_SERIES;
  }

  /** The ref of the series with this hash, or -1. */
  find(hash: SeriesHash): number {
    const slots = this.#slots;
    const { a, b, c, d } = hash;
    for (let slot = a & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * 5;
      const ref = slots[at + 4]! - 1;
      if (ref < 0) return -1;
      if (slots[at] === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d)
        return ref;
    }
  }

  /** Remembers the ref of a series that `find` does not know. */
  add(hash: SeriesHash, ref: number): void {
    if (++this.#count * 2 > this.#mask) this.#grow();
    this.#insert(hash, ref);
  }

  #insert(hash: { a: number; b: number; c: number; d: number }, ref: number): void {
    const slots = this.#slots;
    let slot = hash.a & this.#mask;
    while (slots[slot * 5 + 4] !== 0) slot = (slot + 1) & this.#mask;
    slots[slot * 5] = hash.a;
    slots[slot * 5 + 1] = hash.b;
    slots[slot * 5 + 2] = hash.c;
    slots[slot * 5 + 3] = hash.d;
    slots[slot * 5 + 4] = ref + 1;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    this.#mask = this.#mask * 2 + 1;
    for (let at = 0; at < old.length; at += 5)
      if (old[at + 4] !== 0)
        this.#insert(
          { a: old[at]!, b: old[at + 1]!, c: old[at + 2]!, d: old[at + 3]! },
          old[at + 4]! - 1,
        );
  }
}

import type { Labels } from "./labels.ts";
import { placesOfTexts } from "./packed-labels.ts";

const FIRST_CAPACITY = 1024;

/**
 * Hashes of label sets, to find out whether any two of many are equal: equal ones always have equal hashes. Two lanes of 32
 * bits over UTF-16 units; good enough that a million different label sets collide once in millions of times, and several
 * times as fast as a standard hash over their UTF-8 bytes.
 */
export class SeriesHashes {
  #halves = new Uint32Array(FIRST_CAPACITY);
  #size = 0;
  readonly #places: number[] = [];

  add(labels: Labels): void {
    let high = 0x9e3779b9;
    let low = 0x85ebca6b;
    // Fast path: labels that are bytes stay bytes; they are ASCII, so these are their units too.
    const { packed } = labels;
    const places = this.#places;
    const end = packed === undefined ? 4 * labels.count : placesOfTexts(packed, places);
    for (let i = 0; i < end; i += 2) {
      const text = packed === undefined ? textAt(labels, i >> 1) : "";
      const from = packed === undefined ? 0 : places[i]!;
      const to = packed === undefined ? text.length : places[i + 1]!;
      // Lengths keep apart what would read alike.
      high = Math.imul(high ^ (to - from), 0x01000193);
      low = Math.imul(low ^ (to - from), 0x27d4eb2f);
      for (let k = from; k < to; k++) {
        const unit = packed === undefined ? text.charCodeAt(k) : packed.bytes[k]!;
        high = Math.imul(high ^ unit, 0x01000193);
        low = Math.imul((low << 5) ^ (low >>> 27) ^ unit, 0x27d4eb2f);
      }
    }
    if (this.#size === this.#halves.length) {
      const grown = new Uint32Array(2 * this.#size);
      grown.set(this.#halves);
      this.#halves = grown;
    }
    high ^= low >>> 15;
    low ^= high >>> 13;
    this.#halves[this.#size] = finish(high);
    this.#halves[this.#size + 1] = finish(low);
    this.#size += 2;
  }

  /** High and low half of each hash in turn. */
  get halves(): Uint32Array {
    return this.#halves.subarray(0, this.#size);
  }
}

/** Names and values in turn. */
function textAt(labels: Labels, index: number): string {
  return index % 2 === 0 ? labels.nameAt(index >> 1) : labels.valueAt(index >> 1);
}

/** Spreads the differences over all bits (the last steps of MurmurHash3). */
function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Whether a hash occurs twice in all lists together: open addressing, at most half full. */
export function hasEqualHashes(lists: readonly Uint32Array[]): boolean {
  const count = lists.reduce((sum, halves) => sum + halves.length / 2, 0);
  const capacity = 2 ** Math.ceil(Math.log2(2 * count + 2));
  const mask = capacity - 1;
  // A place is free when both halves are 0; a hash of 0 is taken for the one beside it, which can only find too much.
  const highs = new Uint32Array(capacity);
  const lows = new Uint32Array(capacity);
  for (const halves of lists)
    for (let i = 0; i < halves.length; i += 2) {
      const high = halves[i]!;
      const low = high === 0 && halves[i + 1] === 0 ? 1 : halves[i + 1]!;
      let at = low & mask;
      while (highs[at] !== 0 || lows[at] !== 0) {
        if (highs[at] === high && lows[at] === low) return true;
        at = (at + 1) & mask;
      }
      highs[at] = high;
      lows[at] = low;
    }
  return false;
}

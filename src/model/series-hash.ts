import type { Labels } from "./labels.ts";

const FIRST_CAPACITY = 1024;

/**
 * Hashes of label sets, to find out whether any two of many are equal: equal ones always have equal hashes. Two lanes of 32
 * bits over UTF-16 units; good enough that a million different label sets collide once in millions of times, and several
 * times as fast as a standard hash over their UTF-8 bytes.
 */
export class SeriesHashes {
  #halves = new Uint32Array(FIRST_CAPACITY);
  #size = 0;

  add(labels: Labels): void {
    let high = 0x9e3779b9;
    let low = 0x85ebca6b;
    for (let i = 0; i < labels.count; i++)
      for (let side = 0; side < 2; side++) {
        const text = side === 0 ? labels.nameAt(i) : labels.valueAt(i);
        // Lengths keep apart what would read alike.
        high = Math.imul(high ^ text.length, 0x01000193);
        low = Math.imul(low ^ text.length, 0x27d4eb2f);
        for (let k = 0; k < text.length; k++) {
          const unit = text.charCodeAt(k);
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

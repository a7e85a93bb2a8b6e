import type { Labels } from "./labels.ts";
import { placesOfTexts } from "./packed-labels.ts";

const FIRST_CAPACITY = 1024;
const ENCODER = new TextEncoder();

/** A piece of UTF-8: `bytes[from, to)`. */
interface Bytes {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/**
 * The hash of one label as two halves of 32 bits. Good enough that a million different label sets collide once in millions of
 * times, and several times as fast as a standard hash.
 */
export class PairHash {
  high = 0;
  low = 0;

  /** Becomes the hash of the label. */
  set(name: Bytes, value: Bytes): void {
    // The length keeps apart what would read alike.
    this.high = Math.imul(0x9e3779b9 ^ (name.to - name.from), 0x01000193);
    this.low = Math.imul(0x85ebca6b ^ (name.to - name.from), 0x27d4eb2f);
    this.#take(name);
    this.#take(value);
    const high = this.high ^ (this.low >>> 15);
    const low = this.low ^ (high >>> 13);
    this.high = finish(high);
    this.low = finish(low);
  }

  #take({ bytes, from, to }: Bytes): void {
    let { high, low } = this;
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!;
      high = Math.imul(high ^ byte, 0x01000193);
      low = Math.imul((low << 5) ^ (low >>> 27) ^ byte, 0x27d4eb2f);
    }
    this.high = high;
    this.low = low;
  }
}

/** Spreads the differences over all bits (the last steps of MurmurHash3). */
function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Hashes of label sets, to find out whether any two of many are equal: equal ones always have equal hashes. That of a set is the
 * sum of its labels', half by half, so a label that all sets have can be added later.
 */
export class SeriesHashes {
  #halves = new Uint32Array(FIRST_CAPACITY);
  #size = 0;
  readonly #places: number[] = [];
  readonly #pair = new PairHash();

  add(labels: Labels): void {
    this.#reserve(2);
    const pair = this.#pair;
    let high = 0;
    let low = 0;
    const { packed } = labels;
    if (packed === undefined)
      for (let i = 0; i < labels.count; i++) {
        pair.set(bytesOf(labels.nameAt(i)), bytesOf(labels.valueAt(i)));
        high += pair.high;
        low += pair.low;
      }
    else {
      const places = this.#places;
      const { bytes } = packed;
      const end = placesOfTexts(packed, places);
      for (let i = 0; i < end; i += 4) {
        pair.set(
          { bytes, from: places[i]!, to: places[i + 1]! },
          { bytes, from: places[i + 2]!, to: places[i + 3]! },
        );
        high += pair.high;
        low += pair.low;
      }
    }
    this.#halves[this.#size++] = high;
    this.#halves[this.#size++] = low;
  }

  /** Adds hashes, high and low half in turn. */
  addAll(halves: Uint32Array): void {
    this.#reserve(halves.length);
    this.#halves.set(halves, this.#size);
    this.#size += halves.length;
  }

  /** High and low half of each hash in turn. */
  get halves(): Uint32Array {
    return this.#halves.subarray(0, this.#size);
  }

  #reserve(size: number): void {
    if (this.#size + size <= this.#halves.length) return;
    const grown = new Uint32Array(Math.max(2 * this.#halves.length, this.#size + size));
    grown.set(this.#halves);
    this.#halves = grown;
  }
}

/** Turns hashes into those of the same series with `labels` more, of which they have none. */
export function addToHashes(halves: Uint32Array, labels: Labels): void {
  const added = new SeriesHashes();
  added.add(labels);
  const [high = 0, low = 0] = added.halves;
  for (let i = 0; i < halves.length; i += 2) {
    halves[i] = halves[i]! + high;
    halves[i + 1] = halves[i + 1]! + low;
  }
}

function bytesOf(text: string): Bytes {
  const bytes = ENCODER.encode(text);
  return { bytes, from: 0, to: bytes.length };
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

import { PairHash } from "../model/series-hash.ts";

/** Hashes that are kept, of those labels that many series share: a power of two. */
const SLOTS = 4096;

/** Hashes of labels by the symbols of name and value. */
export class LabelHashes {
  readonly highs = new Uint32Array(SLOTS);
  readonly lows = new Uint32Array(SLOTS);
  readonly #names = new Int32Array(SLOTS).fill(-1);
  readonly #values = new Int32Array(SLOTS);
  readonly #bytesOf: (symbol: number) => Uint8Array;
  readonly #hash = new PairHash();

  constructor(bytesOf: (symbol: number) => Uint8Array) {
    this.#bytesOf = bytesOf;
  }

  /** Where the hash of the label is, until the next call. */
  slotOf(name: number, value: number): number {
    const slot = (value ^ Math.imul(name, 0x9e3779b1)) & (SLOTS - 1);
    if (this.#names[slot] === name && this.#values[slot] === value) return slot;
    const nameBytes = this.#bytesOf(name);
    const valueBytes = this.#bytesOf(value);
    this.#hash.set(
      { bytes: nameBytes, from: 0, to: nameBytes.length },
      { bytes: valueBytes, from: 0, to: valueBytes.length },
    );
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.highs[slot] = this.#hash.high;
    this.lows[slot] = this.#hash.low;
    return slot;
  }
}

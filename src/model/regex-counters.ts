import type { Leaf } from "./regex-clusters.ts";
import { ENTERED_WORDS_AT, FOUND_AT } from "./regex-kernel.ts";

/** Runs of places that have left are kept up to this many. */
const LEFT_MAX = 1024;

/**
 * How many characters of its set each counter has seen, for every place in the text where it was entered. Such places only
 * wait in a queue: the first one has the highest count and leaves when that is above the most. Places next to each other
 * are one run.
 */
export class RegexCounters {
  /** How often a counter has counted since `clear`. */
  counted = 0;
  readonly #clusters: Int32Array;
  readonly #bits: Int32Array;
  readonly #min: Float64Array;
  readonly #max: Float64Array;
  /** Of each counter: first and last place of each run, in ascending order. */
  readonly #runs: readonly number[][];
  /** Of each counter: how many numbers of its runs have left. */
  readonly #left: Int32Array;
  /** Of each counter, whether it has a run: 1 or 0. */
  readonly #isCounting: Uint8Array;

  constructor(leaves: readonly Leaf[]) {
    this.#clusters = Int32Array.from(leaves, ({ cluster }) => cluster);
    this.#bits = Int32Array.from(leaves, ({ bit }) => bit);
    this.#min = Float64Array.from(leaves, ({ min }) => min);
    this.#max = Float64Array.from(leaves, ({ max }) => max);
    this.#runs = leaves.map(() => []);
    this.#left = new Int32Array(leaves.length);
    this.#isCounting = new Uint8Array(leaves.length);
  }

  clear(): void {
    for (const runs of this.#runs) runs.length = 0;
    this.#left.fill(0);
    this.#isCounting.fill(0);
    this.counted = 0;
  }

  /**
   * Takes the letter at `position` of the text after the kernel did, and sets the bits of the counters that may end behind
   * it in its words; whether any counts.
   */
  step(words: Int32Array, bits: Int32Array, position: number): boolean {
    let alive = 0;
    for (let i = 0; i < this.#bits.length; i++) {
      const bit = this.#bits[i]!;
      const cluster = this.#clusters[i]!;
      if ((bits[cluster]! & bit) === 0) {
        if (this.#isCounting[i] === 1) {
          this.#isCounting[i] = 0;
          this.#runs[i]!.length = 0;
          this.#left[i] = 0;
        }
        continue;
      }
      const isEntered = (words[ENTERED_WORDS_AT + cluster]! & bit) !== 0;
      if (!isEntered && this.#isCounting[i] === 0) continue;
      const runs = this.#runs[i]!;
      const max = this.#max[i]!;
      if (isEntered) {
        addPlace(runs, position, max);
        this.#isCounting[i] = 1;
      }
      let left = this.#left[i]!;
      const oldest = position - max + 1;
      while (left < runs.length && runs[left + 1]! < oldest) left += 2;
      if (left >= LEFT_MAX) {
        runs.splice(0, left);
        left = 0;
      }
      this.#left[i] = left;
      const at = FOUND_AT + cluster;
      words[at] = words[at]! & ~bit;
      if (left === runs.length) continue;
      alive++;
      // Of a run that has left in part, the first place is the oldest there may be.
      if (position - Math.max(runs[left]!, oldest) + 1 >= this.#min[i]!)
        words[at] = words[at]! | bit;
    }
    this.counted += alive;
    return alive > 0;
  }
}

function addPlace(runs: number[], position: number, max: number): void {
  const last = runs.length - 1;
  if (last > 0 && runs[last] === position - 1) runs[last] = position;
  // Where there is no most, the first place stays the first.
  else if (max !== Infinity || last < 0) runs.push(position, position);
}

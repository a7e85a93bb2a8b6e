import type { Clusters, Leaf } from "./regex-clusters.ts";

/** A letter of the alphabet: all characters between which the pattern does not tell. */
export interface Letter {
  /** Of each cluster: the bits of the places where it may stand. */
  readonly bits: Int32Array;
  readonly isWord: boolean;
  readonly isNewline: boolean;
  /** Of each state, which state this letter leads to; 0 where that is not known. */
  readonly next: Uint16Array;
}

const WORD_AND_NEWLINE = [10, 10, 48, 57, 65, 90, 95, 95, 97, 122];

/** Letters by character; each is made when a text first has it. */
export class Alphabet {
  readonly #clusters: Clusters;
  readonly #stateCount: number;
  /** Where the characters of each letter start, ascending. */
  readonly #starts: Int32Array;
  readonly #letters: (Letter | undefined)[] = [];
  readonly #ascii: (Letter | undefined)[] = Array.from({ length: 128 });
  /** The leaves of sets of one character, by it, and all others by their set. */
  readonly #single = new Map<number, Leaf[]>();
  readonly #other = new Map<Leaf["set"], Leaf[]>();

  constructor(clusters: Clusters, stateCount: number) {
    this.#clusters = clusters;
    this.#stateCount = stateCount;
    const starts = new Set([0]);
    const addStarts = (ranges: readonly number[]): void => {
      for (let i = 0; i < ranges.length; i += 2) starts.add(ranges[i]!).add(ranges[i + 1]! + 1);
    };
    if (clusters.assertions.size > 0) addStarts(WORD_AND_NEWLINE);
    for (const leaf of clusters.leaves) {
      const { ranges } = leaf.set;
      const isSingle = ranges.length === 2 && ranges[0] === ranges[1];
      const known = isSingle ? this.#single.get(ranges[0]!) : this.#other.get(leaf.set);
      if (known !== undefined) {
        known.push(leaf);
        continue;
      }
      if (isSingle) this.#single.set(ranges[0]!, [leaf]);
      else this.#other.set(leaf.set, [leaf]);
      addStarts(ranges);
    }
    this.#starts = Int32Array.from(starts).sort();
  }

  letter(code: number): Letter {
    if (code < 128) return (this.#ascii[code] ??= this.#find(code));
    return this.#find(code);
  }

  /** Calls `visit` with all letters there are so far. */
  forEach(visit: (letter: Letter) => void): void {
    for (const letter of this.#letters) if (letter !== undefined) visit(letter);
  }

  #find(code: number): Letter {
    const starts = this.#starts;
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= code) low = middle;
      else high = middle;
    }
    return (this.#letters[low] ??= this.#make(starts[low]!));
  }

  #make(code: number): Letter {
    const bits = new Int32Array(this.#clusters.count);
    const add = (leaves: readonly Leaf[]): void => {
      for (const { cluster, bit } of leaves) bits[cluster]! |= bit;
    };
    add(this.#single.get(code) ?? []);
    for (const [{ ranges }, leaves] of this.#other) if (contains(ranges, code)) add(leaves);
    const isWord = code < 128 && /\w/.test(String.fromCharCode(code));
    return { bits, isWord, isNewline: code === 10, next: new Uint16Array(this.#stateCount) };
  }
}

export function contains(ranges: readonly number[], code: number): boolean {
  let [low, high] = [0, ranges.length >> 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > ranges[middle * 2 + 1]!) low = middle + 1;
    else high = middle;
  }
  return low * 2 < ranges.length && ranges[low * 2]! <= code;
}

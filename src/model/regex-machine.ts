import { Alphabet, type Letter } from "./regex-alphabet.ts";
import { Clusters, type Tables } from "./regex-clusters.ts";
import { RegexCounters } from "./regex-counters.ts";
import { FOUND_AT, RegexKernel } from "./regex-kernel.ts";
import type { Assertion, RegexNode } from "./regex-tree.ts";

/** States kept at a time, and the words they take in all; when there are more, all are forgotten and found again. */
const STATES_MAX = 512;
const STATE_WORDS_MAX = 1 << 20;

/** Most steps of counters that count; this many take 40 ms. */
export const COUNT_MAX = 1_000_000;

/** What is in a table where nobody has asked yet, the state that no text leads out of, and that of no text. */
const UNKNOWN_STATE = 0;
const DEAD_STATE = 1;
const START_STATE = 2;

/** What stands before or behind a place in a text. */
interface Neighbour {
  readonly isWord: boolean;
  readonly isNewline: boolean;
}

/**
 * A pattern held against texts: the set of places in it where a text may stand is moved on character by character, and
 * what came of it is kept as a deterministic automaton, whose states are made when they are first reached. So a character
 * costs one look-up mostly, and a few operations for 32 places at worst.
 */
export class RegexMachine {
  readonly #clusters: Clusters;
  readonly #alphabet: Alphabet;
  readonly #counters: RegexCounters | undefined;
  readonly #variants = new Map<number, Tables>();
  readonly #plain: Tables | undefined;
  /** The words of all states, one after the other: of each cluster, where the text may stand, and the kind of the last letter. */
  readonly #words: Int32Array;
  readonly #stateMax: number;
  #stateCount = 0;
  readonly #known = new Map<number, number>();
  /** Of each state, whether a text that ends there matches: 0 where that is not known, else 1 for no and 2 for yes. */
  readonly #verdicts: Uint8Array;
  /** How many words a state has. */
  readonly #size: number;
  readonly #kernel = RegexKernel.shared();

  constructor(root: RegexNode) {
    const clusters = new Clusters(root);
    const size = clusters.count + 1;
    const stateMax = Math.max(8, Math.min(STATES_MAX, Math.floor(STATE_WORDS_MAX / size)));
    this.#clusters = clusters;
    this.#size = size;
    this.#stateMax = stateMax;
    this.#alphabet = new Alphabet(clusters, stateMax);
    const counting = clusters.leaves.filter(({ max }) => max > 1);
    this.#counters = counting.length === 0 ? undefined : new RegexCounters(counting);
    this.#plain = clusters.assertions.size === 0 ? clusters.tables(() => false) : undefined;
    this.#words = new Int32Array(stateMax * size);
    this.#verdicts = new Uint8Array(stateMax);
    this.#restart();
  }

  /** Whether the whole of `text`, which is well-formed, matches; undefined when its counters have too much to count. */
  matches(text: string): boolean | undefined {
    if (this.#counters !== undefined) return this.#count(text, this.#counters);
    const alphabet = this.#alphabet;
    let state = START_STATE;
    for (let i = 0; i < text.length; i++) {
      const code = text.codePointAt(i)!;
      if (code > 0xffff) i++;
      const letter = alphabet.letter(code);
      let next = letter.next[state]!;
      if (next === UNKNOWN_STATE) next = this.#find(state, letter);
      if (next === DEAD_STATE) return false;
      state = next;
    }
    if (this.#verdicts[state] === 0)
      this.#verdicts[state] = this.#ends(state * this.#size, state === START_STATE) ? 2 : 1;
    return this.#verdicts[state] === 2;
  }

  /** Counters have too many states for an automaton: each character is a step. */
  #count(text: string, counters: RegexCounters): boolean | undefined {
    counters.clear();
    const { words } = this.#kernel;
    const at = this.#stateCount * this.#size;
    this.#words.fill(0, at, at + this.#size);
    let isStart = true;
    for (let i = 0, position = 0; i < text.length; i++, position++) {
      const code = text.codePointAt(i)!;
      if (code > 0xffff) i++;
      const letter = this.#alphabet.letter(code);
      const isAlive = this.#step(at, letter, isStart);
      const isCounting = counters.step(words, letter.bits, position);
      if (!isAlive && !isCounting) return false;
      if (counters.counted > COUNT_MAX) return undefined;
      this.#take(at);
      isStart = false;
    }
    return this.#ends(at, isStart);
  }

  /** Finds the state after `state` and a letter, and notes it. All other states may be gone then. */
  #find(state: number, letter: Letter): number {
    const isAlive = this.#step(state * this.#size, letter, state === START_STATE);
    if (!isAlive) return (letter.next[state] = DEAD_STATE);
    const known = this.#lookUp();
    if (known !== undefined) return (letter.next[state] = known);
    if (this.#stateCount === this.#stateMax) {
      this.#restart();
      return this.#add();
    }
    return (letter.next[state] = this.#add());
  }

  #restart(): void {
    this.#known.clear();
    this.#verdicts.fill(0);
    this.#alphabet.forEach(({ next }) => next.fill(UNKNOWN_STATE));
    this.#words.fill(0, 0, (START_STATE + 1) * this.#size);
    this.#stateCount = START_STATE + 1;
  }

  /** The state that the last step found. */
  #lookUp(): number | undefined {
    const state = this.#known.get(this.#kernel.hashed());
    if (state === undefined) return undefined;
    const { words } = this.#kernel;
    for (let i = 0, at = state * this.#size; i < this.#size; i++)
      if (this.#words[at + i] !== words[FOUND_AT + i]) return undefined;
    return state;
  }

  #add(): number {
    const state = this.#stateCount++;
    this.#take(state * this.#size);
    this.#known.set(this.#kernel.hashed(), state);
    return state;
  }

  /** Moves the words that the last step found to `at`. */
  #take(at: number): void {
    const { words } = this.#kernel;
    for (let i = 0; i < this.#size; i++) this.#words[at + i] = words[FOUND_AT + i]!;
  }

  /** Moves on from the state at `at` by a letter; whether there is any place then. */
  #step(at: number, letter: Letter, isStart: boolean): boolean {
    const tables = this.#plain ?? this.#tables(this.#before(at, isStart), letter);
    const options = { words: this.#words, from: at, bits: letter.bits, isStart };
    const isAlive = this.#kernel.step(tables.words, options);
    this.#kernel.words[FOUND_AT + this.#size - 1] =
      this.#plain === undefined ? Number(letter.isWord) | (Number(letter.isNewline) << 1) : 0;
    return isAlive;
  }

  /** Whether a text may end in the state at `at`. */
  #ends(at: number, isStart: boolean): boolean {
    const tables = this.#plain ?? this.#tables(this.#before(at, isStart), undefined);
    if (isStart) return tables.isNullable;
    const { count } = this.#clusters;
    return this.#kernel.ends(tables.words, { words: this.#words, from: at, count });
  }

  /** The last letter of the texts that lead to the state at `at`. */
  #before(at: number, isStart: boolean): Neighbour | undefined {
    const kind = this.#words[at + this.#size - 1]!;
    return isStart ? undefined : { isWord: (kind & 1) !== 0, isNewline: (kind & 2) !== 0 };
  }

  /** The tables for a place between two letters, of which none stands for the end of the text. */
  #tables(before: Neighbour | undefined, after: Neighbour | undefined): Tables {
    let mask = 0;
    let bit = 1;
    const holding = new Set<Assertion>();
    for (const assertion of this.#clusters.assertions) {
      if (holds(assertion, before, after)) {
        mask |= bit;
        holding.add(assertion);
      }
      bit <<= 1;
    }
    let tables = this.#variants.get(mask);
    if (tables === undefined)
      this.#variants.set(mask, (tables = this.#clusters.tables((each) => holding.has(each))));
    return tables;
  }
}

function holds(
  assertion: Assertion,
  before: Neighbour | undefined,
  after: Neighbour | undefined,
): boolean {
  switch (assertion) {
    case "textStart":
      return before === undefined;
    case "textEnd":
      return after === undefined;
    case "lineStart":
      return before?.isNewline !== false;
    case "lineEnd":
      return after?.isNewline !== false;
    case "wordBoundary":
      return (before?.isWord === true) !== (after?.isWord === true);
    case "noWordBoundary":
      return (before?.isWord === true) === (after?.isWord === true);
  }
}

import { parseByteRegex, type ByteNode } from "./regex-bytes.ts";

/** Larger patterns are left to the engine. */
const NODES_MAX = 2000;
/** States kept at a time, 1 KiB each; when there are more, all are forgotten and found again. */
const STATES_MAX = 512;

/** Answers whether UTF-8 bytes match a pattern as a whole. */
export interface ByteTest {
  matches(bytes: Uint8Array, from: number, to: number): boolean;
}

/** The test for `source` under `^(?s:…)$`, or undefined when it needs the engine. */
export function compileByteTest(source: string): ByteTest | undefined {
  const node = parseByteRegex(source);
  if (node === undefined) return undefined;
  const program = new Program();
  const start = program.add(node, program.match);
  return start === undefined ? undefined : new Automaton(program, start);
}

/** What to do at a place in the pattern: take a byte that is in the set, go on at two places, or be done. */
type Step =
  | { readonly kind: "byte"; readonly set: Uint8Array; readonly next: number }
  | { readonly kind: "split"; a: number; readonly b: number }
  | { readonly kind: "match" };

/** A pattern as steps, built from its end to its start: each part knows what comes after it. */
class Program {
  readonly steps: Step[] = [{ kind: "match" }];
  readonly match = 0;

  /** Where `node` followed by `next` starts; undefined when the program has become too large. */
  add(node: ByteNode, next: number): number | undefined {
    switch (node.kind) {
      case "set":
        return this.#put({ kind: "byte", set: node.set, next });
      case "sequence": {
        let at: number | undefined = next;
        for (let i = node.parts.length - 1; i >= 0 && at !== undefined; i--)
          at = this.add(node.parts[i]!, at);
        return at;
      }
      case "choice": {
        let at: number | undefined;
        for (const part of node.parts.toReversed()) {
          const start = this.add(part, next);
          if (start === undefined) return undefined;
          at = at === undefined ? start : this.#put({ kind: "split", a: start, b: at });
          if (at === undefined) return undefined;
        }
        return at;
      }
      case "repeat":
        return this.#repeat(node, next);
    }
  }

  #repeat({ part, min, max }: ByteNode & { kind: "repeat" }, next: number): number | undefined {
    let at: number | undefined = next;
    if (max === Infinity) {
      const turn: Step & { kind: "split" } = { kind: "split", a: next, b: next };
      at = this.#put(turn);
      const start = at === undefined ? undefined : this.add(part, at);
      if (start === undefined) return undefined;
      turn.a = start;
    } else
      for (let i = min; i < max && at !== undefined; i++) {
        const start: number | undefined = this.add(part, at);
        at = start === undefined ? undefined : this.#put({ kind: "split", a: start, b: next });
      }
    for (let i = 0; i < min && at !== undefined; i++) at = this.add(part, at);
    return at;
  }

  #put(step: Step): number | undefined {
    return this.steps.length < NODES_MAX ? this.steps.push(step) - 1 : undefined;
  }
}

/**
 * The program run over bytes as a deterministic automaton whose states are made when they are first reached: a state is
 * the set of places in the pattern where the text so far may stand. So a byte costs one look-up, and time is linear
 * whatever the pattern.
 */
class Automaton implements ByteTest {
  readonly #program: Program;
  readonly #start: number;
  /** Of state `s` after byte `b`: the next state, or -1 while nobody has asked, at `s << 8 | b`. */
  #next = new Int32Array(0);
  #places: Int32Array[] = [];
  #isMatch: boolean[] = [];
  #known = new Map<string, number>();

  constructor(program: Program, start: number) {
    this.#program = program;
    this.#start = start;
  }

  matches(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.#places.length === 0) this.#state([this.#start]);
    let state = 0;
    let table = this.#next;
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!;
      let next = table[(state << 8) | byte]!;
      if (next < 0) {
        next = this.#step(state, byte);
        table = this.#next;
      }
      state = next;
    }
    return this.#isMatch[state]!;
  }

  #step(state: number, byte: number): number {
    const { steps } = this.#program;
    const reached: number[] = [];
    for (const place of this.#places[state]!) {
      const step = steps[place]!;
      if (step.kind === "byte" && step.set[byte] === 1) reached.push(step.next);
    }
    if (this.#places.length < STATES_MAX) {
      const next = this.#state(reached);
      this.#next[(state << 8) | byte] = next;
      return next;
    }
    this.#next = new Int32Array(0);
    this.#places = [];
    this.#isMatch = [];
    this.#known.clear();
    this.#state([this.#start]);
    return this.#state(reached);
  }

  /** The state of all places that can be reached from these without a byte. */
  #state(from: readonly number[]): number {
    const { steps } = this.#program;
    const seen = new Set<number>();
    const open = [...from];
    while (open.length > 0) {
      const place = open.pop()!;
      if (seen.has(place)) continue;
      seen.add(place);
      const step = steps[place]!;
      if (step.kind === "split") open.push(step.a, step.b);
    }
    const places = Int32Array.from(seen)
      .filter((place) => steps[place]!.kind !== "split")
      .sort();
    const key = places.join();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const state = this.#places.push(places) - 1;
    this.#known.set(key, state);
    this.#isMatch.push(places[0] === this.#program.match);
    if (state << 8 >= this.#next.length) {
      const grown = new Int32Array(Math.max(16 << 8, this.#next.length * 2)).fill(-1);
      grown.set(this.#next);
      this.#next = grown;
    }
    return state;
  }
}

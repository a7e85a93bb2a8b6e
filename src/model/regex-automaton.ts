import { endsInSet, literalPrefix, parseByteRegex, type ByteNode } from "./regex-bytes.ts";

/** Larger patterns are left to the machine: a new state costs a look at all of them, and each byte may need one. */
const NODES_MAX = 1000;
/** States kept at a time, 1 KiB each; when there are more, all are forgotten and found again. */
const STATES_MAX = 512;

/** The state that no byte leads out of, what is in a table where nobody has asked yet, and the state of no bytes. */
export const DEAD_STATE = 0;
export const UNKNOWN_STATE = 1;
export const START_STATE = 2;

/** The test for `source` under `^(?s:…)$`, or undefined when it needs the engine. */
export function compileByteTest(
  source: string,
  options: { readonly isPrefixKnown?: boolean } = {},
): ByteAutomaton | undefined {
  const node = parseByteRegex(source);
  if (node === undefined) return undefined;
  const prefix = literalPrefix(node);
  // What is not literal in front may be anything: then a text that does not fit shows it sooner at its end.
  const isReversed = (prefix.length === 0 || options.isPrefixKnown === true) && endsInSet(node);
  const program = new Program(isReversed);
  const start = program.add(node, program.match);
  return start === undefined ? undefined : new ByteAutomaton(program, { start, prefix });
}

/** What to do at a place in the pattern: take a byte that is in the set, go on at two places, or be done. */
type Step =
  | { readonly kind: "byte"; readonly set: Uint8Array; readonly next: number }
  | { readonly kind: "split"; a: number; readonly b: number }
  | { readonly kind: "match" };

/**
 * A pattern as steps, built from its end to its start: each part knows what comes after it. Reversed, it takes the bytes
 * from the last one to the first.
 */
class Program {
  readonly steps: Step[] = [{ kind: "match" }];
  readonly match = 0;
  readonly isReversed: boolean;

  constructor(isReversed: boolean) {
    this.isReversed = isReversed;
  }

  /** Where `node` followed by `next` starts; undefined when the program has become too large. */
  add(node: ByteNode, next: number): number | undefined {
    switch (node.kind) {
      case "set":
        return this.#put({ kind: "byte", set: node.set, next });
      case "sequence": {
        let at: number | undefined = next;
        for (const part of this.isReversed ? node.parts : node.parts.toReversed())
          if (at !== undefined) at = this.add(part, at);
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
 * whatever the pattern. Its tables are open to a kernel that runs it over many texts.
 */
export class ByteAutomaton {
  readonly #program: Program;
  readonly #start: number;
  /** What all texts that match start with. */
  readonly prefix: Uint8Array;
  /** Of state `s` after byte `b`: the next state at `s << 8 | b`. */
  table = new Uint16Array(0);
  /** Of each state, whether a text that ends there matches: 1 or 0. */
  readonly matchFlags = new Uint8Array(STATES_MAX);
  #places: Uint16Array[] = [];
  /** Places that are to be looked at, and whether each has been. */
  readonly #open: Uint16Array;
  readonly #seen: Uint8Array;
  readonly #known = new Map<string, number>();

  constructor(program: Program, options: { start: number; prefix: Uint8Array }) {
    this.#program = program;
    this.#start = options.start;
    this.prefix = options.prefix;
    const { length } = program.steps;
    // Each place that is looked at adds two at most.
    this.#open = new Uint16Array(3 * length);
    this.#seen = new Uint8Array(length);
    this.#restart();
  }

  /** Whether bytes are taken from the last one to the first. */
  get isReversed(): boolean {
    return this.#program.isReversed;
  }

  /** How many states there are, of which the first two are none. */
  get stateCount(): number {
    return this.#places.length;
  }

  /** Whether `bytes[from, to)`, which are UTF-8, match as a whole. */
  matches(bytes: Uint8Array, from: number, to: number): boolean {
    const { isReversed, matchFlags } = this;
    const stride = isReversed ? -1 : 1;
    let { table } = this;
    let state = START_STATE;
    for (let i = isReversed ? to - 1 : from, left = to - from; left > 0; i += stride, left--) {
      const byte = bytes[i]!;
      let next = table[(state << 8) | byte]!;
      if (next <= UNKNOWN_STATE) {
        if (next === DEAD_STATE) return false;
        next = this.find(state, byte);
        ({ table } = this);
      }
      state = next;
    }
    return matchFlags[state] === 1;
  }

  /** Finds the state after `state` and `byte`, and notes it in the table. All other states may be gone then. */
  find(state: number, byte: number): number {
    const { steps } = this.#program;
    const reached = this.#open;
    let count = 0;
    for (const place of this.#places[state]!) {
      const step = steps[place]!;
      if (step.kind === "byte" && step.set[byte] === 1) reached[count++] = step.next;
    }
    if (this.#places.length === STATES_MAX) {
      const places = reached.slice(0, count);
      this.#restart();
      reached.set(places);
      return this.#state(count);
    }
    const next = this.#state(count);
    this.table[(state << 8) | byte] = next;
    return next;
  }

  /** Forgets all states but the dead one and that of no bytes. */
  #restart(): void {
    this.table = new Uint16Array(0);
    this.#known.clear();
    this.#places = [];
    this.#state(0);
    this.#places.push(new Uint16Array(0));
    this.#open[0] = this.#start;
    this.#state(1);
  }

  /** The state of all places that can be reached from the first `count` of `#open` without a byte. */
  #state(count: number): number {
    const { steps } = this.#program;
    const open = this.#open;
    const seen = this.#seen;
    for (let left = count; left > 0;) {
      const place = open[--left]!;
      if (seen[place] === 1) continue;
      seen[place] = 1;
      const step = steps[place]!;
      if (step.kind === "split") {
        open[left++] = step.a;
        open[left++] = step.b;
      }
    }
    let size = 0;
    for (let place = 0; place < seen.length; place++)
      if (seen[place] === 1) {
        seen[place] = 0;
        if (steps[place]!.kind !== "split") open[size++] = place;
      }
    const places = open.slice(0, size);
    const key = keyOf(places);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const state = this.#places.push(places) - 1;
    this.#known.set(key, state);
    this.matchFlags[state] = places[0] === this.#program.match ? 1 : 0;
    if (state << 8 >= this.table.length) {
      const grown = new Uint16Array(Math.max(16 << 8, this.table.length * 2)).fill(UNKNOWN_STATE);
      grown.set(this.table);
      this.table = grown;
    }
    return state;
  }
}

/** The places as a text, by which their state is found. */
function keyOf(places: Uint16Array): string {
  return Buffer.from(places.buffer, places.byteOffset, places.byteLength).toString("latin1");
}

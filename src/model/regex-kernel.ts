import { compileModule, instantiate, isTrap } from "../base/web-assembly.ts";
import { CLASSES, unicodeClass } from "./regex-classes.ts";
import { REGEX_MACHINE_WASM } from "./regex-machine.gen.ts";

/** Where patterns, texts and classes go in the kernel's memory (regex-memory.as), and how many units of them at a time. */
const INPUT_AT = 64 * 1024;
export const INPUT_MAX_LENGTH = 64 * 1024;
/** Bytes that patterns may take before the next one makes all be forgotten: some thousands of ordinary ones, or ten bombs. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** Longer texts are copied by the system. */
const LOOP_MAX_LENGTH = 48;

/** Kinds of names of classes (regex-syntax.as). */
const PERL_CLASS = 0;
const POSIX_CLASS = 1;
const UNICODE_CLASS = 2;
/** `\pL` and `\p{Greek}`; whatever else is behind a backslash is passed over with it. */
const CLASS_NAME = /\\(?:[pP](?:\{\^?([^}]+)\}|([^{]))|.)/gsu;
/** A pattern with more names that no class has is wrong. */
const UNKNOWN_MAX = 8;

/** How Go words what is wrong, by its kind; where there is no wording, only where it starts is known. */
const FAILURES = [
  undefined,
  "unexpected )",
  "missing closing )",
  "expression too large",
  "expression nests too deeply",
  "invalid nested repetition operator",
  "missing argument to repetition operator",
  "invalid repeat count",
  "missing closing ]",
  "invalid character class range",
];

const NO = 0;
const YES = 1;
const MORE = 2;

/** Why a pattern cannot be read: a message as Go has it, or from where on the engine has to look for one. */
export type RegexFailure = { readonly message: string } | { readonly from: number };

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  forget(): void;
  used(): number;
  learnClass(kind: number, length: number, count: number): void;
  compile(length: number): number;
  failureKind(): number;
  failureFrom(): number;
  failureTo(): number;
  treeOf(length: number, isFirst: number): number;
  readonly feed: (program: number, length: number, isFirst: number, isLast: number) => number;
}

/** What is known of a pattern before it is held against a text. */
export interface RegexFacts {
  /** How many places it has with its repetitions written out, and whether there are assertions. */
  readonly places: number;
  readonly hasAssertion: boolean;
  /** Characters of the shortest and of the longest text. */
  readonly minLength: number;
  readonly maxLength: number;
}

const TOO_LARGE: RegexFacts = {
  places: Infinity,
  hasAssertion: false,
  minLength: 0,
  maxLength: Infinity,
};

/** A pattern in the kernel's memory; when that is full, all are forgotten, and read again when they are needed. */
export class RegexProgram {
  readonly source: string;
  readonly facts: RegexFacts;
  place: number;
  generation: number;

  constructor(source: string, of: { facts: RegexFacts; place: number; generation: number }) {
    this.source = source;
    this.facts = of.facts;
    this.place = of.place;
    this.generation = of.generation;
  }
}

/** Where regular expressions are read and run (regex-machine.as): one memory for all of them. */
export class RegexKernel {
  static #shared: RegexKernel | undefined;
  readonly #exports = instantiate(compileModule(REGEX_MACHINE_WASM)) as Exports;
  readonly #feed = this.#exports.feed;
  readonly #units = new Uint16Array(this.#exports.memory.buffer, INPUT_AT, INPUT_MAX_LENGTH);
  readonly #bytes = Buffer.from(this.#exports.memory.buffer, INPUT_AT, INPUT_MAX_LENGTH * 2);
  readonly #classes = new Set<string>();
  /** How often all were forgotten, and whether there is anything to be forgotten. */
  #generation = 0;
  #isFresh = false;

  private constructor() {
    this.#forget();
  }

  static shared(): RegexKernel {
    return (this.#shared ??= new RegexKernel());
  }

  /** Reads `source`; undefined when it is wrong or in an odd corner. */
  compile(source: string): RegexProgram | undefined {
    if (this.#exports.used() > KEPT_BYTES) this.#forget();
    const place = this.#withRoom(() => this.#read(source));
    if (place === 0) return undefined;
    const generation = this.#generation;
    const facts = place === undefined ? TOO_LARGE : this.#factsAt(place);
    return new RegexProgram(source, { facts, place: place ?? 0, generation });
  }

  /** What is wrong with a pattern for which `compile` finds nothing. */
  failureOf(source: string): RegexFailure {
    this.#withRoom(() => this.#read(source));
    const from = this.#exports.failureFrom();
    const wording = FAILURES[this.#exports.failureKind()];
    if (wording === undefined) return { from };
    const text = source.slice(from, this.#exports.failureTo());
    return { message: `error parsing regexp: ${wording}: \`${text}\`` };
  }

  /** Whether the whole of `text`, which is well-formed, matches; undefined when that is too much to tell. */
  matches(program: RegexProgram, text: string): boolean | undefined {
    // Fast path: where the program is in memory and the text short, all that may be missing is room.
    if (program.generation === this.#generation && text.length <= LOOP_MAX_LENGTH)
      try {
        return answerOf(this.#feed(program.place, this.#write(text), 1, 1));
      } catch (error) {
        if (!isTrap(error)) throw error;
        this.#forget();
      }
    const verdict = this.#withRoom(() => this.#feedAll(this.#placeOf(program), text));
    return answerOf(verdict);
  }

  /** Numbers by which trees are known: patterns with the same one are held to be the same. For tests. */
  trees(...sources: readonly string[]): number[] {
    for (const source of sources) this.#learn(source);
    return sources.map((source, i) => this.#exports.treeOf(this.#write(source), i === 0 ? 1 : 0));
  }

  #placeOf(program: RegexProgram): number {
    if (program.generation !== this.#generation) {
      program.place = this.#read(program.source);
      program.generation = this.#generation;
    }
    return program.place;
  }

  #feedAll(place: number, text: string): number {
    let from = 0;
    for (;;) {
      let to = Math.min(text.length, from + INPUT_MAX_LENGTH);
      const isLast = to === text.length;
      // A character of two units is not cut in two.
      if (!isLast && (text.charCodeAt(to) & 0xfc00) === 0xdc00) to--;
      const length = this.#write(from === 0 && isLast ? text : text.slice(from, to));
      const verdict = this.#feed(place, length, from === 0 ? 1 : 0, isLast ? 1 : 0);
      if (verdict !== MORE) return verdict;
      from = to;
    }
  }

  #read(source: string): number {
    this.#learn(source);
    return this.#exports.compile(this.#write(source));
  }

  #write(text: string): number {
    const { length } = text;
    if (length > LOOP_MAX_LENGTH) this.#bytes.write(text, "utf16le");
    else {
      const units = this.#units;
      for (let i = 0; i < length; i++) units[i] = text.charCodeAt(i);
    }
    return length;
  }

  #factsAt(place: number): RegexFacts {
    const { buffer } = this.#exports.memory;
    const [places, minLength, maxLength] = new Float64Array(buffer, place, 3);
    const [assertions] = new Uint32Array(buffer, place + 24, 1);
    return {
      places: places!,
      hasAssertion: assertions !== 0,
      minLength: minLength!,
      maxLength: maxLength!,
    };
  }

  /** What `work` says, if need be with all others forgotten; undefined when there is no room for it even so. */
  #withRoom<T>(work: () => T): T | undefined {
    for (;;) {
      const isFresh = this.#isFresh;
      this.#isFresh = false;
      try {
        return work();
      } catch (error) {
        if (!isTrap(error)) throw error;
        this.#forget();
        if (isFresh) return undefined;
      }
    }
  }

  #forget(): void {
    this.#exports.forget();
    this.#generation++;
    this.#isFresh = true;
    this.#classes.clear();
    for (const [name, members] of Object.entries(CLASSES))
      this.#learnClass(name.length === 1 ? PERL_CLASS : POSIX_CLASS, name, members);
  }

  /** Tells the kernel the members of the classes of Unicode that are in `source`. */
  #learn(source: string): void {
    if (!/\\p/i.test(source)) return;
    let unknown = 0;
    for (const { 1: long, 2: letter } of source.matchAll(CLASS_NAME)) {
      const name = long ?? letter;
      if (name === undefined || this.#classes.has(name)) continue;
      const members = unicodeClass(name);
      if (members !== undefined) {
        this.#classes.add(name);
        this.#learnClass(UNICODE_CLASS, name, members);
      } else if (++unknown === UNKNOWN_MAX) return;
    }
  }

  #learnClass(kind: number, name: string, members: readonly number[]): void {
    for (let i = 0; i < name.length; i++) this.#units[i] = name.charCodeAt(i);
    new Int32Array(
      this.#exports.memory.buffer,
      INPUT_AT + ((name.length + 1) & ~1) * 2,
      members.length,
    ).set(members);
    this.#exports.learnClass(kind, name.length, members.length);
  }
}

function answerOf(verdict: number | undefined): boolean | undefined {
  return verdict === YES ? true : verdict === NO ? false : undefined;
}

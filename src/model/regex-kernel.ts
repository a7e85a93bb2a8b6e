import { compileModule, instantiate } from "../base/web-assembly.ts";
import { REGEX_STEP_WASM } from "./regex-step.gen.ts";

/** The kernel's memory: words that go in and out, and behind them the tables of the patterns that ran last. */
const WORDS_AT = 64 * 1024;
const SLOT_BYTES = 32 * 1024;
const BITS_AT = WORDS_AT + SLOT_BYTES;
const ENTERED_AT = BITS_AT + SLOT_BYTES;
const TABLES_AT = ENTERED_AT + SLOT_BYTES;

/** Most clusters of a pattern: the words of this many fit where they go. */
export const CLUSTERS_MAX = SLOT_BYTES / 4;

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  step(
    size: number,
    isStart: number,
    words: number,
    bits: number,
    entered: number,
    tables: number,
  ): number;
  ends(size: number, words: number, tables: number): number;
  hashed(): number;
}

/** The kernel that moves clusters on (regex-step.as): one memory for all patterns, since a call is over before another begins. */
export class RegexKernel {
  static #shared: RegexKernel | undefined;
  readonly #exports = instantiate(compileModule(REGEX_STEP_WASM)) as Exports;
  /** The whole memory. */
  readonly words = new Int32Array(this.#exports.memory.buffer);
  /** Where tables are; when the memory is full, all are forgotten. */
  #places = new WeakMap<Int32Array, number>();
  #free = TABLES_AT;

  static shared(): RegexKernel {
    return (this.#shared ??= new RegexKernel());
  }

  /** Moves `words[from]` and those behind it on by a letter with `bits`; whether there is any place left. */
  step(
    tables: Int32Array,
    {
      words,
      from,
      bits,
      isStart,
    }: { words: Int32Array; from: number; bits: Int32Array; isStart: boolean },
  ): boolean {
    const place = this.#place(tables);
    const at = WORDS_AT >> 2;
    for (let i = 0; i < bits.length; i++) this.words[at + i] = words[from + i]!;
    this.words.set(bits, BITS_AT >> 2);
    const size = bits.length * 4;
    return this.#exports.step(size, Number(isStart), WORDS_AT, BITS_AT, ENTERED_AT, place) !== 0;
  }

  /** Whether a text may end at `words[from]` and the `count` - 1 behind it. */
  ends(
    tables: Int32Array,
    { words, from, count }: { words: Int32Array; from: number; count: number },
  ): boolean {
    const place = this.#place(tables);
    const at = WORDS_AT >> 2;
    for (let i = 0; i < count; i++) this.words[at + i] = words[from + i]!;
    return this.#exports.ends(count * 4, WORDS_AT, place) !== 0;
  }

  /** A number that the words which the last step found have; others seldom have it. */
  hashed(): number {
    return this.#exports.hashed();
  }

  #place(tables: Int32Array): number {
    let place = this.#places.get(tables);
    if (place === undefined) {
      if (this.#free + tables.byteLength > this.words.byteLength) {
        this.#places = new WeakMap();
        this.#free = TABLES_AT;
      }
      place = this.#free;
      this.words.set(tables, place >> 2);
      this.#places.set(tables, place);
      this.#free += tables.byteLength;
    }
    return place;
  }
}

/** Where in the kernel's memory the words are that a step found, and those of where it began. */
export const FOUND_AT = WORDS_AT >> 2;
export const ENTERED_WORDS_AT = ENTERED_AT >> 2;

import type { MemPostings } from "../index/mem-postings.ts";
import { LabelPacker } from "../model/label-packer.ts";
import { Labels, type LabelSource } from "../model/labels.ts";
import type { PackedLabels } from "../model/packed-labels.ts";

/** Pairs of several hundred series share a buffer. */
const BUFFER_PAIRS = 4096;
/** Texts kept, so that equal ones are one string: a power of two. */
const TEXT_SLOTS = 1024;

/**
 * Labels of a head's series as the numbers of their pairs. What a number means never changes: an index that is compacted is a new
 * one, and this keeps the one it began with. Most series of a wide query are grouped by one label, and nobody asks for the rest.
 */
export class HeadLabels {
  readonly postings: MemPostings;
  readonly #texts: SymbolTexts;
  #source: PairLabels;

  constructor(postings: MemPostings) {
    this.postings = postings;
    this.#texts = new SymbolTexts(postings);
    this.#source = new PairLabels(this.#texts, BUFFER_PAIRS);
  }

  /** The labels of the pairs `start` (inclusive) to `end` (exclusive) of `pairs`, which may change later. */
  of(pairs: Uint32Array, start: number, end: number): Labels {
    if (!this.#source.hasRoom(end - start))
      this.#source = new PairLabels(this.#texts, Math.max(BUFFER_PAIRS, end - start));
    return this.#source.add(pairs, start, end);
  }
}

/** Names and values of one index as strings. */
class SymbolTexts {
  readonly postings: MemPostings;
  readonly packer: LabelPacker;
  readonly #symbols = new Int32Array(TEXT_SLOTS).fill(-1);
  readonly #texts = Array.from({ length: TEXT_SLOTS }, () => "");
  #name = "";
  #nameSymbol = -1;

  constructor(postings: MemPostings) {
    this.postings = postings;
    this.packer = new LabelPacker(postings.symbols);
  }

  /** The symbol of a label name, -1 when the index has none. */
  symbolOf(name: string): number {
    if (name !== this.#name || this.#nameSymbol < 0) {
      this.#name = name;
      this.#nameSymbol = this.postings.symbols.find(name);
    }
    return this.#nameSymbol;
  }

  text(symbol: number): string {
    const slot = symbol & (TEXT_SLOTS - 1);
    if (this.#symbols[slot] === symbol) return this.#texts[slot]!;
    this.#symbols[slot] = symbol;
    return (this.#texts[slot] = this.postings.symbols.text(symbol));
  }
}

/** The labels of some series, by the numbers of their pairs. */
class PairLabels implements LabelSource {
  readonly #texts: SymbolTexts;
  readonly #pairs: Uint32Array;
  #used = 0;

  constructor(texts: SymbolTexts, size: number) {
    this.#texts = texts;
    this.#pairs = new Uint32Array(size);
  }

  hasRoom(count: number): boolean {
    return this.#used + count <= this.#pairs.length;
  }

  add(pairs: Uint32Array, start: number, end: number): Labels {
    const from = this.#used;
    let to = from;
    for (let i = start; i < end; i++) this.#pairs[to++] = pairs[i]!;
    this.#used = to;
    return Labels.fromSource(this, from, to);
  }

  get(name: string, from: number, to: number): string {
    const texts = this.#texts;
    const { postings } = texts;
    const symbol = texts.symbolOf(name);
    if (symbol < 0) return "";
    for (let i = from; i < to; i++) {
      const pair = this.#pairs[i]!;
      if (postings.nameOf(pair) === symbol) return texts.text(postings.valueOf(pair));
    }
    return "";
  }

  texts(from: number, to: number): string[] {
    const texts = this.#texts;
    const { postings } = texts;
    const flat: string[] = [];
    for (let i = from; i < to; i++) {
      const pair = this.#pairs[i]!;
      flat.push(texts.text(postings.nameOf(pair)), texts.text(postings.valueOf(pair)));
    }
    return flat;
  }

  pack(from: number, to: number): PackedLabels | undefined {
    const { postings, packer } = this.#texts;
    for (let i = from; i < to; i++) {
      const pair = this.#pairs[i]!;
      packer.add(postings.nameOf(pair), postings.valueOf(pair));
    }
    return packer.take().packed;
  }
}

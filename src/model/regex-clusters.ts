import type { Assertion, RegexNode } from "./regex-tree.ts";

/** Bits of a word: how many sets, counters and other clusters one cluster holds. */
const BITS = 32;
/** Fewer copies of a set are written out one by one. */
const COUNTER_MIN = 64;
/** Places that a counter which does not count stands for, by what it costs. */
const COUNTER_PLACES = 8;
/** Patterns that have more sets when written out get counters. */
const WRITTEN_OUT_MAX = 2000;

/** A part of the pattern that lies in one cluster. `bits`: how many of the word it takes. */
type Part = { readonly bits: number } & (
  | { readonly kind: "empty" | "none" }
  | { readonly kind: "assertion"; readonly assertion: Assertion }
  | { readonly kind: "leaf"; readonly leaf: Leaf }
  | { readonly kind: "cluster"; readonly index: number }
  | { readonly kind: "sequence" | "choice"; readonly parts: readonly Part[] }
  | { readonly kind: "option" | "plus"; readonly part: Part }
);

/** A place in the pattern where a character of `set` stands; if `max` is above 1, `min` to `max` of them. */
export interface Leaf {
  readonly set: RegexNode & { readonly kind: "set" };
  readonly min: number;
  readonly max: number;
  cluster: number;
  bit: number;
}

/** All clusters as they are while all assertions are true or false in one way. */
export interface Tables {
  /**
   * Words by cluster, one after the other: the bits behind which it may end, those with which it may begin, where its
   * table is, where the word of the cluster around it is (both in bytes), and its bit there. Then the tables: for each of
   * the four bytes of a word and each value of it, the bits that may follow. Clusters of the same shape share theirs.
   */
  readonly words: Int32Array;
  /** Whether the empty text matches. */
  readonly isNullable: boolean;
}

/**
 * The places of a pattern in words of 32 bits, so that where a text may stand is moved on by a character for all bits of a
 * word at once. A cluster is a piece of the syntax tree that has one place where it is entered and one where it is left;
 * within it other clusters take one bit each. So the clusters are a tree too: the inner ones are told first whether
 * they may end here, then the outer ones tell them whether they may begin, and that is all, however the pattern nests.
 * (After Myers, A Four Russians Algorithm for Regular Expression Pattern Matching, 1992.)
 */
export class Clusters {
  readonly leaves: Leaf[] = [];
  readonly assertions = new Set<Assertion>();
  /** Of each cluster: the one around it, which has a higher index, and its bit there. The last one is around all. */
  readonly #parents: Int32Array;
  readonly #parentBits: Int32Array;
  readonly #roots: Part[] = [];
  readonly #isCounting: boolean;

  constructor(root: RegexNode) {
    this.#isCounting = root.setCount > WRITTEN_OUT_MAX;
    this.#close(this.#part(root));
    this.#parents = new Int32Array(this.count).fill(-1);
    this.#parentBits = new Int32Array(this.count);
    for (const [cluster, part] of this.#roots.entries()) this.#number(part, cluster, 0);
  }

  get count(): number {
    return this.#roots.length;
  }

  /** How many places `root` has, as far as time is concerned, without making them. */
  static size(root: RegexNode): number {
    if (root.setCount <= WRITTEN_OUT_MAX) return root.setCount;
    const known = new Map<RegexNode, number>();
    const size = (node: RegexNode): number => {
      let found = known.get(node);
      if (found !== undefined) return found;
      found = 0;
      if (node.kind === "repeat")
        found = isCounter(node) ? COUNTER_PLACES : size(node.part) * copiesOf(node);
      else if (node.kind === "sequence" || node.kind === "choice")
        for (const part of node.parts) found += size(part);
      else if (node.kind === "set") found = 1;
      known.set(node, found);
      return found;
    };
    return size(root);
  }

  #part(node: RegexNode): Part {
    switch (node.kind) {
      case "empty":
      case "none":
        return { kind: node.kind, bits: 0 };
      case "assertion":
        this.assertions.add(node.assertion);
        return { kind: "assertion", bits: 0, assertion: node.assertion };
      case "set":
        return this.#leaf({ set: node, min: 1, max: 1 });
      case "sequence":
      case "choice":
        return this.#pack(
          node.kind,
          node.parts.map((part) => this.#part(part)),
        );
      case "repeat":
        return this.#repeat(node);
    }
  }

  #leaf(of: Pick<Leaf, "set" | "min" | "max">): Part {
    const leaf = { ...of, cluster: 0, bit: 0 };
    this.leaves.push(leaf);
    return { kind: "leaf", bits: 1, leaf };
  }

  #repeat(node: RegexNode & { kind: "repeat" }): Part {
    const { part, min, max } = node;
    if (this.#isCounting && isCounter(node)) {
      const leaf = this.#leaf({ set: part as Leaf["set"], min: Math.max(1, min), max });
      return min === 0 ? option(leaf) : leaf;
    }
    const parts: Part[] = [];
    const copies = copiesOf(node);
    for (let i = 0; i < copies; i++) {
      let copy = this.#part(part);
      if (max === Infinity && i === copies - 1)
        copy = { kind: "plus", bits: copy.bits, part: copy };
      parts.push(i >= min ? option(copy) : copy);
    }
    return this.#pack("sequence", parts);
  }

  /** The parts as one that fits into a cluster: neighbours are put into clusters of their own until it does. */
  #pack(kind: "sequence" | "choice", parts: readonly Part[]): Part {
    let packed = parts;
    for (;;) {
      const bits = packed.reduce((sum, part) => sum + part.bits, 0);
      if (bits <= BITS) return { kind, bits, parts: packed };
      const groups: Part[] = [];
      let group: Part[] = [];
      let size = 0;
      const close = (): void => {
        if (size <= 1) for (const part of group) groups.push(part);
        else groups.push(this.#close({ kind, bits: size, parts: group }));
      };
      for (const part of packed) {
        if (size + part.bits > BITS) {
          close();
          group = [];
          size = 0;
        }
        group.push(part);
        size += part.bits;
      }
      close();
      packed = groups;
    }
  }

  #close(part: Part): Part {
    return { kind: "cluster", bits: 1, index: this.#roots.push(part) - 1 };
  }

  /** Gives the bits from `bit` on to what is in `part`; the next free one. */
  #number(part: Part, cluster: number, bit: number): number {
    switch (part.kind) {
      case "leaf":
        part.leaf.cluster = cluster;
        part.leaf.bit = 1 << bit;
        break;
      case "cluster":
        this.#parents[part.index] = cluster;
        this.#parentBits[part.index] = 1 << bit;
        break;
      case "sequence":
      case "choice": {
        let next = bit;
        for (const each of part.parts) next = this.#number(each, cluster, next);
        return next;
      }
      case "option":
      case "plus":
        return this.#number(part.part, cluster, bit);
      case "empty":
      case "none":
      case "assertion":
    }
    return bit + part.bits;
  }

  /** The tables for a place in a text where `holds` tells which assertions hold. */
  tables(holds: (assertion: Assertion) => boolean): Tables {
    const { count } = this;
    const words = new Int32Array(5 * count);
    const nullable = new Uint8Array(count);
    const builder = new TableBuilder(this.#parentBits, nullable, holds);
    for (const [cluster, part] of this.#roots.entries()) {
      const ends = builder.read(part);
      nullable[cluster] = ends.isNullable ? 1 : 0;
      words[cluster] = ends.last;
      words[count + cluster] = ends.first;
      words[2 * count + cluster] = builder.takeFollow() * 4;
      words[3 * count + cluster] = this.#parents[cluster]! * 4;
      words[4 * count + cluster] = this.#parentBits[cluster]!;
    }
    const follow = builder.follow();
    const all = new Int32Array(words.length + follow.length);
    all.set(words);
    all.set(follow, words.length);
    return { words: all, isNullable: nullable[count - 1] === 1 };
  }
}

function option(part: Part): Part {
  return { kind: "option", bits: part.bits, part };
}

function copiesOf({ min, max }: { min: number; max: number }): number {
  return max === Infinity ? Math.max(1, min) : max;
}

function isCounter(node: RegexNode & { kind: "repeat" }): boolean {
  return node.part.kind === "set" && copiesOf(node) >= COUNTER_MIN;
}

interface Ends {
  readonly first: number;
  readonly last: number;
  readonly isNullable: boolean;
}

/** Finds what may follow what within a cluster. */
class TableBuilder {
  readonly #bits: Int32Array;
  readonly #nullable: Uint8Array;
  readonly #holds: (assertion: Assertion) => boolean;
  readonly #follow = new Int32Array(BITS);
  readonly #shapes: Int32Array[] = [];
  readonly #places = new Map<string, number>();

  constructor(bits: Int32Array, nullable: Uint8Array, holds: (assertion: Assertion) => boolean) {
    this.#bits = bits;
    this.#nullable = nullable;
    this.#holds = holds;
  }

  read(part: Part): Ends {
    switch (part.kind) {
      case "empty":
      case "none":
        return { first: 0, last: 0, isNullable: part.kind === "empty" };
      case "assertion":
        return { first: 0, last: 0, isNullable: this.#holds(part.assertion) };
      case "leaf":
        return { first: part.leaf.bit, last: part.leaf.bit, isNullable: false };
      case "cluster": {
        const bit = this.#bits[part.index]!;
        return { first: bit, last: bit, isNullable: this.#nullable[part.index] === 1 };
      }
      case "option":
        return { ...this.read(part.part), isNullable: true };
      case "plus": {
        const ends = this.read(part.part);
        this.#connect(ends.last, ends.first);
        return ends;
      }
      case "sequence": {
        let [first, last, isNullable] = [0, 0, true];
        for (const each of part.parts) {
          const ends = this.read(each);
          this.#connect(last, ends.first);
          if (isNullable) first |= ends.first;
          last = ends.last | (ends.isNullable ? last : 0);
          isNullable &&= ends.isNullable;
        }
        return { first, last, isNullable };
      }
      case "choice": {
        let [first, last, isNullable] = [0, 0, false];
        for (const each of part.parts) {
          const ends = this.read(each);
          first |= ends.first;
          last |= ends.last;
          isNullable ||= ends.isNullable;
        }
        return { first, last, isNullable };
      }
    }
  }

  #connect(from: number, to: number): void {
    for (let rest = from; rest !== 0; rest &= rest - 1)
      this.#follow[31 - Math.clz32(rest & -rest)]! |= to;
  }

  /** Where the table of what was read will be; what was read is forgotten. */
  takeFollow(): number {
    const follow = this.#follow;
    const key = follow.join();
    let at = this.#places.get(key);
    if (at === undefined) {
      at = this.#places.size << 10;
      this.#places.set(key, at);
      this.#shapes.push(follow.slice());
    }
    follow.fill(0);
    return at;
  }

  /** All tables. */
  follow(): Int32Array {
    const table = new Int32Array(this.#shapes.length << 10);
    for (const [shape, follow] of this.#shapes.entries())
      for (let byte = 0; byte < 4; byte++) {
        const base = (shape << 10) | (byte << 8);
        for (let value = 1; value < 256; value++) {
          const lowest = 31 - Math.clz32(value & -value);
          table[base + value] =
            table[base + (value & (value - 1))]! | follow[(byte << 3) + lowest]!;
        }
      }
    return table;
  }
}

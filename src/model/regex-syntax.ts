import { CLASSES, unicodeClass } from "./regex-classes.ts";
import { foldRanges } from "./regex-folds.ts";
import {
  MAX_CODE_POINT,
  normalizeRanges,
  uniteRanges,
  type Assertion,
  type RegexNode,
  RegexTree,
} from "./regex-tree.ts";

/** Where Go's limits are near (it counts in a way of its own), the engine has to say what it takes. */
const SIZE_MAX = 3_200_000;
const HEIGHT_MAX = 900;
/** Nested repetitions, multiplied. */
const REPEAT_MAX = 1000;
const REPETITION = /\{(0|[1-9]\d{0,3})(?:(,)(0|[1-9]\d{0,3})?)?\}/y;
/** One with numbers that are too large; with a leading zero it is text. */
const WRONG_REPETITION = /\{(?!0\d|\d+,0\d)\d+(?:,\d*)?\}/y;
const GROUP_NAME = /\(\?P?<(\w+)>/y;
const GROUP_FLAGS = /\(\?([imsU]*)(?:-([imsU]+))?([:)])/y;
/** Where a class in brackets ends, mostly. */
const CLASS = /\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]/suy;
const UNICODE_CLASS = /\\[pP](?:\{(\^?)(\w+)\}|([A-Z]))/y;
const NAMED_CLASS = /\[:(\^?)(\w+):\]/y;
const OCTAL = /\\(0[0-7]{0,2}|[1-7][0-7]{1,2})/y;
const HEXADECIMAL = /\\x(?:\{([\da-fA-F]{1,8})\}|([\da-fA-F]{2}))/y;
const ONE_CHARACTER = /\\(?:([afnrtv])|([!-/:-@[-`{-~]))/y;
const ESCAPED: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
const ASSERTIONS: Readonly<Record<string, Assertion>> = {
  A: "textStart",
  z: "textEnd",
  b: "wordBoundary",
  B: "noWordBoundary",
};

/** A node with what Go's limits are about: how large and how high it is as written, and its nested repetitions. */
interface Item {
  readonly node: RegexNode;
  readonly size: number;
  readonly height: number;
  readonly repeats: number;
}

interface Flags {
  readonly fold: boolean;
  readonly multiline: boolean;
  readonly dotNewline: boolean;
}

interface Group {
  readonly flags: Flags;
  readonly isCapture: boolean;
  readonly branches: Item[];
  sequence: Item[];
}

/**
 * The tree of `source` under `^(?s:…)$` in the syntax of RE2, or undefined when it is wrong, near a limit, or in one of
 * the few odd corners that are left to the engine: what is read here, the engine reads the same way.
 */
export function parseRegex(source: string, tree = new RegexTree()): RegexNode | undefined {
  return source.isWellFormed() ? new Parser(source, tree).parse() : undefined;
}

class Parser {
  readonly #source: string;
  readonly #tree: RegexTree;
  #at = 0;
  #flags: Flags = { fold: false, multiline: false, dotNewline: true };
  readonly #groups: Group[] = [];
  #group: Group;
  readonly #names = new Set<string>();
  /** Whether what stands before can be repeated. */
  #isRepeatable = false;
  readonly #literals = new Map<number, Item>();
  readonly #classes = new Map<string, Item>();

  constructor(source: string, tree: RegexTree) {
    this.#source = source;
    this.#tree = tree;
    this.#group = this.#newGroup(false);
  }

  parse(): RegexNode | undefined {
    while (this.#at < this.#source.length) if (!this.#step()) return undefined;
    if (this.#groups.length > 0) return undefined;
    const { node, size, height } = this.#closed();
    return size > SIZE_MAX || height > HEIGHT_MAX ? undefined : node;
  }

  #newGroup(isCapture: boolean): Group {
    return { flags: this.#flags, isCapture, branches: [], sequence: [] };
  }

  /** Takes one thing; whether it is known. */
  #step(): boolean {
    const character = this.#source[this.#at]!;
    switch (character) {
      case "(":
        return this.#open();
      case "|":
        this.#at++;
        this.#isRepeatable = false;
        this.#group.branches.push(this.#joined());
        this.#group.sequence = [];
        return true;
      case ")":
        return this.#close();
      case "*":
        return this.#repeat(1, 0, Infinity);
      case "+":
        return this.#repeat(1, 1, Infinity);
      case "?":
        return this.#repeat(1, 0, 1);
      case "{":
        return this.#counted();
      case "[":
        return this.#class();
      case "\\":
        return this.#escape();
      case ".":
        this.#at++;
        return this.#pushSet(
          this.#flags.dotNewline ? [0, MAX_CODE_POINT] : [0, 9, 11, MAX_CODE_POINT],
        );
      case "^":
        return this.#pushAssertion(this.#flags.multiline ? "lineStart" : "textStart", 1);
      case "$":
        return this.#pushAssertion(this.#flags.multiline ? "lineEnd" : "textEnd", 1);
      default:
        return this.#literal();
    }
  }

  #literal(): boolean {
    const code = this.#source.codePointAt(this.#at)!;
    this.#at += code > 0xffff ? 2 : 1;
    return this.#pushLiteral(code);
  }

  #pushLiteral(code: number): boolean {
    const key = this.#flags.fold ? -1 - code : code;
    let item = this.#literals.get(key);
    if (item === undefined) {
      item = this.#item(this.#tree.set(this.#folded([code, code])));
      this.#literals.set(key, item);
    }
    return this.#push(item);
  }

  #folded(ranges: readonly number[]): readonly number[] {
    return this.#flags.fold ? foldRanges(ranges) : ranges;
  }

  #item(node: RegexNode): Item {
    return { node, size: 1, height: 1, repeats: 1 };
  }

  #push(item: Item): boolean {
    this.#group.sequence.push(item);
    this.#isRepeatable = true;
    return true;
  }

  /** What changes flags or quotes nothing: a repetition after it is one of what stands before it. */
  #pushNothing(): boolean {
    this.#isRepeatable = this.#group.sequence.length > 0;
    return true;
  }

  #pushSet(ranges: readonly number[]): boolean {
    return this.#push(this.#item(this.#tree.set(ranges)));
  }

  #pushAssertion(assertion: Assertion, length: number): boolean {
    this.#at += length;
    return this.#push(this.#item(this.#tree.assertion(assertion)));
  }

  #open(): boolean {
    let isCapture = true;
    let { length } = "(";
    let flags = this.#flags;
    if (this.#source[this.#at + 1] === "?") {
      const name = this.#take(GROUP_NAME)?.[1];
      const change = name === undefined ? this.#take(GROUP_FLAGS) : undefined;
      if (name !== undefined) {
        if (this.#names.has(name)) return false;
        this.#names.add(name);
        length = 0;
      } else if (change !== undefined) {
        const [, on = "", off = "", end] = change;
        if (on === "" && off === "" && end === ")") return false;
        isCapture = false;
        length = 0;
        const isOn = (flag: string, before: boolean): boolean =>
          !off.includes(flag) && (before || on.includes(flag));
        flags = {
          fold: isOn("i", flags.fold),
          multiline: isOn("m", flags.multiline),
          dotNewline: isOn("s", flags.dotNewline),
        };
        if (end === ")") {
          this.#flags = flags;
          return this.#pushNothing();
        }
      } else return false;
    }
    this.#at += length;
    this.#groups.push(this.#group);
    this.#group = this.#newGroup(isCapture);
    this.#flags = flags;
    this.#isRepeatable = false;
    return true;
  }

  #close(): boolean {
    const outer = this.#groups.pop();
    if (outer === undefined) return false;
    this.#at++;
    const { isCapture, flags } = this.#group;
    const inside = this.#closed();
    this.#group = outer;
    this.#flags = flags;
    const extra = isCapture ? 1 : 0;
    return this.#push({
      ...inside,
      size: inside.size + 2 * extra,
      height: inside.height + extra,
    });
  }

  /** The sequence that was read last. */
  #joined(): Item {
    const { sequence } = this.#group;
    if (sequence.length === 1) return sequence[0]!;
    let [size, height, repeats] = [0, 0, 1];
    for (const item of sequence) {
      size += item.size;
      height = Math.max(height, item.height);
      repeats = Math.max(repeats, item.repeats);
    }
    const node = this.#tree.sequence(sequence.map((item) => item.node));
    return { node, size: Math.max(1, size), height: height + 1, repeats };
  }

  /** All alternatives of the group. */
  #closed(): Item {
    const last = this.#joined();
    const { branches } = this.#group;
    if (branches.length === 0) return last;
    branches.push(last);
    let [size, height, repeats] = [branches.length - 1, 0, 1];
    for (const item of branches) {
      size += item.size;
      height = Math.max(height, item.height);
      repeats = Math.max(repeats, item.repeats);
    }
    const node = this.#tree.choice(branches.map((item) => item.node));
    return { node, size, height: height + 1, repeats };
  }

  #counted(): boolean {
    const found = this.#take(REPETITION);
    if (found === undefined)
      return this.#matches(WRONG_REPETITION) === undefined && this.#literal();
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === undefined ? Infinity : Number(found[3]);
    if (min > REPEAT_MAX || (max > REPEAT_MAX && max !== Infinity) || min > max) return false;
    return this.#repeat(0, min, max, true);
  }

  #repeat(length: number, min: number, max: number, isCounted = false): boolean {
    if (!this.#isRepeatable) return false;
    this.#at += length;
    // Whether as few or as many as possible are taken says nothing about the text as a whole.
    if (this.#source[this.#at] === "?") this.#at++;
    const { sequence } = this.#group;
    const item = sequence.pop()!;
    let { size, repeats } = item;
    if (!isCounted) size += min === 0 && max === Infinity ? 2 : 1;
    else if (max === Infinity) size = min === 0 ? size + 2 : 1 + min * size;
    else size = Math.max(1, max * size + max - min);
    if (isCounted) {
      const times = max === Infinity ? Math.max(1, min) : max;
      repeats = max === 0 ? 1 : times * repeats;
      if (repeats > REPEAT_MAX && (min >= 2 || max >= 2)) return false;
    }
    const node = this.#tree.repeat(item.node, min, max);
    this.#push({ node, size, height: item.height + 1, repeats });
    this.#isRepeatable = false;
    return size <= SIZE_MAX;
  }

  #escape(): boolean {
    const character = this.#source[this.#at + 1];
    if (character === undefined) return false;
    const assertion = ASSERTIONS[character];
    if (assertion !== undefined) return this.#pushAssertion(assertion, 2);
    if (character === "Q") return this.#quoted();
    const start = this.#at;
    const members = this.#escapedClass();
    if (members !== undefined) {
      const key = `${this.#flags.fold ? "(?i)" : ""}${this.#source.slice(start, this.#at)}`;
      let item = this.#classes.get(key);
      if (item === undefined) this.#classes.set(key, (item = this.#item(this.#tree.set(members))));
      return this.#push(item);
    }
    const code = this.#escapedCode();
    return code !== undefined && this.#pushLiteral(code);
  }

  #quoted(): boolean {
    this.#at += 2;
    const found = this.#source.indexOf("\\E", this.#at);
    const end = found < 0 ? this.#source.length : found;
    if (this.#at === end) this.#pushNothing();
    while (this.#at < end) this.#literal();
    if (found >= 0) this.#at += 2;
    return true;
  }

  /** The members of `\d`, `\pL` and the like, if that is what stands here. */
  #escapedClass(): readonly number[] | undefined {
    const character = this.#source[this.#at + 1] ?? "";
    const plain = CLASSES[character.toLowerCase()];
    if (plain !== undefined && character.length === 1 && "dswDSW".includes(character)) {
      this.#at += 2;
      return this.#signed(this.#folded(plain), character !== character.toLowerCase());
    }
    if (character !== "p" && character !== "P") return undefined;
    const found = this.#matches(UNICODE_CLASS);
    const members = found && unicodeClass(found[2] ?? found[3]!);
    if (members === undefined) return undefined;
    this.#at += found![0].length;
    return this.#signed(this.#folded(members), (character === "P") !== (found![1] === "^"));
  }

  #signed(ranges: readonly number[], isNegated: boolean): readonly number[] {
    return isNegated ? complement(normalizeRanges(ranges)) : ranges;
  }

  /** The character after a backslash, when it stands for one. */
  #escapedCode(): number | undefined {
    const octal = this.#take(OCTAL);
    if (octal !== undefined) return Number.parseInt(octal[1]!, 8);
    const hex = this.#take(HEXADECIMAL);
    if (hex !== undefined) {
      const code = Number.parseInt(hex[1] ?? hex[2]!, 16);
      return code <= MAX_CODE_POINT && !(code >= 0xd800 && code <= 0xdfff) ? code : undefined;
    }
    const named = this.#take(ONE_CHARACTER);
    if (named === undefined) return undefined;
    return named[1] === undefined ? named[2]!.charCodeAt(0) : ESCAPED[named[1]];
  }

  #class(): boolean {
    const start = this.#at;
    const text = this.#matches(CLASS)?.[0] ?? "";
    const key = this.#flags.fold ? `(?i)${text}` : text;
    let item = this.#classes.get(key);
    if (item === undefined) {
      const ranges = this.#bracketed();
      if (ranges === undefined) return false;
      item = this.#item(this.#tree.set(ranges));
      if (this.#at === start + text.length) this.#classes.set(key, item);
    } else this.#at += text.length;
    return this.#push(item);
  }

  #bracketed(): readonly number[] | undefined {
    this.#at++;
    const isNegated = this.#source[this.#at] === "^";
    if (isNegated) this.#at++;
    const ranges: number[] = [];
    let classes: readonly number[] = [];
    for (let isFirst = true; ; isFirst = false) {
      const character = this.#source[this.#at];
      if (character === undefined) return undefined;
      if (character === "]" && !isFirst) break;
      const members = this.#classWithin();
      if (members !== undefined) {
        classes = uniteRanges(classes, normalizeRanges(members));
        continue;
      }
      const from = this.#member();
      if (from === undefined) return undefined;
      let to: number | undefined = from;
      if (this.#source[this.#at] === "-" && this.#source[this.#at + 1] !== "]") {
        this.#at++;
        to = this.#member();
      }
      if (to === undefined || to < from) return undefined;
      for (const end of this.#folded([from, to])) ranges.push(end);
    }
    this.#at++;
    const all = uniteRanges(classes, normalizeRanges(ranges));
    return isNegated ? complement(all) : all;
  }

  /** A class within brackets. */
  #classWithin(): readonly number[] | undefined {
    const character = this.#source[this.#at];
    if (character === "\\") return this.#escapedClass();
    if (character !== "[") return undefined;
    const found = this.#matches(NAMED_CLASS);
    const members = found && CLASSES[found[2]!];
    if (members === undefined || found![2]!.length === 1) return undefined;
    this.#at += found![0].length;
    return this.#signed(this.#folded(members), found![1] === "^");
  }

  /** One character of a class. */
  #member(): number | undefined {
    if (this.#source[this.#at] === "\\") return this.#escapedCode();
    // What looks like a class with a name is one, or wrong.
    if (this.#source.startsWith("[:", this.#at)) return undefined;
    const code = this.#source.codePointAt(this.#at);
    if (code !== undefined) this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  /** What `pattern`, which is sticky, finds here. */
  #matches(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source) ?? undefined;
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    const found = this.#matches(pattern);
    if (found !== undefined) this.#at += found[0].length;
    return found;
  }
}

/** All code points that are not in `ranges`, which ascend and do not touch. */
function complement(ranges: readonly number[]): readonly number[] {
  const others: number[] = [];
  let from = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    if (ranges[i]! > from) others.push(from, ranges[i]! - 1);
    from = ranges[i + 1]! + 1;
  }
  if (from <= MAX_CODE_POINT) others.push(from, MAX_CODE_POINT);
  return others;
}

/**
 * Reads the part of RE2's syntax that can be told byte by byte: literals, `.`, classes of ASCII, groups, alternatives and
 * repetitions, under `^(?s:…)$`. Only patterns that the engine has found right come here; whatever else is in them (flags,
 * anchors, word boundaries, classes of Unicode) is left to the engine.
 */
export type ByteNode =
  | { readonly kind: "set"; readonly set: Uint8Array }
  | { readonly kind: "sequence"; readonly parts: readonly ByteNode[] }
  | { readonly kind: "choice"; readonly parts: readonly ByteNode[] }
  | {
      readonly kind: "repeat";
      readonly part: ByteNode;
      readonly min: number;
      readonly max: number;
    };

const MAX_DEPTH = 50;
const CLASSES: Readonly<Record<string, string>> = {
  d: "0-9",
  w: "0-9A-Za-z_",
  s: "\t\n\f\r ",
};
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", f: "\f", v: "\v" };
const REPETITION = /^\{(\d{1,4})(?:(,)(\d{1,4})?)?\}/;

/** The tree of `source`, or undefined when there is something in it that is not told byte by byte. */
export function parseByteRegex(source: string): ByteNode | undefined {
  if (!source.isWellFormed()) return undefined;
  const parser = new Parser(source);
  const node = parser.choice(0);
  return parser.isAtEnd ? node : undefined;
}

/** The bytes that all texts of `node` start with. */
export function literalPrefix(node: ByteNode): Uint8Array {
  const bytes: number[] = [];
  addLiterals(node, bytes);
  return Uint8Array.from(bytes);
}

/** Adds the bytes in front; whether they are all there is. */
function addLiterals(node: ByteNode, bytes: number[]): boolean {
  if (node.kind === "sequence") return node.parts.every((part) => addLiterals(part, bytes));
  if (node.kind !== "set") return false;
  const byte = node.set.indexOf(1);
  if (byte < 0 || node.set.indexOf(1, byte + 1) >= 0) return false;
  bytes.push(byte);
  return true;
}

/** Whether the last byte of all texts of `node` is of one set. */
export function endsInSet(node: ByteNode): boolean {
  if (node.kind !== "sequence") return node.kind === "set";
  const last = node.parts.at(-1);
  return last !== undefined && endsInSet(last);
}

/** A recursive-descent parser that gives up (undefined) at the first thing it does not know. */
class Parser {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#source.length;
  }

  choice(depth: number): ByteNode | undefined {
    if (depth > MAX_DEPTH) return undefined;
    const parts: ByteNode[] = [];
    for (;;) {
      const part = this.#sequence(depth);
      if (part === undefined) return undefined;
      parts.push(part);
      if (this.#source[this.#at] !== "|") break;
      this.#at++;
    }
    return parts.length === 1 ? parts[0]! : { kind: "choice", parts };
  }

  #sequence(depth: number): ByteNode | undefined {
    const parts: ByteNode[] = [];
    while (!this.isAtEnd && !"|)".includes(this.#source[this.#at]!)) {
      const atom = this.#atom(depth);
      const part = atom === undefined ? undefined : this.#repeated(atom);
      if (part === undefined) return undefined;
      parts.push(part);
    }
    return { kind: "sequence", parts };
  }

  #repeated(part: ByteNode): ByteNode | undefined {
    const range = this.#range();
    if (range === undefined) return part;
    // Whether as few or as many as possible are taken says nothing about the text as a whole.
    if (this.#source[this.#at] === "?") this.#at++;
    // A repetition of a repetition has rules of its own.
    if (this.#range() !== undefined) return undefined;
    return { kind: "repeat", part, ...range };
  }

  #range(): { min: number; max: number } | undefined {
    const character = this.#source[this.#at];
    if (character === "*" || character === "+" || character === "?") {
      this.#at++;
      return { min: character === "+" ? 1 : 0, max: character === "?" ? 1 : Infinity };
    }
    // Anything else after a brace makes it a literal one.
    const found =
      character === "{" ? REPETITION.exec(this.#source.slice(this.#at, this.#at + 12)) : null;
    if (found === null) return undefined;
    this.#at += found[0].length;
    const min = Number(found[1]);
    if (found[2] === undefined) return { min, max: min };
    return { min, max: found[3] === undefined ? Infinity : Number(found[3]) };
  }

  #atom(depth: number): ByteNode | undefined {
    const character = String.fromCodePoint(this.#source.codePointAt(this.#at)!);
    this.#at += character.length;
    switch (character) {
      case ".":
        return anyCharacter(ALL_ASCII);
      case "(":
        return this.#group(depth);
      case "[":
        return this.#class();
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
      case "{":
      case "^":
      case "$":
        return undefined;
      default:
        return literal(character);
    }
  }

  #group(depth: number): ByteNode | undefined {
    if (this.#source[this.#at] === "?") {
      if (this.#source[this.#at + 1] !== ":") return undefined;
      this.#at += 2;
    }
    const inside = this.choice(depth + 1);
    if (inside === undefined || this.#source[this.#at] !== ")") return undefined;
    this.#at++;
    return inside;
  }

  #escape(): ByteNode | undefined {
    const character = this.#source[this.#at++] ?? "";
    const lower = character.toLowerCase();
    const members = CLASSES[lower];
    if (members !== undefined) {
      const set = setOf(members);
      return character === lower ? { kind: "set", set } : anyCharacter(complement(set));
    }
    const code = escaped(character);
    return code === undefined ? undefined : literal(code);
  }

  /** What stands in brackets, of ASCII; `^` turns it round, and then all that is not ASCII is in it. */
  #class(): ByteNode | undefined {
    const isNegated = this.#source[this.#at] === "^";
    if (isNegated) this.#at++;
    const set = new Uint8Array(256);
    for (let isFirst = true; ; isFirst = false) {
      const character = this.#source[this.#at];
      if (character === undefined || (character === "]" && isFirst)) return undefined;
      if (character === "]") break;
      const named = character === "\\" ? CLASSES[this.#source[this.#at + 1] ?? ""] : undefined;
      if (named !== undefined) {
        this.#at += 2;
        for (const [byte, isIn] of setOf(named).entries()) if (isIn === 1) set[byte] = 1;
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
      set.fill(1, from, to + 1);
    }
    this.#at++;
    return isNegated ? anyCharacter(complement(set)) : { kind: "set", set };
  }

  /** One character of a class; a dash or a bracket within it is left to the engine. */
  #member(): number | undefined {
    let character: string | undefined = this.#source[this.#at++] ?? "";
    if (character === "[" || character === "-") return undefined;
    if (character === "\\") character = escaped(this.#source[this.#at++] ?? "");
    const code = character === undefined || character === "" ? 0x80 : character.charCodeAt(0);
    return code < 0x80 ? code : undefined;
  }
}

/** What a backslash before `character` stands for, when it is one character. */
function escaped(character: string): string | undefined {
  if (/^[!-/:-@[-`{-~]$/.test(character)) return character;
  return ESCAPES[character];
}

function literal(character: string): ByteNode {
  const parts = Array.from(Buffer.from(character), (byte): ByteNode => range(byte, byte));
  return parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
}

function range(from: number, to: number): ByteNode {
  return { kind: "set", set: new Uint8Array(256).fill(1, from, to + 1) };
}

/** The members of a class written as pairs `a-b` and single characters. */
function setOf(members: string): Uint8Array {
  const set = new Uint8Array(256);
  for (let i = 0; i < members.length; i++) {
    const isRange = members[i + 1] === "-";
    set.fill(1, members.charCodeAt(i), members.charCodeAt(isRange ? i + 2 : i) + 1);
    if (isRange) i += 2;
  }
  return set;
}

function complement(set: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (byte < 0x80 && set[byte] === 0 ? 1 : 0));
}

const ALL_ASCII = new Uint8Array(256).fill(1, 0, 0x80);
const TAIL = range(0x80, 0xbf);
/** The characters of two, three and four bytes; label values are valid UTF-8. */
const WIDE: readonly ByteNode[] = [
  { kind: "sequence", parts: [range(0xc2, 0xdf), TAIL] },
  { kind: "sequence", parts: [range(0xe0, 0xef), TAIL, TAIL] },
  { kind: "sequence", parts: [range(0xf0, 0xf4), TAIL, TAIL, TAIL] },
];

/** One character: of ASCII those in the set, and all others. */
function anyCharacter(ascii: Uint8Array): ByteNode {
  return { kind: "choice", parts: [{ kind: "set", set: ascii }, ...WIDE] };
}

/**
 * The shape of regular expressions that need no engine: alternatives of literal text and wildcards (`.*`, `.+`), which is
 * what most relabelling rules and matchers are. Everything else, wrong syntax included, is left to the engine.
 */
export interface Shape {
  readonly alternatives: readonly Alternative[];
}

/** Literals with a wildcard between each two: `a.*b.+` is literals a, b, "" and gaps 0, 1 (least characters). */
export interface Alternative {
  readonly literals: readonly string[];
  readonly gaps: readonly (0 | 1)[];
}

/** `(a|b)(c|d)…` multiplies out; beyond this many alternatives the engine's automaton is the better tool. */
const MAX_PRODUCT = 1024;
/** Alternatives put together with what follows them, in all: a list of hosts may be long, `(a|b|…):9100`. */
const MAX_JOINS = 1_000_000;
const MAX_WILD_ALTERNATIVES = 32;
/** Each wildcard copies those before it; beyond this many the automaton is the better tool. */
const MAX_GAPS = 64;
const MAX_DEPTH = 20;

const EMPTY: Alternative = { literals: [""], gaps: [] };

/** The shape of `source` under `^(?s:…)$`, or undefined when it needs an engine. */
export function parseShape(source: string): Shape | undefined {
  const parser = new ShapeParser(source);
  const alternatives = parser.parse();
  if (alternatives === undefined) return undefined;
  const isWild = alternatives.some((alternative) => alternative.gaps.length > 0);
  if (isWild && alternatives.length > MAX_WILD_ALTERNATIVES) return undefined;
  return { alternatives };
}

export function matchesShape(shape: Shape, text: string): boolean {
  for (const alternative of shape.alternatives)
    if (matchesAlternative(alternative, text)) return true;
  return false;
}

/**
 * First and last literal are fixed to the ends; each one between is taken at its first place, which leaves the most room
 * for the rest, so no step is ever taken back. Well-formed text needs no care for surrogate pairs: a literal starts and
 * ends at whole characters and so does every place where it is found.
 */
function matchesAlternative(alternative: Alternative, text: string): boolean {
  const { literals, gaps } = alternative;
  const first = literals[0]!;
  if (gaps.length === 0) return text === first;
  const last = literals.at(-1)!;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (let i = 1; i < literals.length - 1; i++) {
    const literal = literals[i]!;
    const found = text.indexOf(literal, at + gaps[i - 1]!);
    if (found < 0) return false;
    at = found + literal.length;
  }
  return at + gaps.at(-1)! <= text.length - last.length;
}

/** A recursive-descent parser that gives up (undefined) at the first thing it does not know. */
class ShapeParser {
  readonly #source: string;
  #at = 0;
  #joins = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Alternative[] | undefined {
    const alternatives = this.#alternation(0);
    return this.#at === this.#source.length ? alternatives : undefined;
  }

  #alternation(depth: number): Alternative[] | undefined {
    if (depth > MAX_DEPTH) return undefined;
    const all: Alternative[] = [];
    for (;;) {
      const branch = this.#sequence(depth);
      if (branch === undefined) return undefined;
      for (const alternative of branch) all.push(alternative);
      if (this.#source[this.#at] !== "|") return all;
      this.#at++;
    }
  }

  #sequence(depth: number): Alternative[] | undefined {
    let product: Alternative[] = [EMPTY];
    while (this.#at < this.#source.length) {
      const character = this.#source[this.#at]!;
      if (character === "|" || character === ")") break;
      const atom = this.#atom(character, depth);
      if (atom === undefined || "*+?{".includes(this.#source[this.#at] ?? " ")) return undefined;
      const count = product.length * atom.length;
      if (product.length > 1 && atom.length > 1 && count > MAX_PRODUCT) return undefined;
      this.#joins += count;
      if (this.#joins > MAX_JOINS) return undefined;
      const joined: Alternative[] = [];
      for (const left of product)
        for (const right of atom) {
          const whole = concatenate(left, right);
          if (whole === undefined) return undefined;
          joined.push(whole);
        }
      product = joined;
    }
    return product;
  }

  #atom(character: string, depth: number): Alternative[] | undefined {
    switch (character) {
      case ".":
        return this.#wildcard();
      case "(":
        return this.#group(depth);
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
      case "[":
      case "]":
      case "{":
      case "}":
      case "^":
      case "$":
        return undefined;
      default:
        return this.#literal();
    }
  }

  #wildcard(): Alternative[] | undefined {
    const repeat = this.#source[this.#at + 1];
    if (repeat !== "*" && repeat !== "+") return undefined;
    this.#at += 2;
    return [{ literals: ["", ""], gaps: [repeat === "+" ? 1 : 0] }];
  }

  #group(depth: number): Alternative[] | undefined {
    this.#at++;
    if (this.#source[this.#at] === "?") {
      if (this.#source[this.#at + 1] !== ":") return undefined;
      this.#at += 2;
    }
    const inside = this.#alternation(depth + 1);
    if (inside === undefined || this.#source[this.#at] !== ")") return undefined;
    this.#at++;
    return inside;
  }

  /** A backslash before ASCII punctuation makes it literal; before a letter or digit it means something else. */
  #escape(): Alternative[] | undefined {
    const character = this.#source[this.#at + 1];
    if (character === undefined || !/^[!-/:-@[-`{-~]$/.test(character)) return undefined;
    this.#at += 2;
    return [{ literals: [character], gaps: [] }];
  }

  /** A run of ordinary characters. A repetition after it would bind to the last one only, and ends the parse. */
  #literal(): Alternative[] {
    const start = this.#at;
    while (this.#at < this.#source.length && !"\\.+*?()|[]{}^$".includes(this.#source[this.#at]!))
      this.#at++;
    return [{ literals: [this.#source.slice(start, this.#at)], gaps: [] }];
  }
}

/** `left` followed by `right`; undefined when two `.+` meet (at least two characters: a gap knows only 0 and 1). */
function concatenate(left: Alternative, right: Alternative): Alternative | undefined {
  if (left.gaps.length + right.gaps.length > MAX_GAPS) return undefined;
  const seam = left.literals.at(-1)! + right.literals[0]!;
  const literals = [...left.literals.slice(0, -1), seam, ...right.literals.slice(1)];
  const gaps = [...left.gaps, ...right.gaps];
  // An empty literal between two gaps makes them one.
  for (let i = literals.length - 2; i > 0; i--) {
    if (literals[i] !== "") continue;
    const sum = gaps[i - 1]! + gaps[i]!;
    if (sum > 1) return undefined;
    literals.splice(i, 1);
    gaps.splice(i - 1, 2, sum === 1 ? 1 : 0);
  }
  return { literals, gaps };
}

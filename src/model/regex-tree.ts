/**
 * The syntax tree of a regular expression of which only yes or no for a whole text is asked. Captures, greed and the order
 * of alternatives do not matter then, so each node is put into a smaller or plainer form with the same language when it is
 * made: `(a|aa)+` is `a+`, `(x*)*` is `x*`, `a?a?` is `a{0,2}`. Equal nodes are one object.
 */
export type RegexNode = {
  readonly id: number;
  /** Whether the empty text matches where no assertion holds. */
  readonly isNullable: boolean;
  /** Characters of the shortest and of the longest text, and how many sets there are when repetitions are written out. */
  readonly minLength: number;
  readonly maxLength: number;
  readonly setCount: number;
} & RegexKind;

type RegexKind =
  | { readonly kind: "empty" | "none" }
  /** One character: pairs of first and last code point, ascending. */
  | { readonly kind: "set"; readonly ranges: readonly number[] }
  | { readonly kind: "assertion"; readonly assertion: Assertion }
  | { readonly kind: "sequence" | "choice"; readonly parts: readonly RegexNode[] }
  /** `part` from `min` to `max` times; there is no repetition of a repetition that could be one. */
  | {
      readonly kind: "repeat";
      readonly part: RegexNode;
      readonly min: number;
      readonly max: number;
    };

export type Assertion =
  | "textStart"
  | "textEnd"
  | "lineStart"
  | "lineEnd"
  | "wordBoundary"
  | "noWordBoundary";

type Repeat = RegexNode & { readonly kind: "repeat" };

/** Larger sets are not looked for among those there are. */
const KEY_MAX = 64;

export const MAX_CODE_POINT = 0x10ffff;

/** Makes nodes, each only once. */
export class RegexTree {
  readonly #known = new Map<string, RegexNode>();
  /** What was made of which parts. */
  readonly #made = new Map<string, RegexNode>();
  readonly none = this.#node(
    "none",
    { kind: "none" },
    { isNullable: false, size: [Infinity, 0, 0] },
  );
  readonly empty = this.#node("empty", { kind: "empty" }, { isNullable: true, size: [0, 0, 0] });

  /** Pairs of first and last code point, in any order. */
  set(ranges: readonly number[]): RegexNode {
    const sorted = normalizeRanges(ranges);
    if (sorted.length === 0) return this.none;
    const size = [1, 1, 1] as const;
    const kind = { kind: "set", ranges: sorted } as const;
    // A long key costs more than there is to win by one node for all.
    const key = sorted.length > KEY_MAX ? `[#${this.#known.size}` : `[${sorted.join()}`;
    return this.#node(key, kind, { isNullable: false, size });
  }

  assertion(assertion: Assertion): RegexNode {
    // Counts as not nullable, so that nothing is left out because of it.
    const size = [0, 0, 0] as const;
    return this.#node(assertion, { kind: "assertion", assertion }, { isNullable: false, size });
  }

  sequence(parts: readonly RegexNode[]): RegexNode {
    const joined: RegexNode[] = [];
    for (const part of parts) {
      if (part.kind === "sequence") for (const inner of part.parts) this.#append(joined, inner);
      else this.#append(joined, part);
    }
    if (joined.includes(this.none)) return this.none;
    if (joined.length <= 1) return joined[0] ?? this.empty;
    let [minLength, maxLength, setCount] = [0, 0, 0];
    for (const part of joined) {
      minLength += part.minLength;
      maxLength += part.maxLength;
      setCount += part.setCount;
    }
    return this.#node(
      `.${joined.map(({ id }) => id).join()}`,
      { kind: "sequence", parts: joined },
      { isNullable: joined.every(isNullable), size: [minLength, maxLength, setCount] },
    );
  }

  /** Adds a part, as one with those before it where `x{a,b}x{c,d}` is `x{a+c,b+d}`, or an `x*` swallows its neighbour. */
  #append(parts: RegexNode[], added: RegexNode): void {
    if (added === this.empty) return;
    let part = added;
    for (let last = parts.at(-1); last !== undefined; last = parts.at(-1)) {
      const joined = this.#join(last, part);
      if (joined === undefined) break;
      parts.pop();
      part = joined;
    }
    parts.push(part);
  }

  #join(a: RegexNode, b: RegexNode): RegexNode | undefined {
    const [x, y] = [runOf(a), runOf(b)];
    if (x.part === y.part) {
      if (x.part.kind === "assertion") return a;
      return this.repeat(x.part, x.min + y.min, x.max + y.max);
    }
    if (isStar(x) && b.isNullable && isMadeOf(b, x.part)) return a;
    if (isStar(y) && a.isNullable && isMadeOf(a, y.part)) return b;
    return undefined;
  }

  choice(parts: readonly RegexNode[]): RegexNode {
    const key = `|${parts.map(({ id }) => id).join()}`;
    let node = this.#made.get(key);
    if (node === undefined) this.#made.set(key, (node = this.#choice(parts)));
    return node;
  }

  #choice(parts: readonly RegexNode[]): RegexNode {
    const distinct = new Set<RegexNode>();
    const ranges: number[] = [];
    let sets = 0;
    let isOptional = false;
    const add = (part: RegexNode): void => {
      if (part.kind === "choice") for (const inner of part.parts) add(inner);
      else if (part.kind === "empty") isOptional = true;
      else if (part.kind === "repeat" && part.min === 0 && !part.part.isNullable) {
        // Nullable for its own sake: `x*|y` is `(x+|y)?`.
        isOptional = true;
        add(this.#repeat(part.part, 1, part.max));
      } else if (part.kind === "set") {
        for (const end of part.ranges) ranges.push(end);
        sets++;
      } else if (part.kind !== "none") distinct.add(part);
    };
    for (const part of parts) add(part);
    if (sets > 0) distinct.add(this.set(ranges));
    // `x|x+` is `x+`.
    for (const part of distinct)
      if (part.kind === "repeat" && part.min === 1 && part.max === Infinity)
        distinct.delete(part.part);
    const node = this.#choiceOf([...distinct]);
    return isOptional ? this.repeat(node, 0, 1) : node;
  }

  #choiceOf(distinct: readonly RegexNode[]): RegexNode {
    if (distinct.length <= 1) return distinct[0] ?? this.none;
    let [minLength, maxLength, setCount] = [Infinity, 0, 0];
    for (const part of distinct) {
      minLength = Math.min(minLength, part.minLength);
      maxLength = Math.max(maxLength, part.maxLength);
      setCount += part.setCount;
    }
    const sorted = distinct.toSorted((a, b) => a.id - b.id);
    return this.#node(
      `|${sorted.map(({ id }) => id).join()}`,
      { kind: "choice", parts: sorted },
      { isNullable: sorted.some(isNullable), size: [minLength, maxLength, setCount] },
    );
  }

  repeat(part: RegexNode, min: number, max: number): RegexNode {
    const key = `${part.id}{${min},${max}`;
    let node = this.#made.get(key);
    if (node === undefined) this.#made.set(key, (node = this.#repeated(part, min, max)));
    return node;
  }

  #repeated(part: RegexNode, min: number, max: number): RegexNode {
    if (max === 0 || part === this.empty) return this.empty;
    if (part === this.none) return min === 0 ? this.empty : this.none;
    if (max === 1) {
      if (min === 1 || part.isNullable) return part;
      if (part.kind === "assertion") return this.empty;
      if (part.kind === "repeat" && part.min === 1) return this.#repeat(part.part, 0, part.max);
      return this.#repeat(part, 0, 1);
    }
    if (part.kind === "assertion") return min === 0 ? this.empty : part;
    if (max === Infinity) return this.#endless(part, min);
    if (part.isNullable && min > 0) return this.repeat(part, 0, max);
    if (part.kind === "repeat") {
      const { part: inner, min: a, max: b } = part;
      // `(x{a,b}){c,d}` leaves no gap between what c turns and c + 1 turns take, and then between none after it.
      const isDense = min === max || (min > 0 && (min + 1) * a <= min * b + 1);
      if (isDense || a === 0 || (a === 1 && min === 0))
        return this.#repeat(inner, a * min, b * max);
    }
    return this.#repeat(part, min, max);
  }

  /** `part` at least `min` times. */
  #endless(part: RegexNode, min: number): RegexNode {
    if (part.isNullable || min === 0) {
      const core = this.#core(part);
      if (core === this.empty) return this.empty;
      // It takes no character, so any number of times of it is none.
      if (core.kind === "assertion") return this.empty;
      return this.#repeat(core, 0, Infinity);
    }
    if (min > 1) {
      if (part.kind === "repeat") {
        const { part: inner, min: a, max: b } = part;
        if ((min + 1) * a <= min * b + 1) return this.#repeat(inner, a * min, Infinity);
      }
      return this.#repeat(part, min, Infinity);
    }
    const core = this.#core(part);
    return core.kind === "assertion" ? core : this.#repeat(core, 1, Infinity);
  }

  /** A node whose `+` has the texts of the `+` of `part`, but for the empty one when `part` is nullable. */
  #core(part: RegexNode): RegexNode {
    if (part.kind === "repeat" && part.min <= 1) return this.#core(part.part);
    if (part.kind === "sequence" && part.isNullable) return this.#core(this.choice(part.parts));
    if (part.kind !== "choice") return part;
    const cores = new Set<RegexNode>();
    const add = (each: RegexNode): void => {
      const core = this.#core(each);
      if (core.kind === "choice") for (const inner of core.parts) cores.add(inner);
      else cores.add(core);
    };
    for (const each of part.parts) add(each);
    // What is only others one after the other is nothing new.
    const kept = [...cores].filter(
      (each) => !(each.kind === "sequence" || each.kind === "repeat") || !isSpelledBy(each, cores),
    );
    const node = this.choice(kept);
    return node.kind === "repeat" && node.min === 0 && node.max === 1 ? node.part : node;
  }

  #repeat(part: RegexNode, min: number, max: number): RegexNode {
    if (min === 1 && max === 1) return part;
    const copies = max === Infinity ? Math.max(1, min) : max;
    const kind = { kind: "repeat", part, min, max } as const;
    return this.#node(`${part.id}{${min},${max}`, kind, {
      isNullable: min === 0 || part.isNullable,
      size: [
        min === 0 ? 0 : part.minLength * min,
        part.maxLength === 0 ? 0 : part.maxLength * max,
        part.setCount * copies,
      ],
    });
  }

  #node(
    key: string,
    kind: RegexKind,
    {
      isNullable: nullable,
      size,
    }: { isNullable: boolean; size: readonly [number, number, number] },
  ): RegexNode {
    let node = this.#known.get(key);
    if (node === undefined) {
      const [minLength, maxLength, setCount] = size;
      const id = this.#known.size;
      node = { ...kind, id, isNullable: nullable, minLength, maxLength, setCount };
      this.#known.set(key, node);
    }
    return node;
  }
}

function isNullable(node: RegexNode): boolean {
  return node.isNullable;
}

function runOf(node: RegexNode): Pick<Repeat, "part" | "min" | "max"> {
  return node.kind === "repeat" ? node : { part: node, min: 1, max: 1 };
}

function isStar({ min, max }: { min: number; max: number }): boolean {
  return min === 0 && max === Infinity;
}

/** Whether all texts of `node` are of `part`, any number of times. Says no where that is not easy to see. */
function isMadeOf(node: RegexNode, part: RegexNode): boolean {
  const { part: inner } = runOf(node);
  if (
    inner === part ||
    (part.kind === "set" && part.ranges[1] === MAX_CODE_POINT && part.ranges[0] === 0)
  )
    return true;
  if (inner.kind === "set" && part.kind === "set") return isSubset(inner.ranges, part.ranges);
  return false;
}

/** Whether a sequence or repetition is made of `words` alone. */
function isSpelledBy(node: RegexNode, words: ReadonlySet<RegexNode>): boolean {
  const parts = node.kind === "sequence" ? node.parts : [node];
  return parts.every((part) => {
    if (part !== node && words.has(part)) return true;
    return part.kind === "repeat" && words.has(part.part) && part.part !== node;
  });
}

function isSubset(inner: readonly number[], outer: readonly number[]): boolean {
  let at = 0;
  for (let i = 0; i < inner.length; i += 2) {
    while (at < outer.length && outer[at + 1]! < inner[i]!) at += 2;
    if (at >= outer.length || outer[at]! > inner[i]! || outer[at + 1]! < inner[i + 1]!)
      return false;
  }
  return true;
}

/** The same code points, in ascending ranges that do not touch. */
export function normalizeRanges(ranges: readonly number[]): readonly number[] {
  if (isNormal(ranges)) return ranges;
  const order = Array.from({ length: ranges.length / 2 }, (_, i) => i * 2);
  order.sort((a, b) => ranges[a]! - ranges[b]!);
  const merged: number[] = [];
  for (const i of order) addRange(merged, ranges[i]!, ranges[i + 1]!);
  return merged;
}

/** The code points of both, each of which is normal. */
export function uniteRanges(a: readonly number[], b: readonly number[]): readonly number[] {
  const merged: number[] = [];
  for (let [i, j] = [0, 0]; i < a.length || j < b.length;)
    if (j === b.length || (i < a.length && a[i]! <= b[j]!)) addRange(merged, a[i++]!, a[i++]!);
    else addRange(merged, b[j++]!, b[j++]!);
  return merged;
}

function isNormal(ranges: readonly number[]): boolean {
  for (let i = 2; i < ranges.length; i += 2) if (ranges[i]! <= ranges[i - 1]! + 1) return false;
  return true;
}

function addRange(merged: number[], from: number, to: number): void {
  const last = merged.length - 1;
  if (last > 0 && from <= merged[last]! + 1) merged[last] = Math.max(merged[last]!, to);
  else merged.push(from, to);
}

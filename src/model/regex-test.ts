import { AppError } from "../base/errors.ts";
import { Clusters } from "./regex-clusters.ts";
import { COUNT_MAX, RegexMachine } from "./regex-machine.ts";
import { parseRegex } from "./regex-syntax.ts";
import type { RegexNode } from "./regex-tree.ts";

/** Places where a character may stand in a pattern, with its repetitions written out; at most 4 KiB for 20 of them. */
export const PLACES_MAX = 65_536;
/** Most places in a pattern times characters of a text: with the worst of both this many take 50 ms. */
export const MATCH_MAX_WORK = 200_000_000;

/** Where there are assertions, there are tables for each way in which they hold; these are mostly not more than that. */
const ASSERTION_TABLES = 4;

/** Tells whether whole texts match a pattern; the machine for it is made when the first text is long enough to need one. */
export class RegexTest {
  readonly #source: string;
  readonly #root: RegexNode;
  readonly #places: number;
  readonly #placesMax: number;
  #machine: RegexMachine | undefined;

  private constructor(source: string, root: RegexNode) {
    this.#source = source;
    this.#root = root;
    this.#places = Clusters.size(root);
    this.#placesMax = PLACES_MAX / (hasAssertion(root, new Set()) ? ASSERTION_TABLES : 1);
  }

  /** The test for `source` under `^(?s:…)$`, or undefined when it is wrong or in an odd corner. */
  static of(source: string): RegexTest | undefined {
    const root = parseRegex(source);
    return root && new RegexTest(source, root);
  }

  /** Undefined where the pattern and the text are too large to be held against each other. */
  matches(text: string): boolean | undefined {
    const { minLength, maxLength } = this.#root;
    // A character is up to two units long.
    if (text.length < minLength || text.length > maxLength * 2) return false;
    if (this.#places > this.#placesMax || this.#places * text.length > MATCH_MAX_WORK)
      return undefined;
    return (this.#machine ??= new RegexMachine(this.#root)).matches(text);
  }

  /** What to say where `matches` is undefined. */
  refusal(text: string): AppError {
    return new AppError(
      "execution",
      `cannot hold a regular expression of ${this.#source.length} characters against a text of ${text.length}: with its repetitions written out it is too large (${this.#places}; the limits are ${this.#placesMax}, ${MATCH_MAX_WORK} for both multiplied, and ${COUNT_MAX} characters counted). Use fewer repetitions`,
    );
  }
}

function hasAssertion(node: RegexNode, seen: Set<RegexNode>): boolean {
  if (node.kind === "assertion") return true;
  if (seen.has(node)) return false;
  seen.add(node);
  if (node.kind === "repeat") return hasAssertion(node.part, seen);
  if (node.kind !== "sequence" && node.kind !== "choice") return false;
  return node.parts.some((part) => hasAssertion(part, seen));
}

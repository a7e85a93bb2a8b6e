import { quote } from "../base/text.ts";
import { isLegacyLabelName } from "./labels.ts";
import { compileByteTest } from "./regex-automaton.ts";
import { compileAnchored } from "./regex.ts";

export type MatchOperator = "=" | "!=" | "=~" | "!~";

/** One condition on a label; an absent label is the empty value, so `{x=""}` and `{x!~".+"}` match series without x. */
export interface Matcher {
  readonly name: string;
  readonly operator: MatchOperator;
  readonly value: string;
  matches(value: string): boolean;
  /** The finite set of values that an `=` or a set-like `=~` admits. */
  readonly set: readonly string[] | undefined;
}

/** Throws `bad-data` when a regular expression does not compile. */
export function createMatcher(name: string, operator: MatchOperator, value: string): Matcher {
  const base = { name, operator, value };
  switch (operator) {
    case "=":
      return { ...base, set: [value], matches: (text) => text === value };
    case "!=":
      return { ...base, set: undefined, matches: (text) => text !== value };
    case "=~": {
      const regex = compileAnchored(value);
      return { ...base, set: regex.set, matches: (text) => regex.matches(text) };
    }
    case "!~": {
      const regex = compileAnchored(value);
      return { ...base, set: undefined, matches: (text) => !regex.matches(text) };
    }
  }
}

/** A matcher's condition on the UTF-8 bytes of a value. */
export type ByteCondition = (bytes: Uint8Array, from: number, to: number) => boolean;

/**
 * The condition of a regular expression for a look at very many values, which then need not become texts; undefined where
 * only `matches` can tell.
 */
export function byteCondition({ operator, value }: Matcher): ByteCondition | undefined {
  if (operator !== "=~" && operator !== "!~") return undefined;
  const test = compileByteTest(value);
  if (test === undefined) return undefined;
  const wanted = operator === "=~";
  return (bytes, from, to) => test.matches(bytes, from, to) === wanted;
}

export function matchesEmpty(matcher: Matcher): boolean {
  return matcher.matches("");
}

export function formatMatcher(matcher: Matcher): string {
  return `${isLegacyLabelName(matcher.name) ? matcher.name : quote(matcher.name)}${matcher.operator}${quote(matcher.value)}`;
}

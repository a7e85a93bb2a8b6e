import { quote } from "../base/text.ts";
import { isLegacyLabelName } from "./labels.ts";
import { compileByteTest, type ByteAutomaton } from "./regex-automaton.ts";
import { type AnchoredRegex, compileAnchored } from "./regex.ts";

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
      const regex = compilePattern(value);
      return { ...base, set: regex.set, matches: (text) => regex.matches(text) };
    }
    case "!~": {
      const regex = compilePattern(value);
      return { ...base, set: undefined, matches: (text) => !regex.matches(text) };
    }
  }
}

function compilePattern(value: string): AnchoredRegex {
  const pattern = withClosedQuote(value);
  if (pattern === value) return compileAnchored(value);
  try {
    return compileAnchored(pattern);
  } catch {
    // What is wrong is said of what was written.
    return compileAnchored(value);
  }
}

/** A matcher may leave out the `\E` of its last `\Q`, as in Prometheus, where no anchors come before a pattern is parsed. */
function withClosedQuote(value: string): string {
  for (let at = value.indexOf("\\"); at >= 0; at = value.indexOf("\\", at)) {
    if (value[at + 1] === "Q") {
      at = value.indexOf("\\E", at + 2);
      if (at < 0) return `${value}\\E`;
    }
    at += 2;
  }
  return value;
}

/** A matcher's condition on the UTF-8 bytes of a value. */
export type ByteCondition = (bytes: Uint8Array, from: number, to: number) => boolean;

/** Values that an automaton matches, or those that it does not match. */
export interface ByteChoice {
  readonly automaton: ByteAutomaton;
  readonly isMatchWanted: boolean;
}

/**
 * The condition of a regular expression for a look at very many values, which then need not become texts; undefined where
 * only `matches` can tell.
 */
export function byteCondition(matcher: Matcher): ByteCondition | undefined {
  const choice = byteChoice(matcher);
  if (choice === undefined) return undefined;
  const { automaton, isMatchWanted } = choice;
  return (bytes, from, to) => automaton.matches(bytes, from, to) === isMatchWanted;
}

/** The same as an automaton; `isPrefixKnown` says that it is asked only about values that start as it wants. */
export function byteChoice(
  { operator, value }: Matcher,
  options: { readonly isPrefixKnown?: boolean } = {},
): ByteChoice | undefined {
  if (operator !== "=~" && operator !== "!~") return undefined;
  const automaton = compileByteTest(withClosedQuote(value), options);
  return automaton && { automaton, isMatchWanted: operator === "=~" };
}

export function matchesEmpty(matcher: Matcher): boolean {
  return matcher.matches("");
}

export function formatMatcher(matcher: Matcher): string {
  return `${isLegacyLabelName(matcher.name) ? matcher.name : quote(matcher.name)}${matcher.operator}${quote(matcher.value)}`;
}

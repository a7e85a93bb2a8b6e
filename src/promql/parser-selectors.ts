/** The part of a selector in braces, and the label sets of series descriptions. */
import { messageOf } from "../base/errors.ts";
import { Labels, METRIC_NAME } from "../model/labels.ts";
import { createMatcher, type Matcher, type MatchOperator } from "../model/matcher.ts";
import type { VectorSelector } from "./ast.ts";
import type { Token, TokenKind } from "./tokens.ts";
import { unquote } from "./literals.ts";
import { TokenStream } from "./token-stream.ts";

const MATCH_OPERATORS: ReadonlySet<TokenKind> = new Set(["=", "!=", "=~", "!~"]);

/** A metric name, braces, or both. */
export function parseVectorSelector(tokens: TokenStream): VectorSelector {
  const first = tokens.peek();
  let name = "";
  if (first.kind !== "{") {
    tokens.next();
    name = first.text;
  }
  const matchers = tokens.peek().kind === "{" ? parseBraces(tokens) : [];
  if (name !== "") matchers.push(createMatcher(METRIC_NAME, "=", name));
  return {
    kind: "vectorSelector",
    position: { start: first.start, end: tokens.lastEnd },
    name,
    matchers,
    anchored: false,
    smoothed: false,
    offsetMs: 0,
    offsetExpression: undefined,
    at: undefined,
  };
}

/** `{name="value", "quoted.name"=~"…", "metric.name",}`; the stream stands before the brace. */
function parseBraces(tokens: TokenStream): Matcher[] {
  return parseList(tokens, "label matching", () => parseMatcher(tokens));
}

function parseMatcher(tokens: TokenStream): Matcher {
  const where = "label matching";
  const first = labelToken(tokens, where);
  const name = labelName(first);
  const operator = tokens.peek();
  if (!isMatchOperator(operator.kind)) {
    if (first.kind === "string") return createMatcher(METRIC_NAME, "=", name);
    throw tokens.unexpected(where, "label matching operator");
  }
  tokens.next();
  const value = stringToken(tokens, where);
  try {
    return createMatcher(name, operator.kind, unquote(value.text));
  } catch (error) {
    throw tokens.error({ start: first.start, end: value.end }, messageOf(error));
  }
}

/** `name{label="value", …}`, `{"metric.name", …}` or `{}` at the start of `text`, and where it ends. */
export function parseMetric(text: string): { readonly labels: Labels; readonly end: number } {
  const tokens = new TokenStream(text);
  const pairs: (readonly [string, string])[] = [];
  const first = tokens.peek();
  // In a series description every word is a name.
  if (/^[a-zA-Z_:]/.test(first.text)) {
    tokens.next();
    pairs.push([METRIC_NAME, first.text]);
    // A word that ends the metric must not be followed by a look at what is not PromQL any more.
    if (!/^\s*\{(?!\{)/.test(text.slice(first.end)))
      return { labels: Labels.fromPairs(pairs), end: first.end };
  } else if (first.kind !== "{") throw tokens.unexpected();
  const set = parseList(tokens, "label set", () => parseLabel(tokens));
  // The name in front of the braces wins over one inside, as in Prometheus.
  return { labels: Labels.fromPairs([...set, ...pairs]), end: tokens.lastEnd };
}

function parseLabel(tokens: TokenStream): readonly [string, string] {
  const where = "label set";
  const first = labelToken(tokens, where);
  if (tokens.accept("=") === undefined) {
    if (first.kind === "string") return [METRIC_NAME, labelName(first)];
    throw tokens.unexpected(where, '"="');
  }
  return [labelName(first), unquote(stringToken(tokens, where).text)];
}

function parseList<T>(tokens: TokenStream, where: string, item: () => T): T[] {
  const items: T[] = [];
  tokens.expect("{");
  while (tokens.accept("}") === undefined) {
    items.push(item());
    if (tokens.accept(",") === undefined && tokens.peek().kind !== "}")
      throw tokens.unexpected(where, '"," or "}"');
  }
  return items;
}

function labelToken(tokens: TokenStream, where: string): Token {
  const token = tokens.peek();
  if (token.kind !== "identifier" && token.kind !== "string")
    throw tokens.unexpected(where, 'identifier or "}"');
  return tokens.next();
}

function stringToken(tokens: TokenStream, where: string): Token {
  if (tokens.peek().kind !== "string") throw tokens.unexpected(where, "string");
  return tokens.next();
}

function labelName(token: Token): string {
  return token.kind === "string" ? unquote(token.text) : token.text;
}

function isMatchOperator(kind: TokenKind): kind is MatchOperator {
  return MATCH_OPERATORS.has(kind);
}

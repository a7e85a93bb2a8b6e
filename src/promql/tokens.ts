/** The tokens of PromQL, and what messages call them. */
import { quote } from "../base/text.ts";

const OPERATORS = [
  "+",
  "-",
  "*",
  "/",
  "%",
  "^",
  "atan2",
  "==",
  "!=",
  "<",
  "<=",
  ">",
  ">=",
  "</",
  ">/",
  "=~",
  "!~",
  "@",
  "and",
  "or",
  "unless",
] as const;
const AGGREGATORS = [
  "sum",
  "avg",
  "count",
  "min",
  "max",
  "group",
  "stddev",
  "stdvar",
  "topk",
  "bottomk",
  "count_values",
  "quantile",
  "limitk",
  "limit_ratio",
] as const;
const KEYWORDS = [
  "offset",
  "smoothed",
  "anchored",
  "by",
  "without",
  "on",
  "ignoring",
  "group_left",
  "group_right",
  "fill",
  "fill_left",
  "fill_right",
  "bool",
] as const;
/** Words that are function names and duration values or query bounds at once. */
const HELPERS = ["start", "end", "step", "range", "max_of", "min_of"] as const;
const PUNCTUATION = ["(", ")", "{", "}", "[", "]", ",", ":", "="] as const;
const LITERALS = [
  "identifier",
  "metric identifier",
  "string",
  "number",
  "duration",
  "end of input",
] as const;

type OperatorToken = (typeof OPERATORS)[number];
type AggregatorToken = (typeof AGGREGATORS)[number];
export type TokenKind =
  | OperatorToken
  | AggregatorToken
  | (typeof KEYWORDS)[number]
  | (typeof HELPERS)[number]
  | (typeof PUNCTUATION)[number]
  | (typeof LITERALS)[number];

export interface Token {
  readonly kind: TokenKind;
  /** UTF-16 offset of the first unit. */
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  /** As written, quotes included. */
  readonly text: string;
}

const operators: ReadonlySet<string> = new Set(OPERATORS);
const aggregators: ReadonlySet<string> = new Set(AGGREGATORS);
const keywords: ReadonlySet<string> = new Set(KEYWORDS);
const literals: ReadonlySet<string> = new Set(LITERALS);
/** Words that are not identifiers, lower-cased. */
export const WORDS: ReadonlyMap<string, TokenKind> = new Map<string, TokenKind>([
  ...(["atan2", "and", "or", "unless"] as const).map((word) => [word, word] as const),
  ...[...AGGREGATORS, ...KEYWORDS, ...HELPERS].map((word) => [word, word] as const),
  ["inf", "number"],
  ["nan", "number"],
]);
/** The words among them that are legal inside brackets. */
export const DURATION_WORDS: ReadonlySet<string> = new Set(["step", "range", "max_of", "min_of"]);

export function isAggregator(kind: TokenKind): kind is AggregatorToken {
  return aggregators.has(kind);
}

/** A token the way Prometheus names it in `unexpected …`. */
export function describeToken(token: Token): string {
  const { kind, text } = token;
  if (kind === "end of input") return kind;
  if (kind === "identifier" || kind === "metric identifier") return `${kind} ${quote(text)}`;
  if (keywords.has(kind)) return `<${text}>`;
  if (operators.has(kind)) return `<op:${text}>`;
  if (aggregators.has(kind)) return `<aggr:${text}>`;
  return literals.has(kind) ? `${kind} ${shorten(text)}` : shorten(text);
}

function shorten(text: string): string {
  if (Buffer.byteLength(text) <= 10) return quote(text);
  return `${quote(Array.from(text.slice(0, 20)).slice(0, 10).join(""))}...`;
}

/** Words that are metric names where an expression may begin. Aggregators and function-like words are besides them. */
const NAME_WORDS: ReadonlySet<TokenKind> = new Set([
  "and",
  "or",
  "unless",
  "by",
  "without",
  "offset",
  "fill",
  "fill_left",
  "fill_right",
  "anchored",
  "smoothed",
]);
/** Words that are functions, too. */
export const HELPER_WORDS: ReadonlySet<TokenKind> = new Set([
  "start",
  "end",
  "step",
  "range",
  "min_of",
  "max_of",
]);

/** Whether a token can be a metric name where an expression may begin. */
export function isMetricName(kind: TokenKind): boolean {
  return (
    kind === "identifier" ||
    kind === "metric identifier" ||
    isAggregator(kind) ||
    NAME_WORDS.has(kind) ||
    HELPER_WORDS.has(kind)
  );
}

/** Whether a token can be a label name in `by (…)` and its kin. */
export function isLabelName(token: Token): boolean {
  if (token.kind === "string") return true;
  // Any word, but for `inf` and `nan`.
  return token.kind !== "number" && /^[a-zA-Z_:]/.test(token.text);
}

export function startsExpression(kind: TokenKind): boolean {
  return (
    isMetricName(kind) ||
    kind === "number" ||
    kind === "duration" ||
    kind === "string" ||
    kind === "(" ||
    kind === "{" ||
    kind === "+" ||
    kind === "-"
  );
}

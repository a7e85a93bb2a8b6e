/** The modifiers of binary operators, and lists of label names. */
import { isValidLabelName } from "../model/labels.ts";
import type { VectorMatching } from "./ast.ts";
import { quoteBytes, unquote } from "./literals.ts";
import type { TokenStream } from "./token-stream.ts";
import { isLabelName, startsExpression, type TokenKind } from "./tokens.ts";

const SET_OPERATORS: ReadonlySet<TokenKind> = new Set(["and", "or", "unless"]);

/** What stands between a binary operator and its right side: `bool`, `on`, `ignoring`, `group_…` and `fill…`. */
export function parseModifiers(
  tokens: TokenStream,
  operator: TokenKind,
): { returnBool: boolean; matching: VectorMatching } {
  const returnBool = tokens.accept("bool") !== undefined;
  let cardinality: VectorMatching["cardinality"] = SET_OPERATORS.has(operator)
    ? "many-to-many"
    : "one-to-one";
  let labels: readonly string[] = [];
  let include: readonly string[] = [];
  const side = tokens.accept("on") ?? tokens.accept("ignoring");
  if (side !== undefined) {
    labels = parseLabelNames(tokens);
    const group = tokens.accept("group_left") ?? tokens.accept("group_right");
    if (group !== undefined) {
      cardinality = group.kind === "group_left" ? "many-to-one" : "one-to-many";
      // What is no list of labels must be the right side.
      const next = tokens.peek().kind;
      if (next === "(" || !startsExpression(next)) include = parseLabelNames(tokens);
    }
  }
  let fillLeft: number | undefined;
  let fillRight: number | undefined;
  if (tokens.accept("fill") !== undefined) fillLeft = fillRight = parseFillValue(tokens);
  else if (tokens.accept("fill_left") !== undefined) {
    fillLeft = parseFillValue(tokens);
    if (tokens.accept("fill_right") !== undefined) fillRight = parseFillValue(tokens);
  } else if (tokens.accept("fill_right") !== undefined) {
    fillRight = parseFillValue(tokens);
    if (tokens.accept("fill_left") !== undefined) fillLeft = parseFillValue(tokens);
  }
  const on = side?.kind === "on";
  return { returnBool, matching: { cardinality, labels, on, include, fillLeft, fillRight } };
}

function parseFillValue(tokens: TokenStream): number {
  tokens.expect("(");
  const negative = tokens.accept("-") !== undefined;
  if (!negative) tokens.accept("+");
  const literal = tokens.number();
  tokens.expect(")");
  return negative ? -literal.value : literal.value;
}

/** `(a, "b", c,)` */
export function parseLabelNames(tokens: TokenStream): readonly string[] {
  const where = "grouping opts";
  if (tokens.peek().kind !== "(") throw tokens.unexpected(where, '"("');
  tokens.next();
  const names: string[] = [];
  while (tokens.accept(")") === undefined) {
    const token = tokens.peek();
    if (!isLabelName(token)) throw tokens.unexpected(where, "label");
    tokens.next();
    const name = token.kind === "string" ? unquote(token.text) : token.text;
    if (!isValidLabelName(name))
      throw tokens.error(token, `invalid label name for grouping: ${quoteBytes(name)}`);
    names.push(name);
    if (tokens.accept(",") === undefined && tokens.peek().kind !== ")")
      throw tokens.unexpected(where, '"," or ")"');
  }
  return names;
}

/**
 * PromQL of Prometheus 3.14: a hand-written operator-precedence parser. Its verdicts, messages and places are those of
 * Prometheus; where the grammar there (an LALR one with error rules) names a context in `unexpected … in …`, the
 * parser here keeps the same contexts on a stack.
 */
import { quote } from "../base/text.ts";
import type { Matcher } from "../model/matcher.ts";
import {
  typeOf,
  type Aggregation,
  type BinaryOperator,
  type Expression,
  type Position,
  type VectorSelector,
} from "./ast.ts";
import { FUNCTIONS } from "./functions-table.ts";
import { unquote } from "./literals.ts";
import { parseLabelNames, parseModifiers } from "./parser-matching.ts";
import {
  parseAtModifier,
  parseExtendedModifier,
  parseOffsetModifier,
  parseRange,
} from "./parser-postfix.ts";
import { parseVectorSelector } from "./parser-selectors.ts";
import { TokenStream } from "./token-stream.ts";
import {
  HELPER_WORDS,
  isAggregator,
  isMetricName,
  startsExpression,
  type Token,
  type TokenKind,
} from "./tokens.ts";
import { validate } from "./validate.ts";

/** What Prometheus puts behind `--enable-feature`; all off by default. */
export interface ParserOptions {
  /** promql-experimental-functions */
  readonly experimentalFunctions?: boolean;
  /** promql-extended-range-selectors: `anchored` and `smoothed`. */
  readonly extendedRangeSelectors?: boolean;
  /** promql-binop-fill-modifiers: `fill`, `fill_left` and `fill_right`. */
  readonly fillModifiers?: boolean;
}

/** For who only reads what others have let through. */
export const WHOLE_LANGUAGE: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  fillModifiers: true,
};

/**
 * The tree of `text`, syntax and types checked. Throws ParseError (`bad-data`) with Prometheus's message for the first
 * mistake. Linear in the length of `text`; trees deeper than MAX_DEPTH are refused.
 */
export function parseExpression(text: string, options: ParserOptions = {}): Expression {
  const tokens = new TokenStream(text);
  if (tokens.peek().kind === "end of input")
    throw tokens.error({ start: 0, end: 0 }, "no expression found in input");
  const expression = new ExpressionParser(tokens, options).parse();
  validate(text, expression);
  return expression;
}

/** The matchers of a bare selector, as `match[]` parameters have them. Whether one of them is non-empty is not checked. */
export function parseSelector(text: string): readonly Matcher[] {
  const tokens = new TokenStream(text);
  const selector = new ExpressionParser(tokens, {}).parseSelectorOnly();
  tokens.expectEnd();
  return selector.matchers;
}

const PRECEDENCE: ReadonlyMap<TokenKind, number> = new Map<TokenKind, number>([
  ["or", 1],
  ["and", 2],
  ["unless", 2],
  ["==", 3],
  ["!=", 3],
  ["<", 3],
  ["<=", 3],
  [">", 3],
  [">=", 3],
  ["</", 3],
  [">/", 3],
  ["+", 4],
  ["-", 4],
  ["*", 5],
  ["/", 5],
  ["%", 5],
  ["atan2", 5],
  ["^", 6],
]);
const UNARY_PRECEDENCE = 5;
const POWER_PRECEDENCE = 6;
const PARAMETER_AGGREGATORS: ReadonlySet<string> = new Set([
  "topk",
  "bottomk",
  "quantile",
  "count_values",
  "limitk",
  "limit_ratio",
]);
const EXPERIMENTAL_AGGREGATORS: ReadonlySet<string> = new Set(["limitk", "limit_ratio"]);

class ExpressionParser {
  readonly #tokens: TokenStream;
  readonly #options: ParserOptions;

  constructor(tokens: TokenStream, options: ParserOptions) {
    this.#tokens = tokens;
    this.#options = options;
  }

  parse(): Expression {
    const expression = this.#binary(0);
    this.#tokens.expectEnd();
    return expression;
  }

  parseSelectorOnly(): VectorSelector {
    const tokens = this.#tokens;
    const { kind } = tokens.peek();
    if (kind === "{" || isMetricName(kind)) return parseVectorSelector(tokens);
    throw tokens.unexpected();
  }

  /** An expression of operators that bind at least as tightly as `minimum`. */
  #binary(minimum: number): Expression {
    const tokens = this.#tokens;
    tokens.enter();
    let left = this.#operand();
    for (;;) {
      const operator = tokens.peek();
      const precedence = PRECEDENCE.get(operator.kind);
      if (precedence === undefined || precedence < minimum) break;
      tokens.next();
      const leftHeight = tokens.height;
      const { returnBool, matching } = parseModifiers(tokens, operator.kind);
      const right = this.#binary(precedence === POWER_PRECEDENCE ? precedence : precedence + 1);
      tokens.growOver(leftHeight, operator);
      const position = { start: left.position.start, end: right.position.end };
      const hasFill = matching.fillLeft !== undefined || matching.fillRight !== undefined;
      if (hasFill && this.#options.fillModifiers !== true)
        throw tokens.error(position, "binop fill modifiers are experimental and not enabled");
      // Between vectors only; with scalars it stays just where the validation is going to complain about it.
      const keepsMatching =
        (typeOf(left) === "vector" && typeOf(right) === "vector") ||
        matching.labels.length > 0 ||
        hasFill;
      left = {
        kind: "binary",
        position,
        operator: operator.kind as BinaryOperator,
        left,
        right,
        matching: keepsMatching ? matching : undefined,
        returnBool,
      };
    }
    tokens.leave();
    return left;
  }

  /** A primary expression or sign with everything that stands behind it: ranges, offsets, `@`, `anchored`, `smoothed`. */
  #operand(): Expression {
    const tokens = this.#tokens;
    const first = tokens.peek();
    if (first.kind === "+" || first.kind === "-") {
      tokens.next();
      const operand = this.#binary(UNARY_PRECEDENCE + 1);
      const position = { start: first.start, end: operand.position.end };
      if (operand.kind === "number")
        return { ...operand, position, value: first.kind === "-" ? -operand.value : operand.value };
      tokens.growOver(0, first);
      return { kind: "unary", position, operator: first.kind, operand };
    }
    let expression = this.#primary();
    for (;;) {
      const { kind } = tokens.peek();
      if (kind === "[") expression = parseRange(tokens, expression);
      else if (kind === "offset") expression = parseOffsetModifier(tokens, expression);
      else if (kind === "@") expression = parseAtModifier(tokens, expression);
      else if (kind === "anchored" || kind === "smoothed")
        expression = parseExtendedModifier(
          tokens,
          expression,
          this.#options.extendedRangeSelectors === true,
        );
      else return expression;
    }
  }

  #primary(): Expression {
    const tokens = this.#tokens;
    const token = tokens.peek();
    tokens.height = 1;
    const { kind } = token;
    if (kind === "number" || kind === "duration") return { kind: "number", ...tokens.number() };
    if (kind === "string") {
      tokens.next();
      return { kind, position: positionOf(token), value: unquote(token.text) };
    }
    if (kind === "(") {
      tokens.next();
      const expression = this.#binary(0);
      const end = tokens.expect(")").end;
      tokens.growOver(0, token);
      return { kind: "parenthesis", position: { start: token.start, end }, expression };
    }
    if (isAggregator(kind)) {
      const next = tokens.peekSecond().kind;
      if (next === "(" || next === "by" || next === "without") return this.#aggregation();
      return parseVectorSelector(tokens);
    }
    if (kind === "identifier" || HELPER_WORDS.has(kind))
      return tokens.peekSecond().kind === "(" ? this.#call() : parseVectorSelector(tokens);
    if (kind === "{" || isMetricName(kind)) return parseVectorSelector(tokens);
    throw tokens.unexpected();
  }

  #call(): Expression {
    const tokens = this.#tokens;
    const name = tokens.next();
    const args = this.#arguments();
    const func = FUNCTIONS.get(name.text);
    if (func === undefined)
      throw tokens.error(name, `unknown function with name ${quote(name.text)}`);
    if (func.experimental && this.#options.experimentalFunctions !== true)
      throw tokens.error(name, `function ${quote(name.text)} is not enabled`);
    return { kind: "call", position: { start: name.start, end: tokens.lastEnd }, func, args };
  }

  #arguments(): Expression[] {
    const tokens = this.#tokens;
    const opening = tokens.expect("(");
    const args: Expression[] = [];
    let height = 0;
    if (tokens.peek().kind !== ")") {
      for (;;) {
        args.push(this.#binary(0));
        height = Math.max(height, tokens.height);
        const comma = tokens.accept(",");
        if (comma === undefined) break;
        if (!startsExpression(tokens.peek().kind))
          throw tokens.error(comma, "trailing commas not allowed in function call args");
      }
    }
    tokens.expect(")");
    tokens.height = 0;
    tokens.growOver(height, opening);
    return args;
  }

  #aggregation(): Aggregation {
    const tokens = this.#tokens;
    const operator = tokens.next();
    tokens.pushContext({ where: "aggregation", expected: "" });
    const before = this.#grouping();
    const args = this.#arguments();
    tokens.popContext();
    const modifier = before ?? this.#grouping();
    const position = { start: operator.start, end: tokens.lastEnd };
    const kind = operator.kind as Aggregation["operator"];
    const problem = this.#aggregationProblem(kind, args.length);
    if (problem !== undefined) throw tokens.error(position, problem);
    return {
      kind: "aggregation",
      position,
      operator: kind,
      expression: args.at(-1)!,
      parameter: args.length === 2 ? args[0] : undefined,
      grouping: modifier?.names ?? [],
      without: modifier?.without ?? false,
    };
  }

  #aggregationProblem(operator: string, count: number): string | undefined {
    if (count === 0) return "no arguments for aggregate expression provided";
    if (EXPERIMENTAL_AGGREGATORS.has(operator) && this.#options.experimentalFunctions !== true)
      return `${operator}() is experimental and must be enabled with --enable-feature=promql-experimental-functions`;
    const wanted = PARAMETER_AGGREGATORS.has(operator) ? 2 : 1;
    if (count !== wanted)
      return `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${count}`;
    return undefined;
  }

  #grouping(): { names: readonly string[]; without: boolean } | undefined {
    const tokens = this.#tokens;
    const word = tokens.accept("by") ?? tokens.accept("without");
    if (word === undefined) return undefined;
    return { names: parseLabelNames(tokens), without: word.kind === "without" };
  }
}

function positionOf(token: Token): Position {
  return { start: token.start, end: token.end };
}

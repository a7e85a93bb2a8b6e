/**
 * PromQL of Prometheus 3.14: a hand-written operator-precedence parser. Its verdicts, messages and places are those of
 * Prometheus; where the grammar there (an LALR one with error rules) names a context in `unexpected … in …`, the
 * parser here keeps the same contexts on a stack.
 */
import type {
  Aggregation,
  AtModifier,
  BinaryOperator,
  Expression,
  MatrixSelector,
  Position,
  Subquery,
  TimeModifiers,
  VectorMatching,
  VectorSelector,
} from "./ast.ts";
import { typeOf } from "./ast.ts";
import { parseOffset, parsePositiveDuration } from "./parser-durations.ts";
import { FUNCTIONS } from "./functions-table.ts";
import { quote } from "../base/text.ts";
import { isAggregator, type Token, type TokenKind } from "./tokens.ts";
import { parseBraces } from "./parser-selectors.ts";
import { TokenStream } from "./token-stream.ts";
import { createMatcher, type Matcher } from "../model/matcher.ts";
import { METRIC_NAME } from "../model/labels.ts";
import { unquote } from "./literals.ts";
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
const SET_OPERATORS: ReadonlySet<TokenKind> = new Set(["and", "or", "unless"]);

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
const HELPER_WORDS: ReadonlySet<TokenKind> = new Set([
  "start",
  "end",
  "step",
  "range",
  "min_of",
  "max_of",
]);
/** Words and names that may be label names in `by (…)` and its kin. */
const NOT_LABELS: ReadonlySet<TokenKind> = new Set([
  "number",
  "duration",
  "end of input",
  "string",
]);
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
    const token = this.#tokens.peek();
    if (token.kind === "{" || isMetricName(token.kind)) return this.#vectorSelector();
    throw this.#tokens.unexpected();
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
      const { returnBool, matching } = this.#modifiers(operator.kind);
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

  #modifiers(operator: TokenKind): { returnBool: boolean; matching: VectorMatching } {
    const tokens = this.#tokens;
    const returnBool = tokens.accept("bool") !== undefined;
    let cardinality: VectorMatching["cardinality"] = SET_OPERATORS.has(operator)
      ? "many-to-many"
      : "one-to-one";
    let labels: readonly string[] = [];
    let include: readonly string[] = [];
    const side = tokens.accept("on") ?? tokens.accept("ignoring");
    if (side !== undefined) {
      labels = this.#labelNames();
      const group = tokens.accept("group_left") ?? tokens.accept("group_right");
      if (group !== undefined) {
        cardinality = group.kind === "group_left" ? "many-to-one" : "one-to-many";
        // What is no list of labels must be the right side.
        const next = tokens.peek().kind;
        if (next === "(" || !startsExpression(next)) include = this.#labelNames();
      }
    }
    let fillLeft: number | undefined;
    let fillRight: number | undefined;
    if (tokens.accept("fill") !== undefined) fillLeft = fillRight = this.#fillValue();
    else if (tokens.accept("fill_left") !== undefined) {
      fillLeft = this.#fillValue();
      if (tokens.accept("fill_right") !== undefined) fillRight = this.#fillValue();
    } else if (tokens.accept("fill_right") !== undefined) {
      fillRight = this.#fillValue();
      if (tokens.accept("fill_left") !== undefined) fillLeft = this.#fillValue();
    }
    const on = side?.kind === "on";
    return { returnBool, matching: { cardinality, labels, on, include, fillLeft, fillRight } };
  }

  #fillValue(): number {
    const tokens = this.#tokens;
    tokens.expect("(");
    const negative = tokens.accept("-") !== undefined;
    if (!negative) tokens.accept("+");
    const literal = tokens.number();
    tokens.expect(")");
    return negative ? -literal.value : literal.value;
  }

  /** `(a, "b", c,)` */
  #labelNames(): readonly string[] {
    const tokens = this.#tokens;
    const where = "grouping opts";
    if (tokens.peek().kind !== "(") throw tokens.unexpected(where, '"("');
    tokens.next();
    const names: string[] = [];
    while (tokens.accept(")") === undefined) {
      const token = tokens.peek();
      if (!isLabelName(token)) throw tokens.unexpected(where, "label");
      tokens.next();
      const name = token.kind === "string" ? unquote(token.text) : token.text;
      if (name === "") throw tokens.error(token, `invalid label name for grouping: ${quote(name)}`);
      names.push(name);
      if (tokens.accept(",") === undefined && tokens.peek().kind !== ")")
        throw tokens.unexpected(where, '"," or ")"');
    }
    return names;
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
      if (kind === "[") expression = this.#range(expression);
      else if (kind === "offset") expression = this.#offset(expression);
      else if (kind === "@") expression = this.#at(expression);
      else if (kind === "anchored" || kind === "smoothed") expression = this.#extended(expression);
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
      return this.#vectorSelector();
    }
    if (kind === "identifier" || HELPER_WORDS.has(kind))
      return tokens.peekSecond().kind === "(" ? this.#call() : this.#vectorSelector();
    if (kind === "{" || isMetricName(kind)) return this.#vectorSelector();
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
    return { names: this.#labelNames(), without: word.kind === "without" };
  }

  #vectorSelector(): VectorSelector {
    const tokens = this.#tokens;
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

  #range(expression: Expression): MatrixSelector | Subquery {
    const tokens = this.#tokens;
    const opening = tokens.next();
    const range = parsePositiveDuration(tokens, {
      where: "subquery or range selector",
      expected: "number, duration, step(), or range()",
    });
    const start = expression.position.start;
    if (tokens.accept(":") !== undefined) {
      let step: ReturnType<typeof parsePositiveDuration> = { ms: 0, expression: undefined };
      if (tokens.peek().kind !== "]")
        step = parsePositiveDuration(tokens, {
          where: "subquery selector",
          expected: 'number, duration, step(), range(), or "]"',
        });
      if (tokens.peek().kind !== "]") throw tokens.unexpected("subquery selector", '"]"');
      tokens.growOver(0, opening);
      return {
        kind: "subquery",
        position: { start, end: tokens.next().end },
        expression,
        rangeMs: range.ms,
        rangeExpression: range.expression,
        stepMs: step.ms,
        stepExpression: step.expression,
        offsetMs: 0,
        offsetExpression: undefined,
        at: undefined,
      };
    }
    if (tokens.peek().kind !== "]") throw tokens.unexpected("subquery or range", '":" or "]"');
    const end = tokens.next().end;
    const bracket = { start: opening.start, end };
    if (expression.kind !== "vectorSelector")
      throw tokens.error(bracket, "ranges only allowed for vector selectors");
    if (hasOffset(expression))
      throw tokens.error(bracket, "no offset modifiers allowed before range");
    if (expression.at !== undefined)
      throw tokens.error(bracket, "no @ modifiers allowed before range");
    return {
      kind: "matrixSelector",
      position: { start, end },
      selector: expression,
      rangeMs: range.ms,
      rangeExpression: range.expression,
    };
  }

  #offset(expression: Expression): Expression {
    const tokens = this.#tokens;
    tokens.next();
    const offset = parseOffset(tokens);
    return this.#modify(expression, "offset", (modifiers) => {
      if (hasOffset(modifiers))
        throw tokens.error(expression.position, "offset may not be set multiple times");
      return { offsetMs: offset.ms, offsetExpression: offset.expression };
    });
  }

  #at(expression: Expression): Expression {
    const tokens = this.#tokens;
    tokens.next();
    const at = this.#atValue(expression.position);
    return this.#modify(expression, "@", (modifiers) => {
      if (modifiers.at !== undefined)
        throw tokens.error(expression.position, "@ <timestamp> may not be set multiple times");
      return { at };
    });
  }

  #atValue(position: Position): AtModifier {
    const tokens = this.#tokens;
    tokens.pushContext({ where: "@", expected: "timestamp" });
    const bound = tokens.accept("start") ?? tokens.accept("end");
    if (bound !== undefined) {
      tokens.expect("(");
      tokens.expect(")");
      tokens.popContext();
      return { kind: bound.kind === "start" ? "start" : "end" };
    }
    const negative = tokens.accept("-") !== undefined;
    if (!negative) tokens.accept("+");
    const literal = tokens.number();
    tokens.popContext();
    const seconds = negative ? -literal.value : literal.value;
    if (!(Math.abs(seconds) < 2 ** 63))
      throw tokens.error(
        position,
        `timestamp out of bounds for @ modifier: ${formatSixDecimals(seconds)}`,
      );
    const timeMs = roundAwayFromZero(seconds * 1000);
    // Prometheus lets the 64-bit milliseconds overflow, to their lowest value.
    return { kind: "time", timeMs: Math.abs(timeMs) < 2 ** 63 ? timeMs : -(2 ** 63) };
  }

  /** Sets what `change` gives on the selector or subquery that `expression` is. */
  #modify(
    expression: Expression,
    modifier: "offset" | "@",
    change: (modifiers: TimeModifiers) => Partial<TimeModifiers>,
  ): Expression {
    const position = { start: expression.position.start, end: this.#tokens.lastEnd };
    if (expression.kind === "vectorSelector" || expression.kind === "subquery")
      return { ...expression, ...change(expression), position };
    if (expression.kind === "matrixSelector") {
      const { selector } = expression;
      return { ...expression, selector: { ...selector, ...change(selector) }, position };
    }
    throw this.#tokens.error(
      expression.position,
      `${modifier} modifier must be preceded by an instant vector selector or range vector selector or a subquery`,
    );
  }

  #extended(expression: Expression): Expression {
    const tokens = this.#tokens;
    const word = tokens.next().kind === "anchored" ? "anchored" : "smoothed";
    const { position } = expression;
    if (this.#options.extendedRangeSelectors !== true)
      throw tokens.error(position, `${word} modifier is experimental and not enabled`);
    const change = (selector: VectorSelector): VectorSelector => {
      const changed = { ...selector, [word]: true };
      if (changed.anchored && changed.smoothed)
        throw tokens.error(position, "anchored and smoothed modifiers cannot be used together");
      return changed;
    };
    if (expression.kind === "vectorSelector") return change(expression);
    if (expression.kind === "matrixSelector")
      return { ...expression, selector: change(expression.selector) };
    throw tokens.error(
      position,
      expression.kind === "subquery"
        ? `${word} modifier is not supported for subqueries`
        : `${word} modifier not implemented`,
    );
  }
}

function hasOffset(modifiers: TimeModifiers): boolean {
  return modifiers.offsetMs !== 0 || modifiers.offsetExpression !== undefined;
}

function positionOf(token: Token): Position {
  return { start: token.start, end: token.end };
}

function isMetricName(kind: TokenKind): boolean {
  return (
    kind === "identifier" ||
    kind === "metric identifier" ||
    isAggregator(kind) ||
    NAME_WORDS.has(kind) ||
    HELPER_WORDS.has(kind)
  );
}

function isLabelName(token: Token): boolean {
  if (token.kind === "string") return true;
  return !NOT_LABELS.has(token.kind) && /^[a-zA-Z_:]/.test(token.text);
}

function startsExpression(kind: TokenKind): boolean {
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

/** Go's math.Round: halves go away from zero. */
function roundAwayFromZero(value: number): number {
  return Math.sign(value) * Math.round(Math.abs(value));
}

/** Go's `%f`. */
function formatSixDecimals(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : value < 0 ? "-Inf" : "NaN";
  // JavaScript's toFixed turns to exponents from 1e21 on; such values are integers.
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`;
}

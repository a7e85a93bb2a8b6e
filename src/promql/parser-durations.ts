/**
 * Durations where PromQL wants one: `[range]`, `[range:step]` and `offset`. A lone literal is computed at once; step(),
 * range(), min_of(), max_of() and arithmetic stay expressions that the engine computes when it knows the query's step.
 */
import type { DurationExpression } from "./ast.ts";
import type { Token, TokenKind } from "./tokens.ts";
import { DURATION_MAX_SECONDS } from "./literals.ts";
import type { Context, TokenStream } from "./token-stream.ts";

/** Milliseconds, or with `expression` set what they are to be computed from. */
export interface ParsedDuration {
  readonly ms: number;
  /** `ms` before its fraction was cut off. */
  readonly exactMs: number;
  readonly expression: DurationExpression | undefined;
}

type BinaryDurationOperator = Extract<DurationExpression, { kind: "durationBinary" }>["operator"];

const PRECEDENCE: ReadonlyMap<TokenKind, number> = new Map<TokenKind, number>([
  ["+", 1],
  ["-", 1],
  ["*", 2],
  ["/", 2],
  ["%", 2],
  ["^", 3],
]);
const UNARY_PRECEDENCE = 2;

/** A range or step; a literal must be above 0. */
export function parsePositiveDuration(tokens: TokenStream, context: Context): ParsedDuration {
  tokens.pushContext(context);
  const height = tokens.height;
  const duration = parseBinary(tokens, 0);
  tokens.popContext();
  tokens.height = height;
  // A mistake in what follows is reported first, as in Prometheus.
  tokens.peek();
  if (duration.kind === "durationNumber" && duration.seconds <= 0)
    throw tokens.error(duration.position, "duration must be greater than 0");
  return finish(duration);
}

/**
 * What stands behind `offset`. Without parentheses that is one literal or function with a sign, so that
 * `a offset 5m + b` adds; a parenthesis without a sign begins an expression that goes on as far as it can.
 */
export function parseOffset(tokens: TokenStream): ParsedDuration {
  tokens.pushContext({ where: "offset", expected: "number, duration, step(), or range()" });
  const height = tokens.height;
  const first = tokens.peek();
  let duration: DurationExpression;
  if (first.kind === "(") duration = parseBinary(tokens, 0);
  else if (first.kind === "+" || first.kind === "-") {
    tokens.next();
    const next = tokens.peek().kind;
    if (next === "+" || next === "-") {
      const operand = parseBinary(tokens, UNARY_PRECEDENCE + 1);
      duration = parseRest(tokens, 0, applySign(tokens, first, operand));
    } else duration = applySign(tokens, first, parsePrimary(tokens, first));
  } else duration = parsePrimary(tokens);
  tokens.popContext();
  tokens.height = height;
  return finish(duration);
}

function finish(duration: DurationExpression): ParsedDuration {
  if (duration.kind !== "durationNumber") return { ms: 0, exactMs: 0, expression: duration };
  const exactMs = secondsToMs(duration.seconds);
  // Cut off as Prometheus does after rounding to nanoseconds.
  return { ms: Math.trunc(exactMs) + 0, exactMs, expression: undefined };
}

/** With the fraction that whole nanoseconds are. */
function secondsToMs(seconds: number): number {
  // `offset NaN` is legal; Prometheus turns it into its lowest duration.
  if (Number.isNaN(seconds)) return -DURATION_MAX_SECONDS * 1000;
  const nanoseconds = Math.sign(seconds) * Math.round(Math.abs(seconds) * 1e9);
  return nanoseconds / 1e6;
}

function parseBinary(tokens: TokenStream, minimum: number): DurationExpression {
  tokens.enter();
  const duration = parseRest(tokens, minimum, parseSigned(tokens));
  tokens.leave();
  return duration;
}

function parseRest(
  tokens: TokenStream,
  minimum: number,
  first: DurationExpression,
): DurationExpression {
  let left = first;
  for (;;) {
    const operator = tokens.peek();
    const precedence = PRECEDENCE.get(operator.kind);
    if (precedence === undefined || precedence < minimum) return left;
    tokens.next();
    const leftHeight = tokens.height;
    const right = parseBinary(tokens, operator.kind === "^" ? precedence : precedence + 1);
    tokens.growOver(leftHeight, operator);
    if (right.kind === "durationNumber" && right.seconds === 0) {
      if (operator.kind === "/") throw tokens.error(operator, "division by zero");
      if (operator.kind === "%") throw tokens.error(operator, "modulo by zero");
    }
    left = {
      kind: "durationBinary",
      position: { start: left.position.start, end: right.position.end },
      operator: operator.kind as BinaryDurationOperator,
      left,
      right,
    };
  }
}

function parseSigned(tokens: TokenStream): DurationExpression {
  const sign = tokens.accept("+") ?? tokens.accept("-");
  if (sign === undefined) return parsePrimary(tokens);
  return applySign(tokens, sign, parseBinary(tokens, UNARY_PRECEDENCE + 1));
}

function applySign(
  tokens: TokenStream,
  sign: Token,
  operand: DurationExpression,
): DurationExpression {
  const position = { start: sign.start, end: operand.position.end };
  if (operand.kind === "durationNumber")
    return {
      ...operand,
      position,
      seconds: sign.kind === "-" ? -operand.seconds : operand.seconds,
    };
  // A plus in front of an expression means nothing and is not kept.
  if (sign.kind === "+") return operand;
  tokens.growOver(0, sign);
  return { kind: "durationUnary", position, operator: "-", operand };
}

/** `sign` is where Prometheus places a literal's being out of range, when the literal has one behind `offset`. */
function parsePrimary(tokens: TokenStream, sign?: Token): DurationExpression {
  const token = tokens.peek();
  tokens.height = 1;
  const { start } = token;
  if (token.kind === "step" || token.kind === "range") {
    tokens.next();
    tokens.expect("(");
    tokens.expect(")");
    const kind = token.kind === "step" ? "durationStep" : "durationRange";
    return { kind, position: { start, end: tokens.lastEnd } };
  }
  if (token.kind === "min_of" || token.kind === "max_of") {
    tokens.next();
    tokens.expect("(");
    const left = parseBinary(tokens, 0);
    const leftHeight = tokens.height;
    tokens.expect(",");
    const right = parseBinary(tokens, 0);
    tokens.expect(")");
    tokens.growOver(leftHeight, token);
    const kind = token.kind === "min_of" ? "durationMin" : "durationMax";
    // Prometheus takes it to stand where its arguments do, and what is in parentheses without them.
    const position = { start: left.position.start, end: right.position.end };
    return { kind, position, left, right };
  }
  if (token.kind === "(") {
    tokens.next();
    const expression = parseBinary(tokens, 0);
    tokens.expect(")");
    tokens.growOver(0, token);
    // Around a lone literal, or one with a sign, it means nothing and is not kept.
    if (expression.kind === "durationNumber") return expression;
    return { kind: "durationParenthesis", position: expression.position, expression };
  }
  const { position, value, isDuration } = tokens.number();
  if (Math.abs(value) > DURATION_MAX_SECONDS)
    throw tokens.error(sign ?? position, "duration out of range");
  return { kind: "durationNumber", position, seconds: value, isDuration };
}

/** What stands behind an expression: ranges, `offset`, `@`, `anchored` and `smoothed`. */
import type {
  AtModifier,
  Expression,
  MatrixSelector,
  Position,
  Subquery,
  TimeModifiers,
  VectorSelector,
} from "./ast.ts";
import { type ParsedDuration, parseOffset, parsePositiveDuration } from "./parser-durations.ts";
import type { TokenStream } from "./token-stream.ts";

const NO_STEP: ParsedDuration = { ms: 0, exactMs: 0, expression: undefined };

/** `[range]` or `[range:step]`; the stream stands before the bracket. */
export function parseRange(tokens: TokenStream, expression: Expression): MatrixSelector | Subquery {
  const opening = tokens.next();
  const range = parsePositiveDuration(tokens, {
    where: "subquery or range selector",
    expected: "number, duration, step(), or range()",
  });
  const start = expression.position.start;
  if (tokens.accept(":") !== undefined) {
    let step: ParsedDuration = NO_STEP;
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
      stepMs: step.ms || step.exactMs,
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

/** `offset …` */
export function parseOffsetModifier(tokens: TokenStream, expression: Expression): Expression {
  tokens.next();
  const offset = parseOffset(tokens);
  return modify(tokens, expression, "offset", (modifiers) => {
    if (hasOffset(modifiers))
      throw tokens.error(expression.position, "offset may not be set multiple times");
    return { offsetMs: offset.ms, offsetExpression: offset.expression };
  });
}

/** `@ …` */
export function parseAtModifier(tokens: TokenStream, expression: Expression): Expression {
  tokens.next();
  const at = parseAtValue(tokens, expression.position);
  return modify(tokens, expression, "@", (modifiers) => {
    if (modifiers.at !== undefined)
      throw tokens.error(expression.position, "@ <timestamp> may not be set multiple times");
    return { at };
  });
}

function parseAtValue(tokens: TokenStream, position: Position): AtModifier {
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
function modify(
  tokens: TokenStream,
  expression: Expression,
  modifier: "offset" | "@",
  change: (modifiers: TimeModifiers) => Partial<TimeModifiers>,
): Expression {
  const position = { start: expression.position.start, end: tokens.lastEnd };
  if (expression.kind === "vectorSelector" || expression.kind === "subquery")
    return { ...expression, ...change(expression), position };
  if (expression.kind === "matrixSelector") {
    const { selector } = expression;
    return { ...expression, selector: { ...selector, ...change(selector) }, position };
  }
  throw tokens.error(
    expression.position,
    `${modifier} modifier must be preceded by an instant vector selector or range vector selector or a subquery`,
  );
}

/** `anchored` or `smoothed`. */
export function parseExtendedModifier(
  tokens: TokenStream,
  expression: Expression,
  isEnabled: boolean,
): Expression {
  const word = tokens.next().kind === "anchored" ? "anchored" : "smoothed";
  const { position } = expression;
  if (!isEnabled) throw tokens.error(position, `${word} modifier is experimental and not enabled`);
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

function hasOffset(modifiers: TimeModifiers): boolean {
  return modifiers.offsetMs !== 0 || modifiers.offsetExpression !== undefined;
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

import type { Matcher } from "../model/matcher.ts";

/** The syntax tree of a PromQL expression. Every node knows its place in the source text, for messages. */
export type ValueType = "scalar" | "vector" | "matrix" | "string" | "none";

/** Byte-free positions: 0-based UTF-16 offsets into the query text; `end` is exclusive. */
export interface Position {
  readonly start: number;
  readonly end: number;
}

export type Expression =
  | NumberLiteral
  | StringLiteral
  | VectorSelector
  | MatrixSelector
  | Subquery
  | Call
  | Aggregation
  | BinaryExpression
  | UnaryExpression
  | Parenthesis;

export interface NumberLiteral {
  readonly kind: "number";
  readonly position: Position;
  readonly value: number;
  /** Written as a duration (`5m`), to be printed as one. */
  readonly isDuration: boolean;
}

export interface StringLiteral {
  readonly kind: "string";
  readonly position: Position;
  readonly value: string;
}

/** The `@` modifier: a fixed time in ms, or the query's start or end. */
export type AtModifier =
  | { readonly kind: "time"; readonly timeMs: number }
  | { readonly kind: "start" }
  | { readonly kind: "end" };

/** `offset`, `@` and the extended-range words, shared by selectors and subqueries. */
export interface TimeModifiers {
  /** Milliseconds; positive looks into the past. A literal; when `offsetExpression` is set, the value to be computed from it. */
  readonly offsetMs: number;
  readonly offsetExpression: DurationExpression | undefined;
  readonly at: AtModifier | undefined;
}

export interface VectorSelector extends TimeModifiers {
  readonly kind: "vectorSelector";
  readonly position: Position;
  /** Metric name, "" if none was written. Its `__name__` matcher is in `matchers`. */
  readonly name: string;
  readonly matchers: readonly Matcher[];
  readonly anchored: boolean;
  readonly smoothed: boolean;
}

/** `selector[range]`. Offset, `@`, anchored and smoothed stand on the inner selector, as in Prometheus. */
export interface MatrixSelector {
  readonly kind: "matrixSelector";
  readonly position: Position;
  readonly selector: VectorSelector;
  readonly rangeMs: number;
  readonly rangeExpression: DurationExpression | undefined;
}

export interface Subquery extends TimeModifiers {
  readonly kind: "subquery";
  readonly position: Position;
  readonly expression: Expression;
  readonly rangeMs: number;
  readonly rangeExpression: DurationExpression | undefined;
  /** 0 means the default step (the evaluation interval). Whole, or what was written below 1, which is never evaluated. */
  readonly stepMs: number;
  readonly stepExpression: DurationExpression | undefined;
}

/** Arithmetic in a duration position. Numbers are seconds. */
export type DurationExpression =
  | {
      readonly kind: "durationNumber";
      readonly position: Position;
      readonly seconds: number;
      readonly isDuration: boolean;
    }
  | { readonly kind: "durationStep" | "durationRange"; readonly position: Position }
  | {
      readonly kind: "durationMin" | "durationMax";
      readonly position: Position;
      readonly left: DurationExpression;
      readonly right: DurationExpression;
    }
  | {
      readonly kind: "durationUnary";
      readonly position: Position;
      readonly operator: "+" | "-";
      readonly operand: DurationExpression;
    }
  | {
      readonly kind: "durationBinary";
      readonly position: Position;
      readonly operator: "+" | "-" | "*" | "/" | "%" | "^";
      readonly left: DurationExpression;
      readonly right: DurationExpression;
    }
  | {
      readonly kind: "durationParenthesis";
      readonly position: Position;
      readonly expression: DurationExpression;
    };

export interface Call {
  readonly kind: "call";
  readonly position: Position;
  readonly func: FunctionSignature;
  readonly args: readonly Expression[];
}

export interface FunctionSignature {
  readonly name: string;
  readonly argTypes: readonly ValueType[];
  /** 0: exactly `argTypes.length` arguments; n > 0: the last type may be left out or repeated up to n times more; -1: any number of times. */
  readonly variadic: number;
  readonly returnType: ValueType;
  readonly experimental: boolean;
}

export type AggregationOperator =
  | "sum"
  | "avg"
  | "min"
  | "max"
  | "group"
  | "count"
  | "stddev"
  | "stdvar"
  | "topk"
  | "bottomk"
  | "quantile"
  | "count_values"
  | "limitk"
  | "limit_ratio";

export interface Aggregation {
  readonly kind: "aggregation";
  readonly position: Position;
  readonly operator: AggregationOperator;
  readonly expression: Expression;
  /** The first argument of topk, bottomk, quantile, count_values, limitk and limit_ratio. */
  readonly parameter: Expression | undefined;
  readonly grouping: readonly string[];
  readonly without: boolean;
}

export type BinaryOperator =
  | "+"
  | "-"
  | "*"
  | "/"
  | "%"
  | "^"
  | "atan2"
  | "=="
  | "!="
  | "<"
  | "<="
  | ">"
  | ">="
  | "</"
  | ">/"
  | "and"
  | "or"
  | "unless";

export interface VectorMatching {
  readonly cardinality: "one-to-one" | "many-to-one" | "one-to-many" | "many-to-many";
  /** Labels of `on(…)` or `ignoring(…)`. */
  readonly labels: readonly string[];
  readonly on: boolean;
  /** Labels of `group_left(…)` or `group_right(…)`. */
  readonly include: readonly string[];
  readonly fillLeft: number | undefined;
  readonly fillRight: number | undefined;
}

export interface BinaryExpression {
  readonly kind: "binary";
  readonly position: Position;
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
  /** Present when both sides are vectors. */
  readonly matching: VectorMatching | undefined;
  readonly returnBool: boolean;
}

export interface UnaryExpression {
  readonly kind: "unary";
  readonly position: Position;
  readonly operator: "+" | "-";
  readonly operand: Expression;
}

export interface Parenthesis {
  readonly kind: "parenthesis";
  readonly position: Position;
  readonly expression: Expression;
}

/** The static type of an expression. */
export function typeOf(expression: Expression): ValueType {
  switch (expression.kind) {
    case "number":
      return "scalar";
    case "string":
      return "string";
    case "vectorSelector":
    case "aggregation":
      return "vector";
    case "matrixSelector":
    case "subquery":
      return "matrix";
    case "call":
      return expression.func.returnType;
    case "binary":
      return typeOf(expression.left) === "scalar" && typeOf(expression.right) === "scalar"
        ? "scalar"
        : "vector";
    case "unary":
      return typeOf(expression.operand);
    case "parenthesis":
      return typeOf(expression.expression);
  }
}

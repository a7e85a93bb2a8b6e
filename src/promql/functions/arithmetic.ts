import type { BinaryOperator } from "../ast.ts";
import { power } from "./power.ts";
import { atan2 } from "./trigonometry.ts";

/** Go's math.Max: an infinity of the right sign wins over NaN. */
export function goMax(a: number, b: number): number {
  return a === Infinity || b === Infinity ? Infinity : Math.max(a, b);
}

export function goMin(a: number, b: number): number {
  return a === -Infinity || b === -Infinity ? -Infinity : Math.min(a, b);
}

export type Arithmetic = "+" | "-" | "*" | "/" | "%" | "^" | "atan2";
export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=";

const COMPARISONS: ReadonlySet<BinaryOperator> = new Set(["==", "!=", "<", "<=", ">", ">="]);
const ARITHMETIC: ReadonlySet<BinaryOperator> = new Set(["+", "-", "*", "/", "%", "^", "atan2"]);

export function isComparison(operator: BinaryOperator): operator is Comparison {
  return COMPARISONS.has(operator);
}

export function isArithmetic(operator: BinaryOperator): operator is Arithmetic {
  return ARITHMETIC.has(operator);
}

export function calculate(operator: Arithmetic, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    case "%":
      return a % b;
    case "^":
      return power(a, b);
    case "atan2":
      return atan2(a, b);
  }
}

export function compare(operator: Comparison, a: number, b: number): boolean {
  switch (operator) {
    case "==":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
  }
}

/** `out[k] = a[k] operator b[k]` over whole columns; `out` may be one of the inputs. */
export function calculateColumns(
  operator: Arithmetic,
  inputs: { a: Float64Array; b: Float64Array },
  out: Float64Array,
): void {
  const { a, b } = inputs;
  const count = out.length;
  switch (operator) {
    case "+":
      for (let k = 0; k < count; k++) out[k] = a[k]! + b[k]!;
      return;
    case "-":
      for (let k = 0; k < count; k++) out[k] = a[k]! - b[k]!;
      return;
    case "*":
      for (let k = 0; k < count; k++) out[k] = a[k]! * b[k]!;
      return;
    case "/":
      for (let k = 0; k < count; k++) out[k] = a[k]! / b[k]!;
      return;
    case "%":
    case "^":
    case "atan2":
      for (let k = 0; k < count; k++) out[k] = calculate(operator, a[k]!, b[k]!);
  }
}

import { AppError } from "../base/errors.ts";
import type { DurationExpression } from "./ast.ts";
import { power } from "./functions/power.ts";

/** The longest duration, seconds: Go's 64-bit nanoseconds. */
const MAX_SECONDS = 2 ** 63 / 1e9;

/** The milliseconds of arithmetic in a duration position; throws `bad-data` when it is not a duration. */
export function evaluateDuration(
  expression: DurationExpression,
  options: { stepSeconds: number; rangeSeconds: number; mayBeNegative: boolean },
): number {
  const seconds = evaluateSeconds(expression, options);
  if (!Number.isFinite(seconds)) throw durationError(expression, "duration is NaN or infinite");
  if (seconds <= 0 && !options.mayBeNegative)
    throw durationError(expression, "duration must be greater than 0");
  if (seconds > MAX_SECONDS || seconds < -MAX_SECONDS)
    throw durationError(expression, "duration is out of range");
  return Math.trunc(seconds * 1000);
}

function evaluateSeconds(
  expression: DurationExpression,
  options: { stepSeconds: number; rangeSeconds: number },
): number {
  switch (expression.kind) {
    case "durationNumber":
      return expression.seconds;
    case "durationStep":
      return options.stepSeconds;
    case "durationRange":
      return options.rangeSeconds;
    case "durationMin":
      return Math.min(
        evaluateSeconds(expression.left, options),
        evaluateSeconds(expression.right, options),
      );
    case "durationMax":
      return Math.max(
        evaluateSeconds(expression.left, options),
        evaluateSeconds(expression.right, options),
      );
    case "durationUnary": {
      const operand = evaluateSeconds(expression.operand, options);
      return expression.operator === "-" ? -operand : operand;
    }
    case "durationParenthesis":
      return evaluateSeconds(expression.expression, options);
    case "durationBinary": {
      const left = evaluateSeconds(expression.left, options);
      const right = evaluateSeconds(expression.right, options);
      switch (expression.operator) {
        case "+":
          return left + right;
        case "-":
          return left - right;
        case "*":
          return left * right;
        case "/":
          if (right === 0) throw durationError(expression, "division by zero");
          return left / right;
        case "%":
          if (right === 0) throw durationError(expression, "modulo by zero");
          return left % right;
        case "^":
          return power(left, right);
      }
    }
  }
}

/** Prometheus prints the two offsets of the expression here, not line and column. */
function durationError(expression: DurationExpression, what: string): AppError {
  return new AppError(
    "bad-data",
    `${expression.position.start}:${expression.position.end}: ${what}`,
  );
}

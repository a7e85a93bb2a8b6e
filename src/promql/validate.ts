/** The checks of a whole tree that grammar alone cannot make: types, arguments, matching, selectors. */
import { quote } from "../base/text.ts";
import { METRIC_NAME } from "../model/labels.ts";
import { matchesEmpty } from "../model/matcher.ts";
import {
  typeOf,
  type Aggregation,
  type BinaryExpression,
  type Call,
  type Expression,
  type Position,
  type ValueType,
  type VectorSelector,
} from "./ast.ts";
import { ParseError } from "./parse-error.ts";

/** Throws ParseError for the first mistake in the order Prometheus looks for them: children first, from the left. */
export function validate(text: string, expression: Expression): void {
  new Validator(text).check(expression);
}

/** The types as the documentation names them, and so the messages. */
const TYPE_NAMES: Readonly<Record<ValueType, string>> = {
  scalar: "scalar",
  vector: "instant vector",
  matrix: "range vector",
  string: "string",
  none: "none",
};

const COMPARISONS: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">="]);
const SET_OPERATORS: ReadonlySet<string> = new Set(["and", "or", "unless"]);
const SCALAR_PARAMETER: ReadonlySet<string> = new Set([
  "topk",
  "bottomk",
  "quantile",
  "limitk",
  "limit_ratio",
]);

class Validator {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  check(expression: Expression): ValueType {
    switch (expression.kind) {
      case "number":
      case "string":
        break;
      case "aggregation":
        this.#aggregation(expression);
        break;
      case "binary":
        this.#binary(expression);
        break;
      case "call":
        this.#call(expression);
        break;
      case "parenthesis":
        this.check(expression.expression);
        break;
      case "unary": {
        const type = this.check(expression.operand);
        if (type !== "scalar" && type !== "vector")
          throw this.#error(
            expression.position,
            `unary expression only allowed on expressions of type scalar or instant vector, got "${TYPE_NAMES[type]}"`,
          );
        break;
      }
      case "subquery": {
        const type = this.check(expression.expression);
        if (type !== "vector")
          throw this.#error(
            expression.position,
            `subquery is only allowed on instant vector, got ${type} instead`,
          );
        break;
      }
      case "matrixSelector":
        this.#selector(expression.selector);
        break;
      case "vectorSelector":
        this.#selector(expression);
        break;
    }
    return typeOf(expression);
  }

  #expect(expression: Expression, wanted: ValueType, context: string): void {
    const type = this.check(expression);
    if (type !== wanted)
      throw this.#error(
        expression.position,
        `expected type ${TYPE_NAMES[wanted]} in ${context}, got ${TYPE_NAMES[type]}`,
      );
  }

  #aggregation(node: Aggregation): void {
    this.#expect(node.expression, "vector", "aggregation expression");
    if (node.parameter === undefined) return;
    if (SCALAR_PARAMETER.has(node.operator))
      this.#expect(node.parameter, "scalar", "aggregation parameter");
    else this.#expect(node.parameter, "string", "aggregation parameter");
  }

  #binary(node: BinaryExpression): void {
    const { left, right, operator, matching, position } = node;
    const leftType = this.check(left);
    const rightType = this.check(right);
    const comparison = COMPARISONS.has(operator);
    if (node.returnBool && !comparison)
      throw this.#error(
        this.#operatorPosition(node),
        "bool modifier can only be used on comparison operators",
      );
    if (comparison && !node.returnBool && leftType === "scalar" && rightType === "scalar")
      throw this.#error(
        this.#operatorPosition(node),
        "comparisons between scalars must use BOOL modifier",
      );
    if (matching?.on === true) {
      const include = new Set(matching.include);
      const both = matching.labels.find((label) => include.has(label));
      if (both !== undefined)
        throw this.#error(
          this.#operatorPosition(node),
          `label ${quote(both)} must not occur in ON and GROUP clause at once`,
        );
    }
    for (const [side, type] of [
      [left, leftType],
      [right, rightType],
    ] as const)
      if (type !== "scalar" && type !== "vector")
        throw this.#error(
          side.position,
          "binary expression must contain only scalar and instant vector types",
        );
    const fills =
      matching !== undefined &&
      (matching.fillLeft !== undefined || matching.fillRight !== undefined);
    const setOperator = SET_OPERATORS.has(operator);
    if (leftType !== "vector" || rightType !== "vector") {
      if (matching !== undefined && matching.labels.length > 0)
        throw this.#error(position, "vector matching only allowed between instant vectors");
      if (fills)
        throw this.#error(
          position,
          "filling in missing series only allowed between instant vectors",
        );
      if (setOperator)
        throw this.#error(
          position,
          `set operator ${quote(operator)} not allowed in binary scalar expression`,
        );
    } else if (setOperator) {
      if (matching !== undefined && matching.cardinality !== "many-to-many")
        throw this.#error(position, `no grouping allowed for ${quote(operator)} operation`);
      if (fills)
        throw this.#error(position, "filling in missing series not allowed for set operators");
    }
  }

  /** The operator with its modifiers: what lies between the operands, without the space around it. */
  #operatorPosition(node: BinaryExpression): Position {
    let start = node.left.position.end;
    while (/[ \t\n\r]/.test(this.#text[start] ?? "")) start++;
    return { start, end: node.right.position.start };
  }

  #call(node: Call): void {
    const { func, args, position } = node;
    const { argTypes, variadic, name } = func;
    const wanted = argTypes.length;
    const call = `argument(s) in call to ${quote(name)}, got ${args.length}`;
    if (variadic === 0) {
      if (args.length !== wanted) throw this.#error(position, `expected ${wanted} ${call}`);
    } else if (args.length < wanted - 1)
      throw this.#error(position, `expected at least ${wanted - 1} ${call}`);
    else if (variadic > 0 && args.length > wanted - 1 + variadic)
      throw this.#error(position, `expected at most ${wanted - 1 + variadic} ${call}`);
    const dataLabels = name === "info" ? args[1] : undefined;
    if (dataLabels !== undefined) this.#dataLabels(node, dataLabels);
    for (const [i, arg] of args.entries()) {
      if (arg === dataLabels) continue;
      this.#expect(arg, argTypes[Math.min(i, wanted - 1)]!, `call to function ${quote(name)}`);
    }
  }

  /** The second argument of info(): braces without a metric name, and they may match everything. */
  #dataLabels(node: Call, arg: Expression): void {
    const type = typeOf(arg);
    if (type !== "vector")
      throw this.#error(
        node.position,
        `expected type instant vector in call to function "info", got ${TYPE_NAMES[type]}`,
      );
    if (arg.kind !== "vectorSelector")
      throw this.#error(arg.position, "expected label selectors only");
    if (arg.name !== "")
      throw this.#error(arg.position, "expected label selectors only, got vector selector instead");
  }

  #selector(node: VectorSelector): void {
    if (node.name !== "") {
      // The last matcher is the one made of the name before the braces.
      for (const matcher of node.matchers.slice(0, -1))
        if (matcher.name === METRIC_NAME)
          throw this.#error(
            node.position,
            `metric name must not be set twice: ${quote(node.name)} or ${quote(matcher.value)}`,
          );
    } else if (node.matchers.every((matcher) => matchesEmpty(matcher)))
      throw this.#error(
        node.position,
        "vector selector must contain at least one non-empty matcher",
      );
  }

  #error(position: Position, reason: string): ParseError {
    return new ParseError(this.#text, position, reason);
  }
}

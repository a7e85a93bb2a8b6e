/** Trees back to text, character by character as Prometheus prints them: parsing the text gives the same tree again. */
import { formatFixed, formatGeneral } from "../base/float.ts";
import { compareText, quote } from "../base/text.ts";
import { formatDuration } from "../base/units.ts";
import { isLegacyLabelName, METRIC_NAME } from "../model/labels.ts";
import { quoteBytes } from "./literals.ts";
import type {
  Aggregation,
  BinaryExpression,
  DurationExpression,
  Expression,
  NumberLiteral,
  Subquery,
  TimeModifiers,
  VectorSelector,
} from "./ast.ts";

export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case "number":
      return printNumber(expression);
    case "string":
      return quoteBytes(expression.value);
    case "vectorSelector":
      return (
        printSelector(expression) +
        printAt(expression) +
        printExtended(expression) +
        printOffset(expression)
      );
    case "matrixSelector": {
      const { selector } = expression;
      const range = printDuration(expression.rangeMs, expression.rangeExpression);
      return `${printSelector(selector)}[${range}]${printExtended(selector)}${printAt(selector)}${printOffset(selector)}`;
    }
    case "subquery":
      return printExpression(expression.expression) + printSubqueryRange(expression);
    case "call":
      return `${expression.func.name}(${expression.args.map(printExpression).join(", ")})`;
    case "aggregation": {
      const { parameter } = expression;
      const first = parameter === undefined ? "" : `${printExpression(parameter)}, `;
      return `${printAggregator(expression)}(${first}${printExpression(expression.expression)})`;
    }
    case "binary":
      return `${printExpression(expression.left)} ${printOperator(expression)} ${printExpression(expression.right)}`;
    case "unary":
      return expression.operator + printExpression(expression.operand);
    case "parenthesis":
      return `(${printExpression(expression.expression)})`;
  }
}

/** `sum by (a) ` without the parentheses of its arguments. */
export function printAggregator(node: Aggregation): string {
  if (node.without) return `${node.operator} without (${printLabels(node.grouping)}) `;
  if (node.grouping.length === 0) return node.operator;
  return `${node.operator} by (${printLabels(node.grouping)}) `;
}

/** The operator of a binary expression with its modifiers. */
export function printOperator(node: BinaryExpression): string {
  let text: string = node.operator;
  if (node.returnBool) text += " bool";
  const { matching } = node;
  if (matching === undefined) return text;
  const { cardinality, fillLeft, fillRight } = matching;
  const grouped = cardinality === "many-to-one" || cardinality === "one-to-many";
  if (matching.labels.length > 0 || matching.on || grouped)
    text += ` ${matching.on ? "on" : "ignoring"} (${printLabels(matching.labels)})`;
  if (grouped)
    text += ` group_${cardinality === "many-to-one" ? "left" : "right"} (${printLabels(matching.include)})`;
  if (fillLeft !== undefined && fillLeft === fillRight)
    return `${text} fill (${formatGeneral(fillLeft)})`;
  if (fillLeft !== undefined) text += ` fill_left (${formatGeneral(fillLeft)})`;
  if (fillRight !== undefined) text += ` fill_right (${formatGeneral(fillRight)})`;
  return text;
}

/** `[range:step]` with `@` and `offset`. */
export function printSubqueryRange(node: Subquery): string {
  const range = printDuration(node.rangeMs, node.rangeExpression);
  const hasStep = node.stepMs !== 0 || node.stepExpression !== undefined;
  const step = hasStep ? printDuration(node.stepMs, node.stepExpression) : "";
  return `[${range}:${step}]${printAt(node)}${printOffset(node)}`;
}

function printNumber(node: NumberLiteral): string {
  return node.isDuration ? printSeconds(node.value) : formatFixed(node.value);
}

function printSeconds(seconds: number): string {
  return formatDuration(Math.round(seconds * 1000));
}

function printSelector(node: VectorSelector): string {
  const matchers = node.matchers
    .filter(
      ({ name, operator, value }) =>
        name !== METRIC_NAME || operator !== "=" || value !== node.name || value === "",
    )
    .map(
      ({ name, operator, value }) =>
        `${isLegacyLabelName(name) ? name : quoteBytes(name)}${operator}${quoteBytes(value)}`,
    )
    .sort(compareText);
  if (matchers.length > 0) return `${node.name}{${matchers.join(",")}}`;
  // Prometheus prints the `{}` of info() as nothing, and cannot read its own text again.
  return node.name === "" ? "{}" : node.name;
}

function printAt({ at }: TimeModifiers): string {
  if (at === undefined) return "";
  return at.kind === "time" ? ` @ ${(at.timeMs / 1000).toFixed(3)}` : ` @ ${at.kind}()`;
}

function printExtended(node: VectorSelector): string {
  return node.anchored ? " anchored" : node.smoothed ? " smoothed" : "";
}

function printOffset({ offsetMs, offsetExpression }: TimeModifiers): string {
  if (offsetExpression === undefined && offsetMs === 0) return "";
  return ` offset ${printDuration(offsetMs, offsetExpression)}`;
}

function printLabels(names: readonly string[]): string {
  return names.map((name) => (isLegacyLabelName(name) ? name : quote(name))).join(", ");
}

function printDuration(ms: number, expression: DurationExpression | undefined): string {
  return expression === undefined
    ? formatDuration(Math.trunc(ms))
    : printDurationExpression(expression);
}

function printDurationExpression(node: DurationExpression): string {
  switch (node.kind) {
    case "durationNumber":
      return node.isDuration ? printSeconds(node.seconds) : formatFixed(node.seconds);
    case "durationStep":
      return "step()";
    case "durationRange":
      return "range()";
    case "durationMin":
      return `min_of(${printDurationExpression(node.left)}, ${printDurationExpression(node.right)})`;
    case "durationMax":
      return `max_of(${printDurationExpression(node.left)}, ${printDurationExpression(node.right)})`;
    case "durationUnary":
      return node.operator + printDurationExpression(node.operand);
    case "durationBinary":
      return `${printDurationExpression(node.left)} ${node.operator} ${printDurationExpression(node.right)}`;
    case "durationParenthesis":
      return `(${printDurationExpression(node.expression)})`;
  }
}

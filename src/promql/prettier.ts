/** The layout of `/api/v1/format_query`: what fits a line stays on it, the rest is broken up from the outside. */
import type { Expression } from "./ast.ts";
import { parseExpression, type ParserOptions } from "./parser.ts";
import { printAggregator, printExpression, printOperator, printSubqueryRange } from "./printer.ts";

/** Bytes of one node's text above which it is broken into lines. */
const LINE_MAX_BYTES = 100;
const INDENT = "  ";

/** `text` laid out over lines. Throws ParseError. */
export function formatQuery(text: string, options: ParserOptions = {}): string {
  return layOut(parseExpression(text, options), 0);
}

function layOut(node: Expression, level: number): string {
  const indent = INDENT.repeat(level);
  const line = printExpression(node);
  const fits = Buffer.byteLength(line) <= LINE_MAX_BYTES;
  switch (node.kind) {
    case "number":
    case "string":
    case "vectorSelector":
    case "matrixSelector":
      return indent + line;
    case "unary":
      return indent + node.operator + layOut(node.operand, level).trim();
    case "subquery":
      // Prometheus forgets the indent of one that fits; what it prints is the reference.
      return fits ? line : layOut(node.expression, level) + printSubqueryRange(node);
    case "parenthesis":
      if (fits) return indent + line;
      return `${indent}(\n${layOut(node.expression, level + 1)}\n${indent})`;
    case "call":
      if (fits) return indent + line;
      return `${indent}${node.func.name}(\n${layOutAll(node.args, level + 1)}\n${indent})`;
    case "aggregation": {
      if (fits) return indent + line;
      const { parameter, expression } = node;
      const args = parameter === undefined ? [expression] : [parameter, expression];
      return `${indent}${printAggregator(node)}(\n${layOutAll(args, level + 1)}\n${indent})`;
    }
    case "binary":
      if (fits) return indent + line;
      return `${layOut(node.left, level + 1)}\n${indent}${printOperator(node)}\n${layOut(node.right, level + 1)}`;
  }
}

function layOutAll(nodes: readonly Expression[], level: number): string {
  return nodes.map((node) => layOut(node, level)).join(",\n");
}

/** The layout of `/api/v1/format_query`: what fits a line stays on it, the rest is broken up from the outside. */
import type { Expression, VectorSelector } from "./ast.ts";
import { parseExpression, type ParserOptions } from "./parser.ts";
import { printAggregator, printExpression, printOperator, printSubqueryRange } from "./printer.ts";

/** Bytes of one node's text above which it is broken into lines. */
const LINE_MAX_BYTES = 100;
const INDENT = "  ";

/** `text` laid out over lines. Throws ParseError. */
export function formatQuery(text: string, options: ParserOptions = {}): string {
  const expression = parseExpression(text, options);
  const sizes = new Map<Expression, number>();
  measure(expression, sizes);
  return new Layout(sizes).layOut(expression, 0);
}

/** Fills `sizes` with bytes that the text of each subtree has at least, and returns that of `node`. */
function measure(node: Expression, sizes: Map<Expression, number>): number {
  let size = 1;
  if (node.kind === "string") size += node.value.length;
  else if (node.kind === "vectorSelector") size += selectorSize(node);
  else if (node.kind === "matrixSelector") size += selectorSize(node.selector);
  for (const child of childrenOf(node)) size += measure(child, sizes);
  sizes.set(node, size);
  return size;
}

function selectorSize(node: VectorSelector): number {
  let size = 0;
  for (const { value } of node.matchers) size += value.length;
  return size;
}

function childrenOf(node: Expression): readonly Expression[] {
  switch (node.kind) {
    case "number":
    case "string":
    case "vectorSelector":
    case "matrixSelector":
      return [];
    case "unary":
      return [node.operand];
    case "subquery":
    case "parenthesis":
      return [node.expression];
    case "call":
      return node.args;
    case "aggregation":
      return node.parameter === undefined ? [node.expression] : [node.parameter, node.expression];
    case "binary":
      return [node.left, node.right];
  }
}

class Layout {
  readonly #sizes: ReadonlyMap<Expression, number>;

  constructor(sizes: ReadonlyMap<Expression, number>) {
    this.#sizes = sizes;
  }

  layOut(node: Expression, level: number): string {
    const indent = INDENT.repeat(level);
    switch (node.kind) {
      case "number":
      case "string":
      case "vectorSelector":
      case "matrixSelector":
        return indent + printExpression(node);
      case "unary":
        return indent + node.operator + this.layOut(node.operand, level).trim();
      case "subquery":
        // Prometheus forgets the indent of one that fits; what it prints is the reference.
        return this.#line(node) ?? this.layOut(node.expression, level) + printSubqueryRange(node);
      case "parenthesis":
        return this.#lineOr(
          node,
          indent,
          () => `${indent}(\n${this.#inner(node, level)}\n${indent})`,
        );
      case "call":
        return this.#lineOr(
          node,
          indent,
          () => `${indent}${node.func.name}(\n${this.#inner(node, level)}\n${indent})`,
        );
      case "aggregation":
        return this.#lineOr(
          node,
          indent,
          () => `${indent}${printAggregator(node)}(\n${this.#inner(node, level)}\n${indent})`,
        );
      case "binary":
        return this.#lineOr(
          node,
          indent,
          () =>
            `${this.layOut(node.left, level + 1)}\n${indent}${printOperator(node)}\n${this.layOut(node.right, level + 1)}`,
        );
    }
  }

  #inner(node: Expression, level: number): string {
    let text = "";
    // Not `join`, which copies: strings added up share what they are made of.
    for (const [i, child] of childrenOf(node).entries())
      text += (i === 0 ? "" : ",\n") + this.layOut(child, level + 1);
    return text;
  }

  #lineOr(node: Expression, indent: string, breakUp: () => string): string {
    const line = this.#line(node);
    return line === undefined ? breakUp() : indent + line;
  }

  /** The text of `node` if it fits a line. */
  #line(node: Expression): string | undefined {
    // What is certainly too long is not even printed, so that deep trees do not cost the square of their size.
    if (this.#sizes.get(node)! > LINE_MAX_BYTES) return undefined;
    const line = printExpression(node);
    return Buffer.byteLength(line) <= LINE_MAX_BYTES ? line : undefined;
  }
}

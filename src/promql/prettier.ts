/** The layout of `/api/v1/format_query`: what fits a line stays on it, the rest is broken up from the outside. */
import { AppError } from "../base/errors.ts";
import type { Expression, VectorSelector } from "./ast.ts";
import { parseExpression, type ParserOptions } from "./parser.ts";
import { printAggregator, printExpression, printOperator, printSubqueryRange } from "./printer.ts";

/** Bytes of one node's text above which it is broken into lines. */
const LINE_MAX_BYTES = 100;
const INDENT = "  ";
/** An argument of its own line behind 1,000 indents takes 2,000 characters, and a query of 1 MiB may have half a million. */
const MAX_LENGTH = 16 * 1024 * 1024;

/** `text` laid out over lines. Throws ParseError, and `bad-data` where that would be far longer than the text. */
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

/** Whether the first line is indented as the others are, or follows something. */
type FirstLine = "indented" | "bare";

class Layout {
  readonly #sizes: ReadonlyMap<Expression, number>;
  #length = 0;

  constructor(sizes: ReadonlyMap<Expression, number>) {
    this.#sizes = sizes;
  }

  layOut(node: Expression, level: number, firstLine: FirstLine = "indented"): string {
    const indent = INDENT.repeat(level);
    const first = firstLine === "bare" ? "" : indent;
    switch (node.kind) {
      case "number":
      case "string":
      case "vectorSelector":
      case "matrixSelector":
        return this.#counted(first + printExpression(node));
      case "unary":
        return first + node.operator + this.layOut(node.operand, level, "bare");
      case "subquery":
        // Prometheus forgets the indent of one that fits; what it prints is the reference.
        return (
          this.#line(node, "") ??
          this.layOut(node.expression, level, firstLine) + printSubqueryRange(node)
        );
      case "parenthesis":
        return this.#line(node, first) ?? this.#brackets(node, level, first);
      case "call":
        return this.#line(node, first) ?? this.#brackets(node, level, first + node.func.name);
      case "aggregation":
        return (
          this.#line(node, first) ?? this.#brackets(node, level, first + printAggregator(node))
        );
      case "binary":
        return (
          this.#line(node, first) ??
          `${this.layOut(node.left, level + 1, firstLine)}\n${this.#counted(indent + printOperator(node))}\n${this.layOut(node.right, level + 1)}`
        );
    }
  }

  #brackets(node: Expression, level: number, before: string): string {
    const opening = this.#counted(`${before}(\n`);
    const closing = this.#counted(`\n${INDENT.repeat(level)})`);
    let text = "";
    // Not `join`, which copies: strings added up share what they are made of.
    for (const [i, child] of childrenOf(node).entries())
      text += (i === 0 ? "" : ",\n") + this.layOut(child, level + 1);
    return opening + text + closing;
  }

  /** `text`, which is becoming a part of the whole. */
  #counted(text: string): string {
    this.#length += text.length;
    if (this.#length > MAX_LENGTH)
      throw new AppError(
        "bad-data",
        `cannot format the query: it would have more than ${MAX_LENGTH} characters`,
      );
    return text;
  }

  /** The text of `node` if it fits a line. */
  #line(node: Expression, before: string): string | undefined {
    // What is certainly too long is not even printed, so that deep trees do not cost the square of their size.
    if (this.#sizes.get(node)! > LINE_MAX_BYTES) return undefined;
    const line = printExpression(node);
    return Buffer.byteLength(line) <= LINE_MAX_BYTES ? this.#counted(before + line) : undefined;
  }
}

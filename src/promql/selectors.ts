import type { Matcher } from "../model/matcher.ts";
import type { Expression } from "./ast.ts";

/** The matchers of each selector of an expression, in the order of the text. */
export function selectorsOf(node: Expression): readonly (readonly Matcher[])[] {
  switch (node.kind) {
    case "number":
    case "string":
      return [];
    case "vectorSelector":
      return [node.matchers];
    case "matrixSelector":
      return [node.selector.matchers];
    case "call":
      return node.args.flatMap(selectorsOf);
    case "aggregation":
      return [node.expression, node.parameter].flatMap((child) =>
        child === undefined ? [] : selectorsOf(child),
      );
    case "binary":
      return [...selectorsOf(node.left), ...selectorsOf(node.right)];
    case "unary":
      return selectorsOf(node.operand);
    case "subquery":
    case "parenthesis":
      return selectorsOf(node.expression);
  }
}

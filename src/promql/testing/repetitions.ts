/** The evaluations a script does not write down: every instant eval is repeated with `@` at other times. */
import type { AtModifier, Expression, TimeModifiers } from "../ast.ts";
import { STEP_DEPENDENT_FUNCTIONS } from "../functions-table.ts";

export interface PinnedQuery {
  readonly expression: Expression;
  /** Evaluated at any of these times, the result is that of the original at its own. */
  readonly timesMs: readonly number[];
}

/** `expression` with all its selectors pinned to `timeMs`, or undefined when that does not fix its value. */
export function pin(expression: Expression, timeMs: number): PinnedQuery | undefined {
  let isTimeDependent = false;
  const pinned = pinNode(expression);
  if (isTimeDependent) return undefined;
  const timesMs =
    timeMs === 0
      ? [-1000, 0, 1000]
      : [-10 * timeMs, 0, Math.trunc(timeMs / 5), timeMs, 10 * timeMs];
  return { expression: pinned, timesMs };

  function pinNode(node: Expression): Expression {
    switch (node.kind) {
      case "number":
      case "string":
        return node;
      case "vectorSelector":
        return { ...node, at: pinTime(node) };
      case "matrixSelector":
        return { ...node, selector: { ...node.selector, at: pinTime(node.selector) } };
      case "subquery":
        // What is inside is evaluated at the times the pinned subquery gives.
        return { ...node, at: pinTime(node) };
      case "call":
        isTimeDependent ||= STEP_DEPENDENT_FUNCTIONS.has(node.func.name);
        return { ...node, args: node.args.map(pinNode) };
      case "aggregation": {
        const { parameter } = node;
        return {
          ...node,
          expression: pinNode(node.expression),
          parameter: parameter === undefined ? undefined : pinNode(parameter),
        };
      }
      case "binary":
        return { ...node, left: pinNode(node.left), right: pinNode(node.right) };
      case "unary":
        return { ...node, operand: pinNode(node.operand) };
      case "parenthesis":
        return { ...node, expression: pinNode(node.expression) };
    }
  }

  /** `@ start()` and `@ end()` of an instant query are its time too. */
  function pinTime({ at }: TimeModifiers): AtModifier {
    return at?.kind === "time" ? at : { kind: "time", timeMs };
  }
}

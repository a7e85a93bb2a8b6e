import { METRIC_NAME } from "../../model/labels.ts";
import { elementFunction } from "../operators/elementwise.ts";
import { isCounterName } from "../operators/range-call.ts";
import {
  mayVaryInName,
  planNodes,
  planType,
  type AggregatePlan,
  type CallPlan,
  type Plan,
  type SelectorPlan,
} from "../plan.ts";

/**
 * Which aggregations may be computed in parts, each over some of the series: those whose operand makes of each series of one
 * selector at most one row, looking at nothing else.
 */
export interface PartialPlan {
  readonly operator: PartialOperator;
  readonly selector: SelectorPlan;
  /** How many rows `topk` and `bottomk` choose; else 0. */
  readonly limit: number;
}

const OPERATORS = ["sum", "avg", "min", "max", "count", "group", "topk", "bottomk"] as const;
export type PartialOperator = (typeof OPERATORS)[number];

/** A larger choice is hardly smaller than what it is chosen from. */
const MAX_CHOSEN = 1000;

export function partialOperator(text: string): PartialOperator | undefined {
  return OPERATORS.find((operator) => operator === text);
}

/** How `plan` can be computed in parts; undefined when it cannot. */
export function partialPlan(plan: AggregatePlan): PartialPlan | undefined {
  const operator = partialOperator(plan.operator);
  if (operator === undefined) return undefined;
  const limit = chosenCount(plan);
  if (limit === undefined) return undefined;
  const selector = selectorOf(plan.operand);
  if (selector === undefined) return undefined;
  // Rows that lose different names may become equal, which only shows where all of them are.
  if (dropsName(plan.operand) && mayVaryInName(plan.operand)) return undefined;
  return { operator, selector, limit };
}

/** 0 of an aggregation that chooses nothing; undefined when it does not say one number, or none that is worth it. */
function chosenCount({ parameter }: AggregatePlan): number | undefined {
  if (parameter === undefined) return 0;
  if (parameter.kind !== "number") return undefined;
  const count = Math.trunc(parameter.value);
  return count >= 1 && count <= MAX_CHOSEN ? count : undefined;
}

/** The selector that `plan` makes its rows of, one by one; undefined when it does anything else. */
function selectorOf(plan: Plan): SelectorPlan | undefined {
  switch (plan.kind) {
    case "select":
      return plan.selector;
    case "negate":
    case "invariant":
      return planType(plan) === "vector" ? selectorOf(plan.operand) : undefined;
    case "binary": {
      // Trimming is for histograms.
      if (plan.operator === "</" || plan.operator === ">/") return undefined;
      if (isConstant(plan.left)) return selectorOf(plan.right);
      return isConstant(plan.right) ? selectorOf(plan.left) : undefined;
    }
    case "call":
      return selectorOfCall(plan);
    case "number":
    case "string":
    case "window":
    case "subquery":
    case "aggregate":
      return undefined;
  }
}

const OTHER_ELEMENT_FUNCTIONS = new Set(["round", "clamp", "clamp_min", "clamp_max", "timestamp"]);

function selectorOfCall({ func, args }: CallPlan): SelectorPlan | undefined {
  const window = args.find((argument) => planType(argument) === "matrix");
  const others = args.filter((argument) => argument !== (window ?? args[0]));
  if (!others.every(isConstant)) return undefined;
  if (window === undefined) {
    const isElementwise = elementFunction(func) !== undefined || OTHER_ELEMENT_FUNCTIONS.has(func);
    return isElementwise && args[0] !== undefined ? selectorOf(args[0]) : undefined;
  }
  if (func === "absent_over_time") return undefined;
  const selector = selectorOfWindow(window);
  if (selector === undefined) return undefined;
  if ((func === "rate" || func === "increase") && !isNamedCounter(selector)) return undefined;
  return selector;
}

function selectorOfWindow(window: Plan): SelectorPlan | undefined {
  if (window.kind === "window") return window.selector;
  return window.kind === "subquery" ? selectorOf(window.operand) : undefined;
}

/** Of others the engine notes that they may be none, and a note is only made where all series are. */
function isNamedCounter({ matchers }: SelectorPlan): boolean {
  return matchers.some(
    ({ name, operator, value }) => name === METRIC_NAME && operator === "=" && isCounterName(value),
  );
}

/** A scalar that nothing but the time of the step goes into. */
function isConstant(plan: Plan): boolean {
  if (planType(plan) !== "scalar") return false;
  for (const node of planNodes(plan))
    if (node.kind === "select" || node.kind === "window") return false;
  return true;
}

/** Whether anything below takes the metric's name away; a plain selector and comparisons do not. */
function dropsName(plan: Plan): boolean {
  if (plan.kind === "select") return false;
  if (plan.kind === "invariant") return dropsName(plan.operand);
  return true;
}

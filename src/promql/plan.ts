import { AppError } from "../base/errors.ts";
import type { Matcher } from "../model/matcher.ts";
import { METRIC_NAME } from "../model/labels.ts";
import type { SelectHints } from "../storage/queryable.ts";
import {
  typeOf,
  type Aggregation,
  type AggregationOperator,
  type AtModifier,
  type BinaryOperator,
  type Call,
  type DurationExpression,
  type Expression,
  type Position,
  type TimeModifiers,
  type ValueType,
  type VectorMatching,
  type VectorSelector,
} from "./ast.ts";
import { evaluateDuration } from "./duration.ts";
import { STEP_DEPENDENT_FUNCTIONS } from "./functions-table.ts";

/**
 * The typed plan of one evaluation: the syntax tree without parentheses, with every time resolved. Each node knows
 * the steps it is evaluated at (its frame), so a selector knows what it must read before anything runs. Parts that
 * give the same answer at every step (all selectors pinned by `@`) are planned for one step and wrapped.
 */
export interface Frame {
  readonly startMs: number;
  readonly stepMs: number;
  /** How many steps: 1 for an instant query, 0 for an empty subquery. */
  readonly count: number;
}

/** Where a selector looks at step time T: `(atMs ?? T) - offsetMs`. */
export interface Reference {
  readonly atMs: number | undefined;
  readonly offsetMs: number;
}

export interface SelectorPlan {
  readonly matchers: readonly Matcher[];
  /** Inclusive bounds of the samples that can matter. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly hints: SelectHints;
  readonly reference: Reference;
  /** Range of a range selector, else 0. */
  readonly rangeMs: number;
  readonly lookbackMs: number;
  readonly anchored: boolean;
  readonly smoothed: boolean;
  /** Of histograms only count and sum are asked for; resets are found while reading, for whoever needs them. */
  readonly skipsBuckets?: boolean;
}

interface NodeBase {
  readonly frame: Frame;
  readonly position: Position;
  /** With the plus in front of it, of which nothing else is left. */
  readonly signedPosition?: Position;
}

export type Plan =
  | (NodeBase & { readonly kind: "number"; readonly value: number })
  | (NodeBase & { readonly kind: "string"; readonly value: string })
  | (NodeBase & { readonly kind: "select"; readonly selector: SelectorPlan })
  | (NodeBase & { readonly kind: "window"; readonly selector: SelectorPlan })
  | SubqueryPlan
  | CallPlan
  | AggregatePlan
  | BinaryPlan
  | (NodeBase & { readonly kind: "negate"; readonly operand: Plan; readonly type: ValueType })
  | (NodeBase & { readonly kind: "invariant"; readonly operand: Plan; readonly type: ValueType });

export interface SubqueryPlan extends NodeBase {
  readonly kind: "subquery";
  /** Planned for the subquery's own steps. */
  readonly operand: Plan;
  readonly reference: Reference;
  readonly rangeMs: number;
}

export interface CallPlan extends NodeBase {
  readonly kind: "call";
  readonly func: string;
  readonly args: readonly Plan[];
  readonly type: ValueType;
}

export interface AggregatePlan extends NodeBase {
  readonly kind: "aggregate";
  readonly operator: AggregationOperator;
  readonly operand: Plan;
  readonly parameter: Plan | undefined;
  /** Sorted, unique. */
  readonly grouping: readonly string[];
  readonly without: boolean;
  readonly written: Aggregation;
}

export interface BinaryPlan extends NodeBase {
  readonly kind: "binary";
  readonly operator: BinaryOperator;
  readonly left: Plan;
  readonly right: Plan;
  readonly matching: VectorMatching | undefined;
  readonly returnBool: boolean;
  readonly type: ValueType;
}

export interface PlanOptions {
  readonly startMs: number;
  readonly endMs: number;
  /** 0 for an instant query. */
  readonly stepMs: number;
  readonly lookbackMs: number;
  readonly subqueryStepMs: number;
  /** Read all of a histogram even where its count and sum would do: its size is asked for. */
  readonly wholeHistograms?: boolean;
}

/** Plans `expression`; throws `bad-data` when a computed duration is not one. */
export function planQuery(expression: Expression, options: PlanOptions): Plan {
  const count =
    options.stepMs === 0 ? 1 : Math.floor((options.endMs - options.startMs) / options.stepMs) + 1;
  const frame = { startMs: options.startMs, stepMs: options.stepMs || 1, count };
  const around = options.wholeHistograms === true ? READS_BUCKETS : NO_SURROUNDINGS;
  return new Planner(options).plan(expression, frame, around);
}

export function planType(plan: Plan): ValueType {
  switch (plan.kind) {
    case "number":
      return "scalar";
    case "string":
      return "string";
    case "select":
    case "aggregate":
      return "vector";
    case "window":
    case "subquery":
      return "matrix";
    case "call":
    case "binary":
    case "negate":
    case "invariant":
      return plan.type;
  }
}

/** `plan` and everything below it. */
/** Where `plan` stands for what it is an argument of. */
export function positionOf(plan: Plan): Position {
  return plan.signedPosition ?? plan.position;
}

export function* planNodes(plan: Plan): Generator<Plan> {
  const open: Plan[] = [plan];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    yield node;
    // A call of label_join may have more arguments than a spread can pass.
    for (const child of planChildren(node)) open.push(child);
  }
}

export function planChildren(plan: Plan): readonly Plan[] {
  switch (plan.kind) {
    case "subquery":
    case "negate":
    case "invariant":
      return [plan.operand];
    case "call":
      return plan.args;
    case "aggregate":
      return plan.parameter === undefined ? [plan.operand] : [plan.operand, plan.parameter];
    case "binary":
      return [plan.left, plan.right];
    case "select":
    case "window":
    case "number":
    case "string":
      return [];
  }
}

/** Whether rows of `plan` can carry different metric names, so that dropping the name could make two of them equal. */
export function mayVaryInName(plan: Plan): boolean {
  switch (plan.kind) {
    case "select":
    case "window":
      return !plan.selector.matchers.some(
        (matcher) => matcher.name === METRIC_NAME && matcher.operator === "=",
      );
    case "aggregate":
      return plan.without || plan.grouping.includes(METRIC_NAME) || plan.operator.endsWith("k")
        ? mayVaryInName(plan.operand)
        : false;
    case "negate":
    case "invariant":
    case "subquery":
      return mayVaryInName(plan.operand);
    case "binary":
      return planType(plan.left) === "vector" && planType(plan.right) === "vector"
        ? true
        : mayVaryInName(planType(plan.left) === "vector" ? plan.left : plan.right);
    case "call":
      return plan.func.startsWith("label_") || plan.args.some(mayVaryInName);
    case "number":
    case "string":
      return false;
  }
}

interface Surroundings {
  readonly func: string;
  readonly grouping: readonly string[];
  readonly by: boolean;
  /** Whether what stands around a selector reads the buckets of histograms; undecided while nothing does. */
  readonly buckets: "undecided" | "read" | "skipped";
}

const NO_SURROUNDINGS: Surroundings = { func: "", grouping: [], by: false, buckets: "undecided" };

const COUNT_AND_SUM_FUNCTIONS = new Set(["histogram_count", "histogram_sum", "histogram_avg"]);
const BUCKET_FUNCTIONS = new Set([
  "histogram_quantile",
  "histogram_quantiles",
  "histogram_fraction",
]);

/** A subquery needs all of a histogram too, since its steps are not neighbours whose resets could be found in time. */
const READS_BUCKETS: Surroundings = { ...NO_SURROUNDINGS, buckets: "read" };

/** What the arguments of `func` are asked for: the innermost function that reads buckets decides. */
function bucketUse(func: string, around: Surroundings): Surroundings["buckets"] {
  if (around.buckets === "read" || BUCKET_FUNCTIONS.has(func)) return "read";
  return COUNT_AND_SUM_FUNCTIONS.has(func) ? "skipped" : around.buckets;
}

class Planner {
  readonly #options: PlanOptions;
  readonly #invariance = new Map<Expression, boolean>();

  constructor(options: PlanOptions) {
    this.#options = options;
  }

  plan(written: Expression, frame: Frame, around: Surroundings): Plan {
    const expression = unwrap(written);
    const type = typeOf(expression);
    if (
      frame.count > 1 &&
      (type === "vector" || type === "scalar") &&
      expression.kind !== "number" &&
      this.#isInvariant(expression)
    ) {
      const operand = this.#planNode(expression, { ...frame, count: 1 }, around);
      return { kind: "invariant", frame, position: expression.position, operand, type };
    }
    return this.#planNode(expression, frame, around);
  }

  #planNode(expression: Expression, frame: Frame, around: Surroundings): Plan {
    const { position } = expression;
    switch (expression.kind) {
      case "number":
        return { kind: "number", frame, position, value: expression.value };
      case "string":
        return { kind: "string", frame, position, value: expression.value };
      case "vectorSelector":
        return {
          kind: "select",
          frame,
          position,
          selector: this.#planSelector(expression, { frame, around, rangeMs: 0 }),
        };
      case "matrixSelector": {
        const rangeMs = this.#duration(expression.rangeExpression, expression.rangeMs);
        const selector = this.#planSelector(expression.selector, { frame, around, rangeMs });
        return { kind: "window", frame, position, selector };
      }
      case "subquery": {
        const rangeMs = this.#duration(expression.rangeExpression, expression.rangeMs);
        if (expression.stepMs > 0 && expression.stepMs < 1)
          throw new AppError(
            "execution",
            "cannot evaluate a subquery at steps below 1ms. Use a longer step",
          );
        const stepMs =
          this.#duration(expression.stepExpression, expression.stepMs) ||
          this.#options.subqueryStepMs;
        const reference = this.#reference(expression);
        const { firstMs, lastMs } = referenceBounds(frame, reference);
        const startMs = Math.floor((firstMs - rangeMs) / stepMs) * stepMs + stepMs;
        const count =
          frame.count === 0 ? 0 : Math.max(0, Math.floor((lastMs - startMs) / stepMs) + 1);
        const operand = this.plan(expression.expression, { startMs, stepMs, count }, READS_BUCKETS);
        return { kind: "subquery", frame, position, operand, reference, rangeMs };
      }
      case "call":
        return this.#planCall(expression, frame, around);
      case "aggregation": {
        const inside = {
          func: expression.operator,
          grouping: expression.grouping,
          by: !expression.without,
          buckets: around.buckets,
        };
        const { parameter } = expression;
        return {
          kind: "aggregate",
          frame,
          position,
          operator: expression.operator,
          operand: this.plan(expression.expression, frame, inside),
          parameter:
            parameter === undefined ? undefined : this.plan(parameter, frame, NO_SURROUNDINGS),
          grouping: [...new Set(expression.grouping)],
          without: expression.without,
          written: expression,
        };
      }
      case "binary": {
        const isTrim = expression.operator === "</" || expression.operator === ">/";
        const inside = isTrim ? READS_BUCKETS : { ...NO_SURROUNDINGS, buckets: around.buckets };
        return {
          kind: "binary",
          frame,
          position,
          operator: expression.operator,
          left: this.plan(expression.left, frame, inside),
          right: this.plan(expression.right, frame, inside),
          matching: expression.matching,
          returnBool: expression.returnBool,
          type: typeOf(expression),
        };
      }
      case "unary": {
        const operand = this.plan(expression.operand, frame, around);
        if (expression.operator === "+") return { ...operand, signedPosition: position };
        return { kind: "negate", frame, position, operand, type: typeOf(expression) };
      }
      case "parenthesis":
        return this.plan(expression.expression, frame, around);
    }
  }

  #planCall(call: Call, frame: Frame, around: Surroundings): Plan {
    const { position } = call;
    const func = call.func.name;
    const context = this.#contextValue(func);
    if (context !== undefined) return { kind: "number", frame, position, value: context };
    const inside = { func, grouping: [], by: false, buckets: bucketUse(func, around) };
    return {
      kind: "call",
      frame,
      position,
      func,
      args: call.args.map((argument) => this.plan(argument, frame, inside)),
      type: call.func.returnType,
    };
  }

  /** The value of the functions that only speak of the query itself. */
  #contextValue(func: string): number | undefined {
    const { startMs, endMs, stepMs } = this.#options;
    switch (func) {
      case "start":
        return startMs / 1000;
      case "end":
        return endMs / 1000;
      case "range":
        return (endMs - startMs) / 1000;
      case "step":
        return startMs === endMs ? 0 : stepMs / 1000;
      default:
        return undefined;
    }
  }

  #planSelector(
    selector: VectorSelector,
    place: { frame: Frame; around: Surroundings; rangeMs: number },
  ): SelectorPlan {
    const { lookbackMs } = this.#options;
    const { rangeMs, frame, around } = place;
    const reference = this.#reference(selector);
    const { firstMs, lastMs } = referenceBounds(frame, reference);
    const { anchored, smoothed } = selector;
    const before = rangeMs === 0 ? lookbackMs : rangeMs + (anchored || smoothed ? lookbackMs : 0);
    return {
      matchers: selector.matchers,
      // Windows are left-open: a sample exactly at the left edge does not count.
      minTimeMs: firstMs - before + 1,
      maxTimeMs: lastMs + (smoothed ? lookbackMs : 0),
      hints: {
        stepMs: frame.count > 1 ? frame.stepMs : 0,
        func: around.func,
        rangeMs,
        grouping: around.grouping,
        by: around.by,
        ...(rangeMs === 0 && !smoothed && firstMs === lastMs && { newestOnly: true }),
      },
      reference,
      rangeMs,
      lookbackMs,
      anchored,
      smoothed,
      skipsBuckets: around.buckets === "skipped",
    };
  }

  #reference(modifiers: TimeModifiers): Reference {
    return {
      atMs: this.#pinnedAt(modifiers.at),
      offsetMs:
        modifiers.offsetExpression === undefined
          ? modifiers.offsetMs
          : this.#evaluate(modifiers.offsetExpression, true),
    };
  }

  #pinnedAt(at: AtModifier | undefined): number | undefined {
    if (at === undefined) return undefined;
    switch (at.kind) {
      case "time":
        return at.timeMs;
      case "start":
        return this.#options.startMs;
      case "end":
        return this.#options.endMs;
    }
  }

  #duration(expression: DurationExpression | undefined, literalMs: number): number {
    return expression === undefined ? literalMs : this.#evaluate(expression, false);
  }

  #evaluate(expression: DurationExpression, mayBeNegative: boolean): number {
    const { startMs, endMs, stepMs } = this.#options;
    return evaluateDuration(expression, {
      stepSeconds: stepMs / 1000,
      rangeSeconds: (endMs - startMs) / 1000,
      mayBeNegative,
    });
  }

  #isInvariant(expression: Expression): boolean {
    let known = this.#invariance.get(expression);
    if (known === undefined) {
      known = this.#computeInvariance(expression);
      this.#invariance.set(expression, known);
    }
    return known;
  }

  #computeInvariance(expression: Expression): boolean {
    switch (expression.kind) {
      case "number":
      case "string":
        return true;
      case "vectorSelector":
        return expression.at !== undefined;
      case "matrixSelector":
        return expression.selector.at !== undefined;
      case "subquery":
        return expression.at !== undefined;
      case "aggregation":
        // As in Prometheus, which takes a changing parameter at its first step then.
        return this.#isInvariant(expression.expression);
      case "binary":
        return this.#isInvariant(expression.left) && this.#isInvariant(expression.right);
      case "unary":
        return this.#isInvariant(expression.operand);
      case "parenthesis":
        return this.#isInvariant(expression.expression);
      case "call":
        if (expression.func.name === "timestamp") {
          const argument = unwrap(expression.args[0]!);
          return argument.kind === "vectorSelector" && this.#isInvariant(argument);
        }
        return (
          !STEP_DEPENDENT_FUNCTIONS.has(expression.func.name) &&
          expression.args.every((argument) => this.#isInvariant(argument))
        );
    }
  }
}

function unwrap(expression: Expression): Expression {
  let inner = expression;
  while (inner.kind === "parenthesis") inner = inner.expression;
  return inner;
}

function referenceBounds(frame: Frame, reference: Reference): { firstMs: number; lastMs: number } {
  const { atMs, offsetMs } = reference;
  if (atMs !== undefined) return { firstMs: atMs - offsetMs, lastMs: atMs - offsetMs };
  const firstMs = frame.startMs - offsetMs;
  return { firstMs, lastMs: firstMs + Math.max(0, frame.count - 1) * frame.stepMs };
}

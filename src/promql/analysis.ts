import type { Position } from "./ast.ts";
import { planChildren, type Plan } from "./plan.ts";

/** What one part of a query took, and what came out of it. */
export interface QueryAnalysis {
  /** A function, an operator with its grouping, `selector`, `subquery`, …; `once` computes its part for all steps at once. */
  readonly name: string;
  /** Where it stands in the query. */
  readonly position: Position;
  /** Until all of it was there, its children included, without what was then done with it, ms. */
  readonly executionMs: number;
  /** Series that came out, and their points or samples. 0 where the part was not asked. */
  readonly series: number;
  readonly samples: number;
  readonly children: readonly QueryAnalysis[];
}

export interface NodeFigures {
  executionMs: number;
  series: number;
  samples: number;
}

/** Collects the figures of an evaluation, by node of its plan. */
export class Trace {
  readonly #figures = new Map<Plan, NodeFigures>();

  figuresOf(plan: Plan): NodeFigures {
    let figures = this.#figures.get(plan);
    if (figures === undefined)
      this.#figures.set(plan, (figures = { executionMs: 0, series: 0, samples: 0 }));
    return figures;
  }

  /** The figures of `plan` and all below it. */
  tree(plan: Plan): QueryAnalysis {
    return {
      name: nameOf(plan),
      position: plan.position,
      ...this.figuresOf(plan),
      children: planChildren(plan).map((child) => this.tree(child)),
    };
  }
}

function nameOf(plan: Plan): string {
  switch (plan.kind) {
    case "number":
    case "string":
      return plan.kind;
    case "select":
      return "selector";
    case "window":
      return "range selector";
    case "subquery":
      return "subquery";
    case "call":
      return plan.func;
    case "negate":
      return "-";
    case "invariant":
      return "once";
    case "binary":
      return plan.operator;
    case "aggregate": {
      const { operator, grouping, without } = plan;
      if (grouping.length === 0 && !without) return operator;
      return `${operator} ${without ? "without" : "by"} (${grouping.join(", ")})`;
    }
  }
}

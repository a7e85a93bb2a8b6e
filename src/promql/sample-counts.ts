import { planChildren, type Plan, type SubqueryPlan } from "./plan.ts";

/** How many samples a query looked at, as Prometheus counts them. */
export interface QueryableSamples {
  readonly total: number;
  /** At each step of the query. */
  readonly perStep: Float64Array;
}

/**
 * Counts samples where Prometheus does, by node of the plan: a selector's at every step that has one, a range selector's in
 * the window of every step, so that one sample may count often. A native histogram counts as one for every 16 bytes.
 */
export class SampleCounts {
  readonly #counts = new Map<Plan, Float64Array>();

  /** The counts of a selector, a range selector or a subquery at each of its steps, to add to. */
  at(plan: Plan): Float64Array {
    let counts = this.#counts.get(plan);
    if (counts === undefined) this.#counts.set(plan, (counts = new Float64Array(plan.frame.count)));
    return counts;
  }

  /** All samples of the query `plan`. */
  of(plan: Plan): QueryableSamples {
    const perStep = plan.kind === "subquery" ? this.#ofBareSubquery(plan) : this.#below(plan);
    return { total: sum(perStep), perStep };
  }

  /** What a bare subquery looks at counts at the end; one below a function counts what that reads of its result. */
  #ofBareSubquery({ frame, operand }: SubqueryPlan): Float64Array {
    const perStep = new Float64Array(frame.count);
    perStep[frame.count - 1] = sum(this.#below(operand));
    return perStep;
  }

  #below(plan: Plan): Float64Array {
    if (plan.kind === "subquery") return this.at(plan).slice();
    if (plan.kind === "invariant")
      return new Float64Array(plan.frame.count).fill(sum(this.#below(plan.operand)));
    const counts = this.at(plan).slice();
    for (const child of planChildren(plan))
      for (const [k, count] of this.#below(child).entries()) counts[k]! += count;
    return counts;
  }
}

function sum(counts: Float64Array): number {
  return counts.reduce((total, count) => total + count, 0);
}

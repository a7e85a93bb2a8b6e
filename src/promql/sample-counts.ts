import { planChildren, type Plan, type SubqueryPlan } from "./plan.ts";

/** How many samples a query looked at, as Prometheus counts them. */
export interface QueryableSamples {
  readonly total: number;
  /** At each step of the query. */
  readonly perStep: Float64Array;
  /** As `total` and `perStep`, but each sample of a range selector once, at the first step whose window has it. */
  readonly read: number;
  readonly readPerStep: Float64Array;
}

/**
 * Counts samples where Prometheus does, by node of the plan: a selector's at every step that has one, a range selector's in
 * the window of every step, so that one sample may count often. A native histogram counts as one for every 16 bytes.
 */
export class SampleCounts {
  readonly #counts = new Map<Plan, Float64Array>();
  readonly #reads = new Map<Plan, Float64Array>();

  /** The counts of a selector, a range selector or a subquery at each of its steps, to add to. */
  at(plan: Plan): Float64Array {
    return columnOf(this.#counts, plan);
  }

  /** What a selector or a range selector reads at each of its steps and had not before, to add to. */
  readAt(plan: Plan): Float64Array {
    return columnOf(this.#reads, plan);
  }

  /** All samples of the query `plan`. */
  of(plan: Plan): QueryableSamples {
    const perStep = plan.kind === "subquery" ? this.#ofBareSubquery(plan) : this.#below(plan);
    const readPerStep = this.#readBelow(plan);
    return { total: sum(perStep), perStep, read: sum(readPerStep), readPerStep };
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

  #readBelow(plan: Plan): Float64Array {
    const reads = new Float64Array(plan.frame.count);
    if (plan.kind === "subquery") this.#readSubquery(plan, reads);
    else if (plan.kind === "invariant") reads[0] = sum(this.#readBelow(plan.operand));
    else {
      reads.set(this.readAt(plan));
      for (const child of planChildren(plan))
        for (const [k, count] of this.#readBelow(child).entries()) reads[k]! += count;
    }
    return reads;
  }

  /** Each step of a subquery counts at the first step around it that comes after, if it is in that one's window. */
  #readSubquery({ frame, operand, reference, rangeMs }: SubqueryPlan, into: Float64Array): void {
    const inner = this.#readBelow(operand);
    if (frame.count === 1) {
      into[0] = sum(inner);
      return;
    }
    for (const [i, count] of inner.entries()) {
      const timeMs = operand.frame.startMs + i * operand.frame.stepMs + reference.offsetMs;
      const after = Math.max(0, Math.ceil((timeMs - frame.startMs) / frame.stepMs));
      const k = Math.min(after, frame.count - 1);
      if (timeMs > frame.startMs + k * frame.stepMs - rangeMs) into[k]! += count;
    }
  }
}

function columnOf(columns: Map<Plan, Float64Array>, plan: Plan): Float64Array {
  let column = columns.get(plan);
  if (column === undefined) columns.set(plan, (column = new Float64Array(plan.frame.count)));
  return column;
}

function sum(counts: Float64Array): number {
  return counts.reduce((total, count) => total + count, 0);
}

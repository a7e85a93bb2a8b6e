import type { Labels } from "../../model/labels.ts";
import type { VectorMatching } from "../ast.ts";
import type { BinaryPlan } from "../plan.ts";
import { collectBoth } from "./collect.ts";
import { signatureFunction } from "./matching.ts";
import { mergeEqualRows, passOn } from "./merge.ts";
import { ABSENT, type Row, type VectorOperator } from "./row.ts";

/** `and`, `or` and `unless`: which elements stay depends only on which label signatures the other side has. */
export function vectorSet(
  plan: BinaryPlan & { matching: VectorMatching },
  left: VectorOperator,
  right: VectorOperator,
): VectorOperator {
  const { operator, matching, frame } = plan;
  return {
    kind: "vector",
    async stream(query, sink) {
      const { left: a, right: b } = await collectBoth({ left, right }, query);
      query.budget.release(a.samples + b.samples);
      const signature = signatureFunction(matching);
      if (operator === "or") {
        const signatures = stepsOfSignatures(a.rows, signature, frame.count);
        for (const row of b.rows) mask(row, signatures.get(signature(row.labels)), false);
        // A series that changes sides between steps is one series of the result.
        const merged = await mergeEqualRows([...a.rows, ...b.rows], query.budget);
        await passOn(merged, sink, query.budget);
        return;
      }
      const signatures = stepsOfSignatures(b.rows, signature, frame.count);
      for (const row of a.rows) {
        mask(row, signatures.get(signature(row.labels)), operator === "and");
        sink(row);
      }
    },
  };
}

/** For each signature, the steps at which some row has it. */
function stepsOfSignatures(
  rows: readonly Row[],
  signature: (labels: Labels) => string,
  count: number,
): Map<string, Uint8Array> {
  const steps = new Map<string, Uint8Array>();
  for (const row of rows) {
    const key = signature(row.labels);
    const known = steps.get(key);
    if (known === undefined) steps.set(key, row.present.slice());
    else for (let k = 0; k < count; k++) known[k] = known[k]! | row.present[k]!;
  }
  return steps;
}

/** Keeps the points at steps that `steps` has (`keepThose`) or has not. */
function mask(row: Row, steps: Uint8Array | undefined, keepThose: boolean): void {
  if (steps === undefined) {
    if (keepThose) row.present.fill(ABSENT);
    return;
  }
  for (let k = 0; k < steps.length; k++)
    if ((steps[k] !== ABSENT) !== keepThose) row.present[k] = ABSENT;
}

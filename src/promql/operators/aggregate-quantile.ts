import { positionOf, type AggregatePlan } from "../plan.ts";
import { quantileOf } from "../functions/quantile.ts";
import { noteIgnoredHistogram } from "./aggregate-histograms.ts";
import { collectGroups } from "./aggregate.ts";
import { noteQuantile } from "./range-call.ts";
import {
  ABSENT,
  dropHistograms,
  FLOAT,
  type QueryContext,
  type ScalarOperator,
  type VectorOperator,
} from "./row.ts";

/** Steps that are taken from rows to columns at a time: of each row a few lines of the processor's cache. */
const COLUMN_STEPS = 32;

/** `quantile(φ, v)`: needs all values of a group at once. */
export function aggregateQuantile(
  operand: VectorOperator,
  phi: ScalarOperator,
  plan: AggregatePlan,
): VectorOperator {
  const { frame } = plan;
  return {
    kind: "vector",
    async stream(query, sink) {
      const phis = await phi.evaluate(query);
      const { members, groups, rows: all, samples } = await collectGroups(operand, plan, query);
      noteExtremes(phis, plan, query);
      for (const row of all)
        if (dropHistograms(row)) noteIgnoredHistogram("quantile", query, positionOf(plan.operand));
      const most = members.reduce((size, rows) => Math.max(size, rows.length), 0);
      const columns = Array.from({ length: COLUMN_STEPS }, () => new Float64Array(most));
      const counts = new Int32Array(COLUMN_STEPS);
      for (const [index, rows] of members.entries()) {
        if (query.budget.isDue()) await query.budget.breathe();
        const values = new Float64Array(frame.count);
        const present = new Uint8Array(frame.count);
        for (let from = 0; from < frame.count; from += COLUMN_STEPS) {
          const end = Math.min(from + COLUMN_STEPS, frame.count);
          counts.fill(0);
          for (const row of rows)
            for (let k = from; k < end; k++)
              if (row.present[k] !== ABSENT) {
                const step = k - from;
                columns[step]![counts[step]!++] = row.values[k]!;
              }
          for (let k = from; k < end; k++) {
            const count = counts[k - from]!;
            if (count === 0) continue;
            values[k] = quantileOf(phis[k]!, columns[k - from]!, count);
            present[k] = FLOAT;
          }
        }
        const dropName = rows.some((row) => row.dropName);
        sink({ labels: groups.labels[index]!, dropName, values, present });
      }
      query.budget.release(samples);
    },
  };
}

/** Warns once of the worst φ at each end, as Prometheus does. */
function noteExtremes(phis: Float64Array, plan: AggregatePlan, query: QueryContext): void {
  const position = plan.parameter === undefined ? plan.position : positionOf(plan.parameter);
  let least = Infinity;
  let most = -Infinity;
  let isNaNSeen = false;
  for (const phi of phis) {
    if (phi !== phi) isNaNSeen = true;
    if (phi < least) least = phi;
    if (phi > most) most = phi;
  }
  if (isNaNSeen) noteQuantile(NaN, query, position);
  if (most > 1) noteQuantile(most, query, position);
  if (least < 0) noteQuantile(least, query, position);
}

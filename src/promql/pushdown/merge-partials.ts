import type { AggregatedRow } from "../../storage/aggregate.ts";
import { FLOAT } from "../operators/row.ts";
import { mergeChoice } from "./merge-choice.ts";
import {
  mergeGroups,
  type MergedGroup,
  type MergeOptions,
  type Undecided,
} from "./merge-groups.ts";
import { mergeSum, type Addend } from "./merge-sum.ts";
import type { PartialAggregate } from "./partial.ts";
import type { PartialOperator } from "./series-local.ts";

/** The rows that the engine would give over the series of all parts, of which no two have the same one. */
export function mergePartials(
  parts: readonly PartialAggregate[],
  options: MergeOptions,
): readonly AggregatedRow[] | Undecided {
  const groups = mergeGroups(parts);
  const { operator } = options;
  return operator === "topk" || operator === "bottomk"
    ? mergeChoice(groups, { ...options, operator })
    : mergeTotals(groups, { ...options, operator });
}

type Total = Exclude<PartialOperator, "topk" | "bottomk">;

function mergeTotals(
  groups: readonly MergedGroup[],
  options: MergeOptions & { operator: Total },
): readonly AggregatedRow[] | Undecided {
  const { operator, steps } = options;
  // One pair of columns for all, which also changes threads as one.
  const allValues = new Float64Array(groups.length * steps);
  const allPresent = new Uint8Array(groups.length * steps);
  const rows: AggregatedRow[] = [];
  for (const [i, group] of groups.entries()) {
    const values = allValues.subarray(i * steps, (i + 1) * steps);
    const present = allPresent.subarray(i * steps, (i + 1) * steps);
    for (let k = 0; k < steps; k++) {
      const addends: Addend[] = [];
      for (const { part, index } of group.members) {
        const at = index * steps + k;
        if (part.counts[at]! > 0) addends.push({ part, at });
      }
      if (addends.length === 0) continue;
      const value = mergePoint(addends, operator);
      if (value === undefined)
        return operator === "sum" || operator === "avg" ? "rounding" : "ties";
      values[k] = value;
      present[k] = FLOAT;
    }
    const dropName = group.dropName && options.delayedNameRemoval;
    rows.push({ labels: group.labels, dropName, values, present });
  }
  return rows;
}

function mergePoint(addends: readonly Addend[], operator: Total): number | undefined {
  switch (operator) {
    case "sum":
    case "avg":
      return mergeSum(addends, operator);
    case "min":
      return mergeExtreme(addends, 1);
    case "max":
      return mergeExtreme(addends, -1);
    case "group":
      return 1;
    case "count":
      return addends.reduce((sum, { part, at }) => sum + part.counts[at]!, 0);
  }
}

/**
 * The least of the values, each times `sign`; NaN only if all are. Undefined for 0 and -0 together: the engine takes the one
 * that comes first, and nobody knows here which does.
 */
function mergeExtreme(addends: readonly Addend[], sign: number): number | undefined {
  let best = NaN;
  for (const { part, at } of addends) {
    const value = part.main[at]!;
    if (best === 0 && value === 0 && !Object.is(best, value)) return undefined;
    if (best !== best || sign * best > sign * value) best = value;
  }
  return best;
}

import { listedAssignments } from "./listed-assignments.ts";
import { addCost, type Limits, type Load, utilisation } from "./load.ts";
import type { ObservedShard, ShardState } from "./plan-types.ts";

/** What one shard carried at the end of a cycle: for metrics, history and people. */
export interface ShardFigures {
  readonly id: string;
  /** Its replica group; "" when there is one. */
  readonly group: string;
  readonly state: ShardState;
  readonly targets: number;
  /** Of those, the ones on their way to another shard. */
  readonly leaving: number;
  /** What it takes up of the limits. */
  readonly used: Load;
  readonly limits: Limits;
  /** Its fullest dimension; 1 is at the limit. */
  readonly utilisation: number;
  /** Whether it runs the configuration it is to run. */
  readonly hasConfig: boolean;
}

export function figuresOf(
  shard: ObservedShard,
  rest: Pick<ShardFigures, "group" | "limits" | "hasConfig">,
): ShardFigures {
  const used = carriedBy(shard);
  return {
    ...rest,
    id: shard.id,
    state: shard.state,
    targets: shard.assignments.length,
    leaving: listedAssignments(shard.assignments).leaving.length,
    used,
    utilisation: utilisation(used, rest.limits),
  };
}

/**
 * What a shard's targets take up. The head counts as it is when it holds more than the targets: what former ones left is
 * there too. A shard without targets counts as empty, as the planner has it.
 */
export function carriedBy(shard: ObservedShard): Load {
  const { byHash, sum: known, unsized } = listedAssignments(shard.assignments);
  const sum = { ...known };
  for (const place of unsized) addCost(sum, byHash[place]!.load, 1);
  const head = byHash.length === 0 ? 0 : shard.headSeries;
  return { ...sum, series: Math.max(sum.series, head) };
}

import { fits, NO_LOAD } from "./load.ts";
import type { PlanState } from "./plan-state.ts";
import type { Observed, Plan } from "./plan-types.ts";

/**
 * Replica groups: several sets of shards that each have every target. One group leads; the others put each target on the
 * ordinal where the leader has it, so that shard k of every group has the same targets and stands in for the others.
 */

/**
 * On which ordinal a group has each target once `plan` is carried out. What a lost shard had counts as being there still,
 * though others have taken it over: a failure in the leading group changes nothing in those that follow.
 */
export function referenceOf(plan: Plan, observed: Observed): Map<string, number> {
  const planned = new Map(plan.shards.map((shard) => [shard.id, shard.assignments]));
  const reference = new Map<string, number>();
  const enter = (
    ordinal: number,
    list: Observed["shards"][number]["assignments"] | Plan["shards"][number]["assignments"],
  ): void => {
    for (const { hash, state } of list) if (state === "normal") reference.set(hash, ordinal);
  };
  for (const { id, ordinal } of observed.shards) enter(ordinal, planned.get(id) ?? []);
  for (const { id, ordinal, assignments } of observed.shards)
    if (!planned.has(id)) enter(ordinal, assignments);
  return reference;
}

/**
 * Begins to move targets to where the leading group has them: at once from a shard that is too full, else when they have
 * been where they are for a while, so that what has just failed is not tried again and again.
 */
export function align(state: PlanState): void {
  for (const shard of state.shards) {
    if (!shard.isReady) continue;
    const isTooFull = !fits(NO_LOAD, shard.sum, state.options.limits);
    for (const assignment of Array.from(shard.assignments)) {
      if (state.movesLeft <= 0) return;
      const home = state.homeOf(assignment.hash);
      if (home === undefined || home === shard) continue;
      if (!state.isMovable(assignment) || !(isTooFull || state.isRested(assignment))) continue;
      const reason = `the leading group has it on ordinal ${home.ordinal}`;
      state.move(assignment, home, { cause: "alignment", reason });
    }
  }
}

/** How many shards a group needs at least to have a place for what the leading group has. */
export function shardsToFollow({ reference }: Observed): number {
  let most = -1;
  for (const ordinal of reference?.values() ?? []) if (ordinal > most) most = ordinal;
  return most + 1;
}

import { fits, NO_LOAD } from "./load.ts";
import type { PlanState } from "./plan-state.ts";
import type { Observed, Plan, PlanOptions } from "./plan-types.ts";

/**
 * Replica groups: several sets of shards that each have every target. One group leads; the others put each target on the
 * ordinal where the leader has it, so that shard k of every group has the same targets and stands in for the others.
 */

interface When {
  readonly options: PlanOptions;
  readonly nowMs: number;
}

/** The ordinal of a target that waits for a shard of the leading group which is coming up. */
export const AWAITED = -1;

/**
 * On which ordinal a group has each target once `plan` is carried out. What a lost shard had counts as being there still,
 * though others have taken it over: a failure in the leading group changes nothing in those that follow. What has no place
 * yet is `AWAITED` when shards have just been asked for, for as long as a shard may be away: then the leading group is not
 * waited for any more.
 */
export function referenceOf(plan: Plan, observed: Observed, when: When): Map<string, number> {
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
  if (hasJustGrown(observed, when))
    for (const { kind, hash } of plan.conditions)
      if (kind === "unassigned" && hash !== undefined) reference.set(hash, AWAITED);
  return reference;
}

/**
 * The shard that a target has to wait for in a group that follows, when it is one that was asked for a moment ago: anywhere
 * else it would take the room of those that have their place there.
 */
export function whatIsAwaited(state: PlanState, hash: string): string | undefined {
  const { observed, options, nowMs } = state;
  const ordinal = observed.reference?.get(hash);
  if (ordinal === undefined) return undefined;
  if (ordinal === AWAITED) return "a shard of the leading group";
  const shard = state.shards.find((each) => each.ordinal === ordinal)?.observed;
  if (shard !== undefined && shard.state !== "starting") return undefined;
  return hasJustGrown(observed, { options, nowMs }) ? (shard?.id ?? `shard ${ordinal}`) : undefined;
}

/** Shards were asked for so short a time ago that they may still come up. */
function hasJustGrown({ lastScaleUpMs }: Observed, { options, nowMs }: When): boolean {
  return lastScaleUpMs !== undefined && nowMs - lastScaleUpMs < options.failoverGraceMs;
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

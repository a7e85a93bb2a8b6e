import { byHash } from "./listed-assignments.ts";
import { isTooBig } from "./load.ts";
import { rebalance } from "./plan-balance.ts";
import { drainByHand, drainSurplus, markSpare } from "./plan-drain.ts";
import { align } from "./plan-follow.ts";
import { settleMoves } from "./plan-moves.ts";
import { placeUnowned } from "./plan-place.ts";
import { planScale } from "./plan-scale.ts";
import { shed } from "./plan-shed.ts";
import { PlanState, type Wanted } from "./plan-state.ts";
import { limitText, sizeText } from "./plan-text.ts";
import type { Observed, Plan, PlanOptions } from "./plan-types.ts";

/**
 * The shard planner: what is observed goes in, what every shard is to scrape and how many shards there are to be comes
 * out, with a reason for each change. Pure: the same input gives the same plan, in whatever order it comes, and a plan
 * that has been applied plans no further change.
 *
 * Steps, in order: forget what discovery no longer has · finish, undo or repair moves · shed from overloaded shards ·
 * empty the shards that are to be empty · place targets without an owner · even the shards out, or follow the leading
 * group · scale. Each step sees what the ones before it did. What cannot wait comes first; while a shard is overloaded
 * or a target has no place, nothing else moves.
 */
export function plan(observed: Observed, options: PlanOptions, nowMs: number): Plan {
  const { state, wanted, isCalm } = untilPlacing(observed, options, nowMs);
  wanted.push(...placeUnowned(state));
  if (observed.reference !== undefined) align(state);
  else if (wanted.length === 0 && isCalm) {
    drainSurplus(state);
    rebalance(state);
  }
  const scale = planScale(state, wanted);
  reportOversized(state, wanted);
  return {
    shards: state.finish(),
    scale,
    decisions: state.decisions,
    conditions: state.conditions,
  };
}

/**
 * The steps before targets without an owner are placed: what findPlace then sees. `wanted` are targets that should leave
 * their shards and found no room; `isCalm` when none had to leave an overloaded one.
 */
export function untilPlacing(
  observed: Observed,
  options: PlanOptions,
  nowMs: number,
): { readonly state: PlanState; readonly wanted: Wanted[]; readonly isCalm: boolean } {
  const state = new PlanState(observed, options, nowMs);
  removeGone(state);
  settleMoves(state);
  markSpare(state);
  const wanted = observed.reference === undefined ? shed(state) : [];
  const isCalm = state.movesBegun === 0;
  wanted.push(...drainByHand(state));
  return { state, wanted, isCalm };
}

function removeGone(state: PlanState): void {
  const heldByJob = new Map<string, number>();
  for (const assignment of state.unlisted) {
    const { hash, job, url, shard } = assignment;
    if (state.observed.heldJobs.has(job)) {
      heldByJob.set(job, (heldByJob.get(job) ?? 0) + 1);
      continue;
    }
    state.release(assignment);
    const reason = "no longer discovered";
    state.decide({ kind: "remove", hash, job, url, from: shard.id, reason });
  }
  for (const [job, held] of heldByJob)
    state.conditions.push({
      kind: "hold",
      job,
      reason: `discovery of job ${job} is not confirmed: ${held} of its targets stay though they are not listed`,
    });
}

function reportOversized(state: PlanState, wanted: readonly Wanted[]): void {
  const { limits } = state.options;
  const unowned = wanted.filter(({ load, isOwned }) => !isOwned && isTooBig(load, limits));
  const owned = state.oversized.filter((entry) => !entry.isGone && entry.state === "normal");
  const entries = [...unowned, ...owned].sort(byHash);
  for (const [i, entry] of entries.entries()) {
    const { hash, job, url, load } = entry;
    // On two shards, one of which cannot be told to let go.
    if (hash === entries[i - 1]?.hash) continue;
    state.conditions.push({
      kind: "too-big",
      hash,
      job,
      url,
      ...("shard" in entry ? { to: entry.shard.id } : {}),
      reason: `${sizeText(load, limits)} are more than a shard's limit of ${limitText(limits)}`,
    });
  }
}

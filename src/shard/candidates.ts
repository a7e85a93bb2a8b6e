import {
  add,
  costOf,
  fits,
  isOversized,
  type Limits,
  type Load,
  negate,
  NO_LOAD,
  utilisation,
} from "./load.ts";
import { untilPlacing } from "./plan.ts";
import { takes } from "./plan-place.ts";
import type { PlanState } from "./plan-state.ts";
import type { Observed, PlanOptions, ShardState } from "./plan-types.ts";
import type { WorkingShard } from "./working-shard.ts";

/** A shard, seen as a place for a target. */
export interface Candidate {
  readonly shard: string;
  readonly state: ShardState;
  readonly targets: number;
  /** What it carries without this target. */
  readonly used: Load;
  readonly limits: Limits;
  /** Its fullest dimension without this target and with it; 1 is at the limit. */
  readonly utilisation: number;
  readonly utilisationWith: number;
  readonly isOwner: boolean;
  /** Whether the planner would give it the target now, were it the only shard; of an owner, whether it may stay. */
  readonly isFit: boolean;
  readonly verdict: string;
}

/** What one replica group's last plan was made from. */
export interface PlanInput {
  readonly observed: Observed;
  readonly options: PlanOptions;
  readonly nowMs: number;
}

/**
 * The shards of one replica group as places for one target: the planner's own state at the moment when it places targets,
 * asked by the planner's own predicate.
 */
export function candidatesFor(
  target: { readonly hash: string; readonly cost: Load },
  { observed, options, nowMs }: PlanInput,
): Candidate[] {
  const { state } = untilPlacing(observed, options, nowMs);
  return state.shards.map((shard) => candidateOf(state, shard, target));
}

function candidateOf(
  state: PlanState,
  shard: WorkingShard,
  { hash, cost }: { hash: string; cost: Load },
): Candidate {
  const { limits } = state.options;
  const has = shard.observed.assignments.some((assignment) => assignment.hash === hash);
  const used = has ? without(shard, hash) : shard.used;
  const { isFit, text } = has
    ? verdictOfOwner(state, shard)
    : verdictOf(state, shard, { hash, cost });
  return {
    shard: shard.id,
    state: shard.observed.state,
    targets: shard.count,
    used,
    limits,
    utilisation: utilisation(used, limits),
    utilisationWith: utilisation(add(used, cost), limits),
    isOwner: has,
    isFit,
    verdict: text,
  };
}

interface Verdict {
  readonly isFit: boolean;
  readonly text: string;
}

const no = (text: string): Verdict => ({ isFit: false, text });
const yes = (text: string): Verdict => ({ isFit: true, text });

function verdictOfOwner(state: PlanState, shard: WorkingShard): Verdict {
  if (!shard.isReady) return no(unreadyText(state, shard));
  if (shard.isDraining) return no("has it, and is drained by the operator");
  const { limits } = state.options;
  if (fits(NO_LOAD, shard.used, limits)) return yes("has it");
  return yes(`has it, and is over its limit: ${excessText(NO_LOAD, shard.used, limits)}`);
}

function verdictOf(
  state: PlanState,
  shard: WorkingShard,
  { hash, cost }: { hash: string; cost: Load },
): Verdict {
  const { limits } = state.options;
  if (!shard.isReady) return no(unreadyText(state, shard));
  if (!shard.takesTargets) return no("is drained by the operator: it gets no targets");
  const home = state.homeOf(hash);
  // A group that follows another one puts targets where that one has them, full or not.
  if (home === shard) return yes("where the leading group has it");
  if (home !== undefined) return no(`the leading group has it on ordinal ${home.ordinal}`);
  const isAlone = isOversized(cost, limits);
  if (takes(shard, cost, { limits, isAlone })) {
    if (isAlone) return yes("empty, which a target above the limit needs");
    return yes(
      state.spare.has(shard) ? "has room, and is not needed: the last choice" : "has room",
    );
  }
  if (isAlone) return no("not empty, and the target is above the limit by itself");
  const { used } = shard;
  if (!fits(NO_LOAD, used, limits))
    return no(`is over its limit: ${excessText(NO_LOAD, used, limits)}`);
  return no(excessText(used, cost, limits));
}

/** Why its list cannot be changed. */
function unreadyText(state: PlanState, { observed }: WorkingShard): string {
  if (observed.state === "starting") return "has not come up yet";
  if (observed.state === "refused")
    return "does not take the configuration: its list stays as it is";
  return state.isExpired(observed)
    ? "is lost: its targets go to others"
    : "counts as lost: it keeps its targets for the grace";
}

/** What a shard carries besides one of its targets. */
function without(shard: WorkingShard, hash: string): Load {
  const { used, assignments } = shard;
  const own = assignments.find((assignment) => assignment.hash === hash);
  if (own === undefined) return used;
  const rest = add(used, negate(costOf(own.load)));
  return { ...rest, series: Math.max(0, rest.series) };
}

/** Which limit `used` and `cost` exceed together, with the numbers. */
function excessText(used: Load, cost: Load, limits: Limits): string {
  const { maxHeadSeries, maxProcessSeries, maxSamplesPerSecond } = limits;
  const sum = (has: number, more: number): string =>
    has === 0 ? String(Math.round(more)) : `${Math.round(has)} + ${Math.round(more)}`;
  const over = (has: number, more: number, limit: number): boolean =>
    limit > 0 && has + more > limit;
  if (over(used.series, cost.series, maxHeadSeries))
    return `${sum(used.series, cost.series)} series exceed ${maxHeadSeries} in the head`;
  if (over(used.rawSeries, cost.rawSeries, maxProcessSeries))
    return `${sum(used.rawSeries, cost.rawSeries)} series before relabelling exceed ${maxProcessSeries}`;
  return `${sum(used.samplesPerSecond, cost.samplesPerSecond)} samples/s exceed ${maxSamplesPerSecond}`;
}

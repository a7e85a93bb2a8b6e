import {
  costOf,
  fits,
  isTooBig,
  type Limits,
  negate,
  NO_LOAD,
  scaleLimits,
  utilisation,
  utilisationWith,
} from "./load.ts";
import type { PlanState } from "./plan-state.ts";
import { ShardOrder } from "./shard-order.ts";
import type { WorkingAssignment, WorkingShard } from "./working-shard.ts";

/**
 * Evens the shards out, a few moves at a time, and uses shards that are new. It begins when a shard is further than
 * `BEGIN_BEYOND` from the mean and goes on until all are within `END_WITHIN`, so that it rests in between. What counts
 * is what the targets of a shard cost (`stable`): a head that is still full of former series is no reason for a move.
 */
const BEGIN_BEYOND = 0.1;
const END_WITHIN = 0.05;

/** A target so large that it turns two shards round must leave the fuller one by so much of the mean less full. */
const COARSE_GAIN = 0.3;

export function rebalance(state: PlanState): void {
  if (state.packs || state.movesLeft <= 0) return;
  // A lost shard mostly comes back, and then has its share again: nothing is turned over for it.
  if (state.shards.some(({ observed }) => observed.state === "lost")) return;
  const { limits, targetUtilisation } = state.options;
  const useOf = (shard: WorkingShard): number => utilisation(shard.stable, limits);
  const shards = state.takers.ascending.filter(
    (shard) => !state.spare.has(shard) && !hasOversized(shard, limits),
  );
  if (shards.length < 2) return;
  const mean = shards.reduce((sum, shard) => sum + useOf(shard), 0) / shards.length;
  if (shards.every((shard) => Math.abs(useOf(shard) - mean) <= BEGIN_BEYOND * mean)) return;
  const sources = new ShardOrder(shards, useOf);
  const places = new ShardOrder(
    shards.filter((shard) => utilisation(shard.used, limits) < targetUtilisation),
    useOf,
  );
  const share = (shard: WorkingShard): string => `${Math.round((useOf(shard) / mean) * 100)}%`;
  while (state.movesLeft > 0) {
    const from = sources.ascending.at(-1);
    const to = places.ascending[0];
    if (from === undefined || to === undefined || useOf(from) <= mean) return;
    if (useOf(from) <= mean * (1 + END_WITHIN) && useOf(to) >= mean * (1 - END_WITHIN)) return;
    const found = pickMove(state, { from, to, mean });
    if (found === undefined) {
      sources.remove(from);
      continue;
    }
    const reason = `${from.id} carries ${share(from)} of the mean load and ${to.id} ${share(to)}`;
    state.move(found, to, { cause: "balance", reason });
    for (const shard of [from, to]) {
      sources.moved(shard);
      places.moved(shard);
    }
  }
}

/** Such a shard is as full as it is because of one target; nothing evens that out. */
function hasOversized(shard: WorkingShard, limits: Limits): boolean {
  if (fits(NO_LOAD, shard.sum, limits)) return false;
  return shard.assignments.some(({ load }) => isTooBig(load, limits));
}

/**
 * The largest target that takes neither shard beyond the mean; if all are larger than that, the one that leaves the two
 * most even, when that is much better than now. Undefined when nothing should go from here to there.
 */
function pickMove(
  state: PlanState,
  pair: { from: WorkingShard; to: WorkingShard; mean: number },
): WorkingAssignment | undefined {
  const { from, to, mean } = pair;
  const { limits, targetUtilisation } = state.options;
  const preferred = scaleLimits(limits, targetUtilisation);
  const now = utilisation(from.stable, limits);
  let best: WorkingAssignment | undefined;
  let leastLeft = now;
  let coarse: WorkingAssignment | undefined;
  let leastFull = now - COARSE_GAIN * mean;
  for (const assignment of from.assignments) {
    if (assignment.seen?.health !== "up" || !state.isRested(assignment)) continue;
    const cost = costOf(assignment.load);
    const left = utilisationWith(from.stable, negate(cost), limits);
    const right = utilisationWith(to.stable, cost, limits);
    const isGentle = left >= mean * (1 - END_WITHIN) && right <= mean * (1 + END_WITHIN);
    const isBetter = isGentle ? left < leastLeft : Math.max(left, right) < leastFull;
    if (!isBetter || !state.isMovable(assignment) || !fits(to.used, cost, preferred)) continue;
    if (isGentle) {
      best = assignment;
      leastLeft = left;
    } else {
      coarse = assignment;
      leastFull = Math.max(left, right);
    }
  }
  return best ?? coarse;
}

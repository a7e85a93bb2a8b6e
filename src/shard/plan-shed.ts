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
import { byHash } from "./listed-assignments.ts";
import { findPlace } from "./plan-place.ts";
import type { PlanState, Wanted } from "./plan-state.ts";
import type { WorkingAssignment, WorkingShard } from "./working-shard.ts";

/** How far a shard whose head is at `headAt` × its limit is to be emptied: Kvass's bands. The fullest band first. */
const SHED_BANDS: readonly { readonly headAt: number; readonly shrinkTo: number }[] = [
  { headAt: 1.8, shrinkTo: 0 },
  { headAt: 1.6, shrinkTo: 0.2 },
  { headAt: 1.4, shrinkTo: 0.5 },
  { headAt: 1.1, shrinkTo: 1 },
];

/** Moves targets off overloaded shards; returns those that find no room elsewhere. */
export function shed(state: PlanState): Wanted[] {
  const wanted: Wanted[] = [];
  if (state.options.disableAlleviate) return wanted;
  for (const shard of state.shards) {
    const goal = shard.isReady ? shedGoal(shard, state.options.limits) : undefined;
    if (goal !== undefined) shedFrom(state, shard, goal, wanted);
  }
  return wanted;
}

/**
 * The limits that a shard's targets are to come down to, or undefined when they are not too many. Series of former
 * targets fill the head too, but moving the present ones away would not free them: only a shard whose own targets
 * (`sum`) exceed a limit sheds. Kvass goes by the head alone and empties shard after shard.
 */
function shedGoal({ used, sum }: { used: Load; sum: Load }, limits: Limits): Limits | undefined {
  if (fits(NO_LOAD, sum, limits)) return undefined;
  const { maxHeadSeries } = limits;
  const band =
    maxHeadSeries === 0 || sum.series <= maxHeadSeries
      ? undefined
      : SHED_BANDS.find(({ headAt }) => used.series >= headAt * maxHeadSeries);
  // To come down to nothing is to come down to less than any target: 0 would be no limit.
  const headGoal = band === undefined ? 0 : Math.max(1, band.shrinkTo * maxHeadSeries);
  const goal = { ...limits, maxHeadSeries: headGoal };
  return fits(NO_LOAD, sum, goal) ? undefined : goal;
}

interface Candidate {
  readonly assignment: WorkingAssignment;
  readonly cost: Load;
  /** What the shard is relieved of. */
  readonly relief: Load;
}

function shedFrom(state: PlanState, shard: WorkingShard, goal: Limits, wanted: Wanted[]): void {
  const { limits } = state.options;
  const staying = shard.assignments
    .filter((entry) => entry.state === "normal")
    .map((assignment): Candidate => {
      const cost = costOf(assignment.load);
      return { assignment, cost, relief: negate(cost) };
    })
    .sort((a, b) => bySize(a.assignment, b.assignment));
  let carried = staying.reduce((sum, { cost }) => add(sum, cost), NO_LOAD);
  // The largest target that no shard can hold is best left alone where it is: all others leave it.
  const anchor = staying.find(({ cost }) => isOversized(cost, limits));
  const candidates = staying.filter(
    (entry) =>
      entry !== anchor &&
      entry.assignment.seen?.health === "up" &&
      state.isMovable(entry.assignment),
  );
  const reason = `${shard.id} is at ${Math.round(utilisation(shard.used, limits) * 100)}% of its limit`;
  let left = staying.length;
  while (left > 1 && candidates.length > 0 && !fits(carried, NO_LOAD, goal)) {
    // One move that is enough, and of those the smallest; otherwise the largest.
    const enough = candidates.findLastIndex(({ relief }) => fits(carried, relief, goal));
    const [{ assignment, cost, relief }] = candidates.splice(Math.max(enough, 0), 1) as [Candidate];
    const place = findPlace(state, cost, shard);
    left--;
    carried = add(carried, relief);
    if (place === undefined) wanted.push({ ...assignment, isOwned: true });
    else state.move(assignment, place, { cause: "overload", reason });
  }
}

/** The larger first; by hash when equal. */
function bySize(a: WorkingAssignment, b: WorkingAssignment): number {
  return b.load.series - a.load.series || b.load.rawSeries - a.load.rawSeries || byHash(a, b);
}

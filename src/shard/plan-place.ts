import {
  costOf,
  fits,
  headCostOf,
  isOversized,
  isTooBig,
  type Limits,
  type Load,
  scaleLimits,
  utilisation,
} from "./load.ts";
import { byHash } from "./listed-assignments.ts";
import { whatIsAwaited } from "./plan-follow.ts";
import type { PlanState, Wanted } from "./plan-state.ts";
import { sizeText } from "./plan-text.ts";
import type { ObservedTarget } from "./plan-types.ts";
import type { WorkingShard } from "./working-shard.ts";

interface Unowned {
  readonly slot: number;
  readonly target: ObservedTarget;
  readonly load: Load;
  /** The share of a shard that it takes up. */
  readonly weight: number;
}

/** Gives targets that nobody scrapes to shards with room, the largest first; returns those without room. */
export function placeUnowned(state: PlanState): Wanted[] {
  const wanted: Wanted[] = [];
  const reasonFor = placementReasons(state);
  // Those that have their place come first: others must not take the room that they are going to fill.
  const unowned = unownedTargets(state);
  const isAtHome = ({ target }: Unowned): boolean => state.homeOf(target.hash) !== undefined;
  const ordered =
    state.observed.reference === undefined
      ? unowned
      : [...unowned.filter(isAtHome), ...unowned.filter((each) => !isAtHome(each))];
  for (const { target, load, slot } of ordered) {
    const { hash, job, url } = target;
    const home = state.homeOf(hash);
    const from = state.formerOwnerOf(slot);
    const awaited =
      from === undefined && home === undefined ? whatIsAwaited(state, hash) : undefined;
    if (awaited !== undefined) {
      const reason = `waits for ${awaited} to come up`;
      state.conditions.push({ kind: "unassigned", hash, job, url, reason });
      continue;
    }
    const place = home ?? findPlace(state, costOf(load));
    if (place === undefined) {
      wanted.push({ hash, job, url, load, slot, isOwned: false });
      continue;
    }
    const isEstimated = target.load === undefined;
    const reason = reasonFor(load, { from, isEstimated, isHome: home !== undefined });
    state.assign({ hash, job, url, load, slot }, place);
    state.decide(
      from === undefined
        ? { kind: "assign", hash, job, url, to: place.id, reason }
        : { kind: "rehome", hash, job, url, from, to: place.id, reason },
    );
  }
  return wanted;
}

function unownedTargets(state: PlanState): Unowned[] {
  const { limits } = state.options;
  const unowned: Unowned[] = [];
  for (const slot of state.unownedSlots()) {
    const target = state.targetOf(slot)!;
    if (target.explored === "pending" && state.formerOwnerOf(slot) === undefined) continue;
    const load = state.loadOf(target);
    unowned.push({ slot, target, load, weight: utilisation(costOf(load), limits) });
  }
  return unowned.sort(
    (a, b) =>
      b.weight - a.weight || headCostOf(b.load) - headCostOf(a.load) || byHash(a.target, b.target),
  );
}

interface Placement {
  readonly from: string | undefined;
  readonly isEstimated: boolean;
  readonly isHome: boolean;
}

/** Why a target of some load goes where it goes. Those of one size come one after the other, and get one text. */
function placementReasons(state: PlanState): (load: Load, how: Placement) => string {
  let last: { load: Load; how: Placement; reason: string } | undefined;
  return (load, how) => {
    const isSame =
      last !== undefined &&
      isSameSize(last.load, load) &&
      last.how.from === how.from &&
      last.how.isEstimated === how.isEstimated &&
      last.how.isHome === how.isHome;
    if (!isSame) last = { load, how, reason: placementReason(state, load, how) };
    return last!.reason;
  };
}

function isSameSize(a: Load, b: Load): boolean {
  return (
    a.series === b.series &&
    a.rawSeries === b.rawSeries &&
    a.samplesPerSecond === b.samplesPerSecond &&
    a.newSeriesPerHour === b.newSeriesPerHour
  );
}

function placementReason(state: PlanState, load: Load, how: Placement): string {
  const { limits } = state.options;
  const size = sizeText(load, limits);
  if (how.isHome) return `${size}, where the leading group has it`;
  if (isTooBig(load, limits))
    return `${size} are more than a shard's limit: alone on an empty shard`;
  if (how.from !== undefined) return `${how.from} does not answer; ${size}`;
  const note = how.isEstimated ? " (its job's median: it does not answer)" : "";
  const rule = state.packs ? "the first shard with room" : "the shard with the most room";
  return `${size}${note}, ${rule}`;
}

/**
 * Whether `shard` may be given `cost`: it takes targets, and has room within all limits. What no shard's limit allows
 * (`isAlone`: `isOversized(cost, limits)`) needs one that has nothing.
 */
export function takes(
  shard: WorkingShard,
  cost: Load,
  { limits, isAlone }: { readonly limits: Limits; readonly isAlone: boolean },
): boolean {
  return shard.takesTargets && (isAlone ? shard.count === 0 : fits(shard.used, cost, limits));
}

/**
 * The shard for `cost`: the emptiest one, or the first by ordinal when targets are packed, so that the last ones become
 * empty. Shards below the target utilisation come first, then all within their limits, then those that are not needed
 * otherwise. What no shard's limit allows goes to a shard that has nothing.
 */
export function findPlace(
  state: PlanState,
  cost: Load,
  except?: WorkingShard,
): WorkingShard | undefined {
  const { limits, targetUtilisation } = state.options;
  const shards = state.packs ? state.shards : state.takers.ascending;
  const demand = { limits, isAlone: isOversized(cost, limits) };
  if (demand.isAlone) return state.shards.find((shard) => takes(shard, cost, demand));
  const preferred = scaleLimits(limits, targetUtilisation);
  let second: WorkingShard | undefined;
  let third: WorkingShard | undefined;
  for (const shard of shards) {
    if (shard === except || !takes(shard, cost, demand)) continue;
    if (state.spare.has(shard)) third ??= shard;
    else if (fits(shard.used, cost, preferred)) return shard;
    else second ??= shard;
  }
  return second ?? third;
}

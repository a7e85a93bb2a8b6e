import { costOf, fits, isOversized, type Load, scaleLimits, utilisation } from "./load.ts";
import { byHash, type PlanState, type Slot, type Wanted, type WorkingShard } from "./plan-state.ts";
import { sizeText } from "./plan-text.ts";
import type { ObservedTarget } from "./plan-types.ts";

interface Unowned {
  readonly slot: Slot;
  readonly target: ObservedTarget;
  readonly load: Load;
  readonly cost: Load;
  /** The share of a shard that it takes up. */
  readonly weight: number;
}

/** Gives targets that nobody scrapes to shards with room, the largest first; returns those without room. */
export function placeUnowned(state: PlanState): Wanted[] {
  const wanted: Wanted[] = [];
  for (const unowned of unownedTargets(state)) {
    const { target, load, cost, slot } = unowned;
    const { hash, job, url } = target;
    const home = state.homeOf(hash);
    const place = home ?? findPlace(state, cost);
    if (place === undefined) {
      wanted.push({ hash, job, url, load, slot, isOwned: false });
      continue;
    }
    const from = slot.formerOwner;
    state.assign({ hash, job, url, load, slot }, place);
    state.decide({
      kind: from === undefined ? "assign" : "rehome",
      hash,
      job,
      url,
      ...(from === undefined ? {} : { from }),
      to: place.id,
      reason: placementReason(state, { ...unowned, from, isHome: home !== undefined }),
    });
  }
  return wanted;
}

function unownedTargets(state: PlanState): Unowned[] {
  const { limits } = state.options;
  const unowned: Unowned[] = [];
  for (const slot of state.slots()) {
    const { target } = slot;
    if (target === undefined || slot.owner !== undefined) continue;
    if (target.explored === "pending" && slot.formerOwner === undefined) continue;
    const load = state.loadOf(target);
    const cost = costOf(load);
    unowned.push({ slot, target, load, cost, weight: utilisation(cost, limits) });
  }
  return unowned.sort(
    (a, b) => b.weight - a.weight || b.cost.series - a.cost.series || byHash(a.target, b.target),
  );
}

function placementReason(
  state: PlanState,
  placed: Unowned & { from: string | undefined; isHome: boolean },
): string {
  const { limits } = state.options;
  const size = sizeText(placed.load, limits);
  if (placed.isHome) return `${size}, where the leading group has it`;
  if (isOversized(placed.cost, limits))
    return `${size} are more than a shard's limit: alone on an empty shard`;
  if (placed.from !== undefined) return `${placed.from} does not answer; ${size}`;
  const how = placed.target.load === undefined ? " (its job's median: it does not answer)" : "";
  const rule = state.packs ? "the first shard with room" : "the shard with the most room";
  return `${size}${how}, ${rule}`;
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
  if (isOversized(cost, limits))
    return state.shards.find((shard) => shard.takesTargets && shard.count === 0);
  const preferred = scaleLimits(limits, targetUtilisation);
  let second: WorkingShard | undefined;
  let third: WorkingShard | undefined;
  for (const shard of shards) {
    if (shard === except || !shard.takesTargets) continue;
    const { used } = shard;
    if (!fits(used, cost, limits)) continue;
    if (state.spare.has(shard)) third ??= shard;
    else if (fits(used, cost, preferred)) return shard;
    else second ??= shard;
  }
  return second ?? third;
}

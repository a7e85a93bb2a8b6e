import { addCost, costOf, fits, isOversized, scaleLimits, utilisation } from "./load.ts";
import { byHash } from "./listed-assignments.ts";
import { findPlace } from "./plan-place.ts";
import type { PlanState, Wanted } from "./plan-state.ts";
import { count } from "./plan-text.ts";
import { ShardOrder } from "./shard-order.ts";
import type { WorkingAssignment, WorkingShard } from "./working-shard.ts";

/** Moves targets off the shards that the operator drains; returns those that find no room elsewhere. */
export function drainByHand(state: PlanState): Wanted[] {
  const wanted: Wanted[] = [];
  for (const shard of state.shards) {
    if (!shard.isDraining) continue;
    if (shard.isReady) leave(state, shard, wanted);
    state.conditions.push({ kind: "drain", from: shard.id, reason: drainText(shard) });
  }
  return wanted;
}

function leave(state: PlanState, shard: WorkingShard, wanted: Wanted[]): void {
  const reason = `${shard.id} is drained by the operator`;
  for (const assignment of stableOf(shard)) {
    if (state.movesLeft <= 0) return;
    if (!state.isMovable(assignment)) continue;
    const place = findPlace(state, costOf(assignment.load), shard);
    if (place === undefined) wanted.push({ ...assignment, isOwned: true });
    else state.move(assignment, place, { cause: "drain", reason });
  }
}

function drainText(shard: WorkingShard): string {
  const { isReady, stableCount, leavingCount } = shard;
  if (shard.count === 0) return "it gets no targets until the operator says so: it is empty";
  const stay = `${count(stableCount, "target")} still to move`;
  const moving = `${leavingCount} on the way`;
  return `it gets no targets until the operator says so: ${stay}, ${moving}${isReady ? "" : "; it does not answer"}`;
}

/** The last shard that has targets, when the others can take all of them: where each would go. */
export interface Surplus {
  readonly tail: WorkingShard;
  readonly moves: readonly { readonly assignment: WorkingAssignment; readonly to: WorkingShard }[];
}

/** Marks the shards at the end that are not needed, so that they get no targets while others have room. */
export function markSpare(state: PlanState): void {
  if (!mayDrain(state)) return;
  const { minShards, maxShards } = state.options;
  for (const [index, shard] of state.shards.entries())
    if (index >= maxShards && index >= minShards) state.spare.add(shard);
  for (let index = state.shards.length - 1; index >= Math.max(minShards, 1); index--) {
    const shard = state.shards[index]!;
    if (shard.stableCount > 0) break;
    state.spare.add(shard);
  }
  const surplus = findSurplus(state);
  if (surplus !== undefined) state.spare.add(surplus.tail);
}

/** Begins to move the targets of a shard that is not needed, as many as may move now. */
export function drainSurplus(state: PlanState): void {
  const surplus = mayDrain(state) ? findSurplus(state) : undefined;
  if (surplus === undefined) return;
  const { tail, moves } = surplus;
  const reason =
    state.shards.indexOf(tail) >= state.options.maxShards
      ? `${tail.id} is beyond the maximum of ${count(state.options.maxShards, "shard")}`
      : `${tail.id} is not needed: its targets fit on the others`;
  for (const { assignment, to } of moves) {
    if (state.movesLeft <= 0) return;
    state.move(assignment, to, { cause: "surplus", reason });
  }
}

/** A group that follows another one keeps the shards that one uses. */
function mayDrain(state: PlanState): boolean {
  return state.mayShrink && state.observed.reference === undefined && state.isSteady;
}

function findSurplus(state: PlanState): Surplus | undefined {
  const { minShards, maxShards, maxIdleTimeMs } = state.options;
  const index = state.shards.findLastIndex((shard) => shard.stableCount > 0);
  const isBeyond = index >= maxShards;
  if (index < Math.max(minShards, 1)) return undefined;
  // Lowering the maximum is a request; otherwise it is shrinking by itself, which rests for a while after growth.
  if (!isBeyond && (maxIdleTimeMs === 0 || state.isCoolingDown)) return undefined;
  const tail = state.shards[index]!;
  const targets = stableOf(tail);
  if (!targets.every((assignment) => state.isMovable(assignment))) return undefined;
  const lower = state.shards.slice(0, Math.min(index, maxShards));
  const moves = placesFor(state, { targets, lower, share: isBeyond ? 1 : undefined });
  return moves && { tail, moves };
}

/** Where each target would go if all went, by the rule of placement; undefined when not all find room. */
function placesFor(
  state: PlanState,
  wish: {
    targets: readonly WorkingAssignment[];
    lower: readonly WorkingShard[];
    share: number | undefined;
  },
): Surplus["moves"] | undefined {
  const { limits, targetUtilisation } = state.options;
  const allowed = scaleLimits(limits, wish.share ?? targetUtilisation);
  const bins = wish.lower
    .filter((shard) => shard.takesTargets)
    .map((shard) => ({
      shard,
      ordinal: shard.ordinal,
      used: { ...shard.used },
      isEmpty: shard.count === 0,
    }));
  const order = new ShardOrder(bins, ({ used }) => (state.packs ? 0 : utilisation(used, limits)));
  const moves: Surplus["moves"][number][] = [];
  for (const assignment of wish.targets) {
    const cost = costOf(assignment.load);
    const isAlone = isOversized(cost, limits);
    const bin = order.ascending.find((each) =>
      isAlone ? each.isEmpty : fits(each.used, cost, allowed),
    );
    if (bin === undefined) return undefined;
    addCost(bin.used, assignment.load, 1);
    bin.isEmpty = false;
    order.moved(bin);
    moves.push({ assignment, to: bin.shard });
  }
  return moves;
}

/** The targets that are to stay on `shard`, the larger first. */
function stableOf(shard: WorkingShard): WorkingAssignment[] {
  return shard.assignments
    .filter(({ state }) => state === "normal")
    .sort((a, b) => b.load.series - a.load.series || byHash(a, b));
}

import { compareText } from "../base/text.ts";
import {
  add,
  costOf,
  fits,
  isOversized,
  type Limits,
  type Load,
  NO_LOAD,
  scaleLimits,
} from "./load.ts";
import type { PlanState, WorkingShard } from "./plan-state.ts";

/**
 * How many shards there are to be. Up: exactly as many as the targets without room fill, each new shard taking at least
 * one of them, counting shards that were asked for and have not come up yet. Down: only at the tail, only empty shards,
 * never as a side effect of what happens to be reachable.
 */

/** A target that no shard has room for; `isOwned` when a full shard still scrapes it. */
export interface Wanted {
  readonly hash: string;
  readonly job: string;
  readonly url: string;
  readonly load: Load;
  readonly isOwned: boolean;
}

/** Draining a shard may fill the others only so far, so that the next small growth does not bring it back. */
const DRAIN_FILL = 0.8;

export function planScale(state: PlanState, wanted: readonly Wanted[]): number {
  const { minShards, maxShards } = state.options;
  const { desiredShards } = state.observed;
  if (wanted.length > 0) return scaleUp(state, wanted);
  if (desiredShards < minShards) {
    const reason = `fewer than the minimum of ${minShards}`;
    state.decide({ kind: "scale-up", reason: scaleText(desiredShards, minShards, reason) });
    return minShards;
  }
  const mayShrink = state.options.maxIdleTimeMs !== 0 || desiredShards > maxShards;
  return mayShrink ? scaleDown(state) : desiredShards;
}

function scaleUp(state: PlanState, wanted: readonly Wanted[]): number {
  const { limits, minShards, maxShards } = state.options;
  const { desiredShards } = state.observed;
  const missing = Math.max(0, desiredShards - state.shards.length);
  // Room that is expected back: shards that start, are unreachable for a moment or disagree with the configuration.
  const expected = state.shards
    .filter((shard) => !shard.isReady && !state.isExpired(shard.observed))
    .map((shard) => (shard.assignments.size === 0 ? NO_LOAD : shard.used));
  const open = [...expected, ...Array.from({ length: missing }, () => NO_LOAD)];
  const most = Math.max(0, maxShards - desiredShards);
  const packed = packNew(wanted, { limits, open, most });
  const scale = Math.max(desiredShards + packed.added, minShards);
  if (scale > desiredShards) {
    const series = wanted.reduce((sum, { load }) => sum + costOf(load).series, 0);
    const reason = `${series} series of ${count(wanted.length, "target")} find no room`;
    state.decide({ kind: "scale-up", reason: scaleText(desiredShards, scale, reason) });
  }
  for (const { hash, job, url, isOwned } of wanted) {
    if (isOwned) continue;
    const reason = packed.homeless.has(hash)
      ? `no room on ${count(desiredShards, "shard")}, and no more than ${maxShards} are allowed`
      : "waits for a shard to come up";
    state.conditions.push({ kind: "unassigned", hash, job, url, reason });
  }
  return scale;
}

/** First fit of `wanted` into the shards of `open` (what each carries) and then at most `most` new ones. */
function packNew(
  wanted: readonly Wanted[],
  room: { limits: Limits; open: readonly Load[]; most: number },
): { added: number; homeless: ReadonlySet<string> } {
  const bins: Load[] = [...room.open];
  const homeless = new Set<string>();
  const sorted = [...wanted].sort(
    (a, b) => b.load.series - a.load.series || compareText(a.hash, b.hash),
  );
  for (const { hash, load } of sorted) {
    const cost = costOf(load);
    const alone = isOversized(cost, room.limits);
    let bin = bins.findIndex((used) => (alone ? used === NO_LOAD : fits(used, cost, room.limits)));
    if (bin < 0 && bins.length < room.open.length + room.most) bin = bins.push(NO_LOAD) - 1;
    if (bin < 0) homeless.add(hash);
    else bins[bin] = add(bins[bin]!, cost);
  }
  return { added: bins.length - room.open.length, homeless };
}

function scaleDown(state: PlanState): number {
  const { minShards, maxShards, maxIdleTimeMs } = state.options;
  const { desiredShards } = state.observed;
  const isSteady =
    state.shards.length === desiredShards && state.shards.every((shard) => shard.isReady);
  if (!isSteady) return desiredShards;
  let scale = desiredShards;
  while (scale > minShards) {
    const tail = state.shards[scale - 1]!;
    const idleSinceMs = tail.observed.idleSinceMs;
    if (tail.assignments.size > 0 || idleSinceMs === undefined) break;
    if (scale <= maxShards && state.nowMs - idleSinceMs < maxIdleTimeMs) break;
    scale--;
  }
  if (scale < desiredShards) {
    const reason = "the last shards have been empty for long enough";
    state.decide({ kind: "scale-down", reason: scaleText(desiredShards, scale, reason) });
  } else if (scale > Math.max(minShards, 1)) drainTail(state, state.shards[scale - 1]!);
  return scale;
}

/** Moves all of the tail shard's targets to lower ordinals, or none. */
function drainTail(state: PlanState, tail: WorkingShard): void {
  const targets = [...tail.assignments.values()].sort(
    (a, b) => b.load.series - a.load.series || compareText(a.hash, b.hash),
  );
  const isMovable = targets.every(
    ({ hash, state: stage }) =>
      stage === "normal" && state.targets.has(hash) && state.owners.get(hash)?.length === 1,
  );
  if (targets.length === 0 || !isMovable) return;
  const limits = scaleLimits(state.options.limits, DRAIN_FILL);
  const lower = state.shards.filter((shard) => shard !== tail);
  const used = lower.map((shard) => shard.used);
  const places: WorkingShard[] = [];
  for (const { load } of targets) {
    const at = used.findIndex((each) => fits(each, costOf(load), limits));
    if (at < 0) return;
    used[at] = add(used[at]!, costOf(load));
    places.push(lower[at]!);
  }
  for (const [i, entry] of targets.entries()) {
    const { hash, job, url, load } = entry;
    const place = places[i]!;
    entry.state = "in_transfer";
    state.assign({ hash, job, url, load }, place);
    const reason = `${tail.id} is not needed: its targets fit on the others`;
    state.decide({ kind: "move", hash, job, url, from: tail.id, to: place.id, reason });
  }
}

function scaleText(from: number, to: number, reason: string): string {
  return `from ${from} to ${to}: ${reason}`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

import { formatDuration } from "../base/units.ts";
import { add, costOf, fits, isOversized, type Limits, type Load, NO_LOAD } from "./load.ts";
import { shardsToFollow } from "./plan-follow.ts";
import { byHash } from "./listed-assignments.ts";
import type { PlanState, Wanted } from "./plan-state.ts";
import { count } from "./plan-text.ts";
import type { WorkingShard } from "./working-shard.ts";

/**
 * How many shards there are to be. Up: exactly as many as the targets without room fill, each new shard taking at least
 * one of them, counting shards that were asked for and have not come up yet. Down: only at the tail, only empty shards,
 * never as a side effect of what happens to be reachable.
 */
export function planScale(state: PlanState, wanted: readonly Wanted[]): number {
  const { minShards, maxShards } = state.options;
  const { desiredShards } = state.observed;
  const followed = Math.min(shardsToFollow(state.observed), maxShards);
  const fewest = Math.max(minShards, followed);
  if (wanted.length > 0) return Math.max(scaleUp(state, wanted), fewest);
  if (desiredShards < fewest) {
    const reason =
      fewest === minShards
        ? `fewer than the minimum of ${minShards}`
        : `the leading group has targets on ${fewest}`;
    state.decide({ kind: "scale-up", reason: scaleText(desiredShards, fewest, reason) });
    return fewest;
  }
  return state.mayShrink ? scaleDown(state, fewest) : desiredShards;
}

function scaleUp(state: PlanState, all: readonly Wanted[]): number {
  const { limits, minShards, maxShards } = state.options;
  const { desiredShards } = state.observed;
  const wanted = all.filter(({ isOwned }) => !(isOwned && coolsAfterScaleDown(state)));
  const missing = Math.max(0, desiredShards - state.shards.length);
  // Room that is expected back: shards that start, are unreachable for a moment or disagree with the configuration.
  const expected = state.shards
    .filter((shard) => !shard.isReady && !shard.isDraining && !state.isExpired(shard.observed))
    .map((shard) => (shard.count === 0 ? NO_LOAD : { ...shard.used }));
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
  if (wanted.length < all.length) {
    const late = count(all.length - wanted.length, "target");
    const reason = `${late} should leave full shards, but shards were removed less than ${formatDuration(state.options.scaleUpCooldownMs)} ago`;
    state.conditions.push({ kind: "wait", reason });
  }
  return scale;
}

function coolsAfterScaleDown({ observed, options, nowMs }: PlanState): boolean {
  const { lastScaleDownMs } = observed;
  return lastScaleDownMs !== undefined && nowMs - lastScaleDownMs < options.scaleUpCooldownMs;
}

/** First fit of `wanted` into the shards of `open` (what each carries) and then at most `most` new ones. */
function packNew(
  wanted: readonly Wanted[],
  room: { limits: Limits; open: readonly Load[]; most: number },
): { added: number; homeless: ReadonlySet<string> } {
  const bins: Load[] = [...room.open];
  const homeless = new Set<string>();
  const sorted = [...wanted].sort((a, b) => b.load.series - a.load.series || byHash(a, b));
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

function scaleDown(state: PlanState, fewest: number): number {
  const { desiredShards } = state.observed;
  if (!state.isSteady) return desiredShards;
  let scale = desiredShards;
  while (scale > fewest) {
    const tail = state.shards[scale - 1]!;
    const kept = whyKept(state, tail, scale);
    if (kept === undefined) {
      scale--;
      continue;
    }
    if (kept !== "") state.conditions.push({ kind: "wait", from: tail.id, reason: kept });
    break;
  }
  if (scale < desiredShards) {
    const reason = "the last shards have been empty for long enough";
    state.decide({ kind: "scale-down", reason: scaleText(desiredShards, scale, reason) });
  }
  return scale;
}

/** Why the last of `scale` shards is not removed: undefined when it is, "" when there is nothing to say about it. */
function whyKept(state: PlanState, tail: WorkingShard, scale: number): string | undefined {
  const { maxShards, maxIdleTimeMs, scaleDownCooldownMs } = state.options;
  const { idleSinceMs, dataUntilMs } = tail.observed;
  const isBeyond = scale > maxShards;
  if (tail.count > 0) {
    if (!isBeyond || tail.leavingCount > 0) return "";
    return `it is beyond the maximum of ${count(maxShards, "shard")}, but its ${count(tail.stableCount, "target")} cannot all go to the others now`;
  }
  if (idleSinceMs === undefined) return "";
  if (!isBeyond && state.nowMs - idleSinceMs < maxIdleTimeMs) return "";
  if (!isBeyond && state.isCoolingDown)
    return `it is empty, but more shards were asked for less than ${formatDuration(scaleDownCooldownMs)} ago`;
  if (dataUntilMs === undefined || dataUntilMs <= state.nowMs) return undefined;
  const until = Number.isFinite(dataUntilMs)
    ? `until ${new Date(dataUntilMs).toISOString()} it alone has samples that are neither uploaded nor expired`
    : "it alone has samples that are not uploaded yet";
  return `it is empty, but ${until}`;
}

function scaleText(from: number, to: number, reason: string): string {
  return `from ${from} to ${to}: ${reason}`;
}

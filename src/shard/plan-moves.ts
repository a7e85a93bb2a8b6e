import type { PlanState } from "./plan-state.ts";
import type { WorkingAssignment } from "./working-shard.ts";

/**
 * What becomes of moves that were begun: each target gets one stable owner, and lets former owners go once that one is
 * proven. Any plan may be the last one of a coordinator, so nothing but what shards report says how far a move is.
 */
export function settleMoves(state: PlanState): void {
  for (const assignment of state.leaving)
    if (!assignment.isGone && !state.contested.has(assignment.slot))
      keepOnlyOwner(state, assignment);
  for (const slot of Array.from(state.contested)) settleMove(state, state.ownersOf(slot));
}

function keepOnlyOwner(state: PlanState, assignment: WorkingAssignment): void {
  const { shard, hash, job, url } = assignment;
  if (!shard.isReady) return;
  state.setState(assignment, "normal");
  state.decide({ kind: "rollback", hash, job, url, to: shard.id, reason: "the new owner is gone" });
}

function settleMove(state: PlanState, owners: readonly WorkingAssignment[]): void {
  const { transferScrapes, rollbackScrapes } = state.options;
  const meant = pickMeant(owners);
  const others = owners.filter((owner) => owner !== meant && owner.shard.isReady);
  if (meant.shard.isReady) state.setState(meant, "normal");
  for (const other of others) state.setState(other, "in_transfer");
  const { hash, job, url } = meant;
  const goodScrapes = meant.seen?.goodScrapes ?? 0;
  const isFailing = goodScrapes === 0 && (meant.seen?.scrapes ?? 0) >= rollbackScrapes;
  const better = others.find((other) => other.seen?.health === "up");
  if (goodScrapes >= transferScrapes || (isFailing && better === undefined)) {
    const reason =
      goodScrapes > 0
        ? `${meant.shard.id} has scraped it ${goodScrapes === 1 ? "once" : `${goodScrapes} times`}`
        : "it is down on both";
    for (const other of others) {
      // A shard is told that a target is leaving before it loses it: then it ends the series without staleness markers,
      // which would hide the new owner's samples.
      if (other.seen?.state !== "in_transfer") continue;
      state.release(other);
      const from = other.shard.id;
      state.decide({ kind: "moved", hash, job, url, from, to: meant.shard.id, reason });
    }
  } else if (isFailing && better !== undefined && meant.shard.isReady) {
    state.release(meant);
    state.setState(better, "normal");
    // What has just failed is not tried again at once.
    better.assignedAtMs = state.nowMs;
    const reason = `${meant.shard.id} cannot scrape it and ${better.shard.id} can`;
    const from = meant.shard.id;
    state.decide({ kind: "rollback", hash, job, url, from, to: better.shard.id, reason });
  }
}

/** Of several owners the one a coordinator last meant: stable before leaving, the later assignment, the lower ordinal. */
function pickMeant(owners: readonly WorkingAssignment[]): WorkingAssignment {
  return owners.reduce((best, owner) => (isMeantBefore(owner, best) ? owner : best));
}

function isMeantBefore(a: WorkingAssignment, b: WorkingAssignment): boolean {
  if (a.state !== b.state) return a.state === "normal";
  if (a.assignedAtMs !== b.assignedAtMs) return a.assignedAtMs > b.assignedAtMs;
  return a.shard.ordinal < b.shard.ordinal;
}

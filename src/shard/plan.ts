import { compareText } from "../base/text.ts";
import {
  add,
  costOf,
  fits,
  formerSeries,
  isOversized,
  type Limits,
  type Load,
  NO_LOAD,
  subtract,
  utilisation,
} from "./load.ts";
import { type Owner, PlanState, type WorkingAssignment, type WorkingShard } from "./plan-state.ts";
import { planScale, type Wanted } from "./plan-scale.ts";
import type { Observed, ObservedTarget, Plan, PlanOptions } from "./plan-types.ts";

/**
 * The shard planner: what is observed goes in, what every shard is to scrape and how many shards there are to be comes
 * out, with a reason for each change. Pure: the same input gives the same plan, and a plan that has been applied plans
 * no further change.
 *
 * Steps, in order: forget what discovery no longer has · finish, undo or repair moves · shed from overloaded shards ·
 * place targets without an owner · scale. Each step sees what the ones before it did.
 */
export function plan(observed: Observed, options: PlanOptions, nowMs: number): Plan {
  const state = new PlanState(observed, options, nowMs);
  removeGone(state);
  settleMoves(state);
  const wanted = [...shed(state), ...placeUnowned(state)];
  const scale = planScale(state, wanted);
  reportOversized(state);
  return {
    shards: state.finish(),
    scale,
    decisions: state.decisions,
    conditions: state.conditions,
  };
}

function removeGone(state: PlanState): void {
  const heldByJob = new Map<string, number>();
  for (const shard of state.shards) {
    if (!shard.isReady) continue;
    for (const assignment of shard.assignments.values()) {
      if (state.targets.has(assignment.hash)) continue;
      if (state.observed.heldJobs.has(assignment.job)) {
        heldByJob.set(assignment.job, (heldByJob.get(assignment.job) ?? 0) + 1);
        continue;
      }
      state.release({ shard, assignment });
      const { hash, job, url } = assignment;
      state.decide({
        kind: "remove",
        hash,
        job,
        url,
        from: shard.id,
        reason: "no longer discovered",
      });
    }
  }
  for (const [job, count] of heldByJob)
    state.conditions.push({
      kind: "hold",
      job,
      reason: `discovery of job ${job} is not confirmed: ${count} of its targets stay though they are not listed`,
    });
}

/** Leaves each target with one stable owner, and lets former owners go once the new one is proven. */
function settleMoves(state: PlanState): void {
  for (const owners of state.owners.values()) {
    if (owners.length === 1) keepOnlyOwner(state, owners[0]!);
    else settleMove(state, owners);
  }
}

function keepOnlyOwner(state: PlanState, owner: Owner): void {
  const { shard, assignment } = owner;
  if (assignment.state === "normal" || !shard.isReady) return;
  assignment.state = "normal";
  const { hash, job, url } = assignment;
  state.decide({ kind: "rollback", hash, job, url, to: shard.id, reason: "the new owner is gone" });
}

function settleMove(state: PlanState, owners: readonly Owner[]): void {
  const { transferScrapes, rollbackScrapes } = state.options;
  const meant = pickMeant(owners);
  const others = owners.filter((owner) => owner !== meant && owner.shard.isReady);
  if (meant.shard.isReady) meant.assignment.state = "normal";
  for (const other of others) other.assignment.state = "in_transfer";
  const { hash, job, url } = meant.assignment;
  const goodScrapes = meant.assignment.seen?.goodScrapes ?? 0;
  const isFailing = goodScrapes === 0 && (meant.assignment.seen?.scrapes ?? 0) >= rollbackScrapes;
  const better = others.find((other) => other.assignment.seen?.health === "up");
  if (goodScrapes >= transferScrapes || (isFailing && better === undefined)) {
    const reason =
      goodScrapes > 0
        ? `${meant.shard.id} has scraped it ${goodScrapes === 1 ? "once" : `${goodScrapes} times`}`
        : "it is down on both";
    for (const other of others) {
      // A shard is told that a target is leaving before it loses it: then it ends the series without staleness markers,
      // which would hide the new owner's samples.
      if (other.assignment.seen?.state !== "in_transfer") continue;
      state.release(other);
      const from = other.shard.id;
      state.decide({ kind: "moved", hash, job, url, from, to: meant.shard.id, reason });
    }
  } else if (isFailing && better !== undefined && meant.shard.isReady) {
    state.release(meant);
    better.assignment.state = "normal";
    const reason = `${meant.shard.id} cannot scrape it and ${better.shard.id} can`;
    const from = meant.shard.id;
    state.decide({ kind: "rollback", hash, job, url, from, to: better.shard.id, reason });
  }
}

/** Of several owners the one a coordinator last meant: stable before leaving, the later assignment, the lower ordinal. */
function pickMeant(owners: readonly Owner[]): Owner {
  const rank = (owner: Owner): number => (owner.assignment.state === "normal" ? 0 : 1);
  return [...owners].sort(
    (a, b) =>
      rank(a) - rank(b) ||
      b.assignment.assignedAtMs - a.assignment.assignedAtMs ||
      a.shard.observed.ordinal - b.shard.observed.ordinal,
  )[0]!;
}

/** How far a shard whose head is at `headAt` × its limit is to be emptied: Kvass's bands. The fullest band first. */
const SHED_BANDS: readonly { readonly headAt: number; readonly shrinkTo: number }[] = [
  { headAt: 1.8, shrinkTo: 0 },
  { headAt: 1.6, shrinkTo: 0.2 },
  { headAt: 1.4, shrinkTo: 0.5 },
  { headAt: 1.1, shrinkTo: 1 },
];

/**
 * The limits that a shard's targets are to come down to, or undefined when they are not too many. Series of former
 * targets fill the head too, but moving the present ones away would not free them: only a shard whose own targets
 * (`sum`) exceed a limit sheds. Kvass goes by the head alone and empties shard after shard.
 */
export function shedGoal(carried: { used: Load; sum: Load }, limits: Limits): Limits | undefined {
  const { used, sum } = carried;
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

/** Moves targets off overloaded shards; returns those that find no room elsewhere. */
function shed(state: PlanState): Wanted[] {
  const wanted: Wanted[] = [];
  if (state.options.disableAlleviate) return wanted;
  const ready = state.readyShards();
  for (const shard of ready) {
    const goal = shedGoal(shard, state.options.limits);
    if (goal !== undefined) shedFrom(state, shard, goal, wanted);
  }
  return wanted;
}

function shedFrom(state: PlanState, shard: WorkingShard, goal: Limits, wanted: Wanted[]): void {
  const { limits } = state.options;
  const staying = [...shard.assignments.values()].filter((entry) => entry.state === "normal");
  let carried = staying.reduce((sum, { load }) => add(sum, costOf(load)), NO_LOAD);
  // The largest target that no shard can hold is best left alone where it is: all others leave it.
  const anchor = staying.filter(({ load }) => isOversized(costOf(load), limits)).sort(bySize)[0];
  const candidates = staying
    .filter(
      (entry) =>
        entry !== anchor &&
        entry.seen?.health === "up" &&
        state.targets.has(entry.hash) &&
        state.owners.get(entry.hash)?.length === 1,
    )
    .sort(bySize);
  let left = staying.length;
  while (left > 1 && candidates.length > 0 && !fits(NO_LOAD, carried, goal)) {
    // One move that is enough, and of those the smallest; otherwise the largest.
    const enough = candidates.findLastIndex((entry) =>
      fits(NO_LOAD, subtract(carried, costOf(entry.load)), goal),
    );
    const [entry] = candidates.splice(Math.max(enough, 0), 1);
    const { hash, job, url, load } = entry!;
    const target = { hash, job, url, load };
    const place = findPlace(state, costOf(load), shard);
    left--;
    carried = subtract(carried, costOf(load));
    if (place === undefined) {
      wanted.push({ ...target, isOwned: true });
      continue;
    }
    entry!.state = "in_transfer";
    const full = Math.round(utilisation(shard.used, limits) * 100);
    state.assign(target, place);
    state.decide({
      kind: "move",
      hash,
      job,
      url,
      from: shard.id,
      to: place.id,
      reason: `${shard.id} is at ${full}% of its limit`,
    });
  }
}

/** The larger first; by hash when equal. */
function bySize(a: WorkingAssignment, b: WorkingAssignment): number {
  return b.load.series - a.load.series || compareText(a.hash, b.hash);
}

/** Gives targets that nobody scrapes to shards with room, the largest first; returns those without room. */
function placeUnowned(state: PlanState): Wanted[] {
  const wanted: Wanted[] = [];
  for (const { target, load } of unownedTargets(state)) {
    const { hash, job, url } = target;
    const cost = costOf(load);
    const place = findPlace(state, cost);
    if (place === undefined) {
      wanted.push({ hash, job, url, load, isOwned: false });
      continue;
    }
    const from = state.formerOwner.get(hash);
    state.assign({ hash, job, url, load }, place);
    state.decide({
      kind: from === undefined ? "assign" : "rehome",
      hash,
      job,
      url,
      ...(from === undefined ? {} : { from }),
      to: place.id,
      reason: placementReason(state, { target, load, from }),
    });
  }
  return wanted;
}

function unownedTargets(state: PlanState): { target: ObservedTarget; load: Load }[] {
  const unowned: { target: ObservedTarget; load: Load }[] = [];
  for (const target of state.targets.values()) {
    if (state.owners.has(target.hash)) continue;
    if (target.explored !== "pending" || state.formerOwner.has(target.hash))
      unowned.push({ target, load: state.loadOf(target) });
  }
  return unowned.sort(
    (a, b) =>
      b.load.series - a.load.series ||
      b.load.rawSeries - a.load.rawSeries ||
      compareText(a.target.hash, b.target.hash),
  );
}

function placementReason(
  state: PlanState,
  placed: { target: ObservedTarget; load: Load; from: string | undefined },
): string {
  const size = sizeText(placed.load, state.options.limits);
  if (isOversized(costOf(placed.load), state.options.limits))
    return `${size} are more than a shard's limit: alone on an empty shard`;
  if (placed.from !== undefined) return `${placed.from} does not answer; ${size}`;
  const how = placed.target.load === undefined ? " (its job's median: it does not answer)" : "";
  const rule =
    state.options.maxIdleTimeMs === 0
      ? "the shard with the most room"
      : "the first shard with room";
  return `${size}${how}, ${rule}`;
}

/**
 * The shard for `cost`: with scale-down on, the first by ordinal that has room (so that tail shards become empty), else
 * the emptiest. What no shard's limit allows goes to a shard that has nothing.
 */
export function findPlace(
  state: PlanState,
  cost: Load,
  except?: WorkingShard,
): WorkingShard | undefined {
  const { limits, maxIdleTimeMs } = state.options;
  const shards = state.readyShards().filter((shard) => shard !== except);
  if (isOversized(cost, limits)) return shards.find((shard) => shard.assignments.size === 0);
  const open = shards.filter((shard) => fits(shard.used, cost, limits));
  if (maxIdleTimeMs !== 0) return open[0];
  let best: WorkingShard | undefined;
  let bestUse = Infinity;
  for (const shard of open) {
    const use = utilisation(shard.used, limits);
    if (use >= bestUse) continue;
    best = shard;
    bestUse = use;
  }
  return best;
}

function reportOversized(state: PlanState): void {
  const { limits } = state.options;
  for (const target of state.targets.values()) {
    const [owner] = state.owners.get(target.hash) ?? [];
    const load = owner?.assignment.load ?? target.load ?? NO_LOAD;
    if (!isOversized(costOf(load), limits)) continue;
    state.conditions.push({
      kind: "too-big",
      hash: target.hash,
      job: target.job,
      url: target.url,
      ...(owner === undefined ? {} : { to: owner.shard.id }),
      reason: `${sizeText(load, limits)} are more than a shard's limit of ${limitText(limits)}`,
    });
  }
}

/** `1105 series (600 of them former ones), 7 samples a second`: what the limits that are on look at. */
function sizeText(load: Load, { maxSamplesPerSecond }: Limits): string {
  const cost = costOf(load);
  const former = formerSeries(load);
  const notes: string[] = [];
  if (former > 0) notes.push(`${former} of them former ones`);
  if (cost.rawSeries > cost.series) notes.push(`${cost.rawSeries} before relabelling`);
  const samples =
    maxSamplesPerSecond === 0 ? "" : `, ${Math.round(cost.samplesPerSecond)} samples a second`;
  return `${cost.series} series${notes.length > 0 ? ` (${notes.join(", ")})` : ""}${samples}`;
}

function limitText(limits: Limits): string {
  const { maxHeadSeries, maxProcessSeries, maxSamplesPerSecond } = limits;
  const head = maxHeadSeries === 0 ? "" : `${maxHeadSeries} head series and `;
  const samples = maxSamplesPerSecond === 0 ? "" : ` and ${maxSamplesPerSecond} samples a second`;
  return `${head}${maxProcessSeries} processed series${samples}`;
}

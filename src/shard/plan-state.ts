import { add, costOf, type Load, medianLoad, NO_LOAD, subtract } from "./load.ts";
import type {
  AssignmentState,
  Decision,
  Observed,
  ObservedAssignment,
  ObservedShard,
  ObservedTarget,
  PlannedShard,
  PlanOptions,
} from "./plan-types.ts";

/**
 * A series counts as "not in the head yet" for this long after its target was assigned. Without it, two plans in a row
 * would both give away the room that the first one's targets are about to take. Beyond it the reported head is right,
 * even when a restarted shard has not scraped again.
 */
const SETTLE_MS = 120_000;

export interface WorkingAssignment {
  readonly hash: string;
  readonly job: string;
  readonly url: string;
  readonly load: Load;
  readonly assignedAtMs: number;
  state: AssignmentState;
  /** What the shard reported; undefined when this plan made the assignment. */
  readonly seen: ObservedAssignment | undefined;
}

/** One shard while a plan is being made: its list and what it carries. */
export class WorkingShard {
  readonly observed: ObservedShard;
  readonly assignments = new Map<string, WorkingAssignment>();
  #sum = NO_LOAD;
  #unsettledSeries = 0;
  readonly #nowMs: number;

  constructor(observed: ObservedShard, nowMs: number) {
    this.observed = observed;
    this.#nowMs = nowMs;
  }

  get id(): string {
    return this.observed.id;
  }

  /** Whether its list may be changed. */
  get isReady(): boolean {
    return this.observed.state === "ready";
  }

  /** What the shard's targets cost by their own measure. */
  get sum(): Load {
    return this.#sum;
  }

  /**
   * What room is taken: the head may hold more than its targets (former targets' series stay until it is cut). A shard
   * without targets counts as empty all the same: that is what a new shard is expected to be, also when it comes up on
   * the folder of one that was removed before.
   */
  get used(): Load {
    const reported = this.observed.assignments.length === 0 ? 0 : this.observed.headSeries;
    return {
      ...this.#sum,
      series: Math.max(reported + this.#unsettledSeries, this.#sum.series),
    };
  }

  put(assignment: WorkingAssignment): void {
    this.assignments.set(assignment.hash, assignment);
    this.#account(assignment, 1);
  }

  remove(hash: string): void {
    const assignment = this.assignments.get(hash);
    if (assignment === undefined) return;
    this.assignments.delete(hash);
    this.#account(assignment, -1);
  }

  #account(assignment: WorkingAssignment, sign: 1 | -1): void {
    const cost = costOf(assignment.load);
    this.#sum = sign > 0 ? add(this.#sum, cost) : subtract(this.#sum, cost);
    const isSettled =
      (assignment.seen?.goodScrapes ?? 0) > 0 || this.#nowMs - assignment.assignedAtMs > SETTLE_MS;
    if (!isSettled) this.#unsettledSeries += sign * cost.series;
  }
}

/** Where a target is now: a shard and its entry there. */
export interface Owner {
  readonly shard: WorkingShard;
  readonly assignment: WorkingAssignment;
}

/** The state that the planner's steps read and change; `finish` turns it into the plan's lists. */
export class PlanState {
  readonly observed: Observed;
  readonly options: PlanOptions;
  readonly nowMs: number;
  readonly targets = new Map<string, ObservedTarget>();
  /** By ordinal. */
  readonly shards: readonly WorkingShard[];
  /** Owners that count: on shards that are not lost for longer than the grace. */
  readonly owners = new Map<string, Owner[]>();
  /** The id of the long-lost shard that had the target. */
  readonly formerOwner = new Map<string, string>();
  readonly decisions: Decision[] = [];
  readonly conditions: Decision[] = [];
  /** Only looked at for targets of unknown size. */
  #medians: { readonly byJob: ReadonlyMap<string, Load>; readonly all: Load } | undefined;

  constructor(observed: Observed, options: PlanOptions, nowMs: number) {
    this.observed = observed;
    this.options = options;
    this.nowMs = nowMs;
    for (const target of observed.targets) this.targets.set(target.hash, target);
    this.shards = [...observed.shards]
      .sort((a, b) => a.ordinal - b.ordinal)
      .map((shard) => this.#openShard(shard));
  }

  /** The load a target is accounted with: measured by its owner, else explored, else its job's median. */
  loadOf(target: ObservedTarget): Load {
    return target.load ?? this.estimateOf(target.job);
  }

  estimateOf(job: string): Load {
    this.#medians ??= mediansOf(this.observed);
    return this.#medians.byJob.get(job) ?? this.#medians.all;
  }

  isExpired(shard: ObservedShard): boolean {
    return shard.state === "lost" && this.nowMs - shard.lastSeenMs > this.options.failoverGraceMs;
  }

  /** The ready shards, by ordinal, without those about to be removed. */
  readyShards(): readonly WorkingShard[] {
    return this.shards.filter(
      (shard) => shard.isReady && shard.observed.ordinal < this.observed.desiredShards,
    );
  }

  decide(decision: Decision): void {
    this.decisions.push(decision);
  }

  /** Gives `target` to `shard` as its stable owner. */
  assign(
    target: { hash: string; job: string; url: string; load: Load },
    shard: WorkingShard,
  ): void {
    const assignment: WorkingAssignment = {
      ...target,
      state: "normal",
      assignedAtMs: this.nowMs,
      seen: undefined,
    };
    shard.put(assignment);
    const owners = this.owners.get(target.hash);
    if (owners === undefined) this.owners.set(target.hash, [{ shard, assignment }]);
    else owners.push({ shard, assignment });
  }

  /** Takes a target off a shard. */
  release(owner: Owner): void {
    owner.shard.remove(owner.assignment.hash);
    const rest = (this.owners.get(owner.assignment.hash) ?? []).filter(
      (other) => other.assignment !== owner.assignment,
    );
    if (rest.length === 0) this.owners.delete(owner.assignment.hash);
    else this.owners.set(owner.assignment.hash, rest);
  }

  finish(): PlannedShard[] {
    return this.shards
      .filter((shard) => shard.isReady)
      .map((shard) => ({
        id: shard.id,
        assignments: [...shard.assignments.values()]
          // Decimal digits: their order is the same in any encoding.
          .sort((a, b) => (a.hash < b.hash ? -1 : 1))
          .map(({ hash, state, assignedAtMs, load }) => ({ hash, state, assignedAtMs, load })),
      }));
  }

  #openShard(observed: ObservedShard): WorkingShard {
    const shard = new WorkingShard(observed, this.nowMs);
    const counts = !this.isExpired(observed);
    for (const seen of observed.assignments) {
      const { hash, job, url, state, assignedAtMs } = seen;
      const target = this.targets.get(hash);
      // A target that never answered here weighs what it was estimated at, or what its job has come to weigh.
      const load =
        seen.goodScrapes > 0 || seen.load.series > 0 || target === undefined
          ? seen.load
          : this.loadOf(target);
      const assignment: WorkingAssignment = { hash, job, url, state, assignedAtMs, load, seen };
      shard.put(assignment);
      if (!counts) {
        this.formerOwner.set(hash, observed.id);
        continue;
      }
      const owners = this.owners.get(hash);
      if (owners === undefined) this.owners.set(hash, [{ shard, assignment }]);
      else owners.push({ shard, assignment });
    }
    return shard;
  }
}

function mediansOf(observed: Observed): { byJob: ReadonlyMap<string, Load>; all: Load } {
  const measured = measuredLoads(observed);
  const byJob = Map.groupBy(measured, (entry) => entry.job);
  return {
    byJob: new Map(
      [...byJob].map(([job, entries]) => [job, medianLoad(entries.map((e) => e.load))!]),
    ),
    all: medianLoad(measured.map((entry) => entry.load)) ?? NO_LOAD,
  };
}

/** Loads somebody has really measured, with their jobs. */
function measuredLoads(observed: Observed): { job: string; load: Load }[] {
  const byHash = new Map<string, { job: string; load: Load }>();
  for (const target of observed.targets)
    if (target.load !== undefined) byHash.set(target.hash, { job: target.job, load: target.load });
  for (const shard of observed.shards)
    for (const { hash, job, load, goodScrapes } of shard.assignments)
      if (goodScrapes > 0) byHash.set(hash, { job, load });
  return [...byHash.values()];
}

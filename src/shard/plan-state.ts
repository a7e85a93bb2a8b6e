import {
  add,
  addCost,
  headCostOf,
  isTooBig,
  type Load,
  medianLoad,
  negate,
  NO_LOAD,
  type Tally,
  utilisation,
} from "./load.ts";
import { ShardOrder } from "./shard-order.ts";
import type {
  AssignmentState,
  Decision,
  MoveCause,
  Observed,
  ObservedAssignment,
  ObservedShard,
  ObservedTarget,
  PlannedAssignment,
  PlannedShard,
  PlanOptions,
} from "./plan-types.ts";

/**
 * A series counts as "not in the head yet" for this long after its target was assigned. Without it, two plans in a row
 * would both give away the room that the first one's targets are about to take. Beyond it the reported head is right,
 * even when a restarted shard has not scraped again.
 */
const SETTLE_MS = 120_000;

/** One target while a plan is being made. */
export interface Slot {
  /** Undefined when discovery does not list it any more. */
  target: ObservedTarget | undefined;
  /**
   * Its owners that count: on shards that are not lost for longer than the grace. Most targets have one: the others
   * stand apart, so that 100,000 lists need not be made.
   */
  owner: WorkingAssignment | undefined;
  others: readonly WorkingAssignment[];
  /** The id of the long-lost shard that had it. */
  formerOwner: string | undefined;
}

/** One target on one shard while a plan is being made. */
export interface WorkingAssignment {
  readonly hash: string;
  readonly job: string;
  readonly url: string;
  readonly load: Load;
  readonly slot: Slot;
  readonly shard: WorkingShard;
  /** What the shard reported; undefined when this plan made the assignment. */
  readonly seen: ObservedAssignment | undefined;
  /** Changed by `PlanState` alone, which keeps the shards' sums. */
  state: AssignmentState;
  assignedAtMs: number;
  /** Taken off the shard by this plan. */
  isGone: boolean;
}

/** What is to be placed. */
export interface PlacedTarget {
  readonly hash: string;
  readonly job: string;
  readonly url: string;
  readonly load: Load;
  readonly slot: Slot;
}

/** A target that no shard has room for; `isOwned` when a shard that should not have it still scrapes it. */
export interface Wanted extends PlacedTarget {
  readonly isOwned: boolean;
}

const NOBODY: readonly WorkingAssignment[] = [];

/** One shard while a plan is being made: its list and what it carries. */
export class WorkingShard {
  readonly observed: ObservedShard;
  readonly id: string;
  readonly ordinal: number;
  /** Whether its list may be changed. */
  readonly isReady: boolean;
  /** The operator wants it empty. */
  readonly isDraining: boolean;
  /** What its targets cost by their own measure; the object follows changes. */
  readonly sum: Tally = { ...NO_LOAD };
  /** How many it has, and how many of them are on their way out. */
  count = 0;
  leavingCount = 0;
  readonly #entries: WorkingAssignment[] = [];
  readonly #leaving: Tally = { ...NO_LOAD };
  readonly #nowMs: number;
  #unsettledSeries = 0;

  constructor(observed: ObservedShard, isDraining: boolean, nowMs: number) {
    this.observed = observed;
    this.id = observed.id;
    this.ordinal = observed.ordinal;
    this.isReady = observed.state === "ready";
    this.isDraining = isDraining;
    this.#nowMs = nowMs;
  }

  /** Whether targets may be put here. */
  get takesTargets(): boolean {
    return this.isReady && !this.isDraining;
  }

  /** By hash, those that this plan put here behind. */
  get assignments(): readonly WorkingAssignment[] {
    return this.#entries.length === this.count
      ? this.#entries
      : this.#entries.filter(({ isGone }) => !isGone);
  }

  get stableCount(): number {
    return this.count - this.leavingCount;
  }

  /** What the targets cost that are to stay. */
  get stable(): Load {
    return this.leavingCount === 0 ? this.sum : add(this.sum, negate(this.#leaving));
  }

  /**
   * What room is taken: the head may hold more than its targets (former targets' series stay until it is cut). A shard
   * without targets counts as empty all the same: that is what a new shard is expected to be, also when it comes up on
   * the folder of one that was removed before.
   */
  get used(): Load {
    const reported = this.observed.assignments.length === 0 ? 0 : this.observed.headSeries;
    const series = reported + this.#unsettledSeries;
    return series <= this.sum.series ? this.sum : { ...this.sum, series };
  }

  put(assignment: WorkingAssignment): void {
    this.#entries.push(assignment);
    this.#account(assignment, 1);
  }

  remove(assignment: WorkingAssignment): void {
    assignment.isGone = true;
    this.#account(assignment, -1);
  }

  setState(assignment: WorkingAssignment, state: AssignmentState): void {
    if (assignment.state === state) return;
    assignment.state = state;
    this.#accountLeaving(assignment, state === "normal" ? -1 : 1);
  }

  #account(assignment: WorkingAssignment, times: 1 | -1): void {
    const { load, seen, assignedAtMs, state } = assignment;
    this.count += times;
    addCost(this.sum, load, times);
    if (state === "in_transfer") this.#accountLeaving(assignment, times);
    const isSettled = (seen?.goodScrapes ?? 0) > 0 || this.#nowMs - assignedAtMs > SETTLE_MS;
    if (!isSettled) this.#unsettledSeries += times * headCostOf(load);
  }

  #accountLeaving({ load }: WorkingAssignment, times: 1 | -1): void {
    this.leavingCount += times;
    addCost(this.#leaving, load, times);
  }
}

/** The state that the planner's steps read and change; `finish` turns it into the plan's lists. */
export class PlanState {
  readonly observed: Observed;
  readonly options: PlanOptions;
  readonly nowMs: number;
  /** By ordinal. */
  readonly shards: readonly WorkingShard[];
  /** Those that targets may be put on, the emptiest first. */
  readonly takers: ShardOrder<WorkingShard>;
  /** Shards that are not needed: they get targets only when no other has room. */
  readonly spare = new Set<WorkingShard>();
  /** Entries of targets that are not listed any more, on shards whose list may be changed. */
  readonly unlisted: WorkingAssignment[] = [];
  /** Entries that shards report as leaving. */
  readonly leaving: WorkingAssignment[] = [];
  /** Targets with several owners. */
  readonly contested = new Set<Slot>();
  /** Entries of targets that no whole shard's limit allows. */
  readonly oversized: WorkingAssignment[] = [];
  readonly decisions: Decision[] = [];
  readonly conditions: Decision[] = [];
  movesBegun = 0;
  readonly #slots = new Map<string, Slot>();
  /** Only looked at for targets of unknown size. */
  #medians: Medians | undefined;
  #takerByOrdinal: ReadonlyMap<number, WorkingShard> | undefined;

  constructor(observed: Observed, options: PlanOptions, nowMs: number) {
    this.observed = observed;
    this.options = options;
    this.nowMs = nowMs;
    for (const target of observed.targets)
      this.#slots.set(target.hash, {
        target,
        owner: undefined,
        others: NOBODY,
        formerOwner: undefined,
      });
    this.shards = [...observed.shards]
      .sort((a, b) => a.ordinal - b.ordinal)
      .map((shard) => this.#openShard(shard));
    this.takers = new ShardOrder(
      this.shards.filter((shard) => shard.takesTargets),
      (shard) => utilisation(shard.used, options.limits),
    );
  }

  /** Moves that may still be begun for what can wait. */
  get movesLeft(): number {
    const { maxMoves, maxMovesPerCycle } = this.options;
    return Math.min(maxMovesPerCycle - this.movesBegun, maxMoves - this.contested.size);
  }

  get packs(): boolean {
    const { placement, maxIdleTimeMs } = this.options;
    return placement === "pack" || (placement === "auto" && maxIdleTimeMs !== 0);
  }

  /** Whether the last shards may be removed at all. */
  get mayShrink(): boolean {
    const { maxIdleTimeMs, maxShards } = this.options;
    return maxIdleTimeMs !== 0 || this.observed.desiredShards > maxShards;
  }

  /** More shards were asked for a moment ago. */
  get isCoolingDown(): boolean {
    const { lastScaleUpMs } = this.observed;
    return (
      lastScaleUpMs !== undefined && this.nowMs - lastScaleUpMs < this.options.scaleDownCooldownMs
    );
  }

  /** As many shards as were asked for are there and can be changed. */
  get isSteady(): boolean {
    return (
      this.shards.length === this.observed.desiredShards &&
      this.shards.every((shard) => shard.isReady)
    );
  }

  isExpired(shard: ObservedShard): boolean {
    return shard.state === "lost" && this.nowMs - shard.lastSeenMs > this.options.failoverGraceMs;
  }

  /** All targets that are known, in no order. */
  slots(): Iterable<Slot> {
    return this.#slots.values();
  }

  /** The shard on which the leading group has the target, when this group follows one and that shard takes targets. */
  homeOf(hash: string): WorkingShard | undefined {
    const ordinal = this.observed.reference?.get(hash);
    if (ordinal === undefined) return undefined;
    this.#takerByOrdinal ??= new Map(this.takers.ascending.map((each) => [each.ordinal, each]));
    return this.#takerByOrdinal.get(ordinal);
  }

  /** Whether a move of this target may begin: it is stable here, nowhere else, and still wanted. */
  isMovable({ state, slot }: WorkingAssignment): boolean {
    return state === "normal" && slot.others.length === 0 && slot.target !== undefined;
  }

  /** Whether it has been where it is for so long that it may be moved without need. */
  isRested({ assignedAtMs }: WorkingAssignment): boolean {
    return this.nowMs - assignedAtMs >= this.options.moveCooldownMs;
  }

  /** The load a target is accounted with: measured by its owner, else explored, else its job's median. */
  loadOf(target: ObservedTarget): Load {
    if (target.load !== undefined) return target.load;
    this.#medians ??= new Medians(this.observed);
    return this.#medians.of(target.job);
  }

  decide(decision: Decision): void {
    this.decisions.push(decision);
  }

  /** Gives `target` to `shard` as its stable owner. */
  assign({ hash, job, url, load, slot }: PlacedTarget, shard: WorkingShard): void {
    this.#own({
      hash,
      job,
      url,
      load,
      slot,
      shard,
      seen: undefined,
      state: "normal",
      assignedAtMs: this.nowMs,
      isGone: false,
    });
    this.takers.moved(shard);
  }

  /** Begins a move: both scrape the target until the new owner is proven. */
  move(
    assignment: WorkingAssignment,
    to: WorkingShard,
    { cause, reason }: { cause: MoveCause; reason: string },
  ): void {
    this.setState(assignment, "in_transfer");
    this.assign(assignment, to);
    this.movesBegun++;
    const { hash, job, url, shard } = assignment;
    this.decide({ kind: "move", cause, hash, job, url, from: shard.id, to: to.id, reason });
  }

  setState(assignment: WorkingAssignment, state: AssignmentState): void {
    assignment.shard.setState(assignment, state);
  }

  /** Takes a target off a shard. */
  release(assignment: WorkingAssignment): void {
    const { slot, shard } = assignment;
    shard.remove(assignment);
    this.takers.moved(shard);
    const [owner, ...others] = ownersOf(slot).filter((other) => other !== assignment);
    slot.owner = owner;
    slot.others = others;
    if (others.length === 0) this.contested.delete(slot);
  }

  finish(): PlannedShard[] {
    return this.shards
      .filter((shard) => shard.isReady)
      .map((shard) => ({ id: shard.id, assignments: plannedAssignments(shard) }));
  }

  #openShard(observed: ObservedShard): WorkingShard {
    const isDraining = this.observed.drainShards?.has(observed.id) ?? false;
    const shard = new WorkingShard(observed, isDraining, this.nowMs);
    const counts = !this.isExpired(observed);
    for (const seen of sortedByHash(observed.assignments)) {
      const { hash, job, url, state, assignedAtMs } = seen;
      const slot = this.#slotOf(hash);
      const { target } = slot;
      // A target that never answered here weighs what it was estimated at, or what its job has come to weigh.
      const load =
        seen.goodScrapes > 0 || seen.load.series > 0 || target === undefined
          ? seen.load
          : this.loadOf(target);
      const isGone = false;
      const assignment = { hash, job, url, load, slot, shard, seen, state, assignedAtMs, isGone };
      if (!counts) {
        shard.put(assignment);
        slot.formerOwner = observed.id;
        continue;
      }
      this.#own(assignment);
      if (target === undefined && shard.isReady) this.unlisted.push(assignment);
      if (state === "in_transfer") this.leaving.push(assignment);
    }
    return shard;
  }

  #slotOf(hash: string): Slot {
    let slot = this.#slots.get(hash);
    if (slot === undefined) {
      slot = { target: undefined, owner: undefined, others: NOBODY, formerOwner: undefined };
      this.#slots.set(hash, slot);
    }
    return slot;
  }

  #own(assignment: WorkingAssignment): void {
    const { slot, shard } = assignment;
    shard.put(assignment);
    if (isTooBig(assignment.load, this.options.limits)) this.oversized.push(assignment);
    if (slot.owner === undefined) slot.owner = assignment;
    else {
      slot.others = [...slot.others, assignment];
      this.contested.add(slot);
    }
  }
}

export function ownersOf({ owner, others }: Slot): readonly WorkingAssignment[] {
  return owner === undefined ? NOBODY : [owner, ...others];
}

/** A shard's list by hash. */
function plannedAssignments({ assignments }: WorkingShard): readonly PlannedAssignment[] {
  const planned: PlannedAssignment[] = [];
  for (const { hash, state, assignedAtMs, load } of assignments)
    planned.push({ hash, state, assignedAtMs, load });
  return sortedByHash(planned);
}

/** Typical loads, for targets that nobody could measure. */
class Medians {
  readonly #loads = new Map<string, Load[]>();
  readonly #byJob = new Map<string, Load>();
  readonly #all: readonly Load[];
  #ofAll: Load | undefined;

  constructor({ targets }: Observed) {
    const all: Load[] = [];
    for (const { job, load } of targets) {
      if (load === undefined) continue;
      all.push(load);
      const known = this.#loads.get(job);
      if (known === undefined) this.#loads.set(job, [load]);
      else known.push(load);
    }
    this.#all = all;
  }

  /** Of the job's measured targets; without any, of all measured targets. */
  of(job: string): Load {
    let median = this.#byJob.get(job);
    if (median === undefined) {
      median = medianLoad(this.#loads.get(job) ?? []) ?? this.#overall();
      this.#byJob.set(job, median);
    }
    return median;
  }

  #overall(): Load {
    this.#ofAll ??= medianLoad(this.#all) ?? NO_LOAD;
    return this.#ofAll;
  }
}

/** Digits alone: their order needs no care for encodings. */
export function byHash(a: { readonly hash: string }, b: { readonly hash: string }): number {
  return a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0;
}

/** Fast path: lists mostly are in order already, because plans are. */
function sortedByHash<T extends { readonly hash: string }>(list: readonly T[]): readonly T[] {
  for (let i = 1; i < list.length; i++)
    if (list[i - 1]!.hash > list[i]!.hash) return [...list].sort(byHash);
  return list;
}

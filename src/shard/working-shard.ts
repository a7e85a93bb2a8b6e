import { type ListedAssignments, listedAssignments, sortedByHash } from "./listed-assignments.ts";
import { add, addCost, headCostOf, type Load, negate, type Tally } from "./load.ts";
import type {
  AssignmentState,
  ObservedAssignment,
  ObservedShard,
  PlannedAssignment,
} from "./plan-types.ts";

/**
 * A series counts as "not in the head yet" for this long after its target was assigned. Without it, two plans in a row
 * would both give away the room that the first one's targets are about to take. Beyond it the reported head is right,
 * even when a restarted shard has not scraped again.
 */
const SETTLE_MS = 120_000;

/** One target on one shard while a plan is being made. */
export interface WorkingAssignment {
  readonly hash: string;
  readonly job: string;
  readonly url: string;
  readonly load: Load;
  /** The number of its target in this plan (`PlanState`). */
  readonly slot: number;
  readonly shard: WorkingShard;
  /** What the shard reported; undefined when this plan made the assignment. */
  readonly seen: ObservedAssignment | undefined;
  /** Changed by `PlanState` alone, which keeps the shards' sums. */
  state: AssignmentState;
  assignedAtMs: number;
  /** Taken off the shard by this plan. */
  isGone: boolean;
}

/**
 * One shard while a plan is being made: its list and what it carries. What it reports is only added up; a
 * `WorkingAssignment` is made for those that a step looks at, which at rest are none.
 */
export class WorkingShard {
  readonly observed: ObservedShard;
  readonly id: string;
  readonly ordinal: number;
  /** Whether its list may be changed. */
  readonly isReady: boolean;
  /** The operator wants it empty. */
  readonly isDraining: boolean;
  /** What it reports, by place. */
  readonly listed: ListedAssignments;
  /** The slots of `listed`, by place. */
  readonly slots: Int32Array;
  /** What its targets cost by their own measure; the object follows changes. */
  readonly sum: Tally;
  /** How many it has, and how many of them are on their way out. */
  count: number;
  leavingCount: number;
  readonly #leaving: Tally;
  readonly #nowMs: number;
  #unsettledSeries = 0;
  /** By place, those that were asked for. */
  #entries: (WorkingAssignment | undefined)[] = [];
  /** Put here by this plan. */
  readonly #added: WorkingAssignment[] = [];
  /** By place, what counts instead of the reported load. */
  readonly #estimates = new Map<number, Load>();
  #isTouched = false;

  constructor(observed: ObservedShard, isDraining: boolean, nowMs: number) {
    this.observed = observed;
    this.id = observed.id;
    this.ordinal = observed.ordinal;
    this.isReady = observed.state === "ready";
    this.isDraining = isDraining;
    this.#nowMs = nowMs;
    this.listed = listedAssignments(observed.assignments);
    this.sum = { ...this.listed.sum };
    this.#leaving = { ...this.listed.leavingSum };
    this.count = this.listed.byHash.length;
    this.leavingCount = this.listed.leaving.length;
    this.slots = new Int32Array(this.count);
  }

  /** Completes the sums, once the slots are known: `sizeOf` tells the load of one that has never answered here. */
  settle(sizeOf: (slot: number, seen: ObservedAssignment) => Load): void {
    const { byHash, unsized, unproven } = this.listed;
    for (const place of unsized) {
      const seen = byHash[place]!;
      const load = sizeOf(this.slots[place]!, seen);
      if (load !== seen.load) this.#estimates.set(place, load);
      addCost(this.sum, load, 1);
      if (seen.state === "in_transfer") addCost(this.#leaving, load, 1);
    }
    for (const place of unproven)
      if (!this.#isSettled(byHash[place]!)) this.#unsettledSeries += headCostOf(this.loadAt(place));
  }

  loadAt(place: number): Load {
    return this.#estimates.get(place) ?? this.listed.byHash[place]!.load;
  }

  /** The reported assignment at `place`, to be looked at and changed. */
  at(place: number): WorkingAssignment {
    const known = this.#entries[place];
    if (known !== undefined) return known;
    const seen = this.listed.byHash[place]!;
    const { hash, job, url, state, assignedAtMs } = seen;
    const entry: WorkingAssignment = {
      hash,
      job,
      url,
      load: this.loadAt(place),
      slot: this.slots[place]!,
      shard: this,
      seen,
      state,
      assignedAtMs,
      isGone: false,
    };
    this.#entries[place] = entry;
    return entry;
  }

  /** Whether targets may be put here. */
  get takesTargets(): boolean {
    return this.isReady && !this.isDraining;
  }

  /** By hash, those that this plan put here behind. */
  get assignments(): readonly WorkingAssignment[] {
    const all: WorkingAssignment[] = [];
    for (let place = 0; place < this.listed.byHash.length; place++) all.push(this.at(place));
    all.push(...this.#added);
    return all.length === this.count ? all : all.filter(({ isGone }) => !isGone);
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
    this.#added.push(assignment);
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

  /** The list that it is to have, by hash. What stays as it is stays the same object. */
  planned(): readonly PlannedAssignment[] {
    const { byHash } = this.listed;
    if (!this.#isTouched && this.#estimates.size === 0) return byHash;
    const planned: PlannedAssignment[] = [];
    for (let place = 0; place < byHash.length; place++) {
      const entry =
        this.#entries[place] ?? (this.#estimates.has(place) ? this.at(place) : undefined);
      if (entry === undefined) planned.push(byHash[place]!);
      else if (!entry.isGone) planned.push(plannedOf(entry));
    }
    for (const entry of this.#added) if (!entry.isGone) planned.push(plannedOf(entry));
    return sortedByHash(planned);
  }

  #account(assignment: WorkingAssignment, times: 1 | -1): void {
    const { load, seen, state } = assignment;
    this.#isTouched = true;
    this.count += times;
    addCost(this.sum, load, times);
    if (state === "in_transfer") this.#accountLeaving(assignment, times);
    const isSettled = (seen?.goodScrapes ?? 0) > 0 || this.#isSettled(assignment);
    if (!isSettled) this.#unsettledSeries += times * headCostOf(load);
  }

  #accountLeaving({ load }: WorkingAssignment, times: 1 | -1): void {
    this.#isTouched = true;
    this.leavingCount += times;
    addCost(this.#leaving, load, times);
  }

  #isSettled({ assignedAtMs }: { readonly assignedAtMs: number }): boolean {
    return this.#nowMs - assignedAtMs > SETTLE_MS;
  }
}

function plannedOf({
  hash,
  state,
  assignedAtMs,
  load,
  seen,
}: WorkingAssignment): PlannedAssignment {
  const isSame = seen?.state === state && seen.assignedAtMs === assignedAtMs && seen.load === load;
  return isSame ? seen : { hash, state, assignedAtMs, load };
}

import { isBelow, isTooBig, type Load, utilisation } from "./load.ts";
import type {
  AssignmentState,
  Decision,
  MoveCause,
  Observed,
  ObservedShard,
  ObservedTarget,
  PlannedShard,
  PlanOptions,
} from "./plan-types.ts";
import { ShardOrder } from "./shard-order.ts";
import { indexTargets, NONE, type TargetIndex } from "./target-index.ts";
import { type WorkingAssignment, WorkingShard } from "./working-shard.ts";

/** What is to be placed. */
export interface PlacedTarget {
  readonly hash: string;
  readonly job: string;
  readonly url: string;
  readonly load: Load;
  readonly slot: number;
}

/** A target that no shard has room for; `isOwned` when a shard that should not have it still scrapes it. */
export interface Wanted extends PlacedTarget {
  readonly isOwned: boolean;
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
  /** The slots of targets with several owners. */
  readonly contested = new Set<number>();
  /** Entries of targets that no whole shard's limit allows. */
  readonly oversized: WorkingAssignment[] = [];
  readonly decisions: Decision[] = [];
  readonly conditions: Decision[] = [];
  movesBegun = 0;
  readonly #index: TargetIndex;
  /** Slots of targets that are not listed: they come behind those that are. */
  readonly #unlistedSlots = new Map<string, number>();
  /**
   * By slot, where its first owner stands: the index of the shard and the place in its list. Owners are on shards that are
   * not lost for longer than the grace.
   */
  readonly #firstShard: Int32Array;
  readonly #firstPlace: Int32Array;
  /** By slot, the owners of those that a step has changed, or that have several. */
  readonly #owners = new Map<number, readonly WorkingAssignment[]>();
  /** By slot, the id of the long-lost shard that had it. */
  readonly #formerOwners = new Map<number, string>();
  #takerByOrdinal: ReadonlyMap<number, WorkingShard> | undefined;

  constructor(observed: Observed, options: PlanOptions, nowMs: number) {
    this.observed = observed;
    this.options = options;
    this.nowMs = nowMs;
    this.#index = indexTargets(observed);
    let slotsMax = observed.targets.length;
    for (const { assignments } of observed.shards) slotsMax += assignments.length;
    this.#firstShard = new Int32Array(slotsMax).fill(NONE);
    this.#firstPlace = new Int32Array(slotsMax);
    this.shards = [...observed.shards]
      .sort((a, b) => a.ordinal - b.ordinal)
      .map((shard) => {
        const isDraining = observed.drainShards?.has(shard.id) ?? false;
        return new WorkingShard(shard, isDraining, nowMs);
      });
    for (const [index, shard] of this.shards.entries()) this.#take(shard, index);
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

  /** The slots of listed targets that nobody has, in no order. */
  unownedSlots(): number[] {
    const index = this.#index;
    const { targets } = index;
    const unowned: number[] = [];
    for (let slot = 0; slot < targets.length; slot++)
      if (this.#firstShard[slot] === NONE && index.counts(slot)) unowned.push(slot);
    return unowned;
  }

  /** What is listed under `slot`; undefined when discovery does not list it any more. */
  targetOf(slot: number): ObservedTarget | undefined {
    return this.#index.targets[slot];
  }

  /** The id of the long-lost shard that had it. */
  formerOwnerOf(slot: number): string | undefined {
    return this.#formerOwners.get(slot);
  }

  /** Those that have it, on shards that count. */
  ownersOf(slot: number): readonly WorkingAssignment[] {
    const known = this.#owners.get(slot);
    if (known !== undefined) return known;
    const first = this.#firstShard[slot]!;
    return first === NONE ? [] : [this.shards[first]!.at(this.#firstPlace[slot]!)];
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
    return state === "normal" && !this.contested.has(slot) && this.targetOf(slot) !== undefined;
  }

  /** Whether it has been where it is for so long that it may be moved without need. */
  isRested({ assignedAtMs }: WorkingAssignment): boolean {
    return this.nowMs - assignedAtMs >= this.options.moveCooldownMs;
  }

  /** The load a target is accounted with: measured by its owner, else explored, else its job's median. */
  loadOf(target: ObservedTarget): Load {
    return target.load ?? this.#index.medianOf(target.job);
  }

  decide(decision: Decision): void {
    this.decisions.push(decision);
  }

  /** Gives `target` to `shard` as its stable owner. */
  assign({ hash, job, url, load, slot }: PlacedTarget, shard: WorkingShard): void {
    const assignment: WorkingAssignment = {
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
    };
    shard.put(assignment);
    if (isTooBig(load, this.options.limits)) this.oversized.push(assignment);
    this.#addOwner(assignment);
    // Whom `ownersOf` names does not matter any more, only that there is somebody.
    this.#firstShard[slot] = 0;
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
    const rest = this.ownersOf(slot).filter((other) => other !== assignment);
    this.#owners.set(slot, rest);
    if (rest.length === 0) this.#firstShard[slot] = NONE;
    if (rest.length < 2) this.contested.delete(slot);
  }

  finish(): PlannedShard[] {
    return this.shards
      .filter((shard) => shard.isReady)
      .map((shard) => ({ id: shard.id, assignments: shard.planned() }));
  }

  /** Enters what the shard at `index` reports. */
  #take(shard: WorkingShard, index: number): void {
    const { listed, slots, isReady } = shard;
    const { byHash, unsized, leaving, largest } = listed;
    const listedCount = this.#index.targets.length;
    this.#index.placesOf(listed, slots);
    for (let place = 0; place < slots.length; place++)
      if (slots[place] === NONE) slots[place] = this.#unlistedSlot(byHash[place]!.hash);
    // A target that never answered here weighs what it was estimated at, or what its job has come to weigh.
    shard.settle((slot, { load }) => {
      const target = this.targetOf(slot);
      return target === undefined ? load : this.loadOf(target);
    });
    if (this.isExpired(shard.observed)) {
      for (const slot of slots) this.#formerOwners.set(slot, shard.id);
      return;
    }
    for (let place = 0; place < slots.length; place++) {
      const slot = slots[place]!;
      if (this.#firstShard[slot] === NONE) {
        this.#firstShard[slot] = index;
        this.#firstPlace[slot] = place;
      } else this.#addOwner(shard.at(place));
      if (slot >= listedCount && isReady) this.unlisted.push(shard.at(place));
    }
    for (const place of leaving) this.leaving.push(shard.at(place));
    const { limits } = this.options;
    const isSmall = unsized.length === 0 && isBelow(largest, limits);
    for (let place = 0; place < slots.length && !isSmall; place++)
      if (isTooBig(shard.loadAt(place), limits)) this.oversized.push(shard.at(place));
  }

  #unlistedSlot(hash: string): number {
    const known = this.#unlistedSlots.get(hash);
    if (known !== undefined) return known;
    const slot = this.#index.targets.length + this.#unlistedSlots.size;
    this.#unlistedSlots.set(hash, slot);
    return slot;
  }

  #addOwner(assignment: WorkingAssignment): void {
    const { slot } = assignment;
    const owners = [...this.ownersOf(slot), assignment];
    this.#owners.set(slot, owners);
    if (owners.length > 1) this.contested.add(slot);
  }
}

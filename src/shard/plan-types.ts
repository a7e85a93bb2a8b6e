import type { TargetHealth } from "../model/target.ts";
import type { Limits, Load } from "./load.ts";

/**
 * What the planner reads and what it answers: plain data on both sides.
 *
 * The life of a target, as the planner sees it:
 *
 *     discovered ──► exploring ──► unassigned ──► normal@A ────────────────► gone from discovery: removed
 *                      (pending)                     │  ▲
 *                                 move, shed, drain  ▼  │ B fails, dies or is lost: rolled back
 *                                  in_transfer@A + normal@B
 *                                                    │ B has scraped it successfully
 *                                                    ▼
 *                                                normal@B
 *
 * Invariant of every plan: a target is `normal` on at most one shard that can be changed.
 */
export type AssignmentState = "normal" | "in_transfer";

/** One target as discovery knows it. */
export interface ObservedTarget {
  readonly hash: string;
  /** Stands for the hash in `Observed.hashCount`'s sense. */
  readonly number?: number;
  readonly job: string;
  /** For people: what decisions call the target. */
  readonly url: string;
  /** Where its measurement stands: `pending` is not placed yet, `failed` is placed by its job's median. */
  readonly explored: "pending" | "measured" | "failed";
  /** The explorer's measurement; undefined unless `measured`. */
  readonly load: Load | undefined;
}

/** One target as a shard reports it. */
export interface ObservedAssignment {
  readonly hash: string;
  /** Stands for the hash in `Observed.hashCount`'s sense. */
  readonly number?: number;
  readonly job: string;
  readonly url: string;
  readonly state: AssignmentState;
  /** When a coordinator gave it to this shard, in ms; of two owners the later one is the meant one. */
  readonly assignedAtMs: number;
  readonly load: Load;
  readonly health: TargetHealth;
  /** Scrapes since it was given to this shard. */
  readonly scrapes: number;
  readonly goodScrapes: number;
}

/**
 * `ready`: answers and runs the current configuration, so its list can be changed · `starting`: asked for, never seen
 * · `refused`: answers, but cannot take the configuration; keeps its targets · `lost`: was seen, answers no more.
 */
export type ShardState = "ready" | "starting" | "refused" | "lost";

export interface ObservedShard {
  readonly id: string;
  /** 0-based; shards are added and removed at the end. */
  readonly ordinal: number;
  readonly state: ShardState;
  /** When it last answered, ms; 0 when it never did. */
  readonly lastSeenMs: number;
  /** Series in its head, those of former targets included. */
  readonly headSeries: number;
  /** Since when it has had no targets, ms. */
  readonly idleSinceMs: number | undefined;
  /**
   * Until when it alone has samples that are wanted, ms: they are neither uploaded nor expired. 0 when there are none,
   * `Infinity` when only an upload will end it. Undefined when nobody knows: then its idle time alone decides.
   */
  readonly dataUntilMs?: number | undefined;
  /** As last reported; for a `lost` shard the list it had. */
  readonly assignments: readonly ObservedAssignment[];
}

export interface Observed {
  readonly targets: readonly ObservedTarget[];
  /** Jobs whose discovery is not to be believed now: their targets are kept though not in `targets`. */
  readonly heldJobs: ReadonlySet<string>;
  /** All shards, by ordinal. */
  readonly shards: readonly ObservedShard[];
  /**
   * When set, every target and assignment has a `number` below it, the same for equal hashes and for no others. It says
   * nothing more than the hashes do, but finds a target without a look-up by text: 100,000 of those take 100 ms.
   */
  readonly hashCount?: number | undefined;
  /** How many shards the driver was last asked for: the base of every scale decision. */
  readonly desiredShards: number;
  /** When more or fewer shards were last asked for, ms; undefined when that is not known. */
  readonly lastScaleUpMs?: number | undefined;
  readonly lastScaleDownMs?: number | undefined;
  /** Ids of shards that the operator wants to be empty: they get nothing, and their targets leave. */
  readonly drainShards?: ReadonlySet<string>;
  /**
   * For a replica group that follows another one: on which ordinal that one has each target (`referenceOf`), or that it
   * is about to (`AWAITED`). The group then puts the same targets on the same ordinals and does not shed, rebalance or
   * drain by itself.
   */
  readonly reference?: ReadonlyMap<string, number>;
}

export interface PlanOptions {
  readonly limits: Limits;
  /** Fewest and most shards (`--shard.min-shard`, `--shard.max-shard`). */
  readonly minShards: number;
  readonly maxShards: number;
  /** How long a tail shard is empty before it is removed; 0 never removes (`--shard.max-idle-time`). */
  readonly maxIdleTimeMs: number;
  /**
   * `spread`: to the emptiest shard · `pack`: to the first one with room, so that the last ones become empty · `auto`:
   * packs when shards may be removed, else spreads, as Kvass does (`--shard.placement`).
   */
  readonly placement: "auto" | "spread" | "pack";
  /**
   * The share of its limits that a shard is filled to while others have room, 0 to 1: placement prefers shards below it,
   * rebalancing and draining do not go beyond it (`--shard.target-utilisation`). The rest is for growth: a further shard
   * is only asked for when the limits themselves are reached, and targets only leave a shard that is well above them.
   */
  readonly targetUtilisation: number;
  /** Targets that change shards at the same time, and moves begun in one plan. Overload and loss do not wait for them. */
  readonly maxMoves: number;
  readonly maxMovesPerCycle: number;
  /** How long a target stays where it was put before it is moved for balance or alignment. */
  readonly moveCooldownMs: number;
  /** How long after more shards were asked for none is drained or removed. */
  readonly scaleDownCooldownMs: number;
  /** How long after shards were removed none is added for targets that are scraped where they are. */
  readonly scaleUpCooldownMs: number;
  /** How long a shard may be lost before its targets go elsewhere. */
  readonly failoverGraceMs: number;
  /** Successful scrapes by the new owner before the old one lets go. */
  readonly transferScrapes: number;
  /** Failed scrapes by the new owner, of a target that the old one scrapes well, before the move is undone. */
  readonly rollbackScrapes: number;
  /** Turns shedding of overloaded shards off (`--shard.disable-alleviate`). */
  readonly disableAlleviate: boolean;
}

export const DEFAULT_PLAN_OPTIONS: PlanOptions = {
  limits: { maxHeadSeries: 0, maxProcessSeries: 1_000_000, maxSamplesPerSecond: 0 },
  minShards: 0,
  maxShards: 999_999,
  maxIdleTimeMs: 0,
  placement: "auto",
  targetUtilisation: 0.85,
  maxMoves: 200,
  maxMovesPerCycle: 50,
  moveCooldownMs: 120_000,
  scaleDownCooldownMs: 300_000,
  scaleUpCooldownMs: 60_000,
  failoverGraceMs: 60_000,
  transferScrapes: 1,
  rollbackScrapes: 3,
  disableAlleviate: false,
};

export type DecisionKind =
  | "assign" // a target without an owner gets one
  | "move" // a new owner starts, the old one goes on until it is proven
  | "moved" // the new owner is proven, the old one lets go
  | "rollback" // the new owner failed, the old one stays
  | "rehome" // the owner is lost for longer than the grace
  | "remove" // no longer discovered
  | "hold" // discovery is not believed: targets stay
  | "too-big" // more than a whole shard's limit: gets a shard of its own
  | "unassigned" // no place now
  | "drain" // a shard is emptied
  | "undrain" // a shard may have targets again
  | "stop" // the operator's emergency switch: nothing is scraped
  | "resume" // all is scraped again
  | "wait" // a change of scale is due, and something has to happen first
  | "storage" // a shard cannot store what it scrapes
  | "together" // replicas of one shard share a node or a zone
  | "scale-up"
  | "scale-down";

/**
 * What makes targets move: a shard with more than it can carry, the operator, a shard that is not needed, uneven shards,
 * or the example of the leading group.
 */
export type MoveCause = "overload" | "drain" | "surplus" | "balance" | "alignment";

/** One thing the planner decided, and why. */
export interface Decision {
  readonly kind: DecisionKind;
  /** Of a `move`. */
  readonly cause?: MoveCause;
  /** The target's hash, for decisions about a target. */
  readonly hash?: string;
  readonly job?: string;
  readonly url?: string;
  /** Shard ids. */
  readonly from?: string;
  readonly to?: string;
  readonly reason: string;
}

export interface PlannedAssignment {
  readonly hash: string;
  readonly state: AssignmentState;
  readonly assignedAtMs: number;
  /** The load it was placed with: what the shard reports until it has measured by itself. */
  readonly load: Load;
}

/** The whole list a `ready` shard is to have, ordered by hash. */
export interface PlannedShard {
  readonly id: string;
  readonly assignments: readonly PlannedAssignment[];
}

export interface Plan {
  readonly shards: readonly PlannedShard[];
  /** How many shards there are to be. */
  readonly scale: number;
  /** Changes first asked for in this plan, in the order they were made. */
  readonly decisions: readonly Decision[];
  /** What stands as it is though somebody may want it otherwise: targets without a place, shards that are kept. */
  readonly conditions: readonly Decision[];
}

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
  /** As last reported; for a `lost` shard the list it had. */
  readonly assignments: readonly ObservedAssignment[];
}

export interface Observed {
  readonly targets: readonly ObservedTarget[];
  /** Jobs whose discovery is not to be believed now: their targets are kept though not in `targets`. */
  readonly heldJobs: ReadonlySet<string>;
  /** All shards, by ordinal. */
  readonly shards: readonly ObservedShard[];
  /** How many shards the driver was last asked for: the base of every scale decision. */
  readonly desiredShards: number;
}

export interface PlanOptions {
  readonly limits: Limits;
  /** Fewest and most shards (`--shard.min-shard`, `--shard.max-shard`). */
  readonly minShards: number;
  readonly maxShards: number;
  /** How long a tail shard is empty before it is removed; 0 never removes and spreads instead of packing. */
  readonly maxIdleTimeMs: number;
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
  | "scale-up"
  | "scale-down";

/** One thing the planner decided, and why. */
export interface Decision {
  readonly kind: DecisionKind;
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
  /** What stands as it is though somebody may want it otherwise: unassigned, oversized and held targets. */
  readonly conditions: readonly Decision[];
}

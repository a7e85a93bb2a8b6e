import { eachAtMost } from "../base/concurrency.ts";
import type { Logger } from "../base/logger.ts";
import type { Target } from "../model/target.ts";
import type { ShardControl } from "./control.ts";
import type { ReplicaGroup, ShardDriver } from "./driver.ts";
import { listedAssignments } from "./listed-assignments.ts";
import type { ListedTargets } from "./listed-targets.ts";
import type { Observed, Plan, PlannedAssignment, PlannedShard } from "./plan-types.ts";
import { type Observation, ShardRecord } from "./shard-record.ts";
import type { AssignedTarget } from "./wire.ts";

/** Lists on their way at the same time, in each group: their text is what takes memory. */
const PUSHES_AT_ONCE = 16;

export interface GroupRecordDependencies {
  /** How long shards that were there before the coordinator have to answer for the first time. */
  readonly startWaitMs: number;
  readonly connect: (url: string) => ShardControl;
  readonly listed: ListedTargets;
  readonly logger: Logger;
}

/** One replica group while the coordinator works on it: what is known of its shards, and its last plan. */
export class GroupRecord {
  readonly name: string;
  driver: ShardDriver;
  plan: Plan | undefined;
  /** What the plan was made from. */
  observed: Observed | undefined;
  /** When this coordinator last asked for more or fewer shards. */
  lastScaleUpMs: number | undefined;
  lastScaleDownMs: number | undefined;
  readonly #deps: GroupRecordDependencies;
  readonly #records = new Map<string, ShardRecord>();
  #isFirstLook = true;
  /** Shards whose list must be sent though it looks the same: a reload may have changed intervals. */
  readonly #stale = new Set<string>();

  constructor(group: ReplicaGroup, dependencies: GroupRecordDependencies) {
    this.name = group.name;
    this.driver = group.driver;
    this.#deps = dependencies;
  }

  /** By ordinal. */
  get shards(): ShardRecord[] {
    return [...this.#records.values()].sort((a, b) => a.instance.ordinal - b.instance.ordinal);
  }

  /** Whether every shard has been seen since the start. A shard not yet seen may have targets. */
  get isAllSeen(): boolean {
    return this.shards.every(({ state }) => state !== "starting");
  }

  /** Whether all shards that were asked for are there and can be changed. */
  get isSteady(): boolean {
    const { shards } = this;
    return shards.length === this.driver.desired && shards.every(({ state }) => state === "ready");
  }

  /** Asks every shard at once. Rejects when the driver cannot list them. */
  async observe(observation: Observation): Promise<void> {
    const instances = await this.driver.list();
    const firstContact = this.#isFirstLook
      ? { sinceMs: observation.now(), waitMs: this.#deps.startWaitMs }
      : undefined;
    this.#isFirstLook = false;
    const listed = new Set(instances.map((instance) => instance.id));
    for (const [id, record] of this.#records) {
      if (listed.has(id)) continue;
      record.close();
      this.#records.delete(id);
    }
    for (const instance of instances) {
      const record = this.#records.get(instance.id);
      if (record === undefined)
        this.#records.set(instance.id, new ShardRecord(instance, this.#deps, firstContact));
      else record.instance = instance;
    }
    const records = [...this.#records.values()];
    const before = new Map(records.map((record) => [record, record.state]));
    await Promise.all(records.map((record) => record.observe(observation)));
    for (const record of records) this.#logStateChange(record, before.get(record)!);
  }

  /** The lists are to be sent again. */
  markStale(): void {
    for (const id of this.#records.keys()) this.#stale.add(id);
  }

  /** Brings the shards and their number to the plan; answers whether the number changed. Failures are logged. */
  async apply(made: Plan, options: { epoch: number; nowMs: number }): Promise<boolean> {
    const { logger } = this.#deps;
    await eachAtMost(PUSHES_AT_ONCE, made.shards, async (planned) => {
      const record = this.#records.get(planned.id);
      if (record === undefined) return;
      try {
        await this.#bring(record, planned, options.epoch);
      } catch (error) {
        // The next cycle sees that the shard's list differs and sends it again.
        logger.warn("cannot give targets to shard", { shard: planned.id, error });
      }
    });
    const { driver } = this;
    if (made.scale === driver.desired) return false;
    if (made.scale > driver.desired) this.lastScaleUpMs = options.nowMs;
    else this.lastScaleDownMs = options.nowMs;
    await this.#unmark(made.scale, options.epoch);
    try {
      await driver.scale(made.scale, this.#dataUntilMs());
    } catch (error) {
      logger.error("cannot scale shards", { from: driver.desired, to: made.scale, error });
    }
    return true;
  }

  close(): void {
    for (const record of this.#records.values()) record.close();
    this.#records.clear();
  }

  /** Gives the shard what differs from the list it is to have: by itself where that is possible, else the whole list. */
  async #bring(record: ShardRecord, planned: PlannedShard, epoch: number): Promise<void> {
    const { assignments } = planned;
    const changes = changesTo(assignments, record);
    const isStale =
      this.#stale.has(planned.id) || record.statuses.size !== record.assignments.length;
    const changed = changes.set.length + changes.gone.length;
    if (changed === 0 && !isStale) return;
    const set = this.#assignedTargets(changes.set, record);
    const { gone } = changes;
    if (
      isStale ||
      changed > assignments.length / 2 ||
      !(await record.pushChanges({ set, gone }, epoch))
    )
      await record.push(this.#assignedTargets(assignments, record), epoch);
    this.#stale.delete(planned.id);
  }

  /** What to send. A target that is not listed now, but held, is known from the shards that have it. */
  #assignedTargets(
    assignments: readonly PlannedAssignment[],
    record: ShardRecord,
  ): AssignedTarget[] {
    const { listed } = this.#deps;
    return assignments.flatMap(({ hash, state, assignedAtMs, load }) => {
      const target =
        listed.byHash(hash) ?? record.specs.get(hash)?.target ?? this.#heldTarget(hash);
      return target === undefined ? [] : [{ target, state, assignedAtMs, load }];
    });
  }

  /** Takes the operator's marks off shards that are about to go: those that come later on their folders are others. */
  async #unmark(count: number, epoch: number): Promise<void> {
    for (const record of this.#records.values()) {
      if (record.instance.ordinal < count || record.runtime?.draining !== true) continue;
      try {
        await record.setDraining(false, epoch);
      } catch (error) {
        this.#deps.logger.warn("cannot unmark shard", { shard: record.instance.id, error });
      }
    }
  }

  /** What the shards without targets say of their data. */
  #dataUntilMs(): Map<string, number> {
    const known = new Map<string, number>();
    for (const [id, { state, statuses, runtime }] of this.#records)
      if (state === "ready" && statuses.size === 0 && runtime?.dataUntilMs !== undefined)
        known.set(id, runtime.dataUntilMs);
    return known;
  }

  #heldTarget(hash: string): Target | undefined {
    for (const { specs } of this.#records.values()) {
      const spec = specs.get(hash);
      if (spec !== undefined) return spec.target;
    }
    return undefined;
  }

  #logStateChange(record: ShardRecord, before: string): void {
    if (record.state === before) return;
    const fields = { shard: record.instance.id, state: record.state, error: record.error };
    if (record.state === "ready") this.#deps.logger.info("shard is ready", fields);
    else this.#deps.logger.warn("shard is not ready", fields);
  }
}

/** What `planned` has otherwise than the shard, and hashes of what it has no more. Both are ordered by hash. */
function changesTo(
  planned: readonly PlannedAssignment[],
  record: ShardRecord,
): { set: readonly PlannedAssignment[]; gone: readonly string[] } {
  const seen = listedAssignments(record.assignments).byHash;
  const outdated = new Set(record.outdated());
  const set: PlannedAssignment[] = [];
  const gone: string[] = [];
  // Fast path: mostly nothing is decided, and then it is the very list.
  if (seen === planned && outdated.size === 0) return { set, gone };
  let place = 0;
  for (const one of planned) {
    while (place < seen.length && seen[place]!.hash < one.hash) gone.push(seen[place++]!.hash);
    const before = seen[place]?.hash === one.hash ? seen[place++] : undefined;
    const isSame = before?.state === one.state && before.assignedAtMs === one.assignedAtMs;
    if (!isSame || outdated.has(one.hash)) set.push(one);
  }
  while (place < seen.length) gone.push(seen[place++]!.hash);
  return { set, gone };
}

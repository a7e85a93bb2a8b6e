import type { Logger } from "../base/logger.ts";
import { isSameScrape, type Target } from "../model/target.ts";
import type { ShardControl } from "./control.ts";
import type { ReplicaGroup, ShardDriver } from "./driver.ts";
import type { Observed, Plan, PlannedShard } from "./plan-types.ts";
import { type Observation, ShardRecord } from "./shard-record.ts";
import type { AssignedTarget } from "./wire.ts";

export interface GroupRecordDependencies {
  /** How long shards that were there before the coordinator have to answer for the first time. */
  readonly startWaitMs: number;
  readonly connect: (url: string) => ShardControl;
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
        this.#records.set(instance.id, new ShardRecord(instance, this.#deps.connect, firstContact));
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
  async apply(
    made: Plan,
    options: { epoch: number; listed: ReadonlyMap<string, Target>; nowMs: number },
  ): Promise<boolean> {
    const { logger } = this.#deps;
    const { listed } = options;
    await Promise.all(
      made.shards.map(async (planned) => {
        const record = this.#records.get(planned.id);
        if (record === undefined || !this.#needsPush(record, planned, listed)) return;
        try {
          await record.push(this.#assignedTargets(planned, record, listed), options.epoch);
          this.#stale.delete(planned.id);
        } catch (error) {
          // The next cycle sees that the shard's list differs and sends it again.
          logger.warn("cannot give targets to shard", { shard: planned.id, error });
        }
      }),
    );
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

  #needsPush(
    record: ShardRecord,
    planned: PlannedShard,
    listed: ReadonlyMap<string, Target>,
  ): boolean {
    return (
      this.#stale.has(planned.id) ||
      record.statuses.size !== planned.assignments.length ||
      planned.assignments.some(({ hash, state, assignedAtMs }) => {
        const status = record.statuses.get(hash);
        return (
          status?.state !== state ||
          status.assignedAtMs !== assignedAtMs ||
          isOutdated(record.specs.get(hash)?.target, listed.get(hash))
        );
      })
    );
  }

  /** The list to send. A target that is not listed now, but held, is known from the shards that have it. */
  #assignedTargets(
    planned: PlannedShard,
    record: ShardRecord,
    listed: ReadonlyMap<string, Target>,
  ): AssignedTarget[] {
    return planned.assignments.flatMap(({ hash, state, assignedAtMs, load }) => {
      const target = listed.get(hash) ?? record.specs.get(hash)?.target ?? this.#heldTarget(hash);
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

/** Whether the shard scrapes the target as it was before its volatile labels changed. */
function isOutdated(known: Target | undefined, current: Target | undefined): boolean {
  return known !== undefined && current !== undefined && !isSameScrape(known, current);
}

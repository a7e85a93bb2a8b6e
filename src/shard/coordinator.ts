import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import type { Target } from "../model/target.ts";
import { CoordinatorMetrics } from "./coordinator-metrics.ts";
import type { ShardControl } from "./control.ts";
import type { DecisionLog } from "./decision-log.ts";
import type { ShardDriver } from "./driver.ts";
import { type Exploration, Explorer, type ExplorerOptions } from "./explorer.ts";
import { DiscoveryHold, type JobTargets } from "./hold.ts";
import type { Load } from "./load.ts";
import { plan } from "./plan.ts";
import { printDecision } from "./plan-text.ts";
import type {
  Decision,
  Observed,
  ObservedTarget,
  Plan,
  PlannedShard,
  PlanOptions,
} from "./plan-types.ts";
import { ShardRecord } from "./shard-record.ts";
import type { AssignedTarget, PushedConfig } from "./wire.ts";

/**
 * Observe → plan → apply, in a loop. The coordinator keeps no state of its own on disk: who scrapes what is read from
 * the shards, so a restart plans from where things stand. The I/O is here, the decisions are in `plan`.
 */
export interface CoordinatorOptions {
  readonly plan: PlanOptions;
  readonly explorer: ExplorerOptions;
  /** Pause between cycles (`--coordinator.interval`). */
  readonly intervalMs: number;
  /** Shortest pause between cycles when something happened: a result, a new shard, a reload. */
  readonly minIntervalMs: number;
  /** How long a suspiciously short discovery result must stand before it counts (`--sd.hold-time`). */
  readonly holdMs: number;
  /** How long a starting coordinator waits for shards it has not seen before it plans without them. */
  readonly startWaitMs: number;
}

export const DEFAULT_COORDINATOR_TIMES = {
  intervalMs: 10_000,
  minIntervalMs: 1_000,
  holdMs: 300_000,
  startWaitMs: 60_000,
} as const;

/** What discovery has found so far; asked once a cycle. */
export interface DiscoverySource {
  jobs(): readonly JobTargets[];
}

export interface CoordinatorDependencies {
  readonly discovery: DiscoverySource;
  readonly driver: ShardDriver;
  readonly connect: (url: string) => ShardControl;
  readonly explore: (target: Target, signal: AbortSignal) => Promise<Load>;
  readonly log: DecisionLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** How things stood at the end of the last cycle. */
export interface CoordinatorView {
  readonly jobs: readonly JobTargets[];
  readonly shards: readonly ShardRecord[];
  readonly plan: Plan | undefined;
  readonly planTimeMs: number;
  /** What the last plan was made from. */
  readonly observed: Observed | undefined;
  /** By hash, what the explorer knows of targets that nobody scrapes. */
  readonly exploration: (hash: string) => Exploration | undefined;
}

export class Coordinator {
  readonly name = "coordinator";
  readonly options: CoordinatorOptions;
  /** What was decided so far. */
  readonly log: DecisionLog;
  readonly #deps: CoordinatorDependencies;
  readonly #explorer: Explorer;
  readonly #hold: DiscoveryHold;
  readonly #metrics: CoordinatorMetrics;
  readonly #records = new Map<string, ShardRecord>();
  readonly #abort = new AbortController();
  #config: PushedConfig;
  /** Shards whose list must be sent though it looks the same: a reload may have changed intervals. */
  readonly #stale = new Set<string>();
  #jobs: readonly JobTargets[] = [];
  #plan: Plan | undefined;
  #planTimeMs = 0;
  #observed: Observed | undefined;
  #startedAtMs = 0;
  #wake: () => void = () => {};
  #isWoken = false;
  #loop: Promise<void> | undefined;

  constructor(
    config: PushedConfig,
    options: CoordinatorOptions,
    dependencies: CoordinatorDependencies,
  ) {
    this.#config = config;
    this.options = options;
    this.#deps = dependencies;
    this.log = dependencies.log;
    this.#hold = new DiscoveryHold(options.holdMs);
    this.#metrics = new CoordinatorMetrics(dependencies.registry);
    this.#explorer = new Explorer(options.explorer, {
      ...dependencies,
      onResult: () => this.wake(),
    });
  }

  async start(): Promise<void> {
    this.#startedAtMs = this.#deps.clock.now();
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#explorer.stop();
    this.wake();
    await this.#loop;
    for (const record of this.#records.values()) record.close();
  }

  /** Takes a new configuration; `changedJobs` are those whose discovery the operator has edited. */
  setConfig(config: PushedConfig, changedJobs: Iterable<string>): void {
    this.#config = config;
    for (const job of changedJobs) this.#hold.confirm(job, this.#deps.clock.now());
    for (const id of this.#records.keys()) this.#stale.add(id);
    this.wake();
  }

  /** Something happened that the next cycle should see soon. */
  wake(): void {
    this.#isWoken = true;
    this.#wake();
  }

  view(): CoordinatorView {
    return {
      jobs: this.#jobs,
      shards: this.#sortedRecords(),
      plan: this.#plan,
      planTimeMs: this.#planTimeMs,
      observed: this.#observed,
      exploration: (hash) => this.#explorer.result(hash),
    };
  }

  get config(): PushedConfig {
    return this.#config;
  }

  /** One observe → plan → apply. Rejects only when the driver cannot list shards. */
  async cycle(): Promise<void> {
    const { clock } = this.#deps;
    const startedMs = clock.monotonic();
    const config = this.#config;
    const isAllSeen = await this.#observeShards(config);
    this.#jobs = this.#deps.discovery.jobs();
    const observed = this.#observe();
    const waited = clock.now() - this.#startedAtMs;
    // A shard not yet seen may have targets: planning without it would give them out twice.
    if (!isAllSeen && this.#plan === undefined && waited < this.options.startWaitMs) return;
    const nowMs = clock.now();
    const made = plan(observed, this.options.plan, nowMs);
    this.#plan = made;
    this.#planTimeMs = nowMs;
    this.#observed = observed;
    this.#record(made.decisions, nowMs);
    this.log.forgetGone(observed);
    await this.#apply(made);
    this.#metrics.cycle(made, (clock.monotonic() - startedMs) / 1000);
  }

  async #run(): Promise<void> {
    const { logger } = this.#deps;
    while (!this.#abort.signal.aborted) {
      this.#isWoken = false;
      try {
        await this.cycle();
      } catch (error) {
        this.#metrics.failed.inc();
        logger.error("cannot coordinate", { error });
      }
      const { minIntervalMs, intervalMs } = this.options;
      // A cycle that could not plan yet tries again soon.
      const pauseMs = this.#plan === undefined ? minIntervalMs : intervalMs;
      await this.#pause(Math.min(minIntervalMs, pauseMs), false);
      await this.#pause(pauseMs - minIntervalMs, true);
    }
  }

  /** Waits, at most until `stop`; with `isWakeable` also at most until `wake`. */
  async #pause(durationMs: number, isWakeable: boolean): Promise<void> {
    if (durationMs <= 0 || this.#abort.signal.aborted || (isWakeable && this.#isWoken)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#deps.clock.after(durationMs, resolve);
    this.#wake = () => {
      if (isWakeable || this.#abort.signal.aborted) resolve();
    };
    await promise;
    cancel();
    this.#wake = () => {};
  }

  /** Asks every shard at once; answers whether all have been seen since the start. */
  async #observeShards(config: PushedConfig): Promise<boolean> {
    const { driver, connect, clock } = this.#deps;
    const instances = await driver.list();
    const listed = new Set(instances.map((instance) => instance.id));
    for (const [id, record] of this.#records) {
      if (listed.has(id)) continue;
      record.close();
      this.#records.delete(id);
    }
    for (const instance of instances) {
      const record = this.#records.get(instance.id);
      if (record === undefined) this.#records.set(instance.id, new ShardRecord(instance, connect));
      else record.instance = instance;
    }
    const records = [...this.#records.values()];
    const before = new Map(records.map((record) => [record, record.state]));
    await Promise.all(records.map((record) => record.observe(config, () => clock.now())));
    for (const record of records) this.#logStateChange(record, before.get(record)!);
    return records.every((record) => record.state !== "starting");
  }

  #logStateChange(record: ShardRecord, before: string): void {
    if (record.state === before) return;
    const fields = { shard: record.instance.id, state: record.state, error: record.error };
    if (record.state === "ready") this.#deps.logger.info("shard is ready", fields);
    else this.#deps.logger.warn("shard is not ready", fields);
  }

  #observe(): Observed {
    const shards = this.#sortedRecords().map((record) => record.observed());
    const assigned = new Map<string, Set<string>>();
    const known = new Map<string, Load>();
    for (const { assignments } of shards) {
      for (const { hash, job, load, goodScrapes } of assignments) {
        let hashes = assigned.get(job);
        if (hashes === undefined) assigned.set(job, (hashes = new Set()));
        hashes.add(hash);
        if (goodScrapes > 0 || !known.has(hash)) known.set(hash, load);
      }
    }
    const unowned = new Map<string, Target>();
    for (const { targets } of this.#jobs)
      for (const target of targets) if (!known.has(target.hash)) unowned.set(target.hash, target);
    this.#explorer.update(unowned);
    const nowMs = this.#deps.clock.now();
    return {
      targets: this.#observedTargets(known),
      heldJobs: this.#hold.heldJobs(this.#jobs, assigned, nowMs),
      shards,
      desiredShards: this.#deps.driver.desired,
    };
  }

  #observedTargets(known: ReadonlyMap<string, Load>): ObservedTarget[] {
    return this.#jobs.flatMap(({ job, targets }) =>
      targets.map(({ hash, url }) => {
        const load = known.get(hash);
        const isMeasured = load !== undefined && load.series + load.rawSeries > 0;
        if (isMeasured) return { hash, job, url, explored: "measured", load };
        // Assigned, but of unknown size: it weighs its job's median.
        if (load !== undefined) return { hash, job, url, explored: "failed", load: undefined };
        const result = this.#explorer.result(hash);
        return { hash, job, url, explored: result?.explored ?? "pending", load: result?.load };
      }),
    );
  }

  #record(decisions: readonly Decision[], nowMs: number): void {
    for (const decision of this.log.add(decisions, nowMs)) {
      this.#metrics.decided(decision.kind);
      this.#deps.logger.info("decided", { decision: printDecision(decision) });
    }
  }

  async #apply(made: Plan): Promise<void> {
    const targets = new Map<string, Target>();
    for (const record of this.#records.values())
      for (const [hash, { target }] of record.specs) targets.set(hash, target);
    for (const { targets: listed } of this.#jobs)
      for (const target of listed) targets.set(target.hash, target);
    const { driver, logger } = this.#deps;
    await Promise.all(
      made.shards.map(async (planned) => {
        const record = this.#records.get(planned.id);
        if (record === undefined || !this.#needsPush(record, planned)) return;
        try {
          await record.push(assignedTargets(planned, targets));
          this.#stale.delete(planned.id);
        } catch (error) {
          // The next cycle sees that the shard's list differs and sends it again.
          logger.warn("cannot give targets to shard", { shard: planned.id, error });
        }
      }),
    );
    if (made.scale === driver.desired) return;
    try {
      await driver.scale(made.scale);
    } catch (error) {
      logger.error("cannot scale shards", { from: driver.desired, to: made.scale, error });
    }
    this.wake();
  }

  #needsPush(record: ShardRecord, planned: PlannedShard): boolean {
    return (
      this.#stale.has(planned.id) ||
      record.statuses.size !== planned.assignments.length ||
      planned.assignments.some(({ hash, state, assignedAtMs }) => {
        const status = record.statuses.get(hash);
        return status?.state !== state || status.assignedAtMs !== assignedAtMs;
      })
    );
  }

  #sortedRecords(): ShardRecord[] {
    return [...this.#records.values()].sort((a, b) => a.instance.ordinal - b.instance.ordinal);
  }
}

function assignedTargets(
  planned: PlannedShard,
  targets: ReadonlyMap<string, Target>,
): AssignedTarget[] {
  return planned.assignments.flatMap(({ hash, state, assignedAtMs, load }) => {
    const target = targets.get(hash);
    return target === undefined ? [] : [{ target, state, assignedAtMs, load }];
  });
}

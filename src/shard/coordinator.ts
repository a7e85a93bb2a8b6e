import { AppError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import type { Target } from "../model/target.ts";
import { CoordinatorMetrics } from "./coordinator-metrics.ts";
import { markCutOff, suspectsOf, witnessesOf } from "./cut-off.ts";
import type { ShardControl } from "./control.ts";
import type { DecisionLog } from "./decision-log.ts";
import { DrainMarks } from "./drain-marks.ts";
import type { ShardFleet } from "./driver.ts";
import { GroupRecord } from "./group-record.ts";
import { type Exploration, Explorer, type ExplorerOptions } from "./explorer.ts";
import { DiscoveryHold, type JobTargets } from "./hold.ts";
import type { Load } from "./load.ts";
import { ListedTargets } from "./listed-targets.ts";
import { TargetObserver } from "./observed-targets.ts";
import { plan } from "./plan.ts";
import { referenceOf } from "./plan-follow.ts";
import { printDecision } from "./plan-text.ts";
import type { Decision, Observed, Plan, PlanOptions } from "./plan-types.ts";
import { figuresOf, type ShardFigures } from "./shard-figures.ts";
import { ShardHistory } from "./shard-history.ts";
import type { Leadership } from "./leadership.ts";
import { ReplicaSpread } from "./replicas-together.ts";
import type { Observation, ShardRecord } from "./shard-record.ts";
import { StopSwitch } from "./stop-switch.ts";
import { storageConditions } from "./storage-conditions.ts";
import type { PushedConfig, StopOrder } from "./wire.ts";

/**
 * Observe → plan → apply, in a loop, while this process leads. The coordinator keeps no state of its own on disk: who
 * scrapes what is read from the shards, so a restart or a standby plans from where things stand. The I/O is here, the
 * decisions are in `plan`.
 *
 * Replica groups are planned one after the other: the one whose shards are all well first, the others after its example.
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
  /** Observes and plans, and carries nothing out. */
  readonly isDryRun?: boolean;
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
  readonly fleet: ShardFleet;
  readonly leadership: Leadership;
  readonly connect: (url: string) => ShardControl;
  readonly explore: (target: Target, signal: AbortSignal) => Promise<Load>;
  /**
   * Why nothing is to be changed yet on shards that scrape these jobs, because the configuration may lack some of them; ""
   * when it is to be carried out. Default: it always is.
   */
  readonly withholds?: (jobs: () => ReadonlySet<string>) => string;
  /** Default: the planner itself. Another may watch it. */
  readonly plan?: typeof plan;
  readonly log: DecisionLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** How things stood at the end of the last cycle. */
export interface CoordinatorView {
  readonly jobs: readonly JobTargets[];
  /** All replica groups' shards, by group and ordinal. */
  readonly shards: readonly ShardRecord[];
  readonly groups: readonly GroupView[];
  /** What stands and no plan can change. */
  readonly standing: readonly Decision[];
  /** The leading group's plan. */
  readonly plan: Plan | undefined;
  readonly planTimeMs: number;
  /** What the last plans were made from: the shards of all groups. */
  readonly observed: Observed | undefined;
  /** By hash, what the explorer knows of targets that nobody scrapes. */
  readonly exploration: (hash: string) => Exploration | undefined;
}

export type GroupView = Pick<GroupRecord, "name" | "shards" | "plan" | "observed">;

export class Coordinator {
  readonly name = "coordinator";
  readonly options: CoordinatorOptions;
  /** What was decided so far. */
  readonly log: DecisionLog;
  /** What shards carried over the last hours. */
  readonly history = new ShardHistory();
  readonly #deps: CoordinatorDependencies;
  readonly #explorer: Explorer;
  readonly #hold: DiscoveryHold;
  readonly #metrics: CoordinatorMetrics;
  readonly #spread: ReplicaSpread;
  readonly #marks: DrainMarks;
  readonly #abort = new AbortController();
  #config: PushedConfig;
  #groups: readonly GroupRecord[] = [];
  #standing: readonly Decision[] = [];
  #jobs: readonly JobTargets[] = [];
  readonly #listed = new ListedTargets();
  readonly #observer = new TargetObserver(this.#listed);
  #forgotten: { readonly version: object; readonly atMs: number } | undefined;
  #plan: Plan | undefined;
  #planTimeMs = 0;
  #observed: Observed | undefined;
  /** The epoch of the term that the records belong to, and when it began. */
  #epoch: number | undefined;
  #termStartMs = 0;
  /** Why the shards are only looked at; "" when they are given what there is. */
  #withheld: string;
  readonly #stop: StopSwitch;
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
    this.#withheld = dependencies.withholds === undefined ? "" : "it is about to start";
    this.log = dependencies.log;
    this.#hold = new DiscoveryHold(options.holdMs);
    this.#stop = new StopSwitch(dependencies.logger);
    this.#metrics = new CoordinatorMetrics(dependencies.registry);
    this.#spread = new ReplicaSpread(dependencies);
    this.#marks = new DrainMarks(dependencies);
    this.#explorer = new Explorer(options.explorer, {
      ...dependencies,
      onResult: () => this.wake(),
    });
    dependencies.leadership.onChange(() => this.wake());
  }

  async start(): Promise<void> {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#explorer.stop();
    this.wake();
    await this.#loop;
    for (const group of this.#groups) group.close();
  }

  /** Takes a new configuration; `changedJobs` are those whose discovery the operator has edited. */
  setConfig(config: PushedConfig, changedJobs: Iterable<string>): void {
    this.#config = config;
    for (const job of changedJobs) this.#hold.confirm(job, this.#deps.clock.now());
    for (const group of this.#groups) group.markStale();
    this.wake();
  }

  /** The operator marks a shard to be empty, or takes the mark away. Resolves when the shard knows, if it answers. */
  async setDraining(shard: string, isDraining: boolean, reason: string): Promise<void> {
    const kind = isDraining ? "drain" : "undrain";
    this.#record([{ kind, from: shard, reason }], this.#deps.clock.now());
    this.#marks.want(shard, isDraining);
    const record = this.#shards().find(({ instance }) => instance.id === shard);
    if (record !== undefined && this.#epoch !== undefined)
      await this.#marks.tell(record, this.#epoch);
    this.wake();
  }

  /** The operator's emergency switch for all shards; "" scrapes again. Resolves when those that answer know. */
  async stopScraping(reason: string): Promise<void> {
    const { clock, leadership } = this.#deps;
    if (leadership.epoch === undefined)
      throw new AppError("unavailable", "this coordinator does not lead");
    this.#stop.set(reason, clock.now());
    const kind = reason === "" ? "resume" : "stop";
    const said = reason === "" ? "the operator lets all shards scrape again" : reason;
    this.#record([{ kind, reason: said }], clock.now());
    await this.#stop.enforce(this.#shards(), leadership.epoch);
    this.wake();
  }

  /** The last order of the emergency switch, and the shards that do not know it yet. */
  stopState(): { readonly order: StopOrder | undefined; readonly pending: readonly string[] } {
    return { order: this.#stop.order, pending: this.#stop.pending(this.#shards()) };
  }

  get draining(): ReadonlySet<string> {
    return this.#marks.marked;
  }

  /** Something happened that the next cycle should see soon. */
  wake(): void {
    this.#isWoken = true;
    this.#wake();
  }

  view(): CoordinatorView {
    return {
      jobs: this.#jobs,
      shards: this.#shards(),
      groups: this.#groups,
      standing: [
        ...this.#stop.conditions(this.#shards()),
        ...storageConditions(this.#shards()),
        ...this.#standing,
      ],
      plan: this.#plan,
      planTimeMs: this.#planTimeMs,
      observed: this.#observed,
      exploration: (hash) => this.#explorer.result(hash),
    };
  }

  get config(): PushedConfig {
    return this.#config;
  }

  get leadership(): Leadership {
    return this.#deps.leadership;
  }

  /** One observe → plan → apply. Rejects only when the fleet or a driver cannot list shards. */
  async cycle(): Promise<void> {
    const { clock, leadership } = this.#deps;
    const startedMs = clock.monotonic();
    const { epoch } = leadership;
    if (epoch !== this.#epoch) this.#beginTerm(epoch);
    if (epoch === undefined) return;
    // What shards have is put together with what is listed.
    this.#readJobs();
    const observation = { config: this.#config, epoch, now: () => clock.now() };
    await this.#observeShards({ ...observation, withheld: this.#withheld });
    if (this.#readWithheld() && this.#withheld === "")
      await this.#observeShards({ ...observation, withheld: "" });
    const outdatedBy = Math.max(...this.#shards().map((record) => record.outdatedBy ?? 0), 0);
    if (outdatedBy > epoch) {
      leadership.outdated(outdatedBy);
      return;
    }
    if (this.options.isDryRun !== true) await this.#stop.enforce(this.#shards(), epoch);
    this.#recordGone(await this.#marks.look(this.#shards(), epoch));
    this.#readJobs();
    if (this.#withheld !== "") return;
    const { shared, shardsOf } = this.#observe();
    // A shard not yet seen may have targets: planning without it would give them out twice.
    const isAllSeen = this.#groups.every((group) => group.isAllSeen);
    const waited = clock.now() - this.#termStartMs;
    if (!isAllSeen && this.#plan === undefined && waited < this.options.startWaitMs) return;
    // A leader that was paused meanwhile acts on what is no longer so: shards would refuse it, drivers would not.
    if (leadership.epoch !== epoch) return;
    const nowMs = clock.now();
    const [leading, ...others] = leadFirst(this.#groups);
    if (leading === undefined) return;
    const options = this.options.plan;
    const planGroup = this.#deps.plan ?? plan;
    const example: Observed = { ...shared, ...shardsOf(leading) };
    leading.observed = example;
    leading.plan = planGroup(example, options, nowMs);
    // Without followers nobody reads it, and it is as long as the list of targets.
    const reference =
      others.length === 0 ? undefined : referenceOf(leading.plan, example, { options, nowMs });
    for (const group of others) {
      // Every group has as many shards as the leading one, or more while its own failures need it.
      const minShards = Math.max(options.minShards, leading.plan.scale);
      group.observed = { ...shared, ...shardsOf(group), ...(reference && { reference }) };
      group.plan = planGroup(group.observed, { ...options, minShards }, nowMs);
    }
    this.#plan = leading.plan;
    this.#planTimeMs = nowMs;
    const made = this.#groups.flatMap((group) => (group.plan === undefined ? [] : [group.plan]));
    this.#observed = {
      ...shared,
      shards: this.#groups.flatMap((group) => shardsOf(group).shards),
      desiredShards: leading.driver.desired,
    };
    if (this.options.isDryRun === true) return;
    this.#record(
      made.flatMap(({ decisions }) => decisions),
      nowMs,
    );
    this.#forgetGone(this.#observed, nowMs);
    const figures = this.#figures(shardsOf);
    this.history.record(figures, nowMs);
    await this.#apply(epoch, nowMs);
    this.#metrics.shards(figures, options.limits);
    this.#metrics.cycle(made, { seconds: (clock.monotonic() - startedMs) / 1000, nowMs });
  }

  #readJobs(): void {
    this.#jobs = this.#deps.discovery.jobs();
    this.#listed.update(this.#jobs);
  }

  /** Asks anew whether the configuration may be carried out; answers whether that has changed. */
  #readWithheld(): boolean {
    const { withholds, logger } = this.#deps;
    if (withholds === undefined) return false;
    const reason = withholds(() => {
      const specs = this.#shards().flatMap((record) => [...record.specs.values()]);
      return new Set(specs.map(({ target }) => target.job));
    });
    if (reason === this.#withheld) return false;
    if (reason !== "") logger.warn("leaving all shards as they are", { reason });
    else logger.info("the configuration is carried out");
    this.#withheld = reason;
    return true;
  }

  #figures(shardsOf: (group: GroupRecord) => Pick<Observed, "shards">): ShardFigures[] {
    const { limits } = this.options.plan;
    return this.#groups.flatMap((group) => {
      const records = new Map(group.shards.map((record) => [record.instance.id, record]));
      return shardsOf(group).shards.map((shard) => {
        const hasConfig = records.get(shard.id)?.runtime?.configHash === this.#config.hash;
        return figuresOf(shard, { group: group.name, limits, hasConfig });
      });
    });
  }

  /** Nothing learnt in another term counts: others may have changed the shards since. */
  #beginTerm(epoch: number | undefined): void {
    for (const group of this.#groups) group.close();
    this.#groups = [];
    this.#standing = [];
    if (this.#epoch !== undefined) this.#marks.endTerm();
    this.#plan = undefined;
    this.#observed = undefined;
    this.#epoch = epoch;
    this.#termStartMs = this.#deps.clock.now();
    if (epoch === undefined) this.#explorer.update(new Map());
    else this.#deps.logger.info("this coordinator is in charge", { epoch });
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

  async #observeShards(observation: Observation): Promise<void> {
    const listed = await this.#deps.fleet.groups();
    const known = new Map(this.#groups.map((group) => [group.name, group]));
    this.#groups = listed.map((group) => {
      const record =
        known.get(group.name) ??
        new GroupRecord(group, {
          ...this.#deps,
          listed: this.#listed,
          startWaitMs: this.options.startWaitMs,
        });
      known.delete(group.name);
      record.driver = group.driver;
      return record;
    });
    for (const group of known.values()) group.close();
    await Promise.all(this.#groups.map((group) => group.observe(observation)));
    this.#standing = this.#spread.look(
      this.#groups.map(({ shards }) => shards.map(({ instance }) => instance)),
    );
    markCutOff(this.#shards(), (hash) => this.#explorer.result(hash)?.explored === "measured");
  }

  #observe(): {
    shared: Pick<Observed, "targets" | "hashCount" | "heldJobs">;
    shardsOf: (group: GroupRecord) => Omit<Observed, "targets" | "hashCount" | "heldJobs">;
  } {
    const shards = new Map(
      this.#groups.map((group) => [group, group.shards.map((record) => record.observed())]),
    );
    const { targets, unowned, counts } = this.#observer.observe(
      [...shards.values()].flat(),
      (hash) => this.#explorer.result(hash),
    );
    for (const record of suspectsOf(this.#shards()))
      for (const [hash, { target }] of witnessesOf(record)) unowned.set(hash, target);
    // A dry run may be about shards that were never started: nobody could have stopped them.
    const running =
      this.options.isDryRun === true
        ? this.#shards().filter(({ answers }) => answers)
        : this.#shards();
    this.#explorer.update(this.#stop.allowsTests(running) ? unowned : new Map());
    const nowMs = this.#deps.clock.now();
    return {
      shared: {
        targets,
        hashCount: this.#listed.numbers.count,
        heldJobs: this.#hold.heldJobs(this.#jobs, counts, nowMs),
      },
      shardsOf: (group) => ({
        shards: shards.get(group)!,
        desiredShards: group.driver.desired,
        lastScaleUpMs: group.lastScaleUpMs,
        lastScaleDownMs: group.lastScaleDownMs,
        drainShards: this.#marks.marked,
      }),
    };
  }

  /** Marked shards that are gone: the log is not to speak of them any more. */
  #recordGone(ids: readonly string[]): void {
    if (this.options.isDryRun === true) return;
    const reason = "the shard is gone";
    const decisions = ids.map((from) => ({ kind: "undrain", from, reason }) as const);
    this.#record(decisions, this.#deps.clock.now());
  }

  /** Lets go of what is known of targets that are gone, now and then: that costs a look at all that are there. */
  #forgetGone(observed: Observed, nowMs: number): void {
    const { version, numbers } = this.#listed;
    const last = this.#forgotten;
    if (last?.version === version || nowMs - (last?.atMs ?? -Infinity) < FORGET_EVERY_MS) return;
    this.#forgotten = { version, atMs: nowMs };
    this.log.forgetGone(observed);
    const isUsed = new Uint8Array(numbers.count);
    for (const job of this.#listed.jobs) for (const number of job.numbers) isUsed[number] = 1;
    for (const { assignments } of observed.shards)
      for (const { number } of assignments) isUsed[number!] = 1;
    numbers.forget((number) => isUsed[number] === 1);
  }

  #record(decisions: readonly Decision[], nowMs: number): void {
    for (const decision of this.log.add(decisions, nowMs)) {
      this.#metrics.decided(decision);
      this.#deps.logger.info("decided", { decision: printDecision(decision) });
    }
  }

  async #apply(epoch: number, nowMs: number): Promise<void> {
    const scaled = await Promise.all(
      this.#groups.map(
        async (group) =>
          group.plan !== undefined && (await group.apply(group.plan, { epoch, nowMs })),
      ),
    );
    if (scaled.includes(true)) this.wake();
  }

  #shards(): ShardRecord[] {
    return this.#groups.flatMap((group) => group.shards);
  }
}

/** The group that the others follow: the first whose shards are all well, else the first. */
function leadFirst(groups: readonly GroupRecord[]): GroupRecord[] {
  const leading = groups.find((group) => group.isSteady) ?? groups[0];
  return leading === undefined ? [] : [leading, ...groups.filter((group) => group !== leading)];
}

/** How often it is looked for targets that are gone. */
const FORGET_EVERY_MS = 60_000;

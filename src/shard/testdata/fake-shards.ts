import type { Clock } from "../../base/clock.ts";
import { AppError } from "../../base/errors.ts";
import { silentLogger } from "../../base/logger.ts";
import { Registry } from "../../base/metrics.ts";
import { seededRandom } from "../../base/random.ts";
import { Labels } from "../../model/labels.ts";
import type { Target } from "../../model/target.ts";
import type { JobStatistics } from "../../scrape/job-statistics.ts";
import type { ShardControl } from "../control.ts";
import { Coordinator, DEFAULT_COORDINATOR_TIMES } from "../coordinator.ts";
import { DecisionLog } from "../decision-log.ts";
import type { ShardDriver, ShardInstance } from "../driver.ts";
import { readOnlyControl } from "../dry-run.ts";
import { DEFAULT_EXPLORER_OPTIONS } from "../explorer.ts";
import type { JobTargets } from "../hold.ts";
import type { Leadership } from "../leadership.ts";
import type { Load } from "../load.ts";
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from "../plan-types.ts";
import { addStatistics } from "../statistics.ts";
import type {
  AssignedTarget,
  PushedConfig,
  ShardRuntime,
  StopOrder,
  TargetStatus,
} from "../wire.ts";

/** A world without processes and sockets for the coordinator's tests: time is turned by hand, targets have set loads. */
export class FakeWorld {
  nowMs = 1_000_000;
  /** What each target exposes by URL; a target that is missing here is down. */
  readonly loads = new Map<string, Load>();
  jobs: JobTargets[] = [];
  explored: string[] = [];
  /** Its coordinators' metrics. */
  readonly registry = new Registry();
  readonly clock: Clock = {
    now: () => this.nowMs,
    monotonic: () => this.nowMs,
    after: () => () => {},
    sleep: async () => {},
  };
  readonly groups: readonly FakeGroup[];
  /** Why its coordinators withhold the configuration, from the jobs on shards. */
  withholds: ((jobs: () => ReadonlySet<string>) => string) | undefined;
  /** The epoch that new coordinators lead under; undefined: they stand by. */
  epoch: number | undefined = 1;

  /** As many shards in each of the named replica groups. */
  constructor(shardCount: number, groups: readonly string[] = [""]) {
    this.groups = groups.map((name) => new FakeGroup(this, name));
    for (const group of this.groups) group.scale(shardCount);
  }

  /** The first group's, which is mostly the only one. */
  get shards(): FakeShard[] {
    return this.groups[0]!.shards;
  }

  coordinator(
    planOptions: Partial<PlanOptions> = {},
    config = CONFIG,
    { isDryRun = false } = {},
  ): Coordinator {
    const see = (control: ShardControl): ShardControl =>
      isDryRun ? readOnlyControl(control) : control;
    const leadership = new FakeLeadership(this.epoch);
    return new Coordinator(
      config,
      {
        ...DEFAULT_COORDINATOR_TIMES,
        plan: { ...DEFAULT_PLAN_OPTIONS, ...planOptions },
        explorer: DEFAULT_EXPLORER_OPTIONS,
        isDryRun,
      },
      {
        discovery: { jobs: () => this.jobs },
        fleet: { groups: async () => this.groups.map(({ name, driver }) => ({ name, driver })) },
        leadership,
        connect: (url) =>
          see(
            this.groups
              .flatMap(({ shards }) => shards)
              .find((shard) => shard.url === url)!
              .control(),
          ),
        explore: async (target) => {
          this.explored.push(target.url);
          const load = this.loads.get(target.url);
          if (load === undefined) throw new AppError("unavailable", "connection refused");
          return load;
        },
        ...(this.withholds && { withholds: (jobs) => this.withholds!(jobs) }),
        log: new DecisionLog(1000),
        clock: this.clock,
        random: seededRandom(1),
        logger: silentLogger,
        registry: this.registry,
      },
    );
  }

  /** `count` rounds of: a cycle, its test scrapes, a scrape of everything, ten seconds. */
  async turn(coordinator: Coordinator, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await coordinator.cycle();
      await new Promise((resolve) => setImmediate(resolve));
      this.nowMs += 10_000;
      for (const { shards } of this.groups) for (const shard of shards) shard.scrape();
    }
  }

  /** How many running shards scrape each target as its stable owner, by URL. */
  owners(): Map<string, number> {
    const owners = new Map<string, number>();
    for (const shard of this.shards)
      if (!shard.isDown)
        for (const { target, state } of shard.list)
          if (state === "normal") owners.set(target.url, (owners.get(target.url) ?? 0) + 1);
    return owners;
  }
}

/** One replica group. */
export class FakeGroup {
  readonly name: string;
  readonly shards: FakeShard[] = [];
  readonly driver: ShardDriver;
  readonly #world: FakeWorld;

  constructor(world: FakeWorld, name: string) {
    this.#world = world;
    this.name = name;
    const { shards } = this;
    this.driver = {
      list: async () => shards.map((shard) => shard.instance()),
      scale: async (count) => this.scale(count),
      get desired() {
        return shards.length;
      },
    };
  }

  scale(count: number): void {
    while (this.shards.length < count)
      this.shards.push(new FakeShard(this.#world, this.shards.length, this.name));
    this.shards.splice(count);
  }
}

/** Leads under the epoch it is given. */
export class FakeLeadership implements Leadership {
  epoch: number | undefined;
  readonly leaderUrl = undefined;
  readonly heardOf: number[] = [];

  constructor(epoch: number | undefined) {
    this.epoch = epoch;
  }

  outdated(epoch: number): void {
    this.heardOf.push(epoch);
    this.epoch = undefined;
  }

  onChange(): void {}
}

export const CONFIG: PushedConfig = { rawContent: "", baseFolder: "/", hash: "config-1" };

export class FakeShard {
  readonly url: string;
  readonly #world: FakeWorld;
  readonly #ordinal: number;
  readonly #prefix: string;
  list: readonly AssignedTarget[] = [];
  isDown = false;
  /** Answers, but does not scrape any more. */
  isIdle = false;
  /** Reaches none of its targets. */
  isCutOff = false;
  /** The latest epoch it has heard of. */
  epoch = 0;
  /** Answers `bad-data` to configurations with this hash. */
  refuses = "";
  configHash = "";
  stopOrder: StopOrder | undefined;
  /** Somebody has stopped it alone. */
  ownStopReason = "";
  pushes = 0;
  /** The machine it is on. */
  node = "";
  /** The operator's mark that it keeps; undefined: it keeps none. */
  isDraining: boolean | undefined = false;
  /** What it says of its data. */
  dataUntilMs: number | undefined;
  /** Series of former targets that are still in the head. */
  #formerSeries = 0;
  #scrapes = new Map<string, { all: number; good: number; atMs: number; isUp: boolean }>();

  constructor(world: FakeWorld, ordinal: number, group = "") {
    this.#world = world;
    this.#ordinal = ordinal;
    this.#prefix = group === "" ? "shard" : `shard-${group}`;
    this.url = `http://${this.id}`;
  }

  get id(): string {
    return `${this.#prefix}-${this.#ordinal}`;
  }

  instance(): ShardInstance {
    const { id, url, node } = this;
    return { id, ordinal: this.#ordinal, url, restarts: 0, node };
  }

  scrape(): void {
    if (this.isDown || this.isIdle) return;
    for (const { target } of this.list) {
      const counts = this.#scrapes.get(target.hash) ?? { all: 0, good: 0, atMs: 0, isUp: false };
      counts.all++;
      counts.atMs = this.#world.nowMs;
      counts.isUp = !this.isCutOff && this.#world.loads.has(target.url);
      if (counts.isUp) counts.good++;
      this.#scrapes.set(target.hash, counts);
    }
  }

  control(): ShardControl {
    const answer = async <T>(value: () => T): Promise<T> => {
      if (this.isDown) throw new AppError("timeout", "no answer within 5 s");
      return value();
    };
    const heed = (epoch: number | undefined): void => {
      if ((epoch ?? Infinity) < this.epoch) throw new AppError("outdated", "outdated");
      this.epoch = epoch ?? this.epoch;
    };
    return {
      runtime: (epoch) =>
        answer(() => {
          heed(epoch);
          return this.#runtime();
        }),
      status: () => answer(() => this.#status()),
      assignment: () => answer(() => [...this.list]),
      statistics: ({ job, withMetrics }) => answer(() => this.#statistics(job, withMetrics)),
      pushTargets: (list, epoch) =>
        answer(() => {
          heed(epoch);
          this.pushes++;
          for (const [hash] of this.#scrapes)
            if (!list.some(({ target }) => target.hash === hash)) this.#scrapes.delete(hash);
          this.list = list;
        }),
      setDraining: (isDraining, epoch) =>
        answer(() => {
          heed(epoch);
          if (this.isDraining !== undefined) this.isDraining = isDraining;
        }),
      pushConfig: async (config, epoch) => {
        heed(epoch);
        if (config.hash === this.refuses) throw new AppError("bad-data", "it is not to be read");
        await answer(() => {
          this.configHash = config.hash;
        });
      },
      pushStop: (order, epoch) =>
        answer(() => {
          heed(epoch);
          this.stopOrder = order;
        }),
      close: () => {},
    };
  }

  get headSeries(): number {
    let sum = this.#formerSeries;
    for (const { target } of this.list)
      if ((this.#scrapes.get(target.hash)?.good ?? 0) > 0)
        sum += (this.#world.loads.get(target.url)?.series ?? 0) + 5;
    return sum;
  }

  /** Every target exposes one metric, `exposed`. */
  #statistics(part: string, withMetrics: boolean): Map<string, JobStatistics> {
    const jobs = new Map<string, JobStatistics>();
    for (const { target, state } of this.list) {
      if (state !== "normal" || !target.job.includes(part)) continue;
      const load = this.#world.loads.get(target.url);
      const scraped = load?.series ?? 0;
      const total = load?.rawSeries ?? 0;
      const metrics = new Map(withMetrics ? [["exposed", { total, scraped }]] : []);
      addStatistics(jobs, new Map([[target.job, { scrapedTotal: scraped, total, metrics }]]));
    }
    return jobs;
  }

  #runtime(): ShardRuntime {
    return {
      id: this.id,
      headSeries: this.headSeries,
      processSeries: 0,
      configHash: this.configHash,
      idleSinceMs: this.list.length === 0 ? this.#world.nowMs - 1 : undefined,
      dataUntilMs: this.list.length === 0 ? this.dataUntilMs : undefined,
      pid: 1,
      rssBytes: 1,
      startedAtMs: 0,
      grpcAddress: "",
      epoch: this.epoch,
      stopReason: (this.stopOrder?.reason ?? "") || this.ownStopReason,
      stopOrder: this.stopOrder,
      draining: this.isDraining,
    };
  }

  #status(): Map<string, TargetStatus> {
    return new Map(
      this.list.map(({ target, state, assignedAtMs, load }) => {
        const counts = this.#scrapes.get(target.hash) ?? { all: 0, good: 0, atMs: 0, isUp: false };
        const { isUp } = counts;
        return [
          target.hash,
          {
            state,
            assignedAtMs,
            load: counts.good > 0 ? (this.#world.loads.get(target.url) ?? load) : load,
            health: counts.all === 0 ? "unknown" : isUp ? "up" : "down",
            lastError: isUp ? "" : "connection refused",
            lastScrapeMs: counts.atMs,
            lastScrapeDurationMs: 1,
            scrapes: counts.all,
            goodScrapes: counts.good,
          },
        ];
      }),
    );
  }
}

export function fakeTarget(name: string, job = "m"): Target {
  const labels = Labels.fromObject({ job, instance: name });
  // Any decimal text that differs by name will do.
  const hash = String(Array.from(name).reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7));
  return {
    hash,
    job,
    allLabels: labels,
    labels,
    discoveredLabels: labels,
    url: `http://${name}/metrics`,
    intervalMs: 10_000,
    timeoutMs: 10_000,
  };
}

export function fakeJob(
  job: string,
  targets: readonly Target[],
  rest: Partial<JobTargets> = {},
): JobTargets {
  return {
    job,
    targets,
    dropped: () => [],
    droppedCount: 0,
    isComplete: true,
    isStatic: false,
    error: "",
    ...rest,
  };
}

import { AppError, messageOf } from "../base/errors.ts";
import type { JobStatistics, StatisticsQuery } from "../scrape/job-statistics.ts";
import type { ShardControl } from "./control.ts";
import type { ShardInstance } from "./driver.ts";
import type { ObservedAssignment, ObservedShard, ShardState } from "./plan-types.ts";
import type {
  AssignedTarget,
  PushedConfig,
  ShardRuntime,
  StopOrder,
  TargetStatus,
} from "./wire.ts";

/** A target counts as overdue after this many of its intervals, but not before `OVERDUE_MIN_MS`. */
const OVERDUE_INTERVALS = 3;
const OVERDUE_MIN_MS = 60_000;

/** A shard that was there before the coordinator was: how long it has to answer for the first time. */
export interface FirstContact {
  readonly sinceMs: number;
  readonly waitMs: number;
}

/** Under whose orders a shard is asked, and when. */
export interface Observation {
  readonly config: PushedConfig;
  /** Why a shard that runs another configuration is not offered this one; "" when it is. */
  readonly withheld: string;
  readonly epoch: number;
  readonly now: () => number;
}

/**
 * What the coordinator remembers of one shard between cycles: the last answers, so that a shard that stops answering
 * keeps its targets for a while.
 *
 * A shard is judged by its data, not by its word: one that answers but has not scraped any of its targets for several
 * intervals, or that fails on all of them while others can reach them (`markCutOff`), is as lost as one that is silent.
 */
export class ShardRecord {
  instance: ShardInstance;
  state: ShardState = "starting";
  error = "";
  lastSeenMs = 0;
  /** It did so when it was last asked. */
  answers = false;
  /** A later coordinator than ours has been there, under this epoch. */
  outdatedBy: number | undefined;
  runtime: ShardRuntime | undefined;
  statuses: ReadonlyMap<string, TargetStatus> = new Map();
  /** Labels, URL and job of what it has. */
  specs: ReadonlyMap<string, AssignedTarget> = new Map();
  /** `statuses` with their `specs`, as the planner reads them. */
  #assignments: readonly ObservedAssignment[] = [];
  /** Since when all of its targets fail; undefined while one is scraped well. */
  failingSinceMs: number | undefined;
  /** For a shard that answers and yet counts as lost: since when. */
  #uselessSinceMs: number | undefined;
  #control: ShardControl | undefined;
  #url: string | undefined;
  readonly #connect: (url: string) => ShardControl;
  readonly #firstContact: FirstContact | undefined;

  /** Without `firstContact` the shard is a new one, which may take its time to start. */
  constructor(
    instance: ShardInstance,
    connect: (url: string) => ShardControl,
    firstContact?: FirstContact,
  ) {
    this.instance = instance;
    this.#connect = connect;
    this.#firstContact = firstContact;
  }

  /** Reads the shard's state, bringing the configuration to it first when it runs another. Never rejects. */
  async observe({ config, withheld, epoch, now }: Observation): Promise<void> {
    const control = this.#reach();
    if (control === undefined) {
      this.#unreachable(this.instance.error ?? "it is not up", now());
      return;
    }
    try {
      // The head is read before the statuses: a scrape in between then counts once, by its target, not twice.
      let runtime = await control.runtime(epoch);
      let refusal = withheld;
      if (runtime.configHash !== config.hash && withheld === "") {
        refusal = await offer(control, config, epoch);
        runtime = await control.runtime(epoch);
      }
      const statuses = await control.status();
      if (!isKnown(statuses, this.specs)) this.specs = byHash(await control.assignment());
      this.runtime = runtime;
      this.statuses = statuses;
      this.lastSeenMs = now();
      this.answers = true;
      this.outdatedBy = undefined;
      this.state = runtime.configHash === config.hash ? "ready" : "refused";
      this.error = this.state === "ready" ? "" : refusal;
      this.#readStatuses(this.lastSeenMs);
    } catch (error) {
      await this.#noteOutdated(control, error);
      this.#unreachable(messageOf(error), now());
    }
  }

  /** Rejects when the shard does not answer. */
  async statistics(query: StatisticsQuery): Promise<Map<string, JobStatistics>> {
    const control = this.#reach();
    if (control === undefined) throw new AppError("unavailable", `${this.instance.id} is not up`);
    return control.statistics(query);
  }

  /** Replaces the shard's list; remembers it only when the shard has taken it. */
  async push(list: readonly AssignedTarget[], epoch: number): Promise<void> {
    const control = this.#reach();
    if (control === undefined) throw new AppError("unavailable", `${this.instance.id} is not up`);
    try {
      await control.pushTargets(list, epoch);
    } catch (error) {
      await this.#noteOutdated(control, error);
      throw error;
    }
    this.specs = byHash(list);
    this.#assignments = this.#assignments.filter(({ hash }) => this.specs.has(hash));
  }

  /** Rejects when the shard does not take it. */
  async pushStop(order: StopOrder, epoch: number): Promise<void> {
    const control = this.#reach();
    if (control === undefined || this.runtime === undefined)
      throw new AppError("unavailable", `${this.instance.id} is not up`);
    await control.pushStop(order, epoch);
    this.runtime = { ...this.runtime, stopReason: order.reason, stopOrder: order };
  }

  /** Has the shard keep the operator's mark. */
  async setDraining(isDraining: boolean, epoch: number): Promise<void> {
    const control = this.#reach();
    if (control === undefined) throw new AppError("unavailable", `${this.instance.id} is not up`);
    try {
      await control.setDraining(isDraining, epoch);
    } catch (error) {
      await this.#noteOutdated(control, error);
      throw error;
    }
    if (this.runtime !== undefined) this.runtime = { ...this.runtime, draining: isDraining };
  }

  /** All of its targets fail, and somebody else has reached one of them: the shard is what is wrong. */
  markCutOff(): void {
    if (this.failingSinceMs === undefined || this.state !== "ready") return;
    this.state = "lost";
    this.#uselessSinceMs = this.failingSinceMs;
    this.error = "it reaches none of its targets, which others do reach";
  }

  observed(): ObservedShard {
    const { id, ordinal } = this.instance;
    return {
      id,
      ordinal,
      state: this.state,
      lastSeenMs: this.#uselessSinceMs ?? this.lastSeenMs,
      headSeries: this.runtime?.headSeries ?? 0,
      idleSinceMs: this.runtime?.idleSinceMs,
      dataUntilMs: this.runtime?.dataUntilMs,
      assignments: this.#assignments,
    };
  }

  close(): void {
    this.#control?.close();
    this.#control = undefined;
  }

  #reach(): ShardControl | undefined {
    if (this.instance.url !== this.#url) {
      this.close();
      this.#url = this.instance.url;
    }
    if (this.#control === undefined && this.#url !== undefined)
      this.#control = this.#connect(this.#url);
    return this.#control;
  }

  #unreachable(error: string, nowMs: number): void {
    const { sinceMs, waitMs } = this.#firstContact ?? { sinceMs: nowMs, waitMs: Infinity };
    const isOverdue = nowMs - sinceMs > waitMs;
    this.state = this.lastSeenMs === 0 && !isOverdue ? "starting" : "lost";
    this.error = error;
    this.answers = false;
    // One that was dead before this coordinator began is as lost as one that died since.
    this.#uselessSinceMs = this.lastSeenMs === 0 && isOverdue ? sinceMs : undefined;
  }

  /** Puts statuses and specs together, and looks whether the shard does what it is there for. */
  #readStatuses(nowMs: number): void {
    this.#uselessSinceMs = undefined;
    const assignments: ObservedAssignment[] = [];
    let lastWorkMs = 0;
    let isOverdue = true;
    let isFailing = true;
    for (const [hash, status] of this.statuses) {
      const { state, assignedAtMs, load, health, lastScrapeMs, scrapes, goodScrapes } = status;
      const target = this.specs.get(hash)?.target;
      if (target !== undefined) {
        const { job, url } = target;
        const known = { hash, job, url, state, assignedAtMs, load, health, scrapes, goodScrapes };
        assignments.push(known);
      }
      const intervalMs = target?.intervalMs ?? OVERDUE_MIN_MS;
      const workMs = Math.max(lastScrapeMs, assignedAtMs);
      lastWorkMs = Math.max(lastWorkMs, workMs);
      if (nowMs - workMs <= Math.max(OVERDUE_INTERVALS * intervalMs, OVERDUE_MIN_MS))
        isOverdue = false;
      if (health !== "down") isFailing = false;
    }
    this.#assignments = assignments;
    const isStopped = (this.runtime?.stopReason ?? "") !== "";
    if (this.statuses.size === 0 || isStopped) {
      this.failingSinceMs = undefined;
      return;
    }
    this.failingSinceMs = isFailing ? (this.failingSinceMs ?? nowMs) : undefined;
    if (!isOverdue || this.state !== "ready") return;
    this.state = "lost";
    this.#uselessSinceMs = lastWorkMs;
    const seconds = Math.round((nowMs - lastWorkMs) / 1000);
    this.error = `it has scraped none of its ${this.statuses.size} targets for ${seconds} s`;
  }

  async #noteOutdated(control: ShardControl, error: unknown): Promise<void> {
    if (!(error instanceof AppError) || error.code !== "outdated") return;
    try {
      this.outdatedBy = (await control.runtime(undefined)).epoch;
    } catch {
      // It is asked again in the next cycle.
    }
  }
}

/** Offers the configuration; the reason when the shard refuses it, else "". Rejects when the shard does not answer. */
async function offer(control: ShardControl, config: PushedConfig, epoch: number): Promise<string> {
  try {
    await control.pushConfig(config, epoch);
    return "";
  } catch (error) {
    if (error instanceof AppError && error.code === "bad-data") return error.message;
    throw error;
  }
}

function byHash(list: readonly AssignedTarget[]): Map<string, AssignedTarget> {
  return new Map(list.map((entry) => [entry.target.hash, entry]));
}

function isKnown(
  statuses: ReadonlyMap<string, TargetStatus>,
  specs: ReadonlyMap<string, AssignedTarget>,
): boolean {
  for (const hash of statuses.keys()) if (!specs.has(hash)) return false;
  return true;
}

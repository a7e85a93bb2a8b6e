import { AppError, messageOf } from "../base/errors.ts";
import type { JobStatistics, StatisticsQuery } from "../scrape/job-statistics.ts";
import type { ShardControl } from "./control.ts";
import type { ShardInstance } from "./driver.ts";
import type { ListedTargets } from "./listed-targets.ts";
import type { ObservedAssignment, ObservedShard, ShardState } from "./plan-types.ts";
import { ReportedList } from "./reported-list.ts";
import { ASSIGNED_AT, DOWN, HEALTH, LAST_SCRAPE, StatusTable } from "./status-table.ts";
import type {
  AssignedTarget,
  ListChanges,
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

export interface ShardRecordDependencies {
  readonly connect: (url: string) => ShardControl;
  /** What discovery lists, and the numbers of all targets. */
  readonly listed: ListedTargets;
}

/** What a shard has, whatever its state is: labels, URL and job. */
export type KnownTarget = Pick<AssignedTarget, "target">;

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
  statuses: StatusTable = StatusTable.EMPTY;
  /** Labels, URL and job of what it has. */
  readonly #specs = new Map<string, KnownTarget>();
  /** Whether there is a spec for each status, as far as the shard tells. */
  #isListKnown = false;
  /** `statuses` with their `specs`, as the planner reads them. */
  readonly #reported: ReportedList;
  /** Since when all of its targets fail; undefined while one is scraped well. */
  failingSinceMs: number | undefined;
  /** For a shard that answers and yet counts as lost: since when. */
  #uselessSinceMs: number | undefined;
  #control: ShardControl | undefined;
  #url: string | undefined;
  readonly #deps: ShardRecordDependencies;
  readonly #firstContact: FirstContact | undefined;

  /** Without `firstContact` the shard is a new one, which may take its time to start. */
  constructor(
    instance: ShardInstance,
    dependencies: ShardRecordDependencies,
    firstContact?: FirstContact,
  ) {
    this.instance = instance;
    this.#deps = dependencies;
    this.#firstContact = firstContact;
    this.#reported = new ReportedList(dependencies.listed.numbers);
  }

  get specs(): ReadonlyMap<string, KnownTarget> {
    return this.#specs;
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
      const statuses = StatusTable.of(await control.status(), this.statuses);
      if (statuses.list !== this.statuses.list) this.#isListKnown = false;
      if (!this.#isListKnown && !isKnown(statuses, this.#specs))
        this.#learn(await control.assignment());
      this.#isListKnown = true;
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
    await this.#order((control) => control.pushTargets(list, epoch));
    this.#learn(list);
    this.#forgetOthers();
  }

  /** The same by what differs from the list it reports; false when it has to be given all of it. */
  async pushChanges(changes: Omit<ListChanges, "base">, epoch: number): Promise<boolean> {
    const base = this.statuses.list.revision;
    if (base === "") return false;
    const isTaken = await this.#order((control) =>
      control.pushChanges?.({ ...changes, base }, epoch),
    );
    if (isTaken !== true) return false;
    for (const hash of changes.gone) this.#specs.delete(hash);
    for (const { target } of changes.set) this.#specs.set(target.hash, { target });
    this.#forgetOthers();
    return true;
  }

  #forgetOthers(): void {
    this.#isListKnown = false;
    this.#reported.keepOnly((hash) => this.#specs.has(hash));
  }

  async #order<T>(order: (control: ShardControl) => T | Promise<T>): Promise<T> {
    const control = this.#reach();
    if (control === undefined) throw new AppError("unavailable", `${this.instance.id} is not up`);
    try {
      return await order(control);
    } catch (error) {
      await this.#noteOutdated(control, error);
      throw error;
    }
  }

  /** Hashes of what it scrapes otherwise than discovery lists it now. */
  outdated(): readonly string[] {
    return this.#reported.outdated(this.#deps.listed, (hash, target) => {
      this.#specs.set(hash, { target });
    });
  }

  /** As the planner has last seen them. */
  get assignments(): readonly ObservedAssignment[] {
    return this.#reported.assignments;
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
      assignments: this.assignments,
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
      this.#control = this.#deps.connect(this.#url);
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
    const { statuses } = this;
    this.#uselessSinceMs = undefined;
    this.#reported.read(statuses, this.#specs);
    const isStopped = (this.runtime?.stopReason ?? "") !== "";
    if (this.statuses.size === 0 || isStopped) {
      this.failingSinceMs = undefined;
      return;
    }
    this.failingSinceMs = isFailing(statuses) ? (this.failingSinceMs ?? nowMs) : undefined;
    if (this.state !== "ready" || !this.#isOverdue(nowMs)) return;
    let lastWorkMs = 0;
    for (let place = 0; place < statuses.size; place++)
      lastWorkMs = Math.max(lastWorkMs, workMsAt(statuses, place));
    this.state = "lost";
    this.#uselessSinceMs = lastWorkMs;
    const seconds = Math.round((nowMs - lastWorkMs) / 1000);
    this.error = `it has scraped none of its ${this.statuses.size} targets for ${seconds} s`;
  }

  /** Whether no target has been scraped when it should have been. Mostly the first one has. */
  #isOverdue(nowMs: number): boolean {
    const { statuses } = this;
    for (let place = 0; place < statuses.size; place++) {
      const target = this.#specs.get(statuses.list.hashes[place]!)?.target;
      const dueMs = OVERDUE_INTERVALS * (target?.intervalMs ?? OVERDUE_MIN_MS);
      if (nowMs - workMsAt(statuses, place) <= Math.max(dueMs, OVERDUE_MIN_MS)) return false;
    }
    return true;
  }

  #learn(list: readonly AssignedTarget[]): void {
    this.#specs.clear();
    for (const spec of list) {
      const target = this.#deps.listed.adopt(spec.target);
      this.#specs.set(target.hash, { target });
    }
    this.#reported.forgetTargets();
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

/** Whether every target fails. Mostly the first one does not. */
function isFailing(statuses: StatusTable): boolean {
  for (let place = 0; place < statuses.size; place++)
    if (statuses.byte(HEALTH, place) !== DOWN) return false;
  return true;
}

/** When it was last busy with a target: scraped it, or got it. */
function workMsAt(statuses: StatusTable, place: number): number {
  return Math.max(statuses.number(LAST_SCRAPE, place), statuses.number(ASSIGNED_AT, place));
}

function isKnown(
  statuses: ReadonlyMap<string, TargetStatus>,
  specs: ReadonlyMap<string, KnownTarget>,
): boolean {
  for (const hash of statuses.keys()) if (!specs.has(hash)) return false;
  return true;
}

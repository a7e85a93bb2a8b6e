import { AppError } from "../base/errors.ts";
import { jitterSeed, scrapeOffset } from "../scrape/schedule.ts";
import { CONTROL_TIMEOUT_MS, type ShardControl } from "../shard/control.ts";
import type { ShardInstance } from "../shard/driver.ts";
import { addCost, type Load, NO_LOAD } from "../shard/load.ts";
import { StatusTable } from "../shard/status-table.ts";
import type { AssignedTarget, PushedConfig, ShardRuntime } from "../shard/wire.ts";
import { FormerSeries } from "./head-model.ts";
import { ScrapedTarget } from "./scraped-target.ts";
import type { World } from "./world.ts";

/**
 * `starting`: asked for, its process is not there yet · `running` · `crashed`: its process is gone, calls are refused at
 * once · `hung`: its process stands still, calls run into their deadline · `removed`: not asked for any more, its folder
 * stays.
 *
 *     removed ──scale──► starting ──delay──► running ──► crashed | hung ──► running
 *        ▲────────────────────────scale─────────┴──────────────┘
 */
export type ShardLife = "starting" | "running" | "crashed" | "hung" | "removed";

/** Scrapes that targets of a shard had which ran before the simulation began. */
const PRESET_SCRAPES = 10;

/** A shard as it behaves towards a coordinator and towards its targets, without a process, a scrape or a sample. */
export class SimShard {
  readonly id: string;
  readonly ordinal: number;
  readonly url: string;
  readonly #world: World;
  readonly #seed: bigint;
  #entries = new Map<string, ScrapedTarget>();
  /** What was last answered, in the order of the entries; undefined when they have changed since. */
  #statusTable: StatusTable | undefined;
  readonly #former = new FormerSeries();
  #life: ShardLife = "removed";
  #headSeries = 0;
  #rawSeries = 0;
  #configHash = "";
  #idleSinceMs: number | undefined;
  /** Of the newest sample that a former target left; 0 for none. */
  #lastSampleMs = 0;
  #startedMs = 0;
  #restarts = 0;
  /** Entries have been brought up to this time. */
  #refreshedMs = -1;
  /** Of the latest coordinator it has heard of. */
  #latestEpoch = 0;
  /** Counts starts and stops: a timer of an earlier life must not end a later one. */
  #lives = 0;

  constructor(world: World, ordinal: number) {
    this.#world = world;
    this.ordinal = ordinal;
    this.id = `shard-${ordinal}`;
    this.url = `http://${this.id}`;
    this.#seed = jitterSeed(this.id);
  }

  get life(): ShardLife {
    return this.#life;
  }

  get targetCount(): number {
    return this.#entries.size;
  }

  has(hash: string): boolean {
    return this.#entries.has(hash);
  }

  /** What it is told to scrape, for tests and figures. */
  get list(): readonly AssignedTarget[] {
    return [...this.#entries.values()].map(({ assigned }) => assigned);
  }

  /** What its targets cost, and what they and former ones take up. */
  loads(): { readonly own: Load; readonly used: Load } {
    this.#refresh();
    const own = { ...NO_LOAD };
    for (const entry of this.#entries.values()) addCost(own, entry.status().load, 1);
    return { own, used: { ...own, series: Math.max(own.series, this.headSeries) } };
  }

  get headSeries(): number {
    return this.#headSeries + this.#former.sum(this.#world.clock.now());
  }

  instance(): ShardInstance {
    const isThere = this.#life !== "starting" && this.#life !== "removed";
    return {
      id: this.id,
      ordinal: this.ordinal,
      url: isThere ? this.url : undefined,
      restarts: this.#restarts,
    };
  }

  /** It is asked for; it runs after `delayMs`, on the folder of a former life if there was one. */
  start(delayMs: number): void {
    this.#forget();
    this.#setLife("starting");
    this.#later(delayMs, () => this.#run());
  }

  /** It has run with `list` for long before the simulation began. */
  preset(list: readonly AssignedTarget[]): void {
    const nowMs = this.#world.clock.now();
    for (const assigned of list)
      this.#add(assigned, nowMs - PRESET_SCRAPES * assigned.target.intervalMs);
    this.#setLife("running");
  }

  /** It is not asked for any more. */
  remove(): void {
    if (this.#life === "running") this.#stopScraping(false);
    this.#setLife("removed");
  }

  /** Its process ends, or stands still, and is back after `durationMs` with the targets it had. */
  lose(kind: "crashed" | "hung", durationMs: number): void {
    if (this.#life === "running") this.#stopScraping(true);
    this.#setLife(kind);
    this.#later(durationMs, () => {
      if (kind === "crashed") {
        this.#restarts++;
        this.#forget();
      }
      this.#run();
    });
  }

  control(): ShardControl {
    const answer = async <T>(value: () => T): Promise<T> => {
      if (this.#life === "hung") {
        await this.#world.clock.sleep(CONTROL_TIMEOUT_MS);
        throw new AppError("timeout", `no answer within ${CONTROL_TIMEOUT_MS / 1000} s`);
      }
      if (this.#life !== "running") throw new AppError("unavailable", "connection refused");
      return value();
    };
    const ordered = <T>(epoch: number | undefined, value: () => T): Promise<T> =>
      answer(() => {
        this.#heed(epoch);
        return value();
      });
    return {
      runtime: (epoch) => ordered(epoch, () => this.#runtime()),
      status: () => answer(() => this.#statuses()),
      assignment: () => answer(() => [...this.list]),
      // What a person asks for: planning does not.
      statistics: () => answer(() => new Map()),
      pushTargets: (list, epoch) => ordered(epoch, () => this.#replace(list)),
      // Nobody drains by hand here.
      setDraining: (_, epoch) => ordered(epoch, () => {}),
      pushConfig: (config: PushedConfig, epoch) =>
        ordered(epoch, () => {
          this.#configHash = config.hash;
        }),
      // Nobody pulls the emergency switch in a simulation.
      pushStop: (_order, epoch) => ordered(epoch, () => {}),
      close: () => {},
    };
  }

  /** Refuses a coordinator that is not the latest one. */
  #heed(epoch: number | undefined): void {
    if (epoch === undefined) return;
    if (epoch < this.#latestEpoch)
      throw new AppError("outdated", `a coordinator with epoch ${this.#latestEpoch} is in charge`);
    this.#latestEpoch = epoch;
  }

  #forget(): void {
    for (const entry of this.#entries.values()) entry.forget();
    this.#statusTable = undefined;
  }

  #setLife(life: ShardLife): void {
    this.#life = life;
    this.#lives++;
    this.#world.shardChanged();
  }

  #later(delayMs: number, action: () => void): void {
    const life = this.#lives;
    this.#world.clock.after(delayMs, () => {
      if (this.#lives === life) action();
    });
  }

  #run(): void {
    const nowMs = this.#world.clock.now();
    if (this.#life !== "hung") this.#startedMs = nowMs;
    this.#setLife("running");
    if (this.#entries.size === 0) this.#idleSinceMs ??= nowMs;
    for (const entry of this.#entries.values()) {
      entry.skip(nowMs);
      this.#join(entry, nowMs);
    }
  }

  #stopScraping(isLost: boolean): void {
    this.#refresh();
    const nowMs = this.#world.clock.now();
    for (const hash of this.#entries.keys())
      this.#world.coverage.leave(hash, { shard: this.id, isLost }, nowMs);
  }

  #join(entry: ScrapedTarget, nowMs: number): void {
    const scraper = { shard: this.id, rhythm: entry.rhythm };
    this.#world.coverage.join(entry.target.target.hash, scraper, nowMs);
  }

  #replace(list: readonly AssignedTarget[]): void {
    this.#refresh();
    const nowMs = this.#world.clock.now();
    const before = this.#entries;
    this.#entries = new Map();
    this.#statusTable = undefined;
    for (const assigned of list) {
      const { hash } = assigned.target;
      const entry = before.get(hash);
      if (entry === undefined) this.#add(assigned, nowMs);
      else {
        before.delete(hash);
        entry.assign(assigned);
        this.#entries.set(hash, entry);
      }
    }
    for (const [hash, entry] of before) this.#drop(hash, entry);
    if (this.#entries.size > 0) this.#idleSinceMs = undefined;
    else this.#idleSinceMs ??= nowMs;
  }

  #add(assigned: AssignedTarget, fromMs: number): void {
    const { hash, intervalMs } = assigned.target;
    const rhythm = { intervalMs, offsetMs: scrapeOffset(assigned.target, this.#seed) };
    const entry = new ScrapedTarget(assigned, { target: this.#world.target(hash), rhythm, fromMs });
    this.#rawSeries += entry.rawSeries;
    this.#entries.set(hash, entry);
    this.#join(entry, this.#world.clock.now());
  }

  #drop(hash: string, entry: ScrapedTarget): void {
    this.#headSeries -= entry.headSeries;
    this.#rawSeries -= entry.rawSeries;
    this.#lastSampleMs = Math.max(this.#lastSampleMs, entry.lastSampleMs);
    if (entry.headSeries > 0) this.#former.add(hash, entry.headSeries, entry.lastSampleMs);
    const leaver = { shard: this.id, isLost: false };
    this.#world.coverage.leave(hash, leaver, this.#world.clock.now());
  }

  /** Counts the scrapes since the last look. */
  #refresh(): void {
    const nowMs = this.#world.clock.now();
    if (this.#life !== "running" || this.#refreshedMs === nowMs) return;
    this.#refreshedMs = nowMs;
    let place = -1;
    for (const [hash, entry] of this.#entries) {
      const { headSeries, rawSeries } = entry;
      place++;
      if (!entry.count(nowMs)) continue;
      // From its first sample here on, its former series count with it again.
      if (headSeries === 0) this.#former.take(hash);
      this.#headSeries += entry.headSeries - headSeries;
      this.#rawSeries += entry.rawSeries - rawSeries;
      this.#statusTable?.set(place, entry.status());
    }
  }

  #runtime(): ShardRuntime {
    this.#refresh();
    return {
      id: this.id,
      headSeries: this.headSeries,
      processSeries: this.#rawSeries,
      configHash: this.#configHash,
      idleSinceMs: this.#idleSinceMs,
      dataUntilMs: this.#dataUntilMs(),
      pid: 1,
      rssBytes: 0,
      startedAtMs: this.#startedMs,
      grpcAddress: "",
      epoch: this.#latestEpoch,
      stopReason: "",
    };
  }

  #dataUntilMs(): number | undefined {
    const { retentionMs } = this.#world;
    if (retentionMs === 0 || this.#idleSinceMs === undefined) return undefined;
    return this.#lastSampleMs === 0 ? 0 : this.#lastSampleMs + retentionMs;
  }

  /** The table is the caller's until the next call, which changes it where targets have been scraped since. */
  #statuses(): StatusTable {
    this.#refresh();
    if (this.#statusTable === undefined) {
      const table = new StatusTable({ revision: "", hashes: [...this.#entries.keys()] });
      let place = 0;
      for (const entry of this.#entries.values()) table.set(place++, entry.status());
      this.#statusTable = table;
    }
    return this.#statusTable;
  }
}

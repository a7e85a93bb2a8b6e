import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { AppError, systemCode } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { parseWithAdded } from "../config/added-jobs.ts";
import type { Config } from "../config/types.ts";
import type { Target } from "../model/target.ts";
import type { ScrapeManager } from "../scrape/scrape-manager.ts";
import type { TargetStatus as ScrapeStatus } from "../scrape/scrape-loop.ts";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { TargetCompleter } from "./bare-target.ts";
import { Fence } from "./fence.ts";
import type { Load } from "./load.ts";
import { byHash } from "./listed-assignments.ts";
import { LoadAverage } from "./load-average.ts";
import { type StatusList, StatusTable } from "./status-table.ts";
import {
  type AssignedTarget,
  decodeAssignment,
  decodeConfig,
  decodeDraining,
  encodeAssignment,
  type ListChanges,
  type PushedConfig,
  type ShardRuntime,
  type StopOrder,
  type TargetStatus,
} from "./wire.ts";

/** The scraping engine under a shard. */
export type ScrapeEngine = Pick<ScrapeManager, "apply" | "status" | "stop" | "stopScraping">;

export interface ShardServiceOptions {
  readonly id: string;
  readonly folder: string;
  readonly engine: ScrapeEngine;
  readonly headSeries: () => number;
  readonly grpcAddress: () => string;
  /** `ShardRuntime.dataUntilMs`, of a shard that has had no targets since `idleSinceMs`. */
  readonly dataUntilMs: (idleSinceMs: number) => number | undefined;
  /** `ShardRuntime.storageError`. Default: none. */
  readonly storageError?: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly startedAtMs: number;
}

/** What a shard keeps of one assigned target. */
interface Entry {
  readonly assigned: AssignedTarget;
  readonly average: LoadAverage;
  scrapes: number;
  goodScrapes: number;
  last: ScrapeStatus | undefined;
}

const CONFIG_FILE = "config.json";
const TARGETS_FILE = "targets.json";
const STOP_FILE = "stop.json";
const DRAIN_FILE = "drain.json";
const EPOCH_FILE = "epoch";

/** The emergency switch: as the coordinator has set it for all shards, and as somebody has set it here. */
interface Stop {
  readonly order: StopOrder | undefined;
  readonly ownReason: string;
}

/**
 * The shard's part of the bargain: it scrapes the targets it was last given with the configuration it was last given, and
 * keeps both on disk, so that it goes on after a restart without anybody's help.
 */
export class ShardService {
  readonly name = "shard";
  readonly #options: ShardServiceOptions;
  readonly #fence: Fence;
  #entries = new Map<string, Entry>();
  /** What the list is called: of this process's start and how often it has changed since. */
  #revision = 0;
  #list: StatusList | undefined;
  #pushed: PushedConfig | undefined;
  #config: Config | undefined;
  #completer: TargetCompleter | undefined;
  #idleSinceMs: number | undefined;
  #stop: Stop = { order: undefined, ownReason: "" };
  #isDraining = false;
  /** Changes of targets and configuration happen one after the other. */
  #queue: Promise<void> = Promise.resolve();

  constructor(options: ShardServiceOptions) {
    this.#options = options;
    this.#fence = new Fence(join(options.folder, EPOCH_FILE));
  }

  get config(): Config | undefined {
    return this.#config;
  }

  /** Takes up what was assigned before the restart. */
  async start(): Promise<void> {
    const { folder, clock, logger } = this.#options;
    await mkdir(folder, { recursive: true });
    await this.#fence.open();
    this.#idleSinceMs = clock.now();
    try {
      const mark = await readJson(join(folder, DRAIN_FILE));
      this.#isDraining = mark !== undefined && decodeDraining(mark);
    } catch (error) {
      logger.error("cannot read whether this shard is to be empty", { error });
    }
    try {
      this.#readStop(await readJson(join(folder, STOP_FILE)));
      const config = await readJson(join(folder, CONFIG_FILE));
      const targets = await readJson(join(folder, TARGETS_FILE));
      if (config === undefined) return;
      const pushed = decodeConfig(config);
      this.#run(pushed, parsePushed(pushed));
      if (targets !== undefined) this.#replace(decodeAssignment(targets));
    } catch (error) {
      // The coordinator brings a good one; until then nothing can be scraped.
      logger.error("cannot take up the kept configuration and targets", { error });
      return;
    }
    this.#apply(new Set());
    logger.info("took up the kept targets", { targets: this.#entries.size });
  }

  async stop(): Promise<void> {
    await this.#queue;
    await this.#options.engine.stop();
  }

  /**
   * A coordinator with this epoch has called. Resolves after everything that earlier ones ordered has been done, and
   * rejects with `outdated` when a later one is known.
   */
  heed(epoch: number | undefined): Promise<void> {
    return this.#enqueue(() => this.#fence.pass(epoch));
  }

  /** Rejects with `outdated` when a later epoch is known. */
  setTargets(list: readonly AssignedTarget[], epoch?: number): Promise<void> {
    return this.#enqueue(async () => {
      await this.#fence.pass(epoch);
      await this.#take(list);
    });
  }

  /** Keeps the operator's mark for whoever leads. Rejects with `outdated` when a later epoch is known. */
  setDraining(draining: boolean, epoch?: number): Promise<void> {
    return this.#enqueue(async () => {
      await this.#fence.pass(epoch);
      await this.#persist(DRAIN_FILE, { draining });
      this.#isDraining = draining;
    });
  }

  /** Rejects with `not-acceptable` when `base` is not the list it has; with `outdated` as above. */
  changeTargets({ base, set, gone }: ListChanges, epoch?: number): Promise<void> {
    return this.#enqueue(async () => {
      await this.#fence.pass(epoch);
      const { revision } = this.#statusList();
      if (base !== revision)
        throw new AppError("not-acceptable", `cannot change list ${base}: it is ${revision} now`);
      const list = new Map<string, AssignedTarget>();
      for (const [hash, { assigned }] of this.#entries) list.set(hash, assigned);
      for (const hash of gone) list.delete(hash);
      for (const assigned of set) list.set(assigned.target.hash, assigned);
      await this.#take([...list.values()].sort((a, b) => byHash(a.target, b.target)));
    });
  }

  async #take(list: readonly AssignedTarget[]): Promise<void> {
    const leaving = new Set<string>();
    for (const [hash, { assigned }] of this.#entries)
      if (assigned.state === "in_transfer") leaving.add(hash);
    await this.#persist(TARGETS_FILE, encodeAssignment(list));
    this.#replace(list);
    this.#apply(leaving);
  }

  /** Rejects with `bad-data`, keeping the running one, when the configuration is broken; with `outdated` as above. */
  setConfig(pushed: PushedConfig, epoch?: number): Promise<void> {
    return this.#enqueue(async () => {
      await this.#fence.pass(epoch);
      const config = parsePushed(pushed, this.#config);
      await this.#persist(CONFIG_FILE, pushed);
      this.#run(pushed, config);
      this.#apply(new Set());
    });
  }

  /**
   * The emergency switch: while there is a reason nothing is scraped; "" scrapes again. With a time it is a coordinator's
   * order for all shards, without one it is for this shard alone. Rejects as above.
   */
  stopScraping(
    said: { readonly reason: string; readonly sinceMs: number | undefined },
    epoch?: number,
  ): Promise<void> {
    return this.#enqueue(async () => {
      await this.#fence.pass(epoch);
      const { reason, sinceMs } = said;
      const { order, ownReason } = this.#stop;
      // Kvass's coordinator says the same in every cycle.
      if (sinceMs === undefined ? reason === ownReason : sinceMs === order?.sinceMs) return;
      const stop: Stop =
        sinceMs === undefined
          ? { order, ownReason: reason }
          : { order: { reason, sinceMs }, ownReason };
      await this.#persist(STOP_FILE, stop);
      this.#stop = stop;
      this.#options.engine.stopScraping(this.stopReason);
      this.#options.logger.warn(this.stopReason === "" ? "scraping goes on" : "scraping stops", {
        reason: this.stopReason,
      });
    });
  }

  /** Why nothing is scraped; "" while everything is. */
  get stopReason(): string {
    return (this.#stop.order?.reason ?? "") || this.#stop.ownReason;
  }

  runtime(): ShardRuntime {
    const { id, headSeries, grpcAddress, startedAtMs } = this.#options;
    this.#countScrapes();
    let processSeries = 0;
    for (const entry of this.#entries.values()) processSeries += loadOf(entry).rawSeries;
    return {
      id,
      headSeries: headSeries(),
      processSeries,
      configHash: this.#pushed?.hash ?? "",
      idleSinceMs: this.#idleSinceMs,
      pid: process.pid,
      rssBytes: process.memoryUsage.rss(),
      startedAtMs,
      grpcAddress: grpcAddress(),
      epoch: this.#fence.epoch,
      dataUntilMs:
        this.#idleSinceMs === undefined ? undefined : this.#options.dataUntilMs(this.#idleSinceMs),
      stopReason: this.stopReason,
      storageError: this.#options.storageError?.() || undefined,
      stopOrder: this.#stop.order,
      draining: this.#isDraining,
    };
  }

  statuses(): Map<string, TargetStatus> {
    this.#countScrapes();
    return new Map([...this.#entries].map(([hash, entry]) => [hash, statusOf(entry)]));
  }

  /** The statuses in columns, as this program's own coordinators read them. */
  statusTable(): StatusTable {
    this.#countScrapes();
    const table = new StatusTable(this.#statusList());
    let place = 0;
    for (const entry of this.#entries.values()) table.set(place++, statusOf(entry));
    return table;
  }

  #statusList(): StatusList {
    this.#list ??= {
      revision: `${this.#options.startedAtMs}.${this.#revision}`,
      hashes: [...this.#entries.keys()],
    };
    return this.#list;
  }

  assignment(): AssignedTarget[] {
    return [...this.#entries.values()].map((entry) => {
      const { assigned } = entry;
      const target = this.#completer?.complete(assigned.target) ?? assigned.target;
      return { ...assigned, target, load: loadOf(entry) };
    });
  }

  /** Takes note of scrapes that ended since the last look. */
  #countScrapes(): void {
    for (const status of this.#options.engine.status()) {
      const entry = this.#entries.get(status.target.hash);
      if (entry === undefined || status.lastScrapeMs === (entry.last?.lastScrapeMs ?? 0)) continue;
      entry.last = status;
      // A scrape that began before the target was given to this shard says nothing about the new ownership.
      if (status.lastScrapeMs < entry.assigned.assignedAtMs && entry.scrapes === 0) continue;
      entry.scrapes++;
      if (status.health !== "up") continue;
      entry.goodScrapes++;
      entry.average.add({
        startMs: status.lastScrapeMs,
        intervalMs: status.target.intervalMs,
        series: status.seriesPostRelabel,
        rawSeries: status.seriesScraped,
        seriesAdded: status.seriesAdded,
        bodyBytes: status.bodyBytes,
      });
    }
  }

  #replace(list: readonly AssignedTarget[]): void {
    const entries = new Map<string, Entry>();
    for (const assigned of list) {
      const known = this.#entries.get(assigned.target.hash);
      // The same assignment goes on counting; a new one of the same target starts over.
      const isSame = known?.assigned.assignedAtMs === assigned.assignedAtMs;
      entries.set(assigned.target.hash, {
        assigned,
        average: known?.average ?? new LoadAverage(assigned.load),
        scrapes: isSame ? known.scrapes : 0,
        goodScrapes: isSame ? known.goodScrapes : 0,
        last: known?.last,
      });
    }
    this.#entries = entries;
    this.#revision++;
    this.#list = undefined;
    if (entries.size > 0) this.#idleSinceMs = undefined;
    else this.#idleSinceMs ??= this.#options.clock.now();
  }

  #run(pushed: PushedConfig, config: Config): void {
    this.#config = config;
    this.#pushed = pushed;
    this.#completer = new TargetCompleter(config);
  }

  #apply(handedOver: ReadonlySet<string>): void {
    const completer = this.#completer;
    if (this.#config === undefined || completer === undefined) return;
    const targets: Target[] = [];
    const unknown: AssignedTarget[] = [];
    for (const { assigned } of this.#entries.values()) {
      const target = completer.complete(assigned.target);
      if (target === undefined) unknown.push(assigned);
      else targets.push(target);
    }
    if (unknown.length > 0)
      this.#options.logger.warn("cannot scrape targets whose job or address is none", {
        targets: unknown.length,
        first: `${unknown[0]!.target.job} ${unknown[0]!.target.labels.get("instance")}`,
      });
    this.#options.engine.apply({ config: this.#config, targets, handedOver });
  }

  #readStop(kept: unknown): void {
    if (kept === undefined) return;
    const { order, ownReason } = kept as Partial<Stop>;
    this.#stop = { order, ownReason: ownReason ?? "" };
    this.#options.engine.stopScraping(this.stopReason);
  }

  async #persist(file: string, value: unknown): Promise<void> {
    await writeFileAtomic(join(this.#options.folder, file), `${JSON.stringify(value)}\n`);
  }

  #enqueue(change: () => Promise<void>): Promise<void> {
    const next = this.#queue.then(change);
    this.#queue = next.catch(() => {});
    return next;
  }
}

/** As measured, else as it was placed. */
function loadOf({ assigned, average }: Entry): Load {
  return average.value ?? assigned.load;
}

function statusOf(entry: Entry): TargetStatus {
  const { state, assignedAtMs } = entry.assigned;
  return {
    state,
    assignedAtMs,
    load: loadOf(entry),
    health: entry.last?.health ?? "unknown",
    lastError: entry.last?.lastError ?? "",
    lastScrapeMs: entry.last?.lastScrapeMs ?? 0,
    lastScrapeDurationMs: entry.last?.lastDurationMs ?? 0,
    scrapes: entry.scrapes,
    goodScrapes: entry.goodScrapes,
  };
}

/** `known` is the one before. */
function parsePushed({ rawContent, baseFolder }: PushedConfig, known?: Config): Config {
  return parseWithAdded(rawContent, { path: "the configuration", baseFolder }, known);
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new AppError("unavailable", `cannot read ${path}`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError("corrupt", `cannot read ${path}: it is not JSON`, { cause: error });
  }
}

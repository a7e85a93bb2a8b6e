import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Config } from "../config/types.ts";
import type { Target } from "../model/target.ts";
import type { JobStatistics, StatisticsQuery } from "../scrape/job-statistics.ts";
import type { TargetStatus } from "../scrape/scrape-loop.ts";
import type { ScrapeUpdate } from "../scrape/scrape-manager.ts";
import { FirstScrapes } from "./first-scrapes.ts";
import { injectConfig, type InjectOptions, SELF_JOB } from "./inject-config.ts";
import type { PrometheusClient } from "./prometheus-client.ts";
import { reloadAgent } from "./agent-reload.ts";
import { HealthWatch, type PrometheusHealth } from "./prometheus-health.ts";
import {
  hasLoadedSince,
  type PrometheusView,
  type ScrapeView,
  viewHead,
  viewPrometheus,
} from "./prometheus-view.ts";
import type { ScrapeProxy } from "./scrape-proxy.ts";
import { readSharedFile, writeSharedFile } from "./shared-file.ts";
import { directStatistics, proxyStatistics } from "./statistics.ts";
import { printTargets, targetsFileName } from "./target-files.ts";

/** How targets get to Prometheus, and from where it is known how they do. */
export type Delivery =
  /** It asks them itself, and tells. */
  | { readonly kind: "direct" }
  /** It asks the proxy, which knows. */
  | {
      readonly kind: "proxy";
      readonly proxy: Pick<ScrapeProxy, "apply" | "statuses" | "stopScraping" | "targets">;
      /** The jobs' `proxy_url`; "" leaves theirs. */
      readonly proxyUrl: () => string;
      /** Whether the agent has a head to ask for; otherwise the targets' series are summed up. */
      readonly fetchHeadSeries: boolean;
    };

export interface PrometheusEngineOptions {
  readonly client: PrometheusClient;
  /** Default: direct. */
  readonly delivery?: Delivery;
  /** What the generated configuration has beside the operator's. */
  readonly additions?: Pick<InjectOptions, "replica" | "serviceAccountPath" | "scrapeProxy">;
  /** Adds a job by which Prometheus scrapes itself; its target's labels. */
  readonly selfMonitor?: { readonly labels: Readonly<Record<string, string>> } | undefined;
  /** The configuration that Prometheus was started with; written here. */
  readonly outputFile: string;
  /** Absolute; one file for each job's targets. */
  readonly targetsFolder: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Until a configuration comes, Prometheus runs this one. */
const EMPTY_CONFIG = "# No configuration has come yet.\nglobal: {}\n";

const RETRY_MS = 5_000;
/** A configuration that Prometheus refuses is offered again after this: a missing file may have come. */
const REFUSED_RETRY_MS = 60_000;
/** Answers this young are given again instead of asking Prometheus. */
const VIEW_MAX_AGE_MS = 1_000;
/** How long a target's first scrape is not told while Prometheus has no sample of its size. */
const SIZE_WAIT_MS = 10_000;

const NO_VIEW: PrometheusView = { targets: new Map(), headSeries: 0 };

/**
 * A real Prometheus as the scraping engine under a shard. What it is to scrape goes to it through files:
 *
 *     apply ─► targets' files ──(it watches them)──────────────► Prometheus
 *          └─► generated configuration, if it changed ─► reload ──┘   │
 *     status ◄── /api/v1/targets, scrape_samples_…, /status/tsdb ◄────┘
 *
 * A change of targets never reloads. A refused configuration is taken back from the disk, so that Prometheus can restart.
 */
export class PrometheusEngine {
  readonly name = "prometheus";
  readonly #options: PrometheusEngineOptions;
  readonly #delivery: Delivery;
  readonly #written = new Map<string, string>();
  #update: ScrapeUpdate | undefined;
  #targets: ReadonlyMap<string, Target> = new Map();
  #stopReason = "";
  #stoppedAtMs = 0;
  /** When targets came that are refused; they keep it as the time of a scrape that failed. */
  #refusedAtMs = 0;
  #isWithheld = false;
  /** What Prometheus is known to run; undefined when that is not known. */
  #live: string | undefined;
  #refused:
    | { readonly text: string; readonly error: AppError; readonly untilMs: number }
    | undefined;
  #forceReload = false;
  #wanted = 0;
  #done = 0;
  #work: Promise<void> | undefined;
  #error: AppError | undefined;
  #cancelRetry = (): void => {};
  readonly #watch: HealthWatch;
  #isStopped = false;
  #view = NO_VIEW;
  readonly #firstScrapes = new FirstScrapes();
  #viewedAtMs = Number.NEGATIVE_INFINITY;
  #viewing: Promise<void> | undefined;

  constructor(options: PrometheusEngineOptions) {
    this.#options = options;
    this.#delivery = options.delivery ?? { kind: "direct" };
    const { client, clock, logger } = options;
    this.#watch = new HealthWatch({ client, clock, logger, onReady: () => this.#ready() });
  }

  /** Makes sure that there is a file for Prometheus to start with. */
  async start(): Promise<void> {
    const { outputFile, targetsFolder } = this.#options;
    try {
      await mkdir(targetsFolder, { recursive: true });
      await mkdir(dirname(outputFile), { recursive: true });
    } catch (error) {
      throw new AppError("unavailable", `cannot make a folder: ${messageOf(error)}`);
    }
    if ((await readSharedFile(outputFile)) === undefined)
      await writeSharedFile(outputFile, EMPTY_CONFIG);
    this.#watch.start();
  }

  /** What Prometheus was given stays: it scrapes on. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelRetry();
    await Promise.all([this.#work, this.#watch.stop(), this.#viewing?.catch(() => {})]);
    await this.#options.client.close();
  }

  /** Brings Prometheus to this configuration and these targets; `settled` tells how it went. */
  apply(update: ScrapeUpdate): void {
    this.#update = update;
    if (this.#delivery.kind === "proxy") this.#delivery.proxy.apply(update);
    this.#targets = new Map(update.targets.map((target) => [target.hash, target]));
    this.#refusedAtMs = this.#options.clock.now();
    this.#change();
  }

  /** Reads again what the configuration includes and reloads Prometheus, changed or not: rule files may have changed. */
  reload(): Promise<void> {
    this.#forceReload = true;
    this.#change();
    return this.settled();
  }

  /** The emergency switch: while there is a reason, nothing is scraped. "" scrapes again. */
  stopScraping(reason: string): void {
    if (reason === this.#stopReason) return;
    this.#stopReason = reason;
    this.#stoppedAtMs = this.#options.clock.now();
    if (this.#delivery.kind === "proxy") this.#delivery.proxy.stopScraping(reason);
    this.#change();
  }

  /** By job, as `GET /api/v1/shard/samples` has them. */
  async statistics(query: StatisticsQuery): Promise<Map<string, JobStatistics>> {
    const delivery = this.#delivery;
    if (delivery.kind === "proxy") return proxyStatistics(delivery.proxy.targets, query);
    await this.refresh();
    return directStatistics(this.status(), query, this.#options.client);
  }

  /** Keeps the targets from a Prometheus that cannot bear them, so that it gets on its feet again. */
  withholdTargets(isWithheld: boolean): void {
    if (isWithheld === this.#isWithheld) return;
    this.#isWithheld = isWithheld;
    this.#change();
  }

  get stopReason(): string {
    return this.#stopReason;
  }

  /** Resolves when Prometheus runs what was last asked for; rejects with why not. It is tried again all the same. */
  async settled(): Promise<void> {
    while (this.#work !== undefined) await this.#work;
    if (this.#error !== undefined) throw this.#error;
  }

  /** Prometheus runs the last configuration. */
  get isSettled(): boolean {
    return this.#done === this.#wanted;
  }

  get error(): AppError | undefined {
    return this.#error;
  }

  /** Asks Prometheus how it is doing, unless that was just done; rejects when it does not answer. */
  async refresh(): Promise<void> {
    const { clock, client } = this.#options;
    if (clock.monotonic() - this.#viewedAtMs < VIEW_MAX_AGE_MS) return;
    this.#viewing ??= (async () => {
      try {
        this.#view = await this.#look(client);
        this.#viewedAtMs = clock.monotonic();
      } finally {
        this.#viewing = undefined;
      }
    })();
    await this.#viewing;
  }

  async #look(client: PrometheusClient): Promise<PrometheusView> {
    const delivery = this.#delivery;
    if (delivery.kind === "direct") return this.#firstScrapes.correct(await viewPrometheus(client));
    if (delivery.fetchHeadSeries) return { ...NO_VIEW, headSeries: await viewHead(client) };
    const { state, error } = this.health;
    if (state !== "ready") throw new AppError("unavailable", error);
    let headSeries = 0;
    for (const { seriesPostRelabel } of delivery.proxy.statuses()) headSeries += seriesPostRelabel;
    return { ...NO_VIEW, headSeries };
  }

  /** As of the last `refresh`. */
  get headSeries(): number {
    return this.#view.headSeries;
  }

  /** Of its oldest sample; -Infinity while that is not known. */
  get minTimeMs(): number {
    return this.#watch.lowestTimeMs ?? Number.NEGATIVE_INFINITY;
  }

  /** It was ready at the last heartbeat. */
  get isUp(): boolean {
    return this.#watch.health.state === "ready";
  }

  get health(): PrometheusHealth {
    return this.#watch.health;
  }

  /** How often Prometheus was seen to have started again. */
  get restarts(): number {
    return this.#watch.restarts;
  }

  /** As of the last `refresh`. */
  status(): TargetStatus[] {
    const nowMs = this.#options.clock.now();
    if (this.#delivery.kind === "proxy" && this.#stopReason === "")
      return this.#delivery.proxy.statuses();
    return [...this.#targets.values()].flatMap((target) => {
      const lastError = this.#stopReason || target.refusal;
      if (lastError !== undefined) {
        const lastScrapeMs = this.#stopReason === "" ? this.#refusedAtMs : this.#stoppedAtMs;
        return [{ ...NO_SCRAPE, target, lastError, lastScrapeMs }];
      }
      const view = this.#view.targets.get(target.hash);
      return view === undefined ? [] : statusOf(target, view, nowMs);
    });
  }

  #change(): void {
    this.#wanted++;
    this.#cancelRetry();
    this.#work ??= this.#catchUp();
  }

  #ready(): void {
    // It may have come up on another port.
    if (this.#options.selfMonitor === undefined) this.#retryNow();
    else this.#change();
  }

  #retryNow(): void {
    this.#cancelRetry();
    if (!this.#isStopped && this.#done !== this.#wanted) this.#work ??= this.#catchUp();
  }

  async #catchUp(): Promise<void> {
    const { logger, clock } = this.#options;
    // The caller has to hold the promise before the first step can end it.
    await Promise.resolve();
    while (this.#done !== this.#wanted && !this.#isStopped) {
      const version = this.#wanted;
      try {
        if (this.#update !== undefined) await this.#bring(this.#update);
        this.#done = version;
        this.#error = undefined;
      } catch (error) {
        if (version !== this.#wanted) continue;
        this.#error = AppError.from(error);
        logger.warn("cannot bring Prometheus up to date", { error: this.#error });
        this.#cancelRetry = clock.after(RETRY_MS, () => this.#retryNow());
        break;
      }
    }
    this.#work = undefined;
  }

  async #bring({ config, targets }: ScrapeUpdate): Promise<void> {
    const { outputFile, targetsFolder, selfMonitor, client, logger, clock } = this.#options;
    const text = injectConfig(config.source, {
      ...this.#options.additions,
      path: "the configuration",
      baseFolder: config.baseFolder,
      targetsFolder,
      selfMonitor: selfMonitor !== undefined,
      proxyUrl: this.#delivery.kind === "proxy" ? this.#delivery.proxyUrl() : undefined,
    });
    // A new job's file is there before Prometheus hears of it.
    const isServed = this.#stopReason === "" && !this.#isWithheld;
    const served = isServed ? targets.filter((target) => !this.#isKept(target)) : [];
    await this.#writeTargets(config, served);
    const before = await readSharedFile(outputFile);
    if (this.#live === undefined && before === text) await this.#lookAtLive(text);
    if (text === this.#live && before === text && !this.#forceReload) return;
    this.#refuseAgain(text);
    if (before !== text) await writeSharedFile(outputFile, text);
    this.#live = undefined;
    try {
      const isAgent = this.#delivery.kind === "proxy" && !this.#delivery.fetchHeadSeries;
      await (isAgent ? reloadAgent(client, clock) : client.reload());
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "bad-data") throw error;
      this.#refused = { text, error, untilMs: clock.monotonic() + REFUSED_RETRY_MS };
      if (before !== undefined) await writeSharedFile(outputFile, before);
      throw error;
    }
    this.#refused = undefined;
    this.#live = text;
    this.#forceReload = false;
    logger.info("Prometheus runs a new configuration", { jobs: config.scrapeConfigs.length });
    await this.#removeStrangers(config);
  }

  /** A Prometheus that asks its targets itself gets none that is refused: it counts its own targets only. */
  #isKept({ refusal }: Target): boolean {
    return refusal !== undefined && this.#delivery.kind === "direct";
  }

  /** Throws what Prometheus said to the same text a moment ago. */
  #refuseAgain(text: string): void {
    const refused = this.#refused;
    if (refused?.text !== text || this.#forceReload) return;
    if (this.#options.clock.monotonic() < refused.untilMs) throw refused.error;
  }

  /** After a start of the sidecar or of Prometheus: what it has read from the file need not be reloaded. */
  async #lookAtLive(text: string): Promise<void> {
    const { client, outputFile } = this.#options;
    const { mtimeMs } = await stat(outputFile);
    // Who does not tell is reloaded.
    if (await hasLoadedSince(client, mtimeMs).catch(() => false)) this.#live = text;
  }

  async #writeTargets(config: Config, targets: readonly Target[]): Promise<void> {
    const byJob = Map.groupBy(targets, (target) => target.job);
    for (const { jobName } of config.scrapeConfigs)
      await this.#writeFile(jobName, printTargets(byJob.get(jobName) ?? [], this.#delivery.kind));
    await this.#writeSelf();
  }

  /** Prometheus itself as a target, which may have another port after each start. */
  async #writeSelf(): Promise<void> {
    const { selfMonitor, client } = this.#options;
    if (selfMonitor === undefined) return;
    const { host } = client;
    const groups = host === undefined ? [] : [{ targets: [host], labels: selfMonitor.labels }];
    await this.#writeFile(SELF_JOB, `${JSON.stringify(groups)}\n`);
  }

  async #writeFile(job: string, text: string): Promise<void> {
    const path = join(this.#options.targetsFolder, targetsFileName(job));
    const known = this.#written.get(path) ?? (await readSharedFile(path));
    if (known !== text) await writeSharedFile(path, text);
    this.#written.set(path, text);
  }

  /** Files of jobs that are gone. */
  async #removeStrangers(config: Config): Promise<void> {
    const { targetsFolder } = this.#options;
    const jobs = config.scrapeConfigs.map(({ jobName }) => jobName);
    const known = new Set([...jobs, SELF_JOB].map(targetsFileName));
    for (const file of await readdir(targetsFolder)) {
      if (known.has(file) || !file.endsWith(".json")) continue;
      const path = join(targetsFolder, file);
      this.#written.delete(path);
      await rm(path, { force: true });
    }
  }
}

const NO_SCRAPE = {
  health: "down",
  lastError: "",
  lastScrapeMs: 0,
  lastDurationMs: 0,
  seriesScraped: 0,
  seriesPostRelabel: 0,
  seriesAdded: 0,
  bodyBytes: 0,
  scrapes: 0,
} as const;

function statusOf(target: Target, view: ScrapeView, nowMs: number): TargetStatus[] {
  const { seriesScraped, seriesPostRelabel, seriesAdded, ...rest } = view;
  const isMeasured = seriesScraped !== undefined && seriesPostRelabel !== undefined;
  // A good scrape is told together with its size, lest the target count as empty.
  if (view.health === "up" && !isMeasured && nowMs - view.lastScrapeMs < SIZE_WAIT_MS) return [];
  return [
    {
      ...NO_SCRAPE,
      ...rest,
      target,
      seriesScraped: seriesScraped ?? 0,
      seriesPostRelabel: seriesPostRelabel ?? 0,
      seriesAdded: seriesAdded ?? 0,
    },
  ];
}

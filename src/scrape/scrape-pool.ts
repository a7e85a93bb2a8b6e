import type { Histogram, Registry } from "../base/metrics.ts";
import type { ScrapeConfig } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import type { Target } from "../model/target.ts";
import { configFingerprint, scrapeFingerprint } from "./fingerprint.ts";
import { countMetrics, type JobStatistics, type MetricCount } from "./job-statistics.ts";
import { TargetMetadata } from "./metadata.ts";
import { scrapeOffset } from "./schedule.ts";
import { ScrapeLoop, type TargetStatus } from "./scrape-loop.ts";
import { TargetScraper, type PoolSettings, type ScrapeContext } from "./target-scraper.ts";

/** How long a replaced HTTP client stays open for scrapes under way. */
const CLIENT_LINGER_MS = 120_000;
const INTERVAL_BOUNDS_SECONDS = [0.01, 0.1, 1, 10];

export interface PoolContext {
  readonly scrape: ScrapeContext;
  readonly registry: Registry;
  readonly jitterSeed: bigint;
  readonly createClient: (config: ScrapeConfig["httpClient"]) => HttpClient;
}

interface Member {
  readonly loop: ScrapeLoop;
  readonly metadata: TargetMetadata;
}

/** All targets of one scrape job on this machine. */
export class ScrapePool {
  readonly #context: PoolContext;
  readonly #members = new Map<string, Member>();
  /** Targets that are gone and still owe staleness markers. */
  readonly #leaving = new Map<string, Member>();
  readonly #lingering = new Set<{ readonly client: HttpClient; readonly cancel: () => void }>();
  #settings: PoolSettings;
  #fingerprint: string;
  #clientFingerprint: string;
  #stopReason: string;
  /** Why every scrape fails though nobody wants it to: `target_limit`. */
  #limitError: string | undefined;

  constructor(context: PoolContext, config: ScrapeConfig, stopReason = "") {
    this.#context = context;
    this.#stopReason = stopReason;
    this.#fingerprint = scrapeFingerprint(config);
    this.#clientFingerprint = configFingerprint(config.httpClient);
    this.#settings = {
      config,
      client: context.createClient(config.httpClient),
      forcedError: stopReason || undefined,
    };
    context.scrape.metrics.pools.inc();
    context.registry.collect(
      {
        name: "prometheus_target_scrape_pool_targets",
        help: "Current number of targets in this scrape pool.",
        type: "gauge",
      },
      { scrape_job: config.jobName },
      () => this.#members.size,
    );
  }

  get jobName(): string {
    return this.#settings.config.jobName;
  }

  /** Targets scraped, and those that still owe staleness markers. */
  get size(): { readonly members: number; readonly leaving: number } {
    return { members: this.#members.size, leaving: this.#leaving.size };
  }

  /**
   * Makes `targets` the pool's targets under `config`. Targets that stay go on without a gap; if the configuration
   * changed, with its new rules from their next scrape on. `handedOver` holds hashes of targets that others scrape now.
   */
  apply(update: {
    readonly config: ScrapeConfig;
    readonly targets: readonly Target[];
    readonly handedOver: ReadonlySet<string>;
  }): void {
    const changed = this.#configure(update.config, update.targets);
    const wanted = new Map(update.targets.map((target) => [target.hash, target]));
    for (const [hash, member] of this.#members)
      if (!wanted.has(hash)) this.#retire(hash, member, update.handedOver.has(hash));
    // A target may turn out to be handed over only after it went.
    for (const [hash, member] of this.#leaving)
      if (update.handedOver.has(hash) && !wanted.has(hash)) this.#retire(hash, member, true);
    for (const [hash, target] of wanted) {
      const member = this.#members.get(hash);
      if (member !== undefined) {
        if (changed || member.loop.status().target !== target)
          member.loop.reconfigure({ target, settings: this.#settings });
        continue;
      }
      this.#add(hash, target);
    }
  }

  /** While there is a reason every scrape fails with it, and no target is asked. */
  stopScraping(reason: string): void {
    this.#stopReason = reason;
    const forcedError = reason || this.#limitError;
    if (forcedError === this.#settings.forcedError) return;
    this.#settings = { ...this.#settings, forcedError };
    for (const { loop } of this.#members.values())
      loop.reconfigure({ target: loop.status().target, settings: this.#settings });
  }

  /** Ends the pool: its targets are gone. */
  retire(handedOver: ReadonlySet<string>): void {
    for (const [hash, member] of this.#members) this.#retire(hash, member, handedOver.has(hash));
    this.#context.registry.remove("prometheus_target_scrape_pool_targets", {
      scrape_job: this.jobName,
    });
  }

  async stop(): Promise<void> {
    const members = [...this.#members.values(), ...this.#leaving.values()];
    this.#members.clear();
    this.#leaving.clear();
    await Promise.all(members.map((member) => member.loop.stop()));
    const clients = [this.#settings.client];
    for (const { client, cancel } of this.#lingering) {
      cancel();
      clients.push(client);
    }
    this.#lingering.clear();
    await Promise.all(clients.map((client) => client.close()));
  }

  status(): TargetStatus[] {
    return [...this.#members.values()].map((member) => member.loop.status());
  }

  /** What the last scrapes brought of the targets whose hash `isCounted`. */
  statistics(withMetrics: boolean, isCounted: (hash: string) => boolean): JobStatistics {
    const metrics = new Map<string, MetricCount>();
    let scrapedTotal = 0;
    let total = 0;
    for (const [hash, { loop }] of this.#members) {
      if (!isCounted(hash)) continue;
      const { health, seriesScraped, seriesPostRelabel } = loop.status();
      scrapedTotal += seriesPostRelabel;
      total += seriesScraped;
      if (withMetrics && health === "up") countMetrics(loop.scraper.cache, metrics);
    }
    return { scrapedTotal, total, metrics };
  }

  *metadata(): Generator<{ target: Target; entries: ReadonlyMap<string, MetricMetadata> }> {
    for (const member of this.#members.values())
      yield { target: member.loop.status().target, entries: member.metadata.get() };
  }

  #configure(config: ScrapeConfig, targets: readonly Target[]): boolean {
    const fingerprint = scrapeFingerprint(config);
    const { scrape } = this.#context;
    let { client } = this.#settings;
    this.#limitError = limitErrorOf(config, targets);
    if (this.#limitError !== undefined) scrape.metrics.targetLimit.inc();
    const forcedError = this.#stopReason || this.#limitError;
    const rulesChanged = fingerprint !== this.#fingerprint;
    if (!rulesChanged && forcedError === this.#settings.forcedError) return false;
    if (rulesChanged) scrape.metrics.reloads.inc();
    const clientFingerprint = configFingerprint(config.httpClient);
    if (clientFingerprint !== this.#clientFingerprint) {
      this.#closeLater(client);
      client = this.#context.createClient(config.httpClient);
      this.#clientFingerprint = clientFingerprint;
    }
    this.#fingerprint = fingerprint;
    this.#settings = {
      // An equal configuration keeps its object: the scrapers take another one for new rules.
      config: rulesChanged ? config : this.#settings.config,
      client,
      forcedError,
    };
    return true;
  }

  /** Scrapes under way finish with the client they began with. */
  #closeLater(client: HttpClient): void {
    const { clock, logger } = this.#context.scrape;
    const lingering = {
      client,
      cancel: clock.after(CLIENT_LINGER_MS, () => {
        this.#lingering.delete(lingering);
        void client.close().catch((error: unknown) => {
          logger.warn("cannot close HTTP client", { scrape_pool: this.jobName, error });
        });
      }),
    };
    this.#lingering.add(lingering);
  }

  #add(hash: string, target: Target): void {
    const leaving = this.#leaving.get(hash);
    if (leaving !== undefined) {
      this.#leaving.delete(hash);
      this.#members.set(hash, leaving);
      leaving.loop.reconfigure({ target, settings: this.#settings });
      leaving.loop.revive();
      return;
    }
    const { scrape, jitterSeed } = this.#context;
    const scraper = new TargetScraper(scrape, { target, settings: this.#settings });
    const intervals = this.#intervalHistogram(target);
    const loop = new ScrapeLoop({
      target,
      scraper,
      offsetMs: scrapeOffset(target, jitterSeed),
      clock: scrape.clock,
      logger: scrape.logger,
      onInterval: (durationMs) => intervals.observe(durationMs / 1000),
    });
    this.#members.set(hash, { loop, metadata: new TargetMetadata(scraper.cache) });
    loop.start();
  }

  #retire(hash: string, member: Member, handover: boolean): void {
    this.#members.delete(hash);
    this.#leaving.set(hash, member);
    member.loop.retire({
      handover,
      onGone: () => {
        if (this.#leaving.get(hash) === member) this.#leaving.delete(hash);
      },
    });
  }

  #intervalHistogram(target: Target): Histogram {
    return this.#context.registry.histogram(
      "prometheus_target_interval_length_histogram_seconds",
      "Actual intervals between scrapes as a histogram.",
      {
        bounds: INTERVAL_BOUNDS_SECONDS,
        labels: { interval: goDuration(target.intervalMs) },
      },
    );
  }
}

/** The coordinator knows all targets of the job; who has none counts those that are here. */
function limitErrorOf(
  { targetLimit }: ScrapeConfig,
  targets: readonly Target[],
): string | undefined {
  const refused = targets.find(({ refusal }) => refusal !== undefined);
  if (refused !== undefined || targetLimit === 0 || targets.length <= targetLimit)
    return refused?.refusal;
  return `target_limit exceeded (number of targets: ${targets.length}, limit: ${targetLimit})`;
}

/** Go's spelling of a duration: 15s, 1m0s, 1h0m0s. */
function goDuration(durationMs: number): string {
  if (durationMs < 1000) return `${durationMs}ms`;
  const seconds = durationMs / 1000;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}

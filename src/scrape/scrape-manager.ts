import { systemClock, type Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import { systemRandom, randomInt, type Random } from "../base/random.ts";
import type { Service } from "../base/service.ts";
import type { Config, HttpClientConfig } from "../config/types.ts";
import { createHttpClient, type HttpClient } from "../http/client.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import type { Target } from "../model/target.ts";
import type { Appendable } from "../storage/appender.ts";
import { BodyPool, ColumnPool } from "./buffers.ts";
import type { JobStatistics, StatisticsQuery } from "./job-statistics.ts";
import { ScanScratch } from "./scan-scratch.ts";
import { createScrapeMetrics } from "./metrics.ts";
import { SCRAPE_BODY_MAX_BYTES } from "./read-body.ts";
import { jitterSeed } from "./schedule.ts";
import type { TargetStatus } from "./scrape-loop.ts";
import { ScrapePool, type PoolContext } from "./scrape-pool.ts";

export interface ScrapeManagerOptions {
  /** Where samples go. */
  readonly appendable: Appendable;
  readonly logger: Logger;
  readonly registry: Registry;
  /** `Prometheus/…` or the like. */
  readonly userAgent: string;
  /** Whether connections to targets are used again. Default true. */
  readonly keepAlive?: boolean;
  /** Text that differs between replicas of this program (host name and external labels), so that they scrape apart. */
  readonly jitterSeedText: string;
  readonly clock?: Clock;
  readonly random?: Random;
  /** The largest body taken without a `body_size_limit`. Default SCRAPE_BODY_MAX_BYTES. */
  readonly scrapeBodyMaxBytes?: number;
  /** Whether what series say of themselves goes to the storage too (`metadata-wal-records`). Default false. */
  readonly storesMetadata?: boolean;
  /** Whether the time a series was created becomes a zero of it (`created-timestamp-zero-ingestion`). Default false. */
  readonly storesCreated?: boolean;
  /** How HTTP clients are made. Default: `createHttpClient` with `userAgent`. */
  readonly createClient?: (config: HttpClientConfig) => HttpClient;
}

export interface ScrapeUpdate {
  readonly config: Config;
  /** All targets this program is to scrape; those whose job the configuration lacks are left out. */
  readonly targets: readonly Target[];
  /** Hashes of targets that are missing in `targets` because another shard scrapes them now: no staleness markers. */
  readonly handedOver?: ReadonlySet<string>;
}

/** Scrapes targets as the configuration says. `apply` may be called at any time between `start` and `stop`. */
export class ScrapeManager implements Service {
  readonly name = "scrape";
  readonly #context: PoolContext;
  readonly #pools = new Map<string, ScrapePool>();
  /** Pools of jobs that are gone, while they still owe staleness markers. */
  readonly #leaving = new Set<ScrapePool>();
  #stopped = false;
  #stopReason = "";

  constructor(options: ScrapeManagerOptions) {
    const { registry, userAgent, keepAlive = true } = options;
    const random = options.random ?? systemRandom;
    this.#context = {
      registry,
      jitterSeed: jitterSeed(options.jitterSeedText),
      createClient:
        options.createClient ?? ((config) => createHttpClient(config, { userAgent, keepAlive })),
      scrape: {
        appendable: options.appendable,
        logger: options.logger,
        clock: options.clock ?? systemClock,
        metrics: createScrapeMetrics(registry),
        scratch: new ScanScratch(randomInt(random, 2 ** 31)),
        bodies: new BodyPool(),
        columns: new ColumnPool(),
        bodyMaxBytes: options.scrapeBodyMaxBytes ?? SCRAPE_BODY_MAX_BYTES,
        storesMetadata: options.storesMetadata ?? false,
        storesCreated: options.storesCreated ?? false,
      },
    };
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** Waits for scrapes under way to end; they are cut short and store nothing. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const pools = [...this.#pools.values(), ...this.#leaving];
    this.#pools.clear();
    this.#leaving.clear();
    await Promise.all(pools.map((pool) => pool.stop()));
  }

  /** Makes configuration and targets these. What did not change goes on without a gap. */
  apply(update: ScrapeUpdate): void {
    if (this.#stopped) return;
    const handedOver = update.handedOver ?? new Set<string>();
    const byJob = Map.groupBy(update.targets, (target) => target.job);
    const jobs = new Set(update.config.scrapeConfigs.map((config) => config.jobName));
    this.#closeEmpty();
    for (const [job, pool] of this.#pools) {
      if (jobs.has(job)) continue;
      pool.retire(handedOver);
      this.#pools.delete(job);
      this.#leaving.add(pool);
    }
    for (const config of update.config.scrapeConfigs) {
      let pool = this.#pools.get(config.jobName);
      if (pool === undefined) {
        pool = new ScrapePool(this.#context, config, this.#stopReason);
        this.#pools.set(config.jobName, pool);
      }
      pool.apply({ config, targets: byJob.get(config.jobName) ?? [], handedOver });
    }
  }

  /** The emergency switch: while there is a reason no target is asked, and every scrape fails with it. */
  stopScraping(reason: string): void {
    this.#stopReason = reason;
    for (const pool of this.#pools.values()) pool.stopScraping(reason);
  }

  /** All targets scraped, by job in the configuration's order. */
  status(): TargetStatus[] {
    return [...this.#pools.values()].flatMap((pool) => pool.status());
  }

  /** By job, what the last scrapes brought of the targets whose hash `isCounted`. */
  statistics(
    { job, withMetrics }: StatisticsQuery,
    isCounted: (hash: string) => boolean,
  ): Map<string, JobStatistics> {
    const jobs = [...this.#pools].filter(([name]) => name.includes(job));
    return new Map(jobs.map(([name, pool]) => [name, pool.statistics(withMetrics, isCounted)]));
  }

  /** What targets say of their metrics: for each metric family the different answers. */
  metadata(): Map<string, MetricMetadata[]> {
    const all = new Map<string, MetricMetadata[]>();
    for (const { entries } of this.targetMetadata())
      for (const [name, entry] of entries) {
        const known = all.get(name);
        if (known === undefined) all.set(name, [entry]);
        else if (!known.some((other) => sameMetadata(other, entry))) known.push(entry);
      }
    return all;
  }

  /** The same target by target, for `/api/v1/targets/metadata`. */
  *targetMetadata(): Generator<{
    target: Target;
    entries: ReadonlyMap<string, MetricMetadata>;
  }> {
    for (const pool of this.#pools.values()) yield* pool.metadata();
  }

  /** Lets go of pools that have written their last markers. */
  #closeEmpty(): void {
    for (const pool of this.#leaving) {
      if (pool.size.leaving > 0) continue;
      this.#leaving.delete(pool);
      void pool.stop().catch((error: unknown) => {
        this.#context.scrape.logger.warn("cannot close scrape pool", {
          scrape_pool: pool.jobName,
          error,
        });
      });
    }
  }
}

function sameMetadata(a: MetricMetadata, b: MetricMetadata): boolean {
  return a.type === b.type && a.help === b.help && a.unit === b.unit;
}

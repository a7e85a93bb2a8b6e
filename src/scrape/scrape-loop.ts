import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Target, TargetHealth } from "../model/target.ts";
import { alignedTime, nextScrapeTime } from "./schedule.ts";
import type { PoolSettings, ScrapeOutcome, TargetScraper } from "./target-scraper.ts";

/** How a target does. */
export interface TargetStatus {
  readonly target: Target;
  readonly health: TargetHealth;
  /** "" when the last scrape was good. */
  readonly lastError: string;
  /** 0 before the first scrape. */
  readonly lastScrapeMs: number;
  readonly lastDurationMs: number;
  /** Samples in the last body. */
  readonly seriesScraped: number;
  /** Those left after metric_relabel_configs. */
  readonly seriesPostRelabel: number;
  /** Series that the scrape before did not have. */
  readonly seriesAdded: number;
  /** -1 when a size limit was hit. */
  readonly bodyBytes: number;
  /** Scrapes since the loop began. */
  readonly scrapes: number;
}

/**
 * When a target is scraped.
 *
 *     start ──► waiting ──tick──► scraping ──► waiting …
 *                  │ retire()        │ retire(): after this scrape
 *                  ▼                 ▼
 *               retired ── 2.1 intervals, unless revived ──► stale markers ──► gone
 *
 * stop() ends it from any state without markers: a program that restarts goes on where it was.
 */
export class ScrapeLoop {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #scraper: TargetScraper;
  readonly #offsetMs: number;
  readonly #abort = new AbortController();
  readonly #onInterval: (durationMs: number) => void;
  #target: Target;
  #plannedMs = 0;
  #lastStartMs: number | undefined;
  #cancelTimer: () => void = () => {};
  #running: Promise<void> | undefined;
  /** What to do at the end of retirement; undefined while the target is wanted. */
  #retired: { readonly handover: boolean; readonly onGone: () => void } | undefined;
  #outcome: ScrapeOutcome | undefined;
  #scrapes = 0;

  constructor(options: {
    readonly target: Target;
    readonly scraper: TargetScraper;
    readonly offsetMs: number;
    readonly clock: Clock;
    readonly logger: Logger;
    /** Told how long after the one before each scrape began. */
    readonly onInterval: (durationMs: number) => void;
  }) {
    this.#target = options.target;
    this.#scraper = options.scraper;
    this.#offsetMs = options.offsetMs;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onInterval = options.onInterval;
  }

  start(): void {
    this.#plannedMs = nextScrapeTime(this.#clock.now(), this.#schedule());
    this.#arm();
  }

  get scraper(): TargetScraper {
    return this.#scraper;
  }

  /** Changes rules and discovered labels from the next scrape on; the rhythm stays. */
  reconfigure(options: { target: Target; settings: PoolSettings }): void {
    this.#target = options.target;
    this.#scraper.reconfigure(options);
  }

  /**
   * The target is gone. Its series get staleness markers at the time of the next scrape that will not be, written 2.1
   * intervals later in case they come back by then; none with `handover`, when somebody else scrapes it now.
   */
  retire(options: { readonly handover: boolean; readonly onGone: () => void }): void {
    this.#retired = options;
    this.#cancelTimer();
    if (this.#running === undefined) this.#awaitEnd();
  }

  /** The target is back before its markers were written: it goes on as if nothing had been. */
  revive(): void {
    this.#retired = undefined;
    this.#cancelTimer();
    if (this.#running !== undefined) return;
    this.#skipMissed();
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#retired = undefined;
    this.#cancelTimer();
    this.#abort.abort();
    await this.#running;
  }

  status(): TargetStatus {
    const outcome = this.#outcome;
    return {
      target: this.#target,
      health: outcome === undefined ? "unknown" : outcome.error === "" ? "up" : "down",
      lastError: outcome?.error ?? "",
      lastScrapeMs: outcome?.startedMs ?? 0,
      lastDurationMs: outcome?.durationMs ?? 0,
      seriesScraped: outcome?.samplesScraped ?? 0,
      seriesPostRelabel: outcome?.samplesPostRelabel ?? 0,
      seriesAdded: outcome?.seriesAdded ?? 0,
      bodyBytes: outcome?.bodyBytes ?? 0,
      scrapes: this.#scrapes,
    };
  }

  #schedule(): { intervalMs: number; offsetMs: number } {
    return { intervalMs: this.#target.intervalMs, offsetMs: this.#offsetMs };
  }

  #arm(): void {
    if (this.#abort.signal.aborted) return;
    this.#cancelTimer = this.#clock.after(this.#plannedMs - this.#clock.now(), () => this.#tick());
  }

  #tick(): void {
    const nowMs = this.#clock.now();
    const { intervalMs } = this.#target;
    // The wall clock was set back: plan anew, or nothing would be scraped until it is there again.
    if (this.#plannedMs - nowMs > intervalMs) {
      this.#plannedMs = nextScrapeTime(nowMs, this.#schedule());
      this.#arm();
      return;
    }
    // Ticks that were slept through are not made up for.
    const missed = Math.floor((nowMs - this.#plannedMs) / intervalMs);
    if (missed > 0) this.#plannedMs += missed * intervalMs;
    this.#running = this.#scrape(nowMs)
      .catch((error: unknown) => {
        this.#logger.error("cannot scrape", { target: this.#target.url, error });
      })
      .finally(() => {
        this.#running = undefined;
        this.#plannedMs += intervalMs;
        this.#skipMissed();
        if (this.#retired !== undefined) this.#awaitEnd();
        else this.#arm();
      });
  }

  async #scrape(nowMs: number): Promise<void> {
    if (this.#lastStartMs !== undefined) this.#onInterval(nowMs - this.#lastStartMs);
    this.#lastStartMs = nowMs;
    const timeMs = alignedTime(nowMs, {
      plannedMs: this.#plannedMs,
      intervalMs: this.#target.intervalMs,
    });
    const outcome = await this.#scraper.scrape(timeMs, this.#abort.signal);
    if (outcome === undefined) return;
    this.#outcome = outcome;
    this.#scrapes++;
  }

  #skipMissed(): void {
    const nowMs = this.#clock.now();
    const { intervalMs } = this.#target;
    if (this.#plannedMs <= nowMs || this.#plannedMs - nowMs > intervalMs)
      this.#plannedMs = nextScrapeTime(nowMs + 1, this.#schedule());
  }

  #awaitEnd(): void {
    const retired = this.#retired!;
    if (retired.handover || this.#scrapes === 0) {
      retired.onGone();
      return;
    }
    const staleMs = this.#plannedMs;
    const endMs = staleMs + this.#target.intervalMs * 1.1;
    this.#cancelTimer = this.#clock.after(endMs - this.#clock.now(), () => {
      this.#running = this.#scraper
        .writeStale(staleMs)
        .catch((error: unknown) => {
          this.#logger.warn("cannot write staleness markers", { target: this.#target.url, error });
        })
        .finally(() => {
          this.#running = undefined;
          if (this.#retired === retired) retired.onGone();
          else this.revive();
        });
    });
  }
}

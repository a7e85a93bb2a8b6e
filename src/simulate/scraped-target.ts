import { HEAD_HOLD_HOURS, type Load, REPORT_SERIES } from "../shard/load.ts";
import type { AssignedTarget, TargetStatus } from "../shard/wire.ts";
import { headStart } from "./head-model.ts";
import { HOUR_MS, loadAt, sizeAt, type SimTarget } from "./sim-target.ts";
import { countTicks, type Rhythm, tickBefore, tickFrom } from "./ticks.ts";

const SCRAPE_DURATION_MS = 20;

/** One target on one shard: what it has been scraped so far, and what it takes up there. */
export class ScrapedTarget {
  readonly target: SimTarget;
  readonly rhythm: Rhythm;
  /** Series that it holds of the shard's head, and raw series that it costs in a round. */
  headSeries = 0;
  rawSeries: number;
  /** Its last sample in the head; 0 for none. */
  lastSampleMs = 0;
  #assigned: AssignedTarget;
  /** Scrapes since then are not counted yet. */
  #countedMs: number;
  /** Since it was given to this shard. */
  #scrapes = 0;
  #goodScrapes = 0;
  /** Good scrapes by this process, whichever assignment they were for. */
  #measured = 0;
  #firstSampleMs = 0;
  #lastScrapeMs = 0;
  #lastGoodMs = 0;
  #status: TargetStatus | undefined;

  /** Scrapes count from `fromMs` on. */
  constructor(
    assigned: AssignedTarget,
    options: { readonly target: SimTarget; readonly rhythm: Rhythm; readonly fromMs: number },
  ) {
    this.#assigned = assigned;
    this.target = options.target;
    this.rhythm = options.rhythm;
    this.#countedMs = options.fromMs;
    this.rawSeries = assigned.load.rawSeries;
  }

  get assigned(): AssignedTarget {
    return this.#assigned;
  }

  /** A new assignment counts anew, but scraping goes on. */
  assign(assigned: AssignedTarget): void {
    if (this.#assigned.assignedAtMs !== assigned.assignedAtMs) {
      this.#scrapes = 0;
      this.#goodScrapes = 0;
    }
    this.#assigned = assigned;
    this.#status = undefined;
  }

  /** Nobody has scraped it up to `nowMs`. */
  skip(nowMs: number): void {
    this.#countedMs = nowMs;
  }

  /** A process that starts again has counted and measured nothing. */
  forget(): void {
    this.#scrapes = 0;
    this.#goodScrapes = 0;
    this.#measured = 0;
    this.#lastScrapeMs = 0;
    this.#lastGoodMs = 0;
    this.#status = undefined;
  }

  /** Counts the scrapes before `nowMs`; answers whether there were any. */
  count(nowMs: number): boolean {
    const { rhythm, target } = this;
    const fromMs = this.#countedMs;
    const firstMs = tickFrom(rhythm, fromMs);
    // Fast path: most targets have not been scraped since the last cycle.
    if (firstMs >= nowMs) return false;
    const goodUntilMs = target.isDown ? fromMs : Math.min(nowMs, target.goneMs);
    const good = countTicks(rhythm, fromMs, goodUntilMs);
    this.#scrapes += countTicks(rhythm, fromMs, nowMs);
    this.#goodScrapes += good;
    this.#measured += good;
    this.#lastScrapeMs = tickBefore(rhythm, nowMs);
    if (good > 0) this.#lastGoodMs = tickBefore(rhythm, goodUntilMs);
    this.lastSampleMs = this.#lastScrapeMs;
    if (this.#firstSampleMs === 0) this.#firstSampleMs = firstMs;
    this.#countedMs = nowMs;
    this.#status = undefined;
    this.#weigh();
    return true;
  }

  status(): TargetStatus {
    return (this.#status ??= this.#makeStatus());
  }

  /**
   * As `LoadAverage` has it: sizes that grow evenly are seen about one scrape late, and churn is known once it has been
   * watched for as long as series stay in the head.
   */
  load(): Load {
    const { target } = this;
    const { load: given } = this.#assigned;
    if (this.#measured === 0) return given;
    const lagMs = this.#measured > 1 ? target.target.intervalMs : 0;
    const load = loadAt(target, this.#lastGoodMs - lagMs);
    // Fast path: without churn there is nothing to learn about it.
    if (target.churnPerHour === 0 && given.newSeriesPerHour === 0) return load;
    const watchedMs = this.#lastGoodMs - this.#firstSampleMs;
    const unknown = Math.exp(-watchedMs / (HEAD_HOLD_HOURS * HOUR_MS));
    const churn = load.series * target.churnPerHour * (1 - unknown);
    return { ...load, newSeriesPerHour: Math.round(churn + given.newSeriesPerHour * unknown) };
  }

  #weigh(): void {
    this.headSeries = REPORT_SERIES;
    if (this.#measured === 0) return;
    const { target } = this;
    const { series, rawSeries } = sizeAt(target, this.#lastGoodMs);
    const sinceMs = Math.max(this.#firstSampleMs, headStart(this.#lastGoodMs));
    const replaced = (series * target.churnPerHour * (this.#lastGoodMs - sinceMs)) / HOUR_MS;
    this.headSeries += series + Math.round(replaced);
    this.rawSeries = rawSeries;
  }

  #makeStatus(): TargetStatus {
    const { state, assignedAtMs } = this.#assigned;
    const lastScrapeMs = this.#lastScrapeMs;
    const health =
      lastScrapeMs === 0 ? "unknown" : this.#lastGoodMs === lastScrapeMs ? "up" : "down";
    return {
      state,
      assignedAtMs,
      load: this.load(),
      health,
      lastError: health === "down" ? "connection refused" : "",
      lastScrapeMs,
      lastScrapeDurationMs: lastScrapeMs === 0 ? 0 : SCRAPE_DURATION_MS,
      scrapes: this.#scrapes,
      goodScrapes: this.#goodScrapes,
    };
  }
}

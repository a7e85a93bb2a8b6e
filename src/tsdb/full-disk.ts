import type { Clock } from "../base/clock.ts";
import { isDiskFull, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";

/** A full disk takes small writes now and then: it counts as full until it has taken all for so long. */
const SETTLED_MS = 5_000;

/**
 * Whether the disk is full, as appends find out:
 *
 *     ok ── an append fails with ENOSPC: one line ──► full ── one is stored, none failed for 5 s: one line ──► ok
 */
export class FullDisk {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #refused: { inc(): void };
  #sinceMs: number | undefined;
  #lastMs = 0;
  #refusedCount = 0;
  #reason = "";

  constructor(options: { clock: Clock; logger: Logger; registry: Registry }) {
    const { registry } = options;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#refused = registry.counter(
      "shoal_storage_refused_appends_total",
      "Scrapes and other appends that were not stored because the disk was full.",
    );
    registry.collect(
      { name: "shoal_storage_disk_full", help: "1 while the disk is full.", type: "gauge" },
      {},
      () => (this.#sinceMs === undefined ? 0 : 1),
    );
  }

  /** Passes on what becomes of an append. */
  async watch<T>(append: Promise<T>): Promise<T> {
    try {
      const result = await append;
      if (this.#sinceMs !== undefined) this.#stored(this.#sinceMs);
      return result;
    } catch (error) {
      if (isDiskFull(error)) this.#failed(messageOf(error));
      throw error;
    }
  }

  /** What is wrong, for people; "" when nothing is. */
  get error(): string {
    if (this.#sinceMs === undefined) return "";
    const since = new Date(this.#sinceMs).toISOString();
    return `nothing is stored since ${since}, ${this.#refusedCount} scrapes so far: ${this.#reason}`;
  }

  #failed(reason: string): void {
    this.#lastMs = this.#clock.now();
    this.#refusedCount++;
    this.#refused.inc();
    this.#reason = reason;
    if (this.#sinceMs !== undefined) return;
    this.#sinceMs = this.#lastMs;
    this.#logger.error("the disk is full: scrapes are not stored until there is space", {
      error: reason,
    });
  }

  #stored(sinceMs: number): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#lastMs < SETTLED_MS) return;
    this.#logger.warn("the disk has space again: scrapes are stored", {
      not_stored: this.#refusedCount,
      duration_ms: nowMs - sinceMs,
    });
    this.#sinceMs = undefined;
    this.#refusedCount = 0;
  }
}

import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { isDiskFull, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";

/** A full disk takes small writes now and then: it counts as full until it has taken all for so long. */
const SETTLED_MS = 5_000;
/** How often it is tried whether a full disk has space again: nobody may write any more. */
const TRY_EVERY_MS = 2_000;
/** What is tried to be written: a full disk has room for a little. */
const TRIED_BYTES = 256 * 1024;
const TRIED_FILE = "space-check.tmp";

/**
 * Whether the disk is full, as appends find out:
 *
 *     ok ── an append fails with ENOSPC: one line ──► full ── one is stored, none failed for 5 s: one line ──► ok
 *                                                       └──── or a file can be written, every 2 s ────────────►
 */
export class FullDisk {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #refused: { inc(): void };
  readonly #hasSpace: () => Promise<boolean>;
  #cancelTimer = (): void => {};
  #trying: Promise<void> = Promise.resolve();
  #isClosed = false;
  #sinceMs: number | undefined;
  #lastMs = 0;
  #refusedCount = 0;
  #reason = "";

  constructor(options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly registry: Registry;
    /** Whether there is space now. */
    readonly hasSpace: () => Promise<boolean>;
  }) {
    const { registry } = options;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#hasSpace = options.hasSpace;
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

  /** Looks at the disk no more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTimer();
    await this.#trying;
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
    this.#tryLater();
  }

  #tryLater(): void {
    if (this.#isClosed) return;
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(TRY_EVERY_MS, () => {
      this.#trying = this.#try();
    });
  }

  async #try(): Promise<void> {
    const hasSpace = await this.#hasSpace();
    // An append may have ended it meanwhile.
    if (this.#sinceMs !== undefined && hasSpace) this.#stored(this.#sinceMs);
    if (this.#sinceMs !== undefined) this.#tryLater();
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
    this.#cancelTimer();
  }
}

/** Whether `folder` takes a file that is larger than what a full disk still has room for. Nothing stays of it. */
export async function hasSpaceIn(folder: string): Promise<boolean> {
  const path = join(folder, TRIED_FILE);
  try {
    const file = await open(path, "w");
    try {
      // Without a name it goes with the process, too.
      await rm(path);
      await file.writeFile(new Uint8Array(TRIED_BYTES));
    } finally {
      await file.close();
    }
    return true;
  } catch {
    return false;
  }
}

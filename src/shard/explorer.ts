import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Counter, Gauge, Registry } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import type { Target } from "../model/target.ts";
import { finiteLoad, type Load } from "./load.ts";

/** What test scrapes found out about one target. */
export interface Exploration {
  readonly explored: "pending" | "measured" | "failed";
  readonly load: Load | undefined;
  /** "" unless the last attempt failed. */
  readonly error: string;
}

export interface ExplorerOptions {
  /** Test scrapes at once (`--explore.concurrence`). */
  readonly concurrency: number;
  /** Wait before the second attempt; doubles up to `retryMaxMs`, with ±50 % jitter. */
  readonly retryMs: number;
  readonly retryMaxMs: number;
}

export const DEFAULT_EXPLORER_OPTIONS: ExplorerOptions = {
  concurrency: 200,
  retryMs: 5_000,
  retryMaxMs: 300_000,
};

export interface ExplorerDependencies {
  /** One test scrape within the target's own timeout: what it would cost. Rejects when it cannot be scraped. */
  readonly explore: (target: Target, signal: AbortSignal) => Promise<Load>;
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: Registry;
  /** Called when a target's first attempt is over: it can be placed now. */
  readonly onResult: () => void;
}

interface Entry extends Exploration {
  readonly target: Target;
  readonly failures: number;
  readonly isRunning: boolean;
}

/**
 * Measures targets that nobody scrapes yet, so that they can be placed by what they cost. A target that does not answer
 * counts as `failed` after one attempt (it is then placed by estimate) and is tried again for as long as it is wanted.
 */
export class Explorer {
  readonly #options: ExplorerOptions;
  readonly #deps: ExplorerDependencies;
  readonly #entries = new Map<string, Entry>();
  /** Hashes to be tried; those before `#next` have been. */
  #queue: string[] = [];
  #next = 0;
  readonly #retries = new Map<string, () => void>();
  readonly #abort = new AbortController();
  readonly #counters = new Map<string, Counter>();
  readonly #exploring: Gauge;
  #running = 0;

  constructor(options: ExplorerOptions, dependencies: ExplorerDependencies) {
    this.#options = options;
    this.#deps = dependencies;
    this.#exploring = dependencies.registry.gauge(
      "kvass_explore_exploring_total",
      "Test scrapes under way.",
    );
  }

  /** From now on exactly `targets` are of interest; what is known of others is forgotten. */
  update(targets: ReadonlyMap<string, Target>): void {
    for (const hash of this.#entries.keys()) {
      if (targets.has(hash)) continue;
      this.#entries.delete(hash);
      this.#retries.get(hash)?.();
      this.#retries.delete(hash);
    }
    for (const [hash, target] of targets) {
      const entry = this.#entries.get(hash);
      if (entry !== undefined) {
        // The same target under another URL (of volatile labels) is measured there the next time.
        if (entry.target !== target && !entry.isRunning)
          this.#entries.set(hash, { ...entry, target });
        continue;
      }
      this.#entries.set(hash, {
        target,
        explored: "pending",
        load: undefined,
        error: "",
        failures: 0,
        isRunning: false,
      });
      this.#queue.push(hash);
    }
    this.#pump();
  }

  result(hash: string): Exploration | undefined {
    return this.#entries.get(hash);
  }

  stop(): void {
    this.#abort.abort();
    for (const cancel of this.#retries.values()) cancel();
    this.#retries.clear();
    this.#queue = [];
  }

  #pump(): void {
    while (this.#running < this.#options.concurrency && !this.#abort.signal.aborted) {
      const hash = this.#queue[this.#next++];
      if (hash === undefined) {
        this.#queue = [];
        this.#next = 0;
        return;
      }
      const entry = this.#entries.get(hash);
      if (entry === undefined || entry.isRunning || entry.explored === "measured") continue;
      this.#entries.set(hash, { ...entry, isRunning: true });
      this.#running++;
      this.#exploring.set(this.#running);
      void this.#attempt(hash, entry);
    }
  }

  /** Never rejects. */
  async #attempt(hash: string, entry: Entry): Promise<void> {
    const { target } = entry;
    let load: Load | undefined;
    let error = "";
    try {
      load = finiteLoad(await this.#deps.explore(target, this.#abort.signal));
    } catch (thrown) {
      error = messageOf(thrown);
    }
    this.#running--;
    this.#exploring.set(this.#running);
    this.#count(target.job, load !== undefined).inc();
    if (this.#abort.signal.aborted) return;
    if (this.#entries.get(hash)?.target === target) {
      const failures = load === undefined ? entry.failures + 1 : 0;
      const explored = load === undefined ? "failed" : "measured";
      this.#entries.set(hash, { target, explored, load, error, failures, isRunning: false });
      if (load === undefined) this.#retryLater(hash, failures);
      if (failures <= 1) this.#deps.onResult();
    }
    this.#pump();
  }

  #retryLater(hash: string, failures: number): void {
    const { retryMs, retryMaxMs } = this.#options;
    const waitMs = Math.min(retryMs * 2 ** (failures - 1), retryMaxMs);
    const cancel = this.#deps.clock.after(waitMs * (0.5 + this.#deps.random.next()), () => {
      this.#retries.delete(hash);
      this.#queue.push(hash);
      this.#pump();
    });
    this.#retries.set(hash, cancel);
  }

  #count(job: string, isSuccess: boolean): Counter {
    const key = `${isSuccess} ${job}`;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = this.#deps.registry.counter(
        "kvass_explore_explored_total",
        "Test scrapes that ended.",
        { job, success: String(isSuccess) },
      );
      this.#counters.set(key, counter);
    }
    return counter;
  }
}

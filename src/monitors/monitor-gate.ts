import type { Clock } from "../base/clock.ts";
import type { Knowledge } from "./followed.ts";

export interface MonitorGateOptions {
  readonly knowledge: () => Knowledge;
  /** How long a definite no must stand before it is believed that there are no such resources. */
  readonly holdMs: number;
  readonly clock: Clock;
}

/**
 * Keeps a coordinator that has just started from taking custom resources' targets off the shards only because it has not
 * read those resources: while shards scrape jobs that it has never known, it waits until the API has answered. An API that
 * says no (no such type, forbidden) is believed after the hold time; one that says nothing never is.
 */
export class MonitorGate {
  readonly #options: MonitorGateOptions;
  #isOpen = false;
  #refusedSinceMs: number | undefined;
  /** Jobs that were configured at any time: those that are not any more have been removed by somebody. */
  readonly #configured = new Set<string>();

  constructor(options: MonitorGateOptions) {
    this.#options = options;
  }

  /** These jobs are configured now. */
  configure(jobs: Iterable<string>): void {
    if (!this.#isOpen) for (const job of jobs) this.#configured.add(job);
  }

  /** Why nothing is to be changed on the shards, which scrape `jobs`; "" when the configuration is to be carried out. */
  reason(jobs: () => ReadonlySet<string>): string {
    if (this.#isOpen) return "";
    const { knowledge, holdMs, clock } = this.#options;
    const known = knowledge();
    if (known === "known") this.#isOpen = true;
    if (known === "refused") this.#refusedSinceMs ??= clock.now();
    else this.#refusedSinceMs = undefined;
    if (known === "known") return "";
    const missing = [...jobs()].filter((job) => !this.#configured.has(job));
    if (missing.length === 0) return "";
    const sinceMs = this.#refusedSinceMs;
    if (sinceMs !== undefined && clock.now() - sinceMs >= holdMs) {
      this.#isOpen = true;
      return "";
    }
    return `${missing.length} jobs that are scraped are not known (${missing[0]}), and not all custom resources have been read`;
  }
}

import type { Clock } from "../base/clock.ts";
import type { Knowledge } from "./followed.ts";

export interface MonitorGateOptions {
  readonly knowledge: () => Knowledge;
  /** Names of the jobs that are configured now. */
  readonly configured: () => ReadonlySet<string>;
  /** How long a definite no must stand before it is believed that there are no such resources. */
  readonly holdMs: number;
  readonly clock: Clock;
}

/**
 * Keeps a coordinator that has just started from taking custom resources' targets off the shards only because it has not
 * read those resources: while shards scrape jobs that are not configured, it waits until the API has answered. An API that
 * says no (no such type, forbidden) is believed after the hold time; one that says nothing never is.
 */
export class MonitorGate {
  readonly #options: MonitorGateOptions;
  #isOpen = false;
  #refusedSinceMs: number | undefined;

  constructor(options: MonitorGateOptions) {
    this.#options = options;
  }

  /** Why nothing is to be changed on the shards, which scrape `jobs`; "" when the configuration is to be carried out. */
  reason(jobs: () => ReadonlySet<string>): string {
    if (this.#isOpen) return "";
    const { knowledge, configured, holdMs, clock } = this.#options;
    const known = knowledge();
    if (known === "known") this.#isOpen = true;
    if (known === "refused") this.#refusedSinceMs ??= clock.now();
    else this.#refusedSinceMs = undefined;
    if (known === "known") return "";
    const names = configured();
    const missing = [...jobs()].filter((job) => !names.has(job));
    if (missing.length === 0) return "";
    const sinceMs = this.#refusedSinceMs;
    if (sinceMs !== undefined && clock.now() - sinceMs >= holdMs) {
      this.#isOpen = true;
      return "";
    }
    return `${missing.length} jobs that are scraped are not configured (${missing[0]}), and not all custom resources have been read`;
  }
}

import type { Clock } from "../base/clock.ts";
import type { Registry } from "../base/metrics.ts";

/** How an aggregation was answered: `pushed`, or why its series were read instead. */
export type PushdownOutcome =
  | "pushed"
  /** A store that is asked does not aggregate, or runs another version. */
  | "stores"
  /** Stores hold different replicas of the same series. */
  | "replicas"
  /** A store was not there, or could not or would not aggregate. */
  | "declined"
  /** Two stores have the same series. */
  | "duplicates"
  /** The last bit depends on the order of addition. */
  | "rounding"
  /** Equal values: which comes first depends on the order. */
  | "ties"
  /** More would be read or held than the query may. */
  | "limits"
  /** It could not be pushed a short time ago. */
  | "recent";

/** How long a query that could not be pushed is not tried again: trying costs what pushing would have saved. */
const FORGET_AFTER_MS = 5 * 60_000;
/** Most queries that are remembered. */
const MAX_REMEMBERED = 1000;

/** What a query process knows of the aggregations that it gave to its stores; one for all queries. */
export class Pushdown {
  readonly #clock: Clock;
  readonly #registry: Registry | undefined;
  /** Until when not to try, the oldest first. */
  readonly #failed = new Map<string, number>();

  constructor(options: { readonly clock: Clock; readonly registry?: Registry }) {
    this.#clock = options.clock;
    this.#registry = options.registry;
    this.count("pushed", 0);
  }

  count(outcome: PushdownOutcome, by = 1): void {
    this.#registry
      ?.counter(
        "shoal_query_pushdown_total",
        "Aggregations that the stores were to compute, by what came of it: pushed, or why their series were read instead.",
        { outcome },
      )
      .inc(by);
  }

  hasFailed(key: string): boolean {
    const until = this.#failed.get(key);
    if (until === undefined) return false;
    if (this.#clock.monotonic() < until) return true;
    this.#failed.delete(key);
    return false;
  }

  remember(key: string): void {
    this.#failed.delete(key);
    this.#failed.set(key, this.#clock.monotonic() + FORGET_AFTER_MS);
    if (this.#failed.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#failed.keys()) {
      this.#failed.delete(oldest);
      return;
    }
  }
}

/** Samples of one metric, in Kvass's words: all of them, and those left after metric_relabel_configs. */
export interface MetricCount {
  readonly total: number;
  readonly scraped: number;
}

/** Counts by metric name. */
export class MetricCounts {
  readonly #counts = new Map<string, { total: number; scraped: number }>();

  add(name: string, { total, scraped }: MetricCount): void {
    const known = this.#counts.get(name);
    if (known === undefined) this.#counts.set(name, { total, scraped });
    else {
      known.total += total;
      known.scraped += scraped;
    }
  }

  [Symbol.iterator](): IterableIterator<[string, MetricCount]> {
    return this.#counts[Symbol.iterator]();
  }
}

export const KEPT_ONE: MetricCount = { total: 1, scraped: 1 };
export const DROPPED_ONE: MetricCount = { total: 1, scraped: 0 };

import type { PrometheusView, ScrapeView } from "./prometheus-view.ts";

/**
 * To a Prometheus that has just started, or was given another configuration for a job, every series is new, also those it
 * has in its head: taken for churn, each start would double what a target costs. So a scrape that finds all series new
 * counts for none; when the next one does so too, the target is like that.
 */
export class FirstScrapes {
  /** By hash, when the scrape was that found all new. */
  readonly #seen = new Map<string, number>();

  /** The same view with such scrapes' `seriesAdded` at 0. */
  correct(view: PrometheusView): PrometheusView {
    for (const hash of this.#seen.keys()) if (!view.targets.has(hash)) this.#seen.delete(hash);
    const targets = new Map<string, ScrapeView>();
    for (const [hash, target] of view.targets)
      targets.set(hash, this.#isFirst(hash, target) ? { ...target, seriesAdded: 0 } : target);
    return { ...view, targets };
  }

  #isFirst(hash: string, { seriesAdded, seriesPostRelabel, lastScrapeMs }: ScrapeView): boolean {
    if (seriesAdded === undefined || seriesAdded < (seriesPostRelabel ?? Infinity)) {
      this.#seen.delete(hash);
      return false;
    }
    const firstMs = this.#seen.get(hash);
    if (firstMs === undefined) this.#seen.set(hash, lastScrapeMs);
    return firstMs === undefined || firstMs === lastScrapeMs;
  }
}

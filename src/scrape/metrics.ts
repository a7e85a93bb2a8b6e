import type { Counter, Registry } from "../base/metrics.ts";

/** The scraper's own metrics, under Prometheus's names. */
export interface ScrapeMetrics {
  readonly sampleLimit: Counter;
  readonly bodySizeLimit: Counter;
  readonly labelLimits: Counter;
  readonly targetLimit: Counter;
  readonly duplicate: Counter;
  readonly outOfOrder: Counter;
  readonly outOfBounds: Counter;
  readonly seriesRefused: Counter;
  readonly reloads: Counter;
  readonly pools: Counter;
  readonly commitsFailed: Counter;
}

export function createScrapeMetrics(registry: Registry): ScrapeMetrics {
  const counter = (name: string, help: string): Counter => registry.counter(name, help);
  return {
    sampleLimit: counter(
      "prometheus_target_scrapes_exceeded_sample_limit_total",
      "Total number of scrapes that hit the sample limit and were rejected.",
    ),
    bodySizeLimit: counter(
      "prometheus_target_scrapes_exceeded_body_size_limit_total",
      "Total number of scrapes that hit the body size limit",
    ),
    labelLimits: counter(
      "prometheus_target_scrape_pool_exceeded_label_limits_total",
      "Total number of times scrape pools hit the label limits, during sync or config reload.",
    ),
    targetLimit: counter(
      "prometheus_target_scrape_pool_exceeded_target_limit_total",
      "Total number of times scrape pools hit the target limit, during sync or config reload.",
    ),
    duplicate: counter(
      "prometheus_target_scrapes_sample_duplicate_timestamp_total",
      "Total number of samples rejected due to duplicate timestamps but different values.",
    ),
    outOfOrder: counter(
      "prometheus_target_scrapes_sample_out_of_order_total",
      "Total number of samples rejected due to not being out of the expected order.",
    ),
    outOfBounds: counter(
      "prometheus_target_scrapes_sample_out_of_bounds_total",
      "Total number of samples rejected due to timestamp falling outside of the time bounds.",
    ),
    seriesRefused: counter(
      "shoal_scrape_series_refused_total",
      "Total number of samples left out because the storage took no new series.",
    ),
    reloads: counter(
      "prometheus_target_scrape_pool_reloads_total",
      "Total number of scrape pool reloads.",
    ),
    pools: counter(
      "prometheus_target_scrape_pools_total",
      "Total number of scrape pool creation attempts.",
    ),
    commitsFailed: counter(
      "shoal_scrape_commits_failed_total",
      "Total number of scrapes that the storage could not take.",
    ),
  };
}

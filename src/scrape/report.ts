import { METRIC_NAME, type Labels } from "../model/labels.ts";
import type { MetricMetadata } from "../model/metadata.ts";

/** What every scrape says of itself. */
export interface ScrapeReport {
  readonly up: boolean;
  readonly durationSeconds: number;
  readonly samplesScraped: number;
  readonly samplesPostRelabel: number;
  readonly seriesAdded: number;
  readonly timeoutSeconds: number;
  readonly sampleLimit: number;
  /** -1 when a size limit was hit. */
  readonly bodySizeBytes: number;
}

interface ReportSeries {
  readonly name: string;
  readonly unit: string;
  /** In Prometheus's words. */
  readonly help: string;
  readonly value: (report: ScrapeReport) => number;
}

const SERIES: readonly ReportSeries[] = [
  {
    name: "up",
    unit: "targets",
    help: "Health of the scrape target. 1 means the target is healthy, 0 if the scrape failed.",
    value: (report) => (report.up ? 1 : 0),
  },
  {
    name: "scrape_duration_seconds",
    unit: "seconds",
    help: "Duration of the last scrape in seconds.",
    value: (report) => report.durationSeconds,
  },
  {
    name: "scrape_samples_scraped",
    unit: "samples",
    help: "Number of samples last scraped.",
    value: (report) => report.samplesScraped,
  },
  {
    name: "scrape_samples_post_metric_relabeling",
    unit: "samples",
    help: "Number of samples remaining after metric relabeling was applied.",
    value: (report) => report.samplesPostRelabel,
  },
  {
    name: "scrape_series_added",
    unit: "series",
    help: "Number of series in the last scrape.",
    value: (report) => report.seriesAdded,
  },
];

const WITH_EXTRA: readonly ReportSeries[] = [
  ...SERIES,
  {
    name: "scrape_timeout_seconds",
    unit: "seconds",
    help: "The configured scrape timeout for a target.",
    value: (report) => report.timeoutSeconds,
  },
  {
    name: "scrape_sample_limit",
    unit: "samples",
    help: "The configured sample limit for a target. Returns zero if there is no limit configured.",
    value: (report) => report.sampleLimit,
  },
  {
    name: "scrape_body_size_bytes",
    unit: "bytes",
    help: "The uncompressed size of the last scrape response, if successful. Scrapes failing because body_size_limit is exceeded report -1, other scrape failures report 0.",
    value: (report) => report.bodySizeBytes,
  },
];

/** The series are those of `extra_scrape_metrics` too when `extra`; all functions give them in the same order. */
const seriesOf = (extra: boolean): readonly ReportSeries[] => (extra ? WITH_EXTRA : SERIES);

export function reportLabels(targetLabels: Labels, extra: boolean): Labels[] {
  return seriesOf(extra).map(({ name }) => targetLabels.with(METRIC_NAME, name));
}

export function reportValues(report: ScrapeReport, extra: boolean): number[] {
  return seriesOf(extra).map(({ value }) => value(report));
}

export function reportMetadata(extra: boolean): MetricMetadata[] {
  return seriesOf(extra).map(({ help, unit }) => ({ type: "gauge", help, unit }));
}

import { METRIC_NAME, type Labels } from "../model/labels.ts";

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

const SERIES: readonly [name: string, value: (report: ScrapeReport) => number][] = [
  ["up", (report) => (report.up ? 1 : 0)],
  ["scrape_duration_seconds", (report) => report.durationSeconds],
  ["scrape_samples_scraped", (report) => report.samplesScraped],
  ["scrape_samples_post_metric_relabeling", (report) => report.samplesPostRelabel],
  ["scrape_series_added", (report) => report.seriesAdded],
];

/** With `extra_scrape_metrics`. */
const EXTRA_SERIES: readonly [name: string, value: (report: ScrapeReport) => number][] = [
  ["scrape_timeout_seconds", (report) => report.timeoutSeconds],
  ["scrape_sample_limit", (report) => report.sampleLimit],
  ["scrape_body_size_bytes", (report) => report.bodySizeBytes],
];

/** The labels of the report series, in the order of `reportValues`. */
export function reportLabels(targetLabels: Labels, extra: boolean): Labels[] {
  return (extra ? [...SERIES, ...EXTRA_SERIES] : SERIES).map(([name]) =>
    targetLabels.with(METRIC_NAME, name),
  );
}

export function reportValues(report: ScrapeReport, extra: boolean): number[] {
  return (extra ? [...SERIES, ...EXTRA_SERIES] : SERIES).map(([, value]) => value(report));
}

import type { TargetOptions } from "./target-build.ts";

/** A job with nothing special in it. */
export const PLAIN_JOB: TargetOptions = {
  jobName: "test",
  scrapeIntervalMs: 60_000,
  scrapeTimeoutMs: 10_000,
  metricsPath: "/metrics",
  scheme: "http",
  params: {},
  convertClassicHistogramsToNhcb: false,
  alwaysScrapeClassicHistograms: false,
  scrapeNativeHistograms: false,
  relabelConfigs: [],
  metricNameValidationScheme: "utf8",
};

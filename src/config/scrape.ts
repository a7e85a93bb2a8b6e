import { quote } from "../base/text.ts";
import { list, optional } from "./kind.ts";
import { checkStaticTargets, discoveryFields, toDiscovery } from "./discovery.ts";
import {
  checkProtocols,
  ESCAPINGS,
  isProtocol,
  limitFields,
  nameValidation,
  unknownProtocol,
  type GlobalValues,
  type NameEscaping,
} from "./global.ts";
import { checkHttpClient, httpClientFields } from "./http-client.ts";
import { toHttpClient } from "./http-client-config.ts";
import { field, map, object, type Values } from "./object.ts";
import type { Reader, Where } from "./reader.ts";
import { checkRelabelRules, relabelRules, toRelabelConfigs } from "./relabel.ts";
import type { NameValidation } from "../model/relabel.ts";
import { bool, count, duration, float, path, text } from "./scalars.ts";
import type { ScrapeConfig, ScrapeProtocol } from "./types.ts";

export const DEFAULT_SCRAPE_PROTOCOLS: readonly ScrapeProtocol[] = [
  "OpenMetricsText1.0.0",
  "OpenMetricsText0.0.1",
  "PrometheusText1.0.0",
  "PrometheusText0.0.4",
];

/** With native histograms, which only protobuf carries. */
export const DEFAULT_PROTO_FIRST_PROTOCOLS: readonly ScrapeProtocol[] = [
  "PrometheusProto",
  ...DEFAULT_SCRAPE_PROTOCOLS,
];

const scrapeConfig = object(
  "a scrape config",
  {
    job_name: field(text, { always: true }),
    honor_labels: field(bool),
    honor_timestamps: field(bool, { default: true, always: true }),
    track_timestamps_staleness: field(bool, { always: true }),
    params: field(map(text, list(text))),
    scrape_interval: field(duration),
    scrape_timeout: field(duration),
    scrape_protocols: field(optional(list(text))),
    fallback_scrape_protocol: field(text),
    scrape_native_histograms: field(optional(bool)),
    always_scrape_classic_histograms: field(optional(bool)),
    convert_classic_histograms_to_nhcb: field(optional(bool)),
    scrape_failure_log_file: field(path),
    metrics_path: field(text, { default: "/metrics" }),
    scheme: field(text, { default: "http" }),
    enable_compression: field(bool, { default: true, always: true }),
    ...limitFields,
    native_histogram_bucket_limit: field(count),
    native_histogram_min_bucket_factor: field(float),
    keep_dropped_targets: field(count),
    metric_name_validation_scheme: field(nameValidation),
    metric_name_escaping_scheme: field(text),
    extra_scrape_metrics: field(optional(bool)),
    ...httpClientFields,
    relabel_configs: field(relabelRules("empty or null target relabeling rule in scrape config")),
    metric_relabel_configs: field(
      relabelRules("empty or null metric relabeling rule in scrape config"),
    ),
    ...discoveryFields,
  },
  (values, at) => {
    if (values.job_name === "")
      at.fail("job_name", "job_name is empty", { help: "give every scrape config a job_name" });
    if (values.relabel_configs.length === 0) checkStaticTargets(values, at);
    return checkHttpClient(values, at);
  },
);

export const scrapeConfigs = list(scrapeConfig, {
  nullMessage: "empty or null scrape config section",
});

export type ScrapeValues = Values<typeof scrapeConfig.fields>;

/** `job` with what it does not set taken from `global`; reports what does not fit together. */
export function fillScrapeConfig(
  job: ScrapeValues,
  global: GlobalValues,
  reader: Reader,
): ScrapeValues {
  const at = reader.where(job);
  const interval = job.scrape_interval || global.scrape_interval;
  const timeout = job.scrape_timeout || Math.min(global.scrape_timeout, interval);
  if (job.scrape_timeout > interval)
    at.fail(
      "scrape_timeout",
      `scrape timeout greater than scrape interval for scrape config with job name ${quote(job.job_name)}`,
      { help: "a scrape must end before the next one begins: lower scrape_timeout" },
    );
  const native = job.scrape_native_histograms ?? global.scrape_native_histograms ?? false;
  const protocols =
    job.scrape_protocols ??
    global.scrape_protocols ??
    (native ? DEFAULT_PROTO_FIRST_PROTOCOLS : DEFAULT_SCRAPE_PROTOCOLS);
  checkProtocols(protocols, at, ` for scrape config with job name ${quote(job.job_name)}`);
  checkFallback(job, at);
  const names = nameSchemes(job, global, at);
  checkRelabelRules(job.relabel_configs, names.validation, reader);
  checkRelabelRules(job.metric_relabel_configs, names.validation, reader);
  const filled: ScrapeValues = {
    ...job,
    scrape_interval: interval,
    scrape_timeout: timeout,
    scrape_protocols: protocols,
    body_size_limit: job.body_size_limit || global.body_size_limit,
    sample_limit: job.sample_limit || global.sample_limit,
    target_limit: job.target_limit || global.target_limit,
    label_limit: job.label_limit || global.label_limit,
    label_name_length_limit: job.label_name_length_limit || global.label_name_length_limit,
    label_value_length_limit: job.label_value_length_limit || global.label_value_length_limit,
    keep_dropped_targets: job.keep_dropped_targets || global.keep_dropped_targets,
    scrape_failure_log_file: job.scrape_failure_log_file || global.scrape_failure_log_file,
    scrape_native_histograms: native,
    extra_scrape_metrics: job.extra_scrape_metrics ?? global.extra_scrape_metrics ?? false,
    convert_classic_histograms_to_nhcb:
      job.convert_classic_histograms_to_nhcb ?? global.convert_classic_histograms_to_nhcb,
    always_scrape_classic_histograms:
      job.always_scrape_classic_histograms ?? global.always_scrape_classic_histograms,
    metric_name_validation_scheme: names.validation,
    metric_name_escaping_scheme: names.escaping,
  };
  reader.remember(filled, at);
  return filled;
}

function checkFallback(job: ScrapeValues, at: Where): void {
  const fallback = job.fallback_scrape_protocol;
  const problem = fallback === "" ? undefined : unknownProtocol(fallback);
  if (problem !== undefined)
    at.fail(
      "fallback_scrape_protocol",
      `invalid fallback_scrape_protocol for scrape config with job name ${quote(job.job_name)}: ${problem}`,
    );
}

function nameSchemes(
  job: ScrapeValues,
  global: GlobalValues,
  at: Where,
): { readonly validation: NameValidation; readonly escaping: NameEscaping } {
  const ofGlobal = global.metric_name_validation_scheme || "utf8";
  const validation = job.metric_name_validation_scheme || ofGlobal;
  // A job that turns to UTF-8 names asks for them unescaped; any other job takes what the file says or implies. So a
  // legacy job in a UTF-8 file must say how to escape: Prometheus up to 3.5 insists on it, later ones would guess.
  const ofFile =
    global.metric_name_escaping_scheme || (ofGlobal === "legacy" ? "underscores" : "allow-utf-8");
  const inherited = job.metric_name_validation_scheme === "utf8" ? "allow-utf-8" : ofFile;
  const written = job.metric_name_escaping_scheme || inherited;
  const escaping = ESCAPINGS.find((known) => known === written);
  if (escaping === undefined)
    at.fail(
      "metric_name_escaping_scheme",
      `unknown scrape config name escaping method specified, must be one of 'allow-utf-8', 'underscores', 'dots', or 'values', got ${quote(written)}`,
    );
  if (escaping === "allow-utf-8" && validation !== "utf8")
    at.fail(
      "metric_name_escaping_scheme",
      "utf8 metric names requested but validation scheme is not set to UTF8",
      { help: "set metric_name_escaping_scheme to underscores, dots or values in this job" },
    );
  return { validation, escaping: escaping ?? "underscores" };
}

export function toScrapeConfig(job: ScrapeValues): ScrapeConfig {
  return {
    jobName: job.job_name,
    scrapeIntervalMs: job.scrape_interval,
    scrapeTimeoutMs: job.scrape_timeout,
    // The default stays the same list, so that it can be told from one that somebody wrote.
    scrapeProtocols:
      job.scrape_protocols === DEFAULT_SCRAPE_PROTOCOLS
        ? DEFAULT_SCRAPE_PROTOCOLS
        : (job.scrape_protocols ?? []).filter(isProtocol),
    fallbackScrapeProtocol: isProtocol(job.fallback_scrape_protocol)
      ? job.fallback_scrape_protocol
      : "",
    metricsPath: job.metrics_path,
    scheme: job.scheme,
    params: job.params,
    honorLabels: job.honor_labels,
    honorTimestamps: job.honor_timestamps,
    trackTimestampsStaleness: job.track_timestamps_staleness,
    enableCompression: job.enable_compression,
    bodySizeLimit: job.body_size_limit,
    sampleLimit: job.sample_limit,
    targetLimit: job.target_limit,
    labelLimit: job.label_limit,
    labelNameLengthLimit: job.label_name_length_limit,
    labelValueLengthLimit: job.label_value_length_limit,
    keepDroppedTargets: job.keep_dropped_targets,
    nativeHistogramBucketLimit: job.native_histogram_bucket_limit,
    nativeHistogramMinBucketFactor: job.native_histogram_min_bucket_factor,
    scrapeNativeHistograms: job.scrape_native_histograms ?? false,
    convertClassicHistogramsToNhcb: job.convert_classic_histograms_to_nhcb ?? false,
    alwaysScrapeClassicHistograms: job.always_scrape_classic_histograms ?? false,
    extraScrapeMetrics: job.extra_scrape_metrics ?? false,
    metricNameValidationScheme: job.metric_name_validation_scheme || "utf8",
    metricNameEscapingScheme:
      ESCAPINGS.find((known) => known === job.metric_name_escaping_scheme) ?? "allow-utf-8",
    relabelConfigs: toRelabelConfigs(job.relabel_configs),
    metricRelabelConfigs: toRelabelConfigs(job.metric_relabel_configs),
    httpClient: toHttpClient(job),
    serviceDiscovery: toDiscovery(job),
  };
}

import { quote } from "../base/text.ts";
import { isLegacyLabelName, isValidLabelName } from "../model/labels.ts";
import { list, optional, scalarKind, type Kind } from "./kind.ts";
import { field, map, object, type Values } from "./object.ts";
import type { Where } from "./reader.ts";
import type { NameValidation } from "../model/relabel.ts";
import { bad, bool, count, duration, path, size, text } from "./scalars.ts";
import type { GlobalConfig, ScrapeConfig, ScrapeProtocol } from "./types.ts";

export const DEFAULT_SCRAPE_INTERVAL_MS = 60_000;
export const DEFAULT_SCRAPE_TIMEOUT_MS = 10_000;
export const DEFAULT_EVALUATION_INTERVAL_MS = 60_000;

export type NameEscaping = ScrapeConfig["metricNameEscapingScheme"];

const SCRAPE_PROTOCOLS: readonly ScrapeProtocol[] = [
  "OpenMetricsText0.0.1",
  "OpenMetricsText1.0.0",
  "PrometheusProto",
  "PrometheusText0.0.4",
  "PrometheusText1.0.0",
];

export const nameValidation: Kind<NameValidation | ""> = scalarKind<NameValidation | "">({
  zero: "",
  parse(written) {
    if (written === "" || written === "utf8" || written === "legacy") return written;
    throw bad(`unrecognized ValidationScheme: ${quote(written)}`);
  },
  print: (value) => value,
  help: "write one of: utf8, legacy",
});

export const ESCAPINGS: readonly NameEscaping[] = ["allow-utf-8", "underscores", "dots", "values"];

/** The keys that `global` and a scrape config share. */
export const limitFields = {
  body_size_limit: field(size),
  sample_limit: field(count),
  target_limit: field(count),
  label_limit: field(count),
  label_name_length_limit: field(count),
  label_value_length_limit: field(count),
};

export const globalSection = object(
  "global",
  {
    scrape_interval: field(duration),
    scrape_timeout: field(duration),
    scrape_protocols: field(optional(list(text))),
    evaluation_interval: field(duration),
    rule_query_offset: field(duration),
    query_log_file: field(path),
    scrape_failure_log_file: field(path),
    external_labels: field(map(text, text)),
    ...limitFields,
    keep_dropped_targets: field(count),
    metric_name_validation_scheme: field(nameValidation),
    metric_name_escaping_scheme: field(text),
    scrape_native_histograms: field(optional(bool)),
    convert_classic_histograms_to_nhcb: field(bool),
    always_scrape_classic_histograms: field(bool),
    extra_scrape_metrics: field(optional(bool)),
  },
  (values, at) => {
    const isName =
      values.metric_name_validation_scheme === "legacy" ? isLegacyLabelName : isValidLabelName;
    for (const [name, value] of Object.entries(values.external_labels)) {
      if (!isName(name)) at.fail("external_labels", `${quote(name)} is not a valid label name`);
      if (!value.isWellFormed())
        at.fail("external_labels", `${quote(value)} is not a valid label value`);
    }
    if (values.scrape_timeout > (values.scrape_interval || DEFAULT_SCRAPE_INTERVAL_MS))
      at.fail("scrape_timeout", "global scrape timeout greater than scrape interval");
    if (values.scrape_protocols !== undefined)
      checkProtocols(values.scrape_protocols, at, " for global config");
  },
);

export type GlobalValues = Values<typeof globalSection.fields>;

/** `global` with what is not set filled in, as every job then sees it. */
export function fillGlobal(values: GlobalValues): GlobalValues {
  const interval = values.scrape_interval || DEFAULT_SCRAPE_INTERVAL_MS;
  return {
    ...values,
    scrape_interval: interval,
    scrape_timeout: values.scrape_timeout || Math.min(DEFAULT_SCRAPE_TIMEOUT_MS, interval),
    evaluation_interval: values.evaluation_interval || DEFAULT_EVALUATION_INTERVAL_MS,
    metric_name_validation_scheme: values.metric_name_validation_scheme || "utf8",
    metric_name_escaping_scheme: globalSection.isEmpty(values)
      ? "allow-utf-8"
      : values.metric_name_escaping_scheme,
    scrape_native_histograms: values.scrape_native_histograms ?? false,
    extra_scrape_metrics: values.extra_scrape_metrics ?? false,
  };
}

export function toGlobal(values: GlobalValues): GlobalConfig {
  return {
    scrapeIntervalMs: values.scrape_interval,
    scrapeTimeoutMs: values.scrape_timeout,
    evaluationIntervalMs: values.evaluation_interval,
    ruleQueryOffsetMs: values.rule_query_offset,
    externalLabels: values.external_labels,
    queryLogFile: values.query_log_file,
  };
}

/** Reports what is wrong with a list of scrape protocols; `where` ends the message. */
export function checkProtocols(protocols: readonly string[], at: Where, where: string): void {
  const key = "scrape_protocols";
  if (protocols.length === 0) at.fail(key, `scrape_protocols cannot be empty${where}`);
  const seen = new Set<string>();
  for (const [index, protocol] of protocols.entries()) {
    const problem = seen.has(protocol.toLowerCase())
      ? `duplicated protocol in scrape_protocols, got [${protocols.join(" ")}]`
      : unknownProtocol(protocol, "scrape_protocols: ");
    if (problem !== undefined) return at.fail(key, problem + where, { index });
    seen.add(protocol.toLowerCase());
  }
}

export function unknownProtocol(protocol: string, prefix = ""): string | undefined {
  return isProtocol(protocol)
    ? undefined
    : `${prefix}unknown scrape protocol ${protocol}, supported: [${SCRAPE_PROTOCOLS.join(" ")}]`;
}

export function isProtocol(text: string): text is ScrapeProtocol {
  return (SCRAPE_PROTOCOLS as readonly string[]).includes(text);
}

/** `${NAME}` and `$NAME` replaced by the environment's values (undefined: nothing); `$$` is a dollar. */
export function expandEnvironment(
  written: string,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  return written.replaceAll(
    /\$(?:\{([^}]*)\}|([a-zA-Z_]\w*|[*#$@!?\d-]))/g,
    (_, braced?: string, plain?: string) => {
      const name = braced ?? plain!;
      return name === "$" ? "$" : (environment[name] ?? "");
    },
  );
}

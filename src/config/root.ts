import { quote } from "../base/text.ts";
import { alerting, checkAlerting } from "./alerting.ts";
import { checkRemotes, remoteReads, remoteWrites } from "./remote.ts";
import {
  checkTranslation,
  DEFAULT_GOGC,
  otlp,
  runtime,
  fillStorage,
  storage,
  tracing,
} from "./server.ts";
import { expandEnvironment, fillGlobal, globalSection, type GlobalValues } from "./global.ts";
import { list, type Kind } from "./kind.ts";
import { field, object, type Values } from "./object.ts";
import type { Reader } from "./reader.ts";
import { checkedPath } from "./scalars.ts";
import { fillScrapeConfig, scrapeConfigs, type ScrapeValues } from "./scrape.ts";

const ONE_STAR_AT_THE_END = /^[^*]*(?:\*[^/]*)?$/;

function globs(what: string): Kind<readonly string[]> {
  return list(
    checkedPath((written) =>
      ONE_STAR_AT_THE_END.test(written) ? undefined : `invalid ${what} path ${quote(written)}`,
    ),
  );
}

/** prometheus.yml as a whole. */
export const root = object("the configuration", {
  global: field(globalSection, { always: true }),
  runtime: field(runtime),
  alerting: field(alerting),
  rule_files: field(globs("rule file")),
  scrape_config_files: field(globs("scrape config file")),
  scrape_configs: field(scrapeConfigs),
  storage: field(storage),
  tracing: field(tracing),
  remote_write: field(remoteWrites),
  remote_read: field(remoteReads),
  otlp: field(otlp, { default: otlp.defaults }),
});

/** A file named by `scrape_config_files`. */
export const scrapeConfigFile = object("a scrape config file", {
  scrape_configs: field(scrapeConfigs),
});

export type RootValues = Values<typeof root.fields>;

/** The rules between sections, and the defaults that one section takes from another. */
export function fillRoot(
  values: RootValues,
  reader: Reader,
  environment: Readonly<Record<string, string | undefined>>,
): RootValues {
  const global = fillGlobal(values.global);
  const scheme = global.metric_name_validation_scheme || "utf8";
  checkAlerting(values.alerting, scheme, reader);
  checkRemotes(values.remote_write, values.remote_read, { scheme, reader });
  checkTranslation(values.otlp, scheme, reader);
  const filled: RootValues = {
    ...values,
    storage: fillStorage(values.storage),
    runtime: { gogc: values.runtime.gogc || DEFAULT_GOGC },
    global: { ...global, external_labels: expandLabels(global, environment) },
    scrape_configs: fillScrapeConfigs(values.scrape_configs, global, {
      reader,
      jobs: new Map(),
      file: "main config file",
    }),
  };
  reader.remember(filled, reader.where(values));
  return filled;
}

/** Fills in jobs of one file; `jobs` holds the names of all files read before and where they were found. */
export function fillScrapeConfigs(
  jobs: readonly ScrapeValues[],
  global: GlobalValues,
  context: { readonly reader: Reader; readonly jobs: Map<string, string>; readonly file: string },
): ScrapeValues[] {
  return jobs.map((job) => {
    const first = context.jobs.get(job.job_name);
    if (first !== undefined)
      context.reader
        .where(job)
        .fail(
          "job_name",
          `found multiple scrape configs with job name ${quote(job.job_name)}${first === context.file ? "" : `, first found in ${first}`}`,
          { help: "job names are unique: rename one of them" },
        );
    else context.jobs.set(job.job_name, context.file);
    return fillScrapeConfig(job, global, context.reader);
  });
}

function expandLabels(
  global: GlobalValues,
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const expanded = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(global.external_labels))
    expanded[name] = expandEnvironment(value, environment);
  return expanded;
}

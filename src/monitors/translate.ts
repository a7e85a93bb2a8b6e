import { AppError } from "../base/errors.ts";
import type { AddedJobs } from "../config/added-jobs.ts";
import { ConfigError } from "../config/config-error.ts";
import { parseConfig } from "../config/load.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { Fields } from "../kubernetes/fields.ts";
import { jobsText, type MonitorJob } from "./job.ts";
import { podMonitorJobs } from "./pod-monitor.ts";
import { probeJob } from "./probe.ts";
import { scrapeConfigJob } from "./scrape-config.ts";
import { serviceMonitorJobs } from "./service-monitor.ts";
import type { MonitorKind, Translation } from "./translation.ts";

/** The jobs that a custom resource stands for: those the Prometheus operator would write, without its sharding rules. */
export function translate(kind: MonitorKind, spec: unknown, at: Translation): MonitorJob[] {
  const fields = new Fields(spec, "spec");
  switch (kind) {
    case "ServiceMonitor":
      return serviceMonitorJobs(fields, at);
    case "PodMonitor":
      return podMonitorJobs(fields, at);
    case "Probe":
      return [probeJob(fields, at)];
    case "ScrapeConfig":
      return [scrapeConfigJob(fields, at)];
  }
}

/**
 * Checks jobs as prometheus.yml's are checked, under its `global` section (`printGlobal`). What is wrong is said without
 * any value of a Secret.
 */
export function checkJobs(
  jobs: readonly MonitorJob[],
  under: { readonly global: string; readonly baseFolder: string },
): AddedJobs {
  const text = jobsText(jobs, "revealed");
  const shownText = jobsText(jobs, "hidden");
  const parse = (items: string): readonly ScrapeConfig[] =>
    items === ""
      ? []
      : parseConfig(`${under.global}scrape_configs:\n${items}`, {
          path: "its job",
          baseFolder: under.baseFolder,
        }).scrapeConfigs;
  try {
    parse(shownText);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // Where it stands in a text that nobody wrote helps nobody.
    throw new AppError("bad-data", error.problems.map(({ message }) => message).join("; "));
  }
  try {
    return { text, shownText, configs: parse(text) };
  } catch {
    throw new AppError("bad-data", "a value of one of its Secrets cannot be used where it stands");
  }
}

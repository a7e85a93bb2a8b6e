import { AppError } from "../base/errors.ts";
import { type AddedJobs, listItems } from "../config/added-jobs.ts";
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

/** What jobs are checked under. */
interface CheckedUnder {
  /** The `global` section of prometheus.yml as text (`printGlobal`). */
  readonly global: string;
  readonly baseFolder: string;
}

/** Checks jobs as prometheus.yml's are checked. What is wrong is said without any value of a Secret. */
export function checkJobs(jobs: readonly MonitorJob[], under: CheckedUnder): AddedJobs {
  const text = jobsText(jobs, "revealed");
  const shownText = jobsText(jobs, "hidden");
  const shown = parseJobs(shownText, under);
  // Reading a job takes milliseconds; most name no Secret.
  if (text === shownText) return { text, shownText, configs: shown };
  try {
    return { text, shownText, configs: parseJobs(text, under) };
  } catch {
    throw new AppError("bad-data", "a value of one of its Secrets cannot be used where it stands");
  }
}

/** The jobs of `additionalScrapeConfigs`, which are written as in prometheus.yml. */
export function additionalJobs(source: string, under: CheckedUnder): AddedJobs {
  const text = listItems(source, "the list of jobs");
  // Passwords and the like are known by their keys here.
  return { text, shownText: text, configs: parseJobs(text, under) };
}

function parseJobs(items: string, { global, baseFolder }: CheckedUnder): readonly ScrapeConfig[] {
  if (items === "") return [];
  try {
    const source = `${global}scrape_configs:\n${items}`;
    return parseConfig(source, { path: "its job", baseFolder }).scrapeConfigs;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // Where it stands in a text that nobody wrote helps nobody.
    throw new AppError("bad-data", error.problems.map(({ message }) => message).join("; "));
  }
}

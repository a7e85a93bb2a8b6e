import { createHash } from "node:crypto";
import { Secret } from "../config/secret.ts";
import type { Config, ScrapeConfig } from "../config/types.ts";
import type { PushedConfig } from "./wire.ts";

/** What goes to the shards: the raw text, where it stands, and a hash that changes whenever anything of it does. */
export function toPushedConfig(config: Config): PushedConfig {
  const { source, baseFolder } = config;
  const hash = createHash("sha256")
    .update(`${baseFolder.length}:${baseFolder}${source}`)
    // Files named by scrape_config_files are not part of the text.
    .update(fingerprint(config.scrapeConfigs))
    .digest("hex");
  return { rawContent: source, baseFolder, hash };
}

/** The jobs whose discovery differs between two configurations, new ones included. */
export function changedJobs(before: Config, after: Config): string[] {
  const known = new Map(before.scrapeConfigs.map((job) => [job.jobName, discoveryOf(job)]));
  return after.scrapeConfigs
    .filter((job) => known.get(job.jobName) !== discoveryOf(job))
    .map((job) => job.jobName);
}

function discoveryOf(job: ScrapeConfig): string {
  return fingerprint([job.serviceDiscovery, job.relabelConfigs, job.params, job.metricsPath]);
}

/** Only ever hashed or compared, never shown: secrets are in it, so that a changed password is a change. */
function fingerprint(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, shown: unknown) {
    const raw = this[key];
    if (raw instanceof Secret) return raw.reveal();
    if (typeof raw === "object" && raw !== null && "source" in raw && "matches" in raw)
      return String(raw.source);
    return shown;
  });
}

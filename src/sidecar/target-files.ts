import { createHash } from "node:crypto";
import type { Target } from "../model/target.ts";

/**
 * A job's assigned targets as Prometheus reads them through `file_sd_configs`: one group for each target with all its
 * final labels, so that Prometheus computes the same labels and URL as the coordinator did.
 */

/** Labels of the sidecar itself; they are dropped before a target is scraped. */
export const OWN_PREFIX = "__shoal_";
/** The target's hash, by which Prometheus's answers are told apart. */
export const HASH_LABEL = `${OWN_PREFIX}hash`;
/** `__shoal_absent_job="absent"`: relabelling has removed the label, so the job's default must not come back. */
export const ABSENT_PREFIX = `${OWN_PREFIX}absent_`;
export const ABSENT_VALUE = "absent";
/** What Prometheus fills in when a target lacks it, and a target can do without. */
export const ABSENT_TARGET_LABELS = ["job", "__metrics_path__"] as const;

const ADDRESS = "__address__";
const NAME_MAX_LENGTH = 80;

/** A file name for any job name: readable, free of glob characters, and different for different jobs. */
export function targetsFileName(job: string): string {
  const readable = job.replaceAll(/[^a-zA-Z0-9_.-]+/g, "_").slice(0, NAME_MAX_LENGTH);
  const unique = createHash("sha256").update(job).digest("hex").slice(0, 12);
  return `${readable}-${unique}.json`;
}

/** The file's text for these targets of one job, the same for the same targets in any order. */
export function printTargets(targets: readonly Target[]): string {
  const sorted = [...targets].sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
  const groups = sorted.map((target) => JSON.stringify(groupOf(target)));
  return groups.length === 0 ? "[]\n" : `[\n${groups.join(",\n")}\n]\n`;
}

function groupOf({ allLabels, hash }: Target): unknown {
  // Label names such as `__proto__` are legal.
  const labels = Object.create(null) as Record<string, string>;
  for (const [name, value] of allLabels) if (name !== ADDRESS) labels[name] = value;
  for (const name of ABSENT_TARGET_LABELS)
    if (!allLabels.has(name)) labels[`${ABSENT_PREFIX}${name}`] = ABSENT_VALUE;
  labels[HASH_LABEL] = hash;
  return { targets: [allLabels.get(ADDRESS)], labels };
}

import { createHash } from "node:crypto";
import type { Target } from "../model/target.ts";

/**
 * A job's assigned targets as Prometheus reads them through `file_sd_configs`: one group for each target with all its
 * final labels, so that Prometheus computes the same labels and URL as the coordinator did.
 */

/**
 * Labels of the sidecar itself. Prometheus takes labels of this prefix off by itself after relabelling; a rule that drops
 * others would take them off the discovered labels too in some versions (2.42 is one).
 */
const OWN_PREFIX = "__meta_shoal_";
/** The target's hash, by which Prometheus's answers are told apart. */
export const HASH_LABEL = `${OWN_PREFIX}hash`;
/** `__meta_shoal_absent_job="absent"`: relabelling has removed the label, so the job's default must not come back. */
export const ABSENT_PREFIX = `${OWN_PREFIX}absent_`;
export const ABSENT_VALUE = "absent";
/** What Prometheus fills in when a target lacks it, and a target can do without. */
export const ABSENT_TARGET_LABELS = ["job", "__metrics_path__"] as const;

/** What the proxy's own parameters are called, in Kvass's words: labels `__param__hash` and so on make them. */
export const HASH_PARAMETER = "_hash";
export const JOB_PARAMETER = "_jobName";
export const SCHEME_PARAMETER = "_scheme";

const ADDRESS = "__address__";
const SCHEME = "__scheme__";
const PARAMETER_PREFIX = "__param_";
const NAME_MAX_LENGTH = 80;

/** A file name for any job name: readable, free of glob characters, and different for different jobs. */
export function targetsFileName(job: string): string {
  const readable = job.replaceAll(/[^a-zA-Z0-9_.-]+/g, "_").slice(0, NAME_MAX_LENGTH);
  const unique = createHash("sha256").update(job).digest("hex").slice(0, 12);
  return `${readable}-${unique}.json`;
}

/** How targets get to Prometheus: as they are, or so that it asks the proxy for them. */
export type DeliveryKind = "direct" | "proxy";

/** The file's text for these targets of one job, the same for the same targets in any order. */
export function printTargets(
  targets: readonly Target[],
  delivery: DeliveryKind = "direct",
): string {
  const sorted = [...targets].sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
  const groups = sorted.map((target) => JSON.stringify(groupOf(target, delivery)));
  return groups.length === 0 ? "[]\n" : `[\n${groups.join(",\n")}\n]\n`;
}

function groupOf(target: Target, delivery: DeliveryKind): unknown {
  const { allLabels, hash } = target;
  // Label names such as `__proto__` are legal.
  const labels = Object.create(null) as Record<string, string>;
  for (const [name, value] of allLabels) if (name !== ADDRESS) labels[name] = value;
  for (const name of ABSENT_TARGET_LABELS)
    if (!allLabels.has(name)) labels[`${ABSENT_PREFIX}${name}`] = ABSENT_VALUE;
  labels[HASH_LABEL] = hash;
  if (delivery === "proxy") {
    // The request to the proxy is plain HTTP; the proxy knows better, and the parameter says so to people.
    labels[SCHEME] = "http";
    labels[`${PARAMETER_PREFIX}${SCHEME_PARAMETER}`] = new URL(target.url).protocol.slice(0, -1);
    labels[`${PARAMETER_PREFIX}${JOB_PARAMETER}`] = target.job;
    labels[`${PARAMETER_PREFIX}${HASH_PARAMETER}`] = hash;
  }
  return { targets: [allLabels.get(ADDRESS)], labels };
}

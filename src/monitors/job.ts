import { Secret } from "../config/secret.ts";
import { type Printed, writeYaml } from "../config/yaml-writer.ts";

/** A part of a scrape job as prometheus.yml has it; what is undefined is left out. */
export type JobValue =
  | undefined
  | string
  | number
  | boolean
  | Secret
  | readonly JobValue[]
  | JobMap;

export interface JobMap {
  readonly [key: string]: JobValue;
}

/** A scrape job: one item of `scrape_configs`. */
export interface MonitorJob extends JobMap {
  readonly job_name: string;
}

/**
 * Jobs as items of `scrape_configs`, which begin at the left edge. Whoever shows the text, or an error about it, takes the
 * one with hidden secrets.
 */
export function jobsText(jobs: readonly MonitorJob[], secrets: "revealed" | "hidden"): string {
  if (jobs.length === 0) return "";
  const items = jobs.map((job) => printed(job, secrets) ?? "");
  const text = writeYaml(new Map([["scrape_configs", items]]));
  return text.slice(text.indexOf("\n") + 1);
}

function printed(value: JobValue, secrets: "revealed" | "hidden"): Printed {
  if (value instanceof Secret) return secrets === "revealed" ? value.reveal() : String(value);
  if (isList(value)) return value.map((one) => printed(one, secrets));
  if (typeof value !== "object") return value;
  return new Map(Object.entries(value).map(([key, one]) => [key, printed(one, secrets)]));
}

function isList(value: JobValue): value is readonly JobValue[] {
  return Array.isArray(value);
}

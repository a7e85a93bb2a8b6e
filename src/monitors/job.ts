import { Secret } from "../config/secret.ts";

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

/** What YAML reads otherwise than JSON: breaks of lines, a mark at the start of a text, and what it calls unprintable. */
const NOT_AS_IN_JSON = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g;

/**
 * Jobs as items of `scrape_configs`, one a line, in JSON: that is YAML, and read twice as fast as what people write. Whoever
 * shows the text, or an error about it, takes the one with hidden secrets.
 */
export function jobsText(jobs: readonly MonitorJob[], secrets: "revealed" | "hidden"): string {
  return jobs.map((job) => `- ${toJson(job, secrets)}\n`).join("");
}

function toJson(job: MonitorJob, secrets: "revealed" | "hidden"): string {
  const text = JSON.stringify(job, function (this: JobMap, key: string, value: unknown) {
    // A secret writes itself as `<secret>` before it gets here.
    const original = this[key];
    return original instanceof Secret && secrets === "revealed" ? original.reveal() : value;
  });
  return text.replaceAll(NOT_AS_IN_JSON, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return `\\u${code.padStart(4, "0")}`;
  });
}

import { AppError } from "../base/errors.ts";
import { fieldOf } from "../base/field.ts";
import type { Config } from "../config/types.ts";
import { labelsFromKvass } from "../model/kvass-labels.ts";
import { TargetBuilder } from "../model/target-build.ts";
import type { Target } from "../model/target.ts";

/** A target that a Kvass sidecar had, in the shape of `shard/`'s assigned targets. */
export interface KvassTarget {
  readonly target: Target;
  readonly state: "normal" | "in_transfer";
  readonly assignedAtMs: number;
  readonly load: {
    readonly series: number;
    readonly rawSeries: number;
    readonly samplesPerSecond: number;
    readonly bodyBytesPerSecond: number;
    readonly newSeriesPerHour: number;
  };
}

/**
 * The targets in Kvass's `kvass-shard.json` (`{"Targets": {job: […]}}`) or its older `targets.json` (the map alone), so
 * that a shard goes on scraping what it had. What Kvass leaves out of a target comes from `config`; targets of jobs that
 * it lacks are left out. Hashes are computed anew: Kvass's do not know intervals. Throws `bad-data`.
 */
export function importKvassState(
  text: string,
  options: { readonly config: Config; readonly nowMs: number },
): KvassTarget[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new AppError("bad-data", "cannot read Kvass's state: it is not JSON", { cause: error });
  }
  const jobs = fieldOf(document, "Targets") ?? document;
  return options.config.scrapeConfigs.flatMap((job) => {
    const entries = fieldOf(jobs, job.jobName);
    if (!Array.isArray(entries)) return [];
    // Relabelling is done already.
    const builder = new TargetBuilder({ ...job, relabelConfigs: [] });
    return entries.flatMap((entry: unknown) => {
      const result = builder.build(labelsOf(fieldOf(entry, "labels")));
      if (result.kind !== "target") return [];
      return [
        {
          target: result.target,
          state: fieldOf(entry, "TargetState") === "in_transfer" ? "in_transfer" : "normal",
          assignedAtMs: options.nowMs,
          load: {
            series: countOf(entry, "series"),
            rawSeries: countOf(entry, "totalSeries"),
            samplesPerSecond: 0,
            bodyBytesPerSecond: 0,
            newSeriesPerHour: 0,
          },
        } as const,
      ];
    });
  });
}

function labelsOf(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null)
    throw new AppError("bad-data", "cannot read Kvass's state: a target has no labels");
  return labelsFromKvass(Object.entries(value).map(([name, text]) => [name, String(text)]));
}

function countOf(entry: unknown, name: string): number {
  const value = fieldOf(entry, name);
  return typeof value === "number" && value >= 0 ? value : 0;
}

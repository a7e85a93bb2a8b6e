import type { Config } from "../config/types.ts";
import { labelsFromKvass } from "../model/kvass-labels.ts";
import { TargetBuilder } from "../model/target-build.ts";
import type { Target } from "../model/target.ts";

/**
 * A target as a Kvass coordinator gives it: job, final labels and hash. Its URL and times are left to the job, and are
 * worked out again for each configuration, because Kvass does not give targets anew when only those change.
 */
export function isBare(target: Target): boolean {
  return target.url === "";
}

/** Completes bare targets with what one configuration says of their jobs. */
export class TargetCompleter {
  readonly #builders: ReadonlyMap<string, TargetBuilder>;

  constructor(config: Config) {
    // Relabelling is done already.
    this.#builders = new Map(
      config.scrapeConfigs.map((job) => [
        job.jobName,
        new TargetBuilder({ ...job, relabelConfigs: [] }),
      ]),
    );
  }

  /** Under the hash that it came with; undefined when there is no such job, or it cannot be a target. */
  complete(target: Target): Target | undefined {
    if (!isBare(target)) return target;
    const builder = this.#builders.get(target.job);
    const result = builder?.build(labelsFromKvass(target.allLabels));
    if (result?.kind !== "target") return undefined;
    const { job, allLabels, labels, discoveredLabels, url, intervalMs, timeoutMs } = result.target;
    const { hash } = target;
    return { hash, job, allLabels, labels, discoveredLabels, url, intervalMs, timeoutMs };
  }
}

import type { ScrapeConfig } from "../config/types.ts";
import { TargetBuilder, type TargetOptions, type TargetResult } from "../model/target-build.ts";
import {
  type DroppedTarget,
  isSameScrape,
  type Target,
  type TargetGroup,
} from "../model/target.ts";
import type { VolatileLabels } from "../model/target-identity.ts";

export interface BuiltTargets {
  /** Each once: the same labels and URL (but for what is volatile) found twice are one target. */
  readonly active: readonly Target[];
  /** Those that relabelling dropped; all of them, however few `keep_dropped_targets` shows. */
  readonly dropped: readonly DroppedTarget[];
  /** Targets that could not be built, and a limit that was hit, in Prometheus's words. */
  readonly errors: readonly string[];
  /** Set when `target_limit` is exceeded: the whole pool's scrapes then fail with this text. */
  readonly limitError: string | undefined;
}

type PoolOptions = TargetOptions & Pick<ScrapeConfig, "targetLimit">;

type LabelRecord = Readonly<Record<string, string>>;

interface Remembered {
  readonly groupLabels: LabelRecord;
  readonly result: TargetResult;
}

/**
 * Builds the targets of one job again and again as discovery finds more. What was built from the very same label objects
 * before is not built again, so an update costs what it changes and not what there is.
 */
export class JobTargetBuilder {
  readonly #limit: number;
  readonly #builder: TargetBuilder;
  readonly #remembered = new WeakMap<LabelRecord, Remembered>();

  constructor(scrapeConfig: PoolOptions, volatile?: VolatileLabels) {
    this.#limit = scrapeConfig.targetLimit;
    this.#builder = new TargetBuilder(scrapeConfig, volatile);
  }

  /** The job's targets now. A target that was there before is the same object as before. */
  build(groups: readonly TargetGroup[]): BuiltTargets {
    const active = new Map<string, Target>();
    const dropped: DroppedTarget[] = [];
    const errors: string[] = [];
    for (const group of groups)
      for (let i = 0; i < group.targets.length; i++) {
        const result = this.#one(group.targets[i]!, group.labels);
        if (result.kind === "target") {
          // Of equal targets the last one's discovered labels are shown, as in Prometheus.
          const known = active.get(result.target.hash);
          if (known !== undefined && !isSameScrape(known, result.target))
            errors.push(alike(known, result.target));
          active.set(result.target.hash, result.target);
        } else if (result.kind === "dropped") dropped.push(result.target);
        else errors.push(`instance ${i} in group ${group.source}: ${result.message}`);
      }
    const limitError = checkLimit(active.size, this.#limit);
    if (limitError !== undefined) errors.push(limitError);
    return { active: [...active.values()], dropped, errors, limitError };
  }

  #one(labels: LabelRecord, groupLabels: LabelRecord): TargetResult {
    const known = this.#remembered.get(labels);
    if (known?.groupLabels === groupLabels) return known.result;
    const result = this.#builder.build(labels, groupLabels);
    this.#remembered.set(labels, { groupLabels, result });
    return result;
  }
}

/** The operator has called volatile what tells two targets apart. */
function alike(one: Target, other: Target): string {
  return `${one.url} and ${other.url} differ in ignored labels only (--target.ignore-labels): the second is scraped`;
}

function checkLimit(count: number, limit: number): string | undefined {
  return limit > 0 && count > limit
    ? `target_limit exceeded (number of targets: ${count}, limit: ${limit})`
    : undefined;
}

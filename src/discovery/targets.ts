import type { ScrapeConfig } from "../config/types.ts";
import { TargetBuilder, type TargetOptions } from "../model/target-build.ts";
import type { DroppedTarget, Target, TargetGroup } from "../model/target.ts";

export interface BuiltTargets {
  /** Each once: the same labels and URL found twice are one target. */
  readonly active: readonly Target[];
  /** Those that relabelling dropped; all of them, however few `keep_dropped_targets` shows. */
  readonly dropped: readonly DroppedTarget[];
  /** Targets that could not be built, and a limit that was hit, in Prometheus's words. */
  readonly errors: readonly string[];
  /** Set when `target_limit` is exceeded: the whole pool's scrapes then fail with this text. */
  readonly limitError: string | undefined;
}

type PoolOptions = TargetOptions & Pick<ScrapeConfig, "targetLimit">;

/** A job's targets from what discovery found. */
export function buildTargets(
  scrapeConfig: PoolOptions,
  groups: readonly TargetGroup[],
): BuiltTargets {
  const builder = new TargetBuilder(scrapeConfig);
  const active = new Map<string, Target>();
  const dropped: DroppedTarget[] = [];
  const errors: string[] = [];
  for (const group of groups)
    for (let i = 0; i < group.targets.length; i++) {
      const result = builder.build(group.targets[i]!, group.labels);
      if (result.kind === "target") {
        if (!active.has(result.target.hash)) active.set(result.target.hash, result.target);
      } else if (result.kind === "dropped") dropped.push(result.target);
      else errors.push(`instance ${i} in group ${group.source}: ${result.message}`);
    }
  const limitError = checkLimit(active.size, scrapeConfig.targetLimit);
  if (limitError !== undefined) errors.push(limitError);
  return { active: [...active.values()], dropped, errors, limitError };
}

function checkLimit(count: number, limit: number): string | undefined {
  return limit > 0 && count > limit
    ? `target_limit exceeded (number of targets: ${count}, limit: ${limit})`
    : undefined;
}

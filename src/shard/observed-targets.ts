import type { Target } from "../model/target.ts";
import type { Exploration } from "./explorer.ts";
import type { AssignedCounts, JobTargets } from "./hold.ts";
import type { Load } from "./load.ts";
import type { ObservedShard, ObservedTarget } from "./plan-types.ts";

/** What discovery lists, what shards have, and what test scrapes have found, put together. */
export interface TargetObservation {
  readonly targets: readonly ObservedTarget[];
  /** Listed, and on no shard, by hash. */
  readonly unowned: Map<string, Target>;
  /** By job. */
  readonly counts: ReadonlyMap<string, AssignedCounts>;
}

interface Counts {
  assigned: number;
  listed: number;
}

/** Runs once a cycle over every target there is: one look-up for each assignment and each listed target. */
export function observeTargets(
  jobs: readonly JobTargets[],
  shards: readonly ObservedShard[],
  resultOf: (hash: string) => Exploration | undefined,
): TargetObservation {
  const counts = new Map<string, Counts>();
  const loads = readLoads(shards, counts);
  const targets: ObservedTarget[] = [];
  const unowned = new Map<string, Target>();
  for (const { job, targets: listed } of jobs) {
    const count = counts.get(job);
    for (const target of listed) {
      const { hash, url } = target;
      const load = loads.get(hash);
      if (load === undefined) {
        unowned.set(hash, target);
        const result = resultOf(hash);
        const explored = result?.explored ?? "pending";
        targets.push({ hash, job, url, explored, load: result?.load });
        continue;
      }
      if (count !== undefined) count.listed++;
      // Assigned, but of unknown size: it weighs its job's median.
      if (load.series + load.rawSeries > 0)
        targets.push({ hash, job, url, explored: "measured", load });
      else targets.push({ hash, job, url, explored: "failed", load: undefined });
    }
  }
  return { targets, unowned, counts };
}

/** The load of every assigned target, measured rather than given; counts the distinct ones of each job. */
function readLoads(
  shards: readonly ObservedShard[],
  counts: Map<string, Counts>,
): ReadonlyMap<string, Load> {
  const loads = new Map<string, Load>();
  for (const { assignments } of shards)
    for (const { hash, job, load, goodScrapes } of assignments) {
      const isKnown = loads.has(hash);
      if (goodScrapes > 0 || !isKnown) loads.set(hash, load);
      if (isKnown) continue;
      const count = counts.get(job);
      if (count === undefined) counts.set(job, { assigned: 1, listed: 0 });
      else count.assigned++;
    }
  return loads;
}

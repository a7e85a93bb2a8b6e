import type { Target, TargetHealth } from "../model/target.ts";
import type { CoordinatorView } from "./coordinator.ts";
import { type Load, NO_LOAD } from "./load.ts";
import type { TargetStatus } from "./wire.ts";

/** One active target with how its owner sees it. */
export interface TargetView {
  readonly target: Target;
  /** Its stable owner; undefined while nobody scrapes it. */
  readonly shard: string | undefined;
  /** All shards that scrape it now, the stable owner first. */
  readonly shards: readonly string[];
  /** The same with what each says of it. */
  readonly scrapers: readonly Scraper[];
  readonly health: TargetHealth;
  readonly load: Load;
  readonly lastError: string;
  /** 0 before the first scrape. */
  readonly lastScrapeMs: number;
  readonly lastScrapeDurationMs: number;
}

/** A target on one shard. */
export interface Scraper {
  /** The replica group of the shard; "" when there is one group. */
  readonly group: string;
  readonly shard: string;
  readonly status: TargetStatus;
}

/** All active targets, jobs by name, targets as discovered; then those that are held though not listed any more. */
export function viewTargets(view: CoordinatorView): TargetView[] {
  const scrapers = new Map<string, Scraper[]>();
  const unlisted = new Map<string, Target>();
  for (const { name, shards } of view.groups)
    for (const { instance, statuses, specs } of shards)
      for (const [hash, status] of statuses) {
        const entry = { group: name, shard: instance.id, status };
        const known = scrapers.get(hash);
        if (known === undefined) scrapers.set(hash, [entry]);
        else known.push(entry);
        const spec = specs.get(hash);
        if (spec !== undefined) unlisted.set(hash, spec.target);
      }
  const views: TargetView[] = [];
  const jobs = [...view.jobs].sort((a, b) => (a.job < b.job ? -1 : 1));
  for (const { targets } of jobs)
    for (const target of targets) {
      unlisted.delete(target.hash);
      views.push(viewTarget(target, scrapers.get(target.hash) ?? [], view));
    }
  const configured = new Set(jobs.map(({ job }) => job));
  for (const [hash, target] of unlisted)
    if (configured.has(target.job)) views.push(viewTarget(target, scrapers.get(hash) ?? [], view));
  return views;
}

/** One target, seen by all shards. */
export function viewOneTarget(view: CoordinatorView, target: Target): TargetView {
  const scrapers = view.groups.flatMap(({ name, shards }) =>
    shards.flatMap(({ instance, statuses }) => {
      const status = statuses.get(target.hash);
      return status === undefined ? [] : [{ group: name, shard: instance.id, status }];
    }),
  );
  return viewTarget(target, scrapers, view);
}

function viewTarget(
  target: Target,
  scrapers: readonly Scraper[],
  view: CoordinatorView,
): TargetView {
  const ranked = [...scrapers].sort((a, b) => rank(a) - rank(b));
  const status = ranked[0]?.status;
  if (status === undefined) {
    const explored = view.exploration(target.hash);
    return {
      target,
      shard: undefined,
      shards: [],
      scrapers: [],
      health: "unknown",
      load: explored?.load ?? NO_LOAD,
      lastError: explored?.error ?? "",
      lastScrapeMs: 0,
      lastScrapeDurationMs: 0,
    };
  }
  const owner = ranked.find((scraper) => scraper.status.state === "normal");
  const { health, load, lastError, lastScrapeMs, lastScrapeDurationMs } = status;
  return {
    target,
    shard: owner?.shard,
    shards: ranked.map((scraper) => scraper.shard),
    scrapers: ranked,
    health,
    load,
    lastError,
    lastScrapeMs,
    lastScrapeDurationMs,
  };
}

/** A healthy stable owner first, then a stable one that has scraped, then whoever has. */
function rank({ status }: Scraper): number {
  return (status.state === "normal" ? 0 : 1) + (status.scrapes > 0 ? 0 : 2);
}

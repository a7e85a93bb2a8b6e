import type { Target, TargetHealth } from "../model/target.ts";
import type { CoordinatorView } from "./coordinator.ts";
import { type Load, NO_LOAD } from "./load.ts";
import type { ShardRecord } from "./shard-record.ts";
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
  /** Why the shard counts as lost, where it does: what it said of the target is old. */
  readonly lost: string | undefined;
}

/** All active targets, jobs by name, targets as discovered; then those that are held though not listed any more. */
export function viewTargets(view: CoordinatorView): TargetView[] {
  const scrapers = new Map<string, Scraper[]>();
  const unlisted = new Map<string, Target>();
  for (const { name, shards } of view.groups)
    for (const record of shards)
      for (const [hash, status] of record.statuses) {
        const entry = scraperOf(name, record, status);
        const known = scrapers.get(hash);
        if (known === undefined) scrapers.set(hash, [entry]);
        else known.push(entry);
        const spec = record.specs.get(hash);
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
    shards.flatMap((record) => {
      const status = record.statuses.get(target.hash);
      return status === undefined ? [] : [scraperOf(name, record, status)];
    }),
  );
  return viewTarget(target, scrapers, view);
}

/** What `record`'s shard says of a target. */
export function scraperOf(group: string, record: ShardRecord, status: TargetStatus): Scraper {
  const { instance, state, error } = record;
  return { group, shard: instance.id, status, lost: state === "lost" ? error : undefined };
}

function viewTarget(
  target: Target,
  scrapers: readonly Scraper[],
  view: CoordinatorView,
): TargetView {
  const ranked = [...scrapers].sort((a, b) => rank(a) - rank(b));
  const [first] = ranked;
  if (first === undefined) {
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
  const { status, lost } = first;
  const { load, lastScrapeMs, lastScrapeDurationMs } = status;
  const isStale = lost !== undefined && status.health === "up";
  const health = isStale ? "unknown" : status.health;
  const lastError = isStale ? `${first.shard} counts as lost: ${lost}` : status.lastError;
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

/** A stable owner that has scraped first, then a leaving one, then who has not scraped; lost shards last. */
function rank({ status, lost }: Scraper): number {
  return (
    (status.state === "normal" ? 0 : 1) +
    (status.scrapes > 0 ? 0 : 2) +
    (lost === undefined ? 0 : 4)
  );
}

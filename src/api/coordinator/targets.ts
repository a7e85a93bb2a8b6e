import { formatDuration } from "../../base/units.ts";
import { AppError, messageOf } from "../../base/errors.ts";
import { compileAnchored } from "../../model/regex.ts";
import type { TargetHealth } from "../../model/target.ts";
import { type TargetView, viewTargets } from "../../shard/target-view.ts";
import { encodeLoad, timeText } from "../../shard/wire.ts";
import type { CoordinatorApiOptions } from "./dependencies.ts";
import { oneOf } from "./parameters.ts";

export function targetsAnswer(
  options: CoordinatorApiOptions,
  parameters: URLSearchParams,
): unknown {
  // As in Prometheus: a state that does not exist shows nothing.
  const state = (parameters.get("state") ?? "").toLowerCase();
  const statistics = oneOf(parameters, "statistics", ["", "only", "with"]);
  const pool = parameters.get("scrapePool") ?? "";
  const jobs = parameters.getAll("job").map(jobMatcher);
  const health = new Set(parameters.getAll("health"));
  const isWanted = (job: string): boolean =>
    (pool === "" || pool === job) && (jobs.length === 0 || jobs.some((matches) => matches(job)));
  const view = options.coordinator.view();
  const views = viewTargets(view).filter(({ target }) => isWanted(target.job));
  const dropped = view.jobs.filter(({ job }) => isWanted(job)).flatMap((job) => job.dropped());
  const shows = (wanted: string): boolean =>
    ["", "any", wanted].includes(state) && statistics !== "only";
  const showsActive = shows("active");
  const showsDropped = shows("dropped");
  const counts = Object.create(null) as Record<string, number>;
  for (const { job, droppedCount } of view.jobs) if (isWanted(job)) counts[job] = droppedCount;
  return {
    activeTargets: showsActive
      ? views
          .filter((each) => health.size === 0 || health.has(each.health))
          .map((each) => renderTarget(each, options.externalHost))
      : [],
    ...(statistics !== "" && { activeStatistics: statisticsOf(views) }),
    droppedTargets: showsDropped
      ? dropped.map(({ job, discoveredLabels }) => ({ discoveredLabels, scrapePool: job }))
      : [],
    droppedTargetCounts: showsDropped ? counts : null,
  };
}

/** Kvass's job filter: a regular expression that may match anywhere in the name. */
function jobMatcher(pattern: string): (job: string) => boolean {
  try {
    const regex = compileAnchored(`(?s:.*)(?:${pattern})(?s:.*)`);
    return (job) => regex.matches(job);
  } catch (error) {
    throw new AppError("bad-data", `cannot read parameter job: ${messageOf(error)}`);
  }
}

function statisticsOf(views: readonly TargetView[]): unknown {
  const byJob = new Map<string, Map<TargetHealth, number>>();
  for (const { target, health } of views) {
    let counts = byJob.get(target.job);
    if (counts === undefined) byJob.set(target.job, (counts = new Map()));
    counts.set(health, (counts.get(health) ?? 0) + 1);
  }
  return [...byJob].map(([job, counts]) => ({
    JobName: job,
    Total: [...counts.values()].reduce((sum, count) => sum + count, 0),
    Health: Object.fromEntries(counts),
  }));
}

function renderTarget(view: TargetView, externalHost: string): unknown {
  const { target, shard, shards, health, load } = view;
  return {
    discoveredLabels: target.discoveredLabels,
    labels: target.labels,
    scrapePool: target.job,
    scrapeUrl: target.url,
    globalUrl: globalUrl(target.url, externalHost),
    lastError: view.lastError,
    lastScrape: timeText(view.lastScrapeMs),
    lastScrapeDuration: view.lastScrapeDurationMs / 1000,
    health,
    scrapeInterval: formatDuration(target.intervalMs),
    scrapeTimeout: formatDuration(target.timeoutMs),
    shard: shard ?? "",
    shards,
    ...encodeLoad(load),
    hash: target.hash,
  };
}

/** The target's URL as others reach it: a loopback host says nothing to them. */
function globalUrl(url: string, externalHost: string): string {
  const match = /^(https?:\/\/)(?:127\.0\.0\.1|localhost|\[::1\])(?=[:/?#]|$)/.exec(url);
  return match === null ? url : `${match[1]}${externalHost}${url.slice(match[0].length)}`;
}

import type { FastifyInstance } from "fastify";
import { AppError, messageOf } from "../base/errors.ts";
import { formatDuration } from "../base/units.ts";
import type { TargetHealth } from "../model/target.ts";
import { compileAnchored } from "../model/regex.ts";
import type { Coordinator } from "../shard/coordinator.ts";
import { printPlan } from "../shard/plan-text.ts";
import { type TargetView, viewTargets } from "../shard/target-view.ts";
import { timeText } from "../shard/wire.ts";
import { envelope, parametersOf } from "./server.ts";

/** The coordinator's HTTP API: Prometheus's targets with their shards, and what the planner decided. */
export interface CoordinatorApiOptions {
  readonly coordinator: Coordinator;
  /** The running configuration with its secrets hidden. */
  readonly configText: () => string;
  readonly externalLabels: () => Readonly<Record<string, string>>;
  /** Effective flags by name. */
  readonly flags: Readonly<Record<string, string>>;
  /** `host:port` or host that stands in `globalUrl` for loopback addresses. */
  readonly externalHost: string;
}

const DECISIONS_DEFAULT = 200;
const DECISIONS_MAX = 10_000;

export function registerCoordinatorApi(app: FastifyInstance, options: CoordinatorApiOptions): void {
  const { coordinator } = options;
  app.get("/api/v1/targets", async (request) =>
    envelope(targetsAnswer(options, parametersOf(request))),
  );
  app.get("/api/v1/shards", async () => envelope(shardsAnswer(options)));
  app.get("/api/v1/plan", async (request, reply) => {
    const { plan, planTimeMs } = coordinator.view();
    if (plan === undefined)
      throw new AppError("unavailable", "cannot show the plan: not all shards have answered yet");
    if (parametersOf(request).get("format") === "text")
      return reply.type("text/plain; charset=utf-8").send(printPlan(plan));
    return envelope({ time: timeText(planTimeMs), ...plan, text: printPlan(plan) });
  });
  app.get("/api/v1/decisions", async (request) => {
    const parameters = parametersOf(request);
    const limit = Math.min(
      numberParameter(parameters, "limit") ?? DECISIONS_DEFAULT,
      DECISIONS_MAX,
    );
    const after = numberParameter(parameters, "after") ?? 0;
    const decisions = coordinator.log
      .after(after, limit)
      .map(({ timeMs, ...decision }) => ({ time: timeText(timeMs), ...decision }));
    return envelope({ decisions });
  });
  app.get("/api/v1/status/flags", async () => envelope(options.flags));
  app.get("/api/v1/status/config", async () => envelope({ yaml: options.configText() }));
  app.get("/api/v1/runtimeinfo", async () => {
    const views = viewTargets(coordinator.view());
    return envelope({
      headSeries: views.reduce((sum, { load }) => sum + load.series, 0),
      processSeries: views.reduce((sum, { load }) => sum + load.rawSeries, 0),
      ConfigHash: coordinator.config.hash,
    });
  });
}

function numberParameter(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name) ?? "";
  if (text === "") return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw new AppError("bad-data", `cannot read parameter ${name}: it must be a whole number`);
  return Number(text);
}

function oneOf<T extends string>(
  parameters: URLSearchParams,
  name: string,
  allowed: readonly T[],
): T {
  const text = parameters.get(name) ?? "";
  const found = allowed.find((each) => each === text.toLowerCase());
  if (found === undefined)
    throw new AppError(
      "bad-data",
      `cannot read parameter ${name}: it must be one of ${allowed.filter((each) => each !== "").join(", ")}`,
    );
  return found;
}

function targetsAnswer(options: CoordinatorApiOptions, parameters: URLSearchParams): unknown {
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
  const dropped = view.jobs.filter(({ job }) => isWanted(job)).flatMap((job) => job.dropped);
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
    series: load.series,
    totalSeries: load.rawSeries,
    samplesPerSecond: load.samplesPerSecond,
    bodyBytesPerSecond: load.bodyBytesPerSecond,
    newSeriesPerHour: load.newSeriesPerHour,
    hash: target.hash,
  };
}

/** The target's URL as others reach it: a loopback host says nothing to them. */
function globalUrl(url: string, externalHost: string): string {
  const match = /^(https?:\/\/)(?:127\.0\.0\.1|localhost|\[::1\])(?=[:/?#]|$)/.exec(url);
  return match === null ? url : `${match[1]}${externalHost}${url.slice(match[0].length)}`;
}

function shardsAnswer({ coordinator, externalLabels }: CoordinatorApiOptions): unknown {
  const { limits } = coordinator.options.plan;
  const shards = coordinator.view().shards.map((record) => {
    const { instance, state, error, lastSeenMs, runtime, statuses } = record;
    const isUp = state === "ready" || state === "refused";
    return {
      id: instance.id,
      state,
      http: instance.url?.replace(/^https?:\/\//, "") ?? "",
      grpc: instance.grpcAddress ?? runtime?.grpcAddress ?? "",
      targets: statuses.size,
      inTransfer: [...statuses.values()].filter((status) => status.state !== "normal").length,
      headSeries: runtime?.headSeries ?? 0,
      processSeries: runtime?.processSeries ?? 0,
      limits,
      pid: isUp ? (runtime?.pid ?? 0) : 0,
      rssBytes: isUp ? (runtime?.rssBytes ?? 0) : 0,
      restarts: instance.restarts,
      lastSeen: timeText(lastSeenMs),
      error,
    };
  });
  return { shards, externalLabels: externalLabels() };
}

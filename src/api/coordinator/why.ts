import type { FastifyInstance } from "fastify";
import { AppError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import type { DroppedTarget, Target } from "../../model/target.ts";
import type { LoggedDecision } from "../../shard/decision-log.ts";
import { findDroppingRule } from "../../shard/drop-reason.ts";
import { findTargets, nearTargets } from "../../shard/target-search.ts";
import { encodeLoad, timeText } from "../../shard/wire.ts";
import { type Move, moveText } from "../../shard/move.ts";
import { explainTarget, type GroupCandidate, type Situation } from "../../shard/why.ts";
import { envelope, parametersOf } from "../server.ts";
import type {
  CandidateAnswer,
  DecisionAnswer,
  MoveAnswer,
  WhyAnswer,
  WhyData,
  WhyMatch,
} from "./why-answer.ts";
import type { CoordinatorApiOptions } from "./dependencies.ts";

/** What is told of a target that replica groups have differently: the one that most wants explaining. */
const SITUATIONS: readonly Situation[] = ["measuring", "unassigned", "moving", "scraped"];

/** Matches that are listed when the question fits several targets. */
const MATCHES_MAX = 100;

/** `GET /api/v1/why?target=…`: where a target is, since when, why, and what else was possible. */
export function registerWhy(app: FastifyInstance, options: CoordinatorApiOptions): void {
  app.get("/api/v1/why", async (request, reply) => {
    const text = (parametersOf(request).get("target") ?? "").trim();
    if (text === "")
      throw new AppError(
        "bad-data",
        'cannot read parameter target: give a target\'s hash, URL, instance or {job="…",instance="…"}',
      );
    const { coordinator } = options;
    const view = coordinator.view();
    const { active, dropped, gone } = findTargets(view, coordinator.log, text);
    const whys = [
      ...active.map((target) => () => activeAnswer(options, target)),
      ...dropped.map((target) => () => droppedAnswer(options, target)),
      ...gone.map((decision) => () => goneAnswer(options, decision)),
    ];
    if (whys.length === 0) {
      const near = nearTargets(view, text);
      const hint = near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`;
      return reply.code(404).send({
        status: "error",
        errorType: "not_found",
        error: `cannot find a target ${quote(text)}: nothing is discovered under this hash, URL, instance or job${hint}${hiddenText(options)}`,
        data: { near },
      });
    }
    if (whys.length === 1) {
      const data: WhyData = { total: 1, matches: [], why: whys[0]!() };
      return envelope(data);
    }
    const matches: WhyMatch[] = [
      ...active.map(({ hash, job, url }) => ({ hash, job, url })),
      ...dropped.map(({ job, discoveredLabels }) => ({
        job,
        discoveredLabels: discoveredLabels.toJSON(),
      })),
      ...gone.map(({ hash, job, url }) => ({ hash, job, url })),
    ];
    const data: WhyData = { total: matches.length, matches: matches.slice(0, MATCHES_MAX) };
    return envelope(data);
  });
}

function activeAnswer({ coordinator }: CoordinatorApiOptions, target: Target): WhyAnswer {
  const view = coordinator.view();
  const options = coordinator.options.plan;
  const why = explainTarget({ view, log: coordinator.log, options }, target);
  const { view: seen, homes, summary, conditions } = why;
  return {
    situation:
      SITUATIONS.find((each) => homes.some(({ situation }) => situation === each)) ?? "measuring",
    summary,
    hash: target.hash,
    job: target.job,
    url: target.url,
    labels: target.labels.toJSON(),
    discoveredLabels: target.discoveredLabels.toJSON(),
    shard: seen.shard ?? "",
    since: timeText(homes.find(({ shard }) => shard === seen.shard)?.sinceMs ?? 0),
    health: seen.health,
    lastError: seen.lastError,
    load: encodeLoad(seen.load),
    cost: encodeLoad(why.cost),
    costIsEstimated: why.isEstimated,
    conditions: conditions.map(({ kind, reason }) => ({ kind, reason })),
    replicas: homes.map(({ group, situation, shard, sinceMs, move }) => ({
      replica: group,
      situation,
      shard: shard ?? "",
      since: timeText(sinceMs),
      ...(move !== undefined && { move: renderMove(move) }),
    })),
    scrapers: seen.scrapers.map(({ group, shard, status }) => ({
      replica: group,
      shard,
      state: status.state,
      since: timeText(status.assignedAtMs),
      health: status.health,
      scrapes: status.scrapes,
      goodScrapes: status.goodScrapes,
      lastScrape: timeText(status.lastScrapeMs),
      lastError: status.lastError,
    })),
    decisions: why.decisions.map(renderDecision),
    candidates: why.candidates.map(renderCandidate),
    planned: timeText(view.planTimeMs),
  };
}

export function renderMove(move: Move): MoveAnswer {
  const { sinceMs, ...rest } = move;
  return { ...rest, since: timeText(sinceMs), waitsFor: moveText(move) };
}

function renderDecision({ id, timeMs, kind, from, to, reason }: LoggedDecision): DecisionAnswer {
  return { id, time: timeText(timeMs), kind, from, to, reason };
}

function renderCandidate(candidate: GroupCandidate): CandidateAnswer {
  const { group, used, isOwner, isFit, ...rest } = candidate;
  return { replica: group, ...rest, used: encodeLoad(used), owner: isOwner, fits: isFit };
}

function droppedAnswer(
  { config, coordinator }: CoordinatorApiOptions,
  target: DroppedTarget,
): WhyAnswer {
  const { job, discoveredLabels } = target;
  const scrapeConfig = config().scrapeConfigs.find(({ jobName }) => jobName === job);
  const reason =
    scrapeConfig === undefined
      ? undefined
      : findDroppingRule(
          discoveredLabels,
          scrapeConfig.relabelConfigs,
          scrapeConfig.metricNameValidationScheme,
        );
  return {
    situation: "dropped",
    summary: `Relabelling dropped it${reason === undefined ? "" : `: ${reason.text}`}.`,
    job,
    discoveredLabels: discoveredLabels.toJSON(),
    ...(reason !== undefined && {
      rule: {
        index: reason.index,
        action: reason.rule.action,
        sourceLabels: reason.rule.sourceLabels,
        regex: reason.rule.regex.source,
        labels: reason.labels.toJSON(),
      },
    }),
    ...nothing(coordinator.view().planTimeMs),
  };
}

function goneAnswer({ coordinator }: CoordinatorApiOptions, last: LoggedDecision): WhyAnswer {
  const { hash, job, url, reason } = last;
  return {
    situation: "gone",
    summary: `It is no longer discovered, and no shard scrapes it. The last that was decided: ${reason}.`,
    hash,
    job,
    url,
    ...nothing(coordinator.view().planTimeMs),
    decisions: coordinator.log.about(hash!).map(renderDecision),
  };
}

/** What there is to tell of a target that nobody is to scrape. */
function nothing(
  planTimeMs: number,
): Pick<
  WhyAnswer,
  "conditions" | "replicas" | "scrapers" | "decisions" | "candidates" | "planned"
> {
  return {
    conditions: [],
    replicas: [],
    scrapers: [],
    decisions: [],
    candidates: [],
    planned: timeText(planTimeMs),
  };
}

/** Where a target may hide that is not found. */
function hiddenText({ coordinator }: CoordinatorApiOptions): string {
  const { jobs } = coordinator.view();
  const notKept = jobs.reduce((sum, job) => sum + job.droppedCount - job.dropped().length, 0);
  const failing = jobs.filter(({ error }) => error !== "").map(({ job }) => job);
  return [
    notKept === 0
      ? ""
      : ` (relabelling dropped ${notKept} more that are not kept: keep_dropped_targets)`,
    failing.length === 0 ? "" : ` (discovery has errors for job ${failing.join(", ")})`,
  ].join("");
}

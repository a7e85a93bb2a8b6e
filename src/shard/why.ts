import type { Target } from "../model/target.ts";
import type { CoordinatorView } from "./coordinator.ts";
import type { DecisionLog, LoggedDecision } from "./decision-log.ts";
import {
  add,
  costOf,
  fits,
  isOversized,
  type Limits,
  type Load,
  medianLoad,
  NO_LOAD,
  utilisation,
} from "./load.ts";
import type { Decision, ObservedShard, PlanOptions, ShardState } from "./plan-types.ts";
import { type Move, movesOf, moveText } from "./move.ts";
import { carriedBy } from "./shard-figures.ts";
import { type TargetView, viewOneTarget } from "./target-view.ts";

/**
 * Why a target is where it is: what stands now, what was decided when, and what else was possible. Read from the last
 * cycle and the decision log; nothing is decided here.
 */
export interface Why {
  readonly view: TargetView;
  /** One for each replica group. */
  readonly homes: readonly Home[];
  /** For people. */
  readonly summary: string;
  /** What stands in the way now, from the last plans. */
  readonly conditions: readonly Decision[];
  /** Newest first. */
  readonly decisions: readonly LoggedDecision[];
  /** What it takes up on a shard. */
  readonly cost: Load;
  /** Nobody has measured it: it weighs its job's median. */
  readonly isEstimated: boolean;
  readonly candidates: readonly Candidate[];
}

/** Where a replica group has the target. */
export interface Home {
  /** "" when there is one group. */
  readonly group: string;
  readonly situation: Situation;
  /** The one that is to keep it; undefined when none has it. */
  readonly shard: string | undefined;
  /** When that one got it, ms; 0 when none has it. */
  readonly sinceMs: number;
  readonly move: Move | undefined;
}

/**
 * `measuring`: found, its size is being measured · `unassigned`: measured, no shard has it · `scraped`: one shard has it
 * · `moving`: two have it until the new one is proven.
 */
export type Situation = "measuring" | "unassigned" | "scraped" | "moving";

/** A shard, seen as a place for the target. */
export interface Candidate {
  readonly group: string;
  readonly shard: string;
  readonly state: ShardState;
  readonly targets: number;
  /** What it carries without this target. */
  readonly used: Load;
  readonly limits: Limits;
  /** Its fullest dimension without this target and with it; 1 is at the limit. */
  readonly utilisation: number;
  readonly utilisationWith: number;
  readonly isOwner: boolean;
  /** Whether it could be given the target now. */
  readonly isFit: boolean;
  readonly verdict: string;
}

export function explainTarget(
  { view, log, options }: { view: CoordinatorView; log: DecisionLog; options: PlanOptions },
  target: Target,
): Why {
  const seen = viewOneTarget(view, target);
  const conditions = view.groups
    .flatMap(({ plan }) => plan?.conditions ?? [])
    .filter(
      ({ kind, hash, job }) => hash === target.hash || (kind === "hold" && job === target.job),
    );
  const exploration = view.exploration(target.hash);
  const isEstimated = seen.scrapers.length === 0 && exploration?.load === undefined;
  const cost = costOf(isEstimated ? medianOf(view, target.job) : seen.load);
  const isPending = (exploration?.explored ?? "pending") === "pending";
  const homes = view.groups.map(({ name }) => homeOf(name, { seen, options, isPending }));
  const decisions = log.about(target.hash);
  const wanted = { hash: target.hash, cost, limits: options.limits };
  return {
    view: seen,
    homes,
    summary: homes.map((home) => summarise(view, { home, conditions, decisions })).join(" "),
    conditions,
    decisions,
    cost,
    isEstimated,
    candidates: view.groups.flatMap(({ name, shards }) =>
      shards.map((record) => ({ group: name, ...candidateOf(record.observed(), wanted) })),
    ),
  };
}

function homeOf(
  group: string,
  known: { seen: TargetView; options: PlanOptions; isPending: boolean },
): Home {
  const scrapers = known.seen.scrapers.filter((scraper) => scraper.group === group);
  const [move] = movesOf(scrapers, known.options);
  const owner = scrapers.find(({ status }) => status.state === "normal") ?? scrapers[0];
  return {
    group,
    situation:
      owner === undefined
        ? known.isPending && known.seen.scrapers.length === 0
          ? "measuring"
          : "unassigned"
        : move === undefined
          ? "scraped"
          : "moving",
    shard: owner?.shard,
    sinceMs: owner?.status.assignedAtMs ?? 0,
    move,
  };
}

function medianOf(view: CoordinatorView, job: string): Load {
  const measured = view.shards.flatMap(({ statuses, specs }) =>
    [...statuses].flatMap(([hash, { load, goodScrapes }]) =>
      goodScrapes > 0 && specs.get(hash)?.target.job === job ? [load] : [],
    ),
  );
  return medianLoad(measured) ?? NO_LOAD;
}

function summarise(
  view: CoordinatorView,
  known: Pick<Why, "conditions" | "decisions"> & { home: Home },
): string {
  const { home, conditions, decisions } = known;
  const { group, shard, move } = home;
  const where = group === "" ? "" : `Replica ${group}: `;
  switch (home.situation) {
    case "measuring":
      return `${where}It is new: a test scrape is measuring it.`;
    case "unassigned": {
      const standing = conditions.find(({ kind }) => kind === "unassigned");
      return `${where}No shard scrapes it: ${standing?.reason ?? "the next plan places it"}.`;
    }
    case "moving":
      return `${where}It moves from ${move!.from} to ${move!.to}: ${moveText(move!)}.`;
    case "scraped": {
      const record = view.shards.find(({ instance }) => instance.id === shard);
      if (record?.state === "lost")
        return `${where}${shard} has it and counts as lost: ${record.error}. After the grace others get it.`;
      const placed = decisions.find(({ kind, to }) => kind !== "moved" && to === shard);
      return placed === undefined
        ? `${where}${shard} scrapes it. Why it was given there is not known any more.`
        : `${where}${shard} scrapes it: ${placed.reason}.`;
    }
  }
}

function candidateOf(
  shard: ObservedShard,
  wanted: { hash: string; cost: Load; limits: Limits },
): Omit<Candidate, "group"> {
  const { hash, cost, limits } = wanted;
  const isOwner = shard.assignments.some((assignment) => assignment.hash === hash);
  const used = carriedBy(shard, hash);
  const verdict = verdictOf(shard, { ...wanted, used, isOwner });
  return {
    shard: shard.id,
    state: shard.state,
    targets: shard.assignments.length,
    used,
    limits,
    utilisation: utilisation(used, limits),
    utilisationWith: utilisation(add(used, cost), limits),
    isOwner,
    isFit: verdict.isFit,
    verdict: verdict.text,
  };
}

function verdictOf(
  shard: ObservedShard,
  wanted: { used: Load; cost: Load; limits: Limits; isOwner: boolean },
): { isFit: boolean; text: string } {
  const { used, cost, limits, isOwner } = wanted;
  const no = (text: string): { isFit: boolean; text: string } => ({ isFit: false, text });
  if (shard.state === "lost") return no("counts as lost");
  if (shard.state === "starting") return no("has not come up yet");
  if (shard.state === "refused")
    return no("does not take the configuration: its list stays as it is");
  if (isOwner) return { isFit: true, text: "has it" };
  if (isOversized(cost, limits))
    return shard.assignments.length === 0
      ? { isFit: true, text: "empty, which a target above the limit needs" }
      : no("not empty, and the target is above the limit by itself");
  if (fits(used, cost, limits)) return { isFit: true, text: "has room" };
  return no(excessText(used, cost, limits));
}

/** Which limit would be exceeded, with its numbers. */
function excessText(used: Load, cost: Load, limits: Limits): string {
  const { maxHeadSeries, maxProcessSeries, maxSamplesPerSecond } = limits;
  const over = (has: number, more: number, limit: number): boolean =>
    limit > 0 && has + more > limit;
  if (over(used.series, cost.series, maxHeadSeries))
    return `${used.series} + ${cost.series} series exceed ${maxHeadSeries} in the head`;
  if (over(used.rawSeries, cost.rawSeries, maxProcessSeries))
    return `${used.rawSeries} + ${cost.rawSeries} series before relabelling exceed ${maxProcessSeries}`;
  const [has, more] = [used.samplesPerSecond, cost.samplesPerSecond].map(Math.round);
  return `${has} + ${more} samples/s exceed ${maxSamplesPerSecond}`;
}

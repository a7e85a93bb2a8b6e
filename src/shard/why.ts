import type { Target } from "../model/target.ts";
import { type Candidate, candidatesFor } from "./candidates.ts";
import type { CoordinatorView } from "./coordinator.ts";
import type { DecisionLog, LoggedDecision } from "./decision-log.ts";
import { costOf, type Load, NO_LOAD } from "./load.ts";
import { PlanState } from "./plan-state.ts";
import type { Decision, PlanOptions } from "./plan-types.ts";
import { type Move, movesOf, moveText } from "./move.ts";
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
  readonly candidates: readonly GroupCandidate[];
}

export interface GroupCandidate extends Candidate {
  /** "" when there is one group. */
  readonly group: string;
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
  const cost = costOf(isEstimated ? estimateOf(view, target, options) : seen.load);
  const isPending = (exploration?.explored ?? "pending") === "pending";
  const homes = view.groups.map(({ name }) => homeOf(name, { seen, options, isPending }));
  const decisions = log.about(target.hash);
  const { hash } = target;
  const nowMs = view.planTimeMs;
  return {
    view: seen,
    homes,
    summary: homes.map((home) => summarise(view, { home, conditions, decisions })).join(" "),
    conditions,
    decisions,
    cost,
    isEstimated,
    candidates: view.groups.flatMap(({ name, observed }) =>
      observed === undefined
        ? []
        : candidatesFor({ hash, cost }, { observed, options, nowMs }).map((candidate) => ({
            group: name,
            ...candidate,
          })),
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

/** What the planner takes it to cost while nobody has measured it. */
function estimateOf(view: CoordinatorView, target: Target, options: PlanOptions): Load {
  const { observed } = view;
  if (observed === undefined) return NO_LOAD;
  const { hash, job, url } = target;
  const state = new PlanState({ ...observed, shards: [] }, options, view.planTimeMs);
  return state.loadOf({ hash, job, url, explored: "failed", load: undefined });
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

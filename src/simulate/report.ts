import { formatDuration } from "../base/units.ts";
import type { Finding, GapFigures } from "./coverage.ts";
import {
  type Bounds,
  type HappenedFault,
  type Sample,
  type SimulationResult,
  START_MS,
} from "./simulation.ts";
import { HOUR_MS } from "./sim-target.ts";

/** What a simulation found, as figures: the JSON of `shoal simulate --json`, and what text and picture are made of. */
export interface Report {
  /** Where the targets are from, for people. */
  readonly fleet: string;
  /** What was run, by flag name. */
  readonly scenario: Readonly<Record<string, string>>;
  readonly figures: Figures;
  readonly promises: readonly Promised[];
  readonly findings: readonly Finding[];
  readonly events: readonly ReportedEvent[];
  readonly timeline: readonly Sample[];
  /** Wall time: the only part that differs between two runs of the same scenario. */
  readonly timing: Timing;
}

export interface Figures {
  /** At once. */
  readonly mostTargets: number;
  readonly mostSeries: number;
  readonly shards: {
    readonly first: number;
    readonly min: number;
    readonly max: number;
    readonly last: number;
    readonly hours: number;
  };
  readonly scaleChanges: { readonly up: number; readonly down: number; readonly reversals: number };
  /** Of a shard's limit. */
  readonly use: { readonly median: number; readonly worst: number };
  /** Largest over mean load, while steady; 0 when it never was. */
  readonly spread: { readonly median: number; readonly worst: number; readonly samples: number };
  readonly moves: {
    readonly total: number;
    readonly rehomed: number;
    readonly rolledBack: number;
    readonly reasons: readonly { readonly reason: string; readonly count: number }[];
  };
  readonly assigned: number;
  readonly removed: number;
  readonly removedAlive: number;
  readonly gaps: GapFigures;
  readonly lossGaps: GapFigures & { readonly tooLong: number };
  readonly overlaps: GapFigures & { readonly tooLong: number };
  readonly lost: number;
  readonly unownedAtEnd: number;
  readonly tooBigAtEnd: number;
  /** From listing by discovery to the first good scrape. */
  readonly firstScrapeMs: Quantiles;
  readonly cycles: number;
  readonly cost: { readonly perShardHour: number; readonly total: number };
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Promised {
  readonly promise: string;
  readonly isKept: boolean;
  /** What there was instead; "" when it was kept. */
  readonly found: string;
}

export interface ReportedEvent {
  readonly atMs: number;
  readonly durationMs: number;
  readonly kind: "shard-loss" | "sd-outage" | "coordinator-restart";
  readonly what: string;
}

export interface Timing {
  readonly wallMs: number;
  readonly planMs: Quantiles;
}

/** An up and a down within this time of each other cancel out: somebody changed their mind. */
const REVERSAL_MS = HOUR_MS / 2;

export function makeReport(
  result: SimulationResult,
  context: {
    readonly scenario: Readonly<Record<string, string>>;
    readonly fleet: string;
    readonly bounds: Bounds;
    readonly perShardHour: number;
    readonly wallMs: number;
  },
): Report {
  const { coverage, samples } = result;
  const figures = figuresOf(result, context.perShardHour);
  return {
    fleet: context.fleet,
    scenario: context.scenario,
    figures,
    promises: promisesOf(figures, context.bounds),
    findings: coverage.findings.map((finding) => ({
      ...finding,
      fromMs: finding.fromMs - START_MS,
    })),
    events: result.faults.map(eventOf),
    timeline: samples,
    timing: { wallMs: Math.round(context.wallMs), planMs: quantilesOf(result.planWallMs, 2) },
  };
}

function figuresOf(result: SimulationResult, perShardHour: number): Figures {
  const { samples, coverage, decisions, scaleChanges, shardHours } = result;
  const desired = samples.map((sample) => sample.desired);
  // A run that begins without shards begins with those it first asks for.
  const first = scaleChanges[0]?.[result.shardsAtStart > 0 ? "from" : "to"] ?? desired[0] ?? 0;
  const asked = [first, ...desired, ...scaleChanges.map(({ to }) => to)];
  const steady = samples.filter(({ isSteady, spread }) => isSteady && spread > 0);
  const spreads = steady.map(({ spread }) => spread).sort((a, b) => a - b);
  const uses = samples.map(({ meanUse }) => meanUse).sort((a, b) => a - b);
  const decided = (kind: Parameters<typeof decisions.get>[0]): number => decisions.get(kind) ?? 0;
  const { intervals, count, longestMs, tooLong } = coverage.lossGaps;
  const { overlaps, gaps } = coverage;
  return {
    mostTargets: Math.max(...samples.map(({ targets }) => targets)),
    mostSeries: Math.max(...samples.map(({ series }) => series)),
    shards: {
      first,
      min: Math.min(first, ...desired),
      max: Math.max(...asked),
      last: desired.at(-1) ?? 0,
      hours: rounded(shardHours, 1),
    },
    scaleChanges: {
      up: scaleChanges.filter(({ from, to }) => to > from).length,
      down: scaleChanges.filter(({ from, to }) => to < from).length,
      reversals: scaleChanges.filter(({ atMs, from, to }, i) => {
        const before = scaleChanges[i - 1];
        return (
          before !== undefined &&
          atMs - before.atMs < REVERSAL_MS &&
          before.to > before.from !== to > from
        );
      }).length,
    },
    use: {
      median: rounded(at(uses, 0.5), 3),
      worst: rounded(Math.max(...samples.map(({ maxUse }) => maxUse)), 3),
    },
    spread: {
      median: rounded(at(spreads, 0.5), 3),
      worst: rounded(spreads.at(-1) ?? 0, 3),
      samples: spreads.length,
    },
    moves: {
      total: decided("move"),
      rehomed: decided("rehome"),
      rolledBack: decided("rollback"),
      reasons: [...result.moveReasons]
        .map(([reason, times]) => ({ reason, count: times }))
        .sort((a, b) => b.count - a.count),
    },
    assigned: decided("assign"),
    removed: decided("remove"),
    removedAlive: result.removedAlive,
    gaps: { intervals: gaps.intervals, count: gaps.count, longestMs: gaps.longestMs },
    lossGaps: { intervals, count, longestMs, tooLong },
    overlaps: {
      intervals: overlaps.intervals,
      count: overlaps.count,
      longestMs: overlaps.longestMs,
      tooLong: overlaps.tooLong,
    },
    lost: coverage.lost,
    unownedAtEnd: coverage.unownedAtEnd,
    tooBigAtEnd: result.conditionsAtEnd.get("too-big") ?? 0,
    firstScrapeMs: quantilesOf(coverage.waitsMs, 0),
    cycles: result.cycles,
    cost: { perShardHour, total: rounded(perShardHour * shardHours, 2) },
  };
}

function promisesOf(figures: Figures, { maxWaitMs, maxLossGapMs, slackMs }: Bounds): Promised[] {
  const { lost, overlaps, gaps, lossGaps, removedAlive } = figures;
  const slack = formatDuration(slackMs);
  const promised = (promise: string, broken: number, found: string): Promised => ({
    promise,
    isKept: broken === 0,
    found: broken === 0 ? "" : found,
  });
  return [
    promised(
      `no target waits longer than ${formatDuration(maxWaitMs)} for a shard that runs`,
      lost,
      `${lost} did`,
    ),
    promised(
      `no target is on two shards for longer than 2 of its intervals + ${slack}`,
      overlaps.tooLong,
      `${overlaps.tooLong} times, up to ${seconds(overlaps.longestMs)}`,
    ),
    promised(
      "no scrape is missed while no shard is lost",
      gaps.intervals,
      `${gaps.intervals} were, for up to ${seconds(gaps.longestMs)}`,
    ),
    promised(
      `after the loss of a shard no gap is longer than ${formatDuration(maxLossGapMs)} + 2 intervals + ${slack}`,
      lossGaps.tooLong,
      `${lossGaps.tooLong} were, up to ${seconds(lossGaps.longestMs)}`,
    ),
    promised(
      "no target that exists is taken off all shards",
      removedAlive,
      `${removedAlive} were, because discovery did not list them`,
    ),
  ];
}

function eventOf({ fault, shard, targets }: HappenedFault): ReportedEvent {
  const { kind, atMs, durationMs } = fault;
  const what =
    fault.kind === "shard-loss"
      ? shard === undefined
        ? `no shard was there to be ${fault.how}`
        : `${shard} ${fault.how}, ${targets} targets`
      : fault.kind === "sd-outage"
        ? OUTAGE_TEXTS[fault.how]
        : "coordinator killed";
  return { atMs, durationMs, kind, what };
}

const OUTAGE_TEXTS = {
  error: "discovery answers with errors",
  empty: "discovery lists nothing",
  stale: "discovery lists nothing new",
  partial: "discovery lists a third",
} as const;

export function quantilesOf(values: readonly number[], digits: number): Quantiles {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    p50: rounded(at(sorted, 0.5), digits),
    p99: rounded(at(sorted, 0.99), digits),
    max: rounded(sorted.at(-1) ?? 0, digits),
  };
}

/** The value at `quantile` of sorted `values`; 0 of none. */
function at(values: readonly number[], quantile: number): number {
  return values[Math.max(0, Math.ceil(quantile * values.length) - 1)] ?? 0;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** Durations of figures: whole seconds are enough. */
export function seconds(durationMs: number): string {
  return formatDuration(Math.round(durationMs / 1000) * 1000);
}

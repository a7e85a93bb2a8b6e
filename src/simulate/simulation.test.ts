import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../base/random.ts";
import { DEFAULT_COORDINATOR_TIMES } from "../shard/coordinator.ts";
import { DEFAULT_EXPLORER_OPTIONS } from "../shard/explorer.ts";
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from "../shard/plan-types.ts";
import type { AssignedTarget } from "../shard/wire.ts";
import { drawChart } from "./chart.ts";
import type { Fault } from "./faults.ts";
import { scheduleFaults } from "./faults.ts";
import { makeHistory } from "./fleet-history.ts";
import { makeReport, type Report } from "./report.ts";
import { printReport } from "./report-text.ts";
import { HOUR_MS, loadAt, type SimTarget } from "./sim-target.ts";
import { simulate, type SimulationOptions, START_MS } from "./simulation.ts";
import { SyntheticTargets } from "./synthetic-targets.ts";
import { simTarget } from "./testdata/sim-targets.ts";

const MINUTE_MS = 60_000;
const BOUNDS = { maxWaitMs: 10 * MINUTE_MS, maxLossGapMs: 2.5 * MINUTE_MS, slackMs: MINUTE_MS };

type Rest = Partial<SimulationOptions> & { plan?: Partial<PlanOptions> };

function limits(series: number): Pick<PlanOptions, "limits"> {
  return { limits: { maxHeadSeries: series, maxProcessSeries: series, maxSamplesPerSecond: 0 } };
}

async function report({ plan, ...rest }: Rest): Promise<Report> {
  const options: SimulationOptions = {
    fleet: [],
    placement: [],
    durationMs: HOUR_MS,
    seed: 1,
    coordinator: {
      ...DEFAULT_COORDINATOR_TIMES,
      explorer: DEFAULT_EXPLORER_OPTIONS,
      plan: { ...DEFAULT_PLAN_OPTIONS, ...plan },
    },
    startDelayMs: MINUTE_MS,
    retentionMs: 0,
    refreshMs: MINUTE_MS / 2,
    faults: [],
    bounds: BOUNDS,
    ...rest,
  };
  const result = await simulate(options);
  return makeReport(result, {
    fleet: "a test",
    scenario: { duration: "1h", seed: "1" },
    bounds: BOUNDS,
    perShardHour: 0.5,
    wallMs: 0,
  });
}

/** `count` targets of `series` series, from the beginning to the end. */
function alike(count: number, series: number): SimTarget[] {
  const rest = { bornMs: START_MS, size: { series, rawSeries: series } };
  return Array.from({ length: count }, (_, i) => simTarget(`t${i}`, rest));
}

/** The list of a shard that has had `targets` for an hour. */
function placed(targets: readonly SimTarget[]): AssignedTarget[] {
  return targets.map((target) => ({
    target: target.target,
    state: "normal",
    assignedAtMs: START_MS - HOUR_MS,
    load: loadAt(target, START_MS),
  }));
}

function madeUp(targets: number, durationMs = HOUR_MS): SimTarget[] {
  const random = seededRandom(7);
  const maker = new SyntheticTargets({
    jobs: 10,
    intervalsMs: [30_000, 15_000, 60_000],
    medianSeries: 1000,
    sigma: 1,
    downShare: 0.01,
    life: { growthPerDay: 0.2, churnPerHour: 0.02 },
    random,
  });
  const make = (bornMs: number): SimTarget => maker.make(bornMs);
  const curve = [{ atMs: 0, share: 1 }];
  const common = { curve, churnPerHour: 0.05, startMs: START_MS, durationMs, random };
  return makeHistory({ ...common, targets, initial: [], make });
}

function assertKept({ promises, findings }: Report): void {
  for (const { promise, isKept, found } of promises)
    assert.ok(isKept, `${promise}: ${found}; ${JSON.stringify(findings[0])}`);
}

test("six targets of 10,045 series and a limit of 30,000 end on three shards", async () => {
  const { figures, promises } = await report({
    fleet: alike(6, 10_045),
    plan: limits(30_000),
    durationMs: 10 * MINUTE_MS,
  });
  assert.equal(figures.shards.last, 3);
  assert.deepEqual([figures.assigned, figures.moves.total, figures.lost], [6, 0, 0]);
  assert.deepEqual([figures.gaps.intervals, figures.overlaps.intervals], [0, 0]);
  assert.deepEqual([figures.spread.worst, figures.unownedAtEnd], [0, 0], "steady before 15m");
  assert.equal(promises.length, 5);
});

test("targets that already have their shards stay there, and the spread is what was given", async () => {
  const fleet = alike(6, 1000);
  const { figures } = await report({
    fleet,
    placement: [placed(fleet.slice(0, 4)), placed(fleet.slice(4))],
    plan: { ...limits(30_000), disableAlleviate: true },
  });
  assert.deepEqual([figures.assigned, figures.removed, figures.lost], [0, 0, 0]);
  assert.deepEqual([figures.shards.first, figures.shards.last, figures.shards.max], [2, 2, 2]);
  assert.equal(figures.shards.hours, 2);
  assert.equal(figures.cost.total, 1);
  assert.deepEqual([figures.gaps.intervals, figures.lossGaps.intervals], [0, 0]);
  assert.equal(figures.firstScrapeMs.max, 0);
});

test("a shard that is gone for longer than the grace: its targets go to the other one, once", async () => {
  const faults: Fault[] = [
    {
      kind: "shard-loss",
      how: "crashed",
      atMs: 20 * MINUTE_MS,
      durationMs: 10 * MINUTE_MS,
      pick: 0,
    },
  ];
  const fleet = alike(4, 100);
  const placement = [placed(fleet.slice(0, 2)), placed(fleet.slice(2))];
  const told = await report({ fleet, placement, faults });
  const { figures, events } = told;
  assertKept(told);
  assert.equal(events[0]?.what, "shard-0 crashed, 2 targets");
  assert.equal(figures.moves.rehomed, 2);
  assert.equal(figures.lossGaps.count, 2);
  // The grace of a minute, one cycle to see the loss and one that it had last been seen before, and up to an interval.
  assert.ok(figures.lossGaps.longestMs >= 60_000 && figures.lossGaps.longestMs <= 100_000);
  assert.deepEqual([figures.gaps.intervals, figures.lost, figures.overlaps.tooLong], [0, 0, 0]);
});

test("an empty list for longer than the hold takes targets away, and the report says so", async () => {
  const outage = { kind: "sd-outage", how: "empty", atMs: 10 * MINUTE_MS } as const;
  const fleet = alike(4, 100);
  const short = await report({ fleet, faults: [{ ...outage, durationMs: 4 * MINUTE_MS }] });
  assertKept(short);
  assert.deepEqual([short.figures.removed, short.figures.removedAlive], [0, 0]);
  const long = await report({ fleet, faults: [{ ...outage, durationMs: 12 * MINUTE_MS }] });
  assert.equal(long.figures.removedAlive, 4);
  const broken = long.promises.filter(({ isKept }) => !isKept).map(({ found }) => found);
  assert.match(broken.join("; "), /4 were, because discovery did not list them/);
  assert.match(
    printReport(long),
    /BROKEN {2}no target that exists is taken off all shards: 4 were/,
  );
  assert.ok(long.figures.gaps.intervals > 0);
  assert.equal(long.findings.filter(({ kind }) => kind === "gap").length, 4);
});

test("a coordinator that is killed in an outage of discovery changes nothing", async () => {
  const faults: Fault[] = [
    { kind: "sd-outage", how: "error", atMs: 10 * MINUTE_MS, durationMs: 20 * MINUTE_MS },
    { kind: "coordinator-restart", atMs: 15 * MINUTE_MS, durationMs: 10_000 },
  ];
  const fleet = alike(10, 100);
  const placement = [placed(fleet.slice(0, 5)), placed(fleet.slice(5))];
  const told = await report({ fleet, placement, faults });
  assertKept(told);
  const { assigned, removed, moves, gaps, overlaps } = told.figures;
  assert.deepEqual([assigned, removed, moves.total, moves.rehomed], [0, 0, 0, 0]);
  assert.deepEqual([gaps.intervals, overlaps.intervals], [0, 0]);
});

test("an oversized target gets a shard of its own, and nothing runs away", async () => {
  const rest = { bornMs: START_MS, size: { series: 50_000, rawSeries: 50_000 } };
  const told = await report({
    fleet: [...alike(10, 1000), simTarget("big", rest)],
    plan: limits(30_000),
  });
  assertKept(told);
  assert.deepEqual([told.figures.shards.last, told.figures.tooBigAtEnd], [2, 1]);
  assert.equal(told.figures.use.worst, 1.667);
});

test("when no more shards are allowed, those without room are lost, and it is said", async () => {
  const { figures, promises } = await report({
    fleet: alike(4, 10_000),
    plan: { ...limits(21_000), maxShards: 1 },
  });
  assert.deepEqual([figures.lost, figures.unownedAtEnd], [2, 2]);
  assert.deepEqual(
    promises.filter(({ isKept }) => !isKept).map(({ found }) => found),
    ["2 did"],
  );
});

test("an hour of 500 targets with a loss, an outage and a restart keeps every promise, and repeats", async () => {
  const faults = scheduleFaults(
    { shardLosses: 1, sdOutages: 1, coordinatorRestarts: 1, durationMs: HOUR_MS, holdMs: 300_000 },
    seededRandom(3),
  );
  const scenario: Rest = { fleet: madeUp(500), faults, plan: limits(200_000) };
  const first = await report(scenario);
  assertKept(first);
  assert.deepEqual(first.events.map(({ kind }) => kind).sort(), [
    "coordinator-restart",
    "sd-outage",
    "shard-loss",
  ]);
  const { figures } = first;
  assert.ok(figures.shards.max >= 6 && figures.shards.max <= 12, `${figures.shards.max} shards`);
  assert.deepEqual([figures.lost, figures.gaps.intervals, figures.overlaps.tooLong], [0, 0, 0]);
  assert.ok(figures.assigned >= 500 && figures.removed > 10 && figures.lossGaps.intervals > 0);
  assert.ok(figures.cycles > 300);
  const again = await report({ ...scenario, fleet: madeUp(500) });
  const { timing: _first, ...fixed } = first;
  const { timing: _again, ...repeated } = again;
  assert.equal(JSON.stringify(repeated), JSON.stringify(fixed));
  assert.equal(drawChart(again), drawChart(first));
  const other = await report({ ...scenario, seed: 2 });
  assert.notEqual(JSON.stringify(other.timeline), JSON.stringify(first.timeline));
});

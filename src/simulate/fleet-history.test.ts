import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../base/random.ts";
import { parseFleetCurve } from "./fleet-curve.ts";
import { type HistoryOptions, makeHistory } from "./fleet-history.ts";
import { HOUR_MS, loadAt, type SimTarget, sizeAt } from "./sim-target.ts";
import { SyntheticTargets } from "./synthetic-targets.ts";
import { simTarget } from "./testdata/sim-targets.ts";

const START_MS = 100 * HOUR_MS;

function history(rest: Partial<HistoryOptions> & { seed?: number } = {}): SimTarget[] {
  const random = seededRandom(rest.seed ?? 1);
  const maker = new SyntheticTargets({
    jobs: 5,
    intervalsMs: [15_000, 60_000],
    medianSeries: 1000,
    sigma: 1,
    downShare: 0.1,
    life: { growthPerDay: 0.24, churnPerHour: 0.1 },
    random,
  });
  return makeHistory({
    targets: 1000,
    curve: parseFleetCurve("0h:0.1,1h:1,2h:1,3h:0.5"),
    churnPerHour: 0,
    startMs: START_MS,
    durationMs: 4 * HOUR_MS,
    random,
    initial: [],
    make: (bornMs) => maker.make(bornMs),
    ...rest,
  });
}

function countAt(fleet: readonly SimTarget[], hours: number): number {
  const timeMs = START_MS + hours * HOUR_MS;
  return fleet.filter(({ bornMs, goneMs }) => bornMs <= timeMs && timeMs < goneMs).length;
}

test("the number of targets follows the curve", () => {
  const fleet = history();
  const near = (hours: number, count: number): void => {
    const found = countAt(fleet, hours);
    assert.ok(Math.abs(found - count) <= 5, `${found} targets after ${hours} h`);
  };
  near(0, 100);
  near(0.5, 550);
  near(1.5, 1000);
  near(2.5, 750);
  near(3.9, 500);
  assert.equal(fleet.length, 1000);
});

test("churn replaces targets and keeps their number", () => {
  const fleet = history({ curve: [{ atMs: 0, share: 1 }], churnPerHour: 0.25 });
  assert.ok(Math.abs(fleet.length - 2000) < 20, `${fleet.length} targets in all`);
  for (const hours of [0, 1, 2, 3.9]) assert.ok(Math.abs(countAt(fleet, hours) - 1000) <= 1);
});

test("those of the beginning are there as far as the curve allows", () => {
  const initial = Array.from({ length: 10 }, (_, i) => simTarget(`t${i}`, { bornMs: START_MS }));
  const fleet = history({ initial, targets: 10, curve: [{ atMs: 0, share: 0.6 }] });
  assert.equal(fleet.length, 6);
  assert.ok(fleet.every((target) => initial.includes(target)));
  const grown = history({ initial, targets: 10, curve: [{ atMs: 0, share: 2 }] });
  assert.equal(grown.length, 20);
});

test("the same seed makes the same fleet, another one another", () => {
  assert.deepEqual(history(), history());
  assert.notDeepEqual(history(), history({ seed: 2 }));
});

test("sizes are log-normal around the median, and grow", () => {
  const fleet = history({ curve: [{ atMs: 0, share: 1 }], targets: 20_000 });
  const sizes = fleet.map(({ size }) => size.series).sort((a, b) => a - b);
  const at = (share: number): number => sizes[Math.floor(share * sizes.length)]!;
  // Jobs differ by half of the variance, and there are only five: the median is between them.
  assert.ok(at(0.5) > 200 && at(0.5) < 5000, `median ${at(0.5)}`);
  assert.ok(at(0.9) / at(0.5) > 1.5, "no spread");
  assert.ok(fleet.every(({ size }) => size.rawSeries >= size.series));
  const down = fleet.filter(({ isDown }) => isDown).length / fleet.length;
  assert.ok(Math.abs(down - 0.1) < 0.02, `${down} down`);
  const growth = fleet.reduce((sum, each) => sum + each.growthPerHour, 0) / fleet.length;
  assert.ok(Math.abs(growth - 0.01) < 0.001, `grows by ${growth} an hour`);
  const target = simTarget("a", { growthPerHour: 0.5, bornMs: START_MS });
  assert.deepEqual(sizeAt(target, START_MS - 1), { series: 100, rawSeries: 100 });
  assert.deepEqual(sizeAt(target, START_MS + 2 * HOUR_MS), { series: 200, rawSeries: 200 });
  assert.equal(loadAt(target, START_MS).samplesPerSecond, 10.5);
});

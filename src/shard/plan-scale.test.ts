import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../base/random.ts";
import { NO_LOAD } from "./load.ts";
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from "./plan-types.ts";
import { FakeFleet, fleetTarget, logNormalTargets } from "./testdata/fake-fleet.ts";

const LIMIT = 30_000;
const OPTIONS: PlanOptions = {
  ...DEFAULT_PLAN_OPTIONS,
  limits: { maxHeadSeries: LIMIT, maxProcessSeries: LIMIT, maxSamplesPerSecond: 10_000 },
};
const SHRINKING: PlanOptions = {
  ...OPTIONS,
  maxIdleTimeMs: 60_000,
  moveCooldownMs: 0,
  scaleDownCooldownMs: 60_000,
};

describe("growth", () => {
  test("one target of any size adds at most one shard, in a hundred cycles", () => {
    fc.assert(
      fc.property(
        fc.record({
          series: fc.constantFrom(0, 10, LIMIT - 6, LIMIT - 5, LIMIT - 4, LIMIT, 10 * LIMIT),
          rawSeries: fc.constantFrom(0, 10, LIMIT - 1, LIMIT, LIMIT + 1, 20 * LIMIT),
          samplesPerSecond: fc.constantFrom(0, 9_999.9999, 10_000, 10_000.001, 1e6),
          newSeriesPerHour: fc.constantFrom(0, 1, LIMIT),
        }),
        fc.constantFrom(0, 20_000),
        fc.nat({ max: 20 }),
        (size, maxIdleTimeMs, others) => {
          const small = logNormalTargets(others, seededRandom(1), { first: 1 });
          const fleet = new FakeFleet(small, 1);
          const options = { ...OPTIONS, maxIdleTimeMs };
          for (let cycle = 0; cycle < 10; cycle++) fleet.cycle(options);
          const before = fleet.shards.length;
          const target = { ...fleetTarget(0, 1), load: { ...NO_LOAD, ...size } };
          fleet.targets.set(target.hash, target);
          for (let cycle = 0; cycle < 100; cycle++) {
            fleet.cycle(options);
            assert.ok(fleet.shards.length <= before + 1, `${fleet.shards.length} shards`);
          }
          assert.deepEqual(
            [...fleet.owners().values()].map((owners) => owners.length),
            Array.from({ length: others + 1 }, () => 1),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test("the demonstration ends on exactly three shards with two targets each, and stays there", () => {
    const limits = { maxHeadSeries: LIMIT, maxProcessSeries: LIMIT, maxSamplesPerSecond: 0 };
    for (const maxIdleTimeMs of [0, 60_000]) {
      const six = Array.from({ length: 6 }, (_, i) => fleetTarget(i, 10_045));
      const fleet = new FakeFleet(six, 1);
      for (let cycle = 0; cycle < 200; cycle++) fleet.cycle({ ...OPTIONS, limits, maxIdleTimeMs });
      assert.deepEqual(
        fleet.shards.map(({ assignments }) => assignments.size),
        [2, 2, 2],
      );
      assert.equal(fleet.moves, 0);
    }
  });

  test("asks for no more shards than the series fill, and a tenth", () => {
    const targets = logNormalTargets(2_000, seededRandom(3));
    const total = targets.reduce((sum, { load }) => sum + load.series + 5, 0);
    const fleet = new FakeFleet(targets, 1);
    fleet.settle(OPTIONS);
    assert.ok(fleet.shards.length <= Math.ceil((total / LIMIT) * 1.1), `${fleet.shards.length}`);
  });
});

describe("shrinking", () => {
  for (const placement of ["pack", "spread"] as const)
    test(`follows a falling load down to what is needed, and rests there (${placement})`, () => {
      const options = { ...SHRINKING, placement };
      const fleet = new FakeFleet(logNormalTargets(600, seededRandom(6)), 1);
      fleet.settle(options);
      const most = fleet.shards.length;
      assert.ok(most >= 15, String(most));
      const all = [...fleet.targets.keys()];
      for (const hash of all.slice(0, 450)) fleet.targets.delete(hash);
      for (let cycle = 0; cycle < 1_500; cycle++) {
        const made = fleet.cycle(options);
        for (const [hash, owners] of fleet.owners()) assert.equal(owners.length, 1, hash);
        assert.ok(made.scale <= most);
      }
      const total = [...fleet.targets.values()].reduce((sum, { load }) => sum + load.series, 0);
      assert.ok(fleet.shards.length <= Math.ceil((total / LIMIT) * 1.4), `${fleet.shards.length}`);
      const { moves } = fleet;
      for (let cycle = 0; cycle < 500; cycle++)
        assert.deepEqual(fleet.cycle(options).decisions, []);
      assert.equal(fleet.moves, moves);
    });

  test("waits for each shard's samples, and drains the ones before it meanwhile", () => {
    const fleet = new FakeFleet(logNormalTargets(200, seededRandom(6)), 1);
    fleet.settle(SHRINKING);
    const before = fleet.shards.length;
    for (const shard of fleet.shards) shard.dataUntilMs = Infinity;
    const all = [...fleet.targets.keys()];
    for (const hash of all.slice(20)) fleet.targets.delete(hash);
    for (let cycle = 0; cycle < 300; cycle++) fleet.cycle(SHRINKING);
    assert.equal(fleet.shards.length, before);
    const used = fleet.shards.filter(({ assignments }) => assignments.size > 0).length;
    assert.ok(used < before, `${used} of ${before} have targets`);
    for (const shard of fleet.shards) shard.dataUntilMs = fleet.nowMs + 50_000;
    fleet.settle(SHRINKING);
    assert.equal(fleet.shards.length, used);
  });

  test("a lower maximum is a request: targets move over, and what does not fit stays scraped", () => {
    const fleet = new FakeFleet(
      Array.from({ length: 9 }, (_, i) => fleetTarget(i, 9_000)),
      1,
    );
    fleet.settle(OPTIONS);
    assert.equal(fleet.shards.length, 3);
    const options = { ...OPTIONS, maxShards: 2 };
    for (let cycle = 0; cycle < 50; cycle++) {
      fleet.cycle(options);
      for (const [hash, owners] of fleet.owners()) assert.equal(owners.length, 1, hash);
    }
    assert.equal(fleet.shards.length, 3);
    for (const hash of [...fleet.targets.keys()].slice(0, 4)) fleet.targets.delete(hash);
    fleet.settle(options);
    assert.equal(fleet.shards.length, 2);
    for (const [hash, owners] of fleet.owners()) assert.equal(owners.length, 1, hash);
  });

  test("load that goes up and down within the band changes the number of shards hardly", () => {
    const targets = logNormalTargets(400, seededRandom(8));
    const fleet = new FakeFleet(targets, 1);
    fleet.settle(SHRINKING);
    const counts = new Set<number>();
    let changes = 0;
    for (let cycle = 0; cycle < 1_000; cycle++) {
      const factor = 1 + 0.05 * Math.sin(cycle / 20);
      for (const target of targets) {
        const series = Math.round(target.load.series * factor);
        fleet.targets.set(target.hash, {
          ...target,
          load: { ...target.load, series, rawSeries: series },
        });
      }
      const before = fleet.shards.length;
      fleet.cycle(SHRINKING);
      counts.add(fleet.shards.length);
      if (fleet.shards.length !== before) changes++;
    }
    assert.ok(changes <= 2, `${changes} changes: ${[...counts].join(", ")}`);
  });
});

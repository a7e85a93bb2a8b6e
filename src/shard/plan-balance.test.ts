import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seededRandom } from "../base/random.ts";
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from "./plan-types.ts";
import { FakeFleet, fleetTarget, logNormalTargets } from "./testdata/fake-fleet.ts";

const LIMIT = 1_000_000;
const OPTIONS: PlanOptions = {
  ...DEFAULT_PLAN_OPTIONS,
  limits: { maxHeadSeries: LIMIT, maxProcessSeries: LIMIT, maxSamplesPerSecond: 0 },
};

describe("the spread over shards", () => {
  test("of 10,000 log-normal targets is at most 1.15, placed at once or as they come and go", () => {
    const random = seededRandom(7);
    const fleet = new FakeFleet(logNormalTargets(10_000, random), 20);
    fleet.settle(OPTIONS);
    assert.ok(fleet.spread <= 1.15, String(fleet.spread));
    for (let round = 0; round < 20; round++) {
      const gone = [...fleet.targets.keys()].filter(() => random.next() < 0.03);
      for (const hash of gone) fleet.targets.delete(hash);
      const first = 10_000 * (round + 1);
      for (const target of logNormalTargets(300, random, { first }))
        fleet.targets.set(target.hash, target);
      fleet.cycle(OPTIONS);
    }
    fleet.settle(OPTIONS);
    assert.ok(fleet.spread <= 1.15, String(fleet.spread));
  });

  test("is restored after one shard's targets have grown", () => {
    const fleet = new FakeFleet(logNormalTargets(2_000, seededRandom(3)), 10);
    fleet.settle(OPTIONS);
    for (const hash of fleet.shards[0]!.assignments.keys()) {
      const target = fleet.targets.get(hash)!;
      const series = target.load.series * 2;
      fleet.targets.set(hash, { ...target, load: { ...target.load, series, rawSeries: series } });
    }
    fleet.cycle(OPTIONS);
    assert.ok(fleet.spread > 1.5, String(fleet.spread));
    fleet.settle(OPTIONS);
    assert.ok(fleet.spread <= 1.11, String(fleet.spread));
  });
});

describe("a shard that is added", () => {
  for (const [shards, targets] of [
    [3, 900],
    [20, 4_000],
    [60, 6_000],
  ] as const)
    test(`to ${shards} with ${targets} targets is used, with at most 1.2·N/(k+1) moves`, () => {
      const fleet = new FakeFleet(logNormalTargets(targets, seededRandom(5)), shards);
      fleet.settle(OPTIONS);
      fleet.moves = 0;
      fleet.scale(shards + 1);
      fleet.settle(OPTIONS);
      assert.ok(fleet.spread <= 1.15, String(fleet.spread));
      assert.ok(fleet.shards.at(-1)!.assignments.size > 0);
      assert.ok(fleet.moves <= (1.2 * targets) / (shards + 1), String(fleet.moves));
    });

  test("takes a target of a shard that has two, and then all is quiet", () => {
    const six = Array.from({ length: 6 }, (_, i) => fleetTarget(i, 10_045));
    const fleet = new FakeFleet(six, 3);
    fleet.settle(OPTIONS);
    fleet.scale(4);
    fleet.settle(OPTIONS);
    const sizes = fleet.shards.map(({ assignments }) => assignments.size);
    assert.deepEqual(
      sizes.sort((a, b) => a - b),
      [1, 1, 2, 2],
    );
    assert.equal(fleet.moves, 1);
  });
});

describe("moves for balance", () => {
  test("keep to the budget of a cycle and of those under way, and no target is ever without an owner", () => {
    const fleet = new FakeFleet(logNormalTargets(1_000, seededRandom(2)), 2);
    fleet.settle(OPTIONS);
    fleet.scale(4);
    const options = { ...OPTIONS, maxMoves: 12, maxMovesPerCycle: 5 };
    for (let cycle = 0; cycle < 200; cycle++) {
      const before = fleet.moves;
      fleet.cycle(options);
      assert.ok(fleet.moves - before <= 5);
      const moving = fleet.shards.flatMap(({ assignments }) =>
        [...assignments.values()].filter(({ state }) => state === "in_transfer"),
      );
      assert.ok(moving.length <= 12, `${moving.length} under way`);
      for (const [hash, owners] of fleet.owners()) assert.equal(owners.length, 1, hash);
    }
    assert.ok(fleet.spread <= 1.15, String(fleet.spread));
  });

  test("do not happen when there may be none, nor to a target that was moved a moment ago", () => {
    const fleet = new FakeFleet(logNormalTargets(100, seededRandom(2)), 1);
    fleet.settle(OPTIONS);
    fleet.scale(2);
    for (let cycle = 0; cycle < 20; cycle++) fleet.cycle({ ...OPTIONS, maxMoves: 0 });
    assert.equal(fleet.moves, 0);
    const age = fleet.nowMs - [...fleet.shards[0]!.assignments.values()][0]!.assignedAtMs;
    for (let cycle = 0; cycle < 20; cycle++)
      fleet.cycle({ ...OPTIONS, moveCooldownMs: age + 3_600_000 });
    assert.equal(fleet.moves, 0);
    fleet.cycle(OPTIONS);
    assert.ok(fleet.moves > 0);
  });

  test("do not follow noise: sizes that waver by a tenth move next to nothing in an hour", () => {
    const random = seededRandom(11);
    for (const [targets, shards] of [
      [8, 5],
      [200, 7],
    ] as const) {
      const fleet = new FakeFleet(
        Array.from({ length: targets }, (_, i) => fleetTarget(i, 10_000)),
        shards,
      );
      fleet.settle(OPTIONS);
      const settled = fleet.moves;
      for (let cycle = 0; cycle < 360; cycle++) {
        for (const [hash, target] of fleet.targets) {
          const series = Math.round(10_000 * (0.9 + 0.2 * random.next()));
          const load = { ...target.load, series, rawSeries: series };
          fleet.targets.set(hash, { ...target, load });
        }
        fleet.cycle(OPTIONS);
      }
      assert.ok(fleet.moves - settled <= targets / 20, `${fleet.moves - settled} moves`);
    }
  });

  test("leave shards alone when targets are packed", () => {
    const fleet = new FakeFleet(logNormalTargets(100, seededRandom(2)), 1);
    fleet.settle(OPTIONS);
    fleet.scale(2);
    const options = { ...OPTIONS, placement: "pack" } as const;
    for (let cycle = 0; cycle < 30; cycle++) fleet.cycle(options);
    assert.equal(fleet.moves, 0);
  });
});

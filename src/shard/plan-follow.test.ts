import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../base/random.ts";
import { plan } from "./plan.ts";
import { referenceOf } from "./plan-follow.ts";
import { DEFAULT_PLAN_OPTIONS, type Plan, type PlanOptions } from "./plan-types.ts";
import {
  FakeFleet,
  FLEET_CYCLE_MS,
  fleetTarget,
  type FleetTarget,
  logNormalTargets,
} from "./testdata/fake-fleet.ts";

const OPTIONS: PlanOptions = {
  ...DEFAULT_PLAN_OPTIONS,
  limits: { maxHeadSeries: 30_000, maxProcessSeries: 30_000, maxSamplesPerSecond: 0 },
};

/** Replica groups over the same targets; the first one leads. */
class Groups {
  readonly leader: FakeFleet;
  readonly follower: FakeFleet;
  readonly #options: PlanOptions;

  constructor(targets: readonly FleetTarget[], options: PlanOptions = OPTIONS) {
    this.#options = options;
    this.leader = new FakeFleet(targets, 1);
    this.follower = new FakeFleet(targets, 1);
  }

  cycle(): { leading: Plan; following: Plan } {
    const observed = this.leader.observe();
    const leading = plan(observed, this.#options, this.leader.nowMs);
    this.leader.apply(leading);
    this.follower.reference = referenceOf(leading, observed, {
      options: this.#options,
      nowMs: this.leader.nowMs,
    });
    const following = this.follower.cycle(this.#options);
    return { leading, following };
  }

  settle(quiet = 20): void {
    for (let cycle = 0, still = 0; still < quiet; cycle++) {
      const { leading, following } = this.cycle();
      still = leading.decisions.length + following.decisions.length === 0 ? still + 1 : 0;
      assert.ok(cycle < 1_000, `still deciding: ${JSON.stringify(following.decisions[0])}`);
    }
  }

  /** Targets that the groups do not have on the same ordinal. */
  difference(): string[] {
    const ours = this.leader.owners();
    const theirs = this.follower.owners();
    return [...ours].flatMap(([hash, ordinals]) =>
      ordinals.length === 1 && ordinals.join() === theirs.get(hash)?.join() ? [] : [hash],
    );
  }
}

function change(groups: Groups, targets: readonly FleetTarget[]): void {
  for (const fleet of [groups.leader, groups.follower]) {
    fleet.targets.clear();
    for (const target of targets) fleet.targets.set(target.hash, target);
  }
}

describe("a replica group that follows", () => {
  test("ends with the same targets on the same ordinals, whatever happened before", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 100, max: 35_000 }), { minLength: 1, maxLength: 25 }),
        fc.array(fc.integer({ min: 100, max: 35_000 }), { minLength: 1, maxLength: 25 }),
        fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 3 })), { maxLength: 3 }),
        fc.constantFrom(0, 60_000),
        (before, after, failures, maxIdleTimeMs) => {
          const options = { ...OPTIONS, maxIdleTimeMs, scaleDownCooldownMs: 30_000 };
          const groups = new Groups(
            before.map((series, i) => fleetTarget(i, series)),
            options,
          );
          groups.settle();
          assert.deepEqual(groups.difference(), []);
          const down = failures.flatMap(([isLeader, ordinal]) => {
            const fleet = isLeader ? groups.leader : groups.follower;
            return fleet.shards[ordinal] ?? [];
          });
          for (const shard of down) shard.isDown = true;
          change(
            groups,
            after.map((series, i) => fleetTarget(i + 5, series)),
          );
          for (let cycle = 0; cycle < 20; cycle++) groups.cycle();
          for (const shard of down) shard.isDown = false;
          groups.settle();
          assert.deepEqual(groups.difference(), []);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("is not touched when a shard of the leading group dies, nor the other way round", () => {
    for (const dies of ["leader", "follower"] as const) {
      const groups = new Groups(logNormalTargets(60, seededRandom(4), { median: 1_500 }));
      groups.settle();
      assert.ok(groups[dies].shards.length >= 4);
      groups[dies].shards[1]!.isDown = true;
      let decisions = 0;
      for (let cycle = 0; cycle < 100; cycle++) {
        const { leading, following } = groups.cycle();
        const others = dies === "leader" ? following : leading;
        assert.deepEqual(others.decisions, [], `${dies} died and the other group changed`);
        decisions += (dies === "leader" ? leading : following).decisions.length;
      }
      assert.ok(decisions > 0, "the dead shard's targets were not taken over");
      groups[dies].shards[1]!.isDown = false;
      groups.settle();
      assert.deepEqual(groups.difference(), []);
    }
  });

  test("never leaves a target without an owner while it aligns", () => {
    const groups = new Groups(logNormalTargets(60, seededRandom(9), { median: 1_500 }));
    groups.settle();
    // The follower starts from a spread of its own.
    delete (groups.follower as { reference?: unknown }).reference;
    groups.follower.shards[2]!.isDown = true;
    groups.follower.settle(OPTIONS);
    groups.follower.shards[2]!.isDown = false;
    assert.notDeepEqual(groups.difference(), []);
    for (let cycle = 0; cycle < 60; cycle++) {
      groups.cycle();
      for (const [hash, owners] of groups.follower.owners()) assert.ok(owners.length >= 1, hash);
    }
    assert.deepEqual(groups.difference(), []);
  });

  test("waits for the leading group's new shards, in whatever order shards come up, but not for ever", () => {
    const groups = new Groups(Array.from({ length: 6 }, (_, i) => fleetTarget(i, 10_000)));
    const { leader, follower } = groups;
    groups.cycle();
    assert.equal(leader.shards.length, 3);
    follower.scale(3);
    for (const shard of [leader.shards[1]!, leader.shards[2]!, follower.shards[1]!])
      shard.isDown = true;
    const sizes = (): number[] => follower.shards.map(({ assignments }) => assignments.size);
    for (let cycle = 0; cycle < 3; cycle++) groups.cycle();
    assert.deepEqual(sizes(), [2, 0, 0]);
    for (const shard of [...leader.shards, ...follower.shards]) shard.isDown = false;
    const { following } = groups.cycle();
    assert.deepEqual(sizes(), [2, 2, 2]);
    assert.deepEqual(groups.difference(), []);
    assert.deepEqual(following.conditions, []);

    const late = new Groups(Array.from({ length: 6 }, (_, i) => fleetTarget(i, 10_000)));
    late.cycle();
    late.follower.scale(3);
    for (const shard of late.leader.shards.slice(1)) shard.isDown = true;
    const cycles = OPTIONS.failoverGraceMs / FLEET_CYCLE_MS;
    for (let cycle = 0; cycle < cycles; cycle++) late.cycle();
    assert.equal(late.follower.owners().size, 6);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../base/clock.ts";
import { lookUntilComplete } from "./dry-run.ts";
import { NO_LOAD } from "./load.ts";
import { CONFIG, fakeJob, fakeTarget, FakeWorld } from "./testdata/fake-shards.ts";

const LIMITS = {
  limits: { maxHeadSeries: 1_000, maxProcessSeries: 1_000, maxSamplesPerSecond: 0 },
};

function worldOf(names: readonly string[], shardCount: number): FakeWorld {
  const world = new FakeWorld(shardCount);
  const targets = names.map((name) => fakeTarget(name));
  for (const { url } of targets) world.loads.set(url, { ...NO_LOAD, series: 600, rawSeries: 600 });
  world.jobs = [fakeJob("m", targets)];
  return world;
}

/** Time passes while somebody sleeps. */
function passingClock(world: FakeWorld): Clock {
  return {
    ...world.clock,
    sleep: async (durationMs) => {
      world.nowMs += durationMs;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test("a dry run measures and plans, and no shard, list or number of shards changes", async () => {
  const world = worldOf(["a", "b", "c"], 1);
  const coordinator = world.coordinator(LIMITS, CONFIG, { isDryRun: true });
  const missing = await lookUntilComplete(coordinator, { clock: passingClock(world) });
  assert.deepEqual(missing, []);
  assert.equal(world.explored.length, 3);
  const { plan } = coordinator.view();
  assert.deepEqual(
    plan?.decisions.map(({ kind }) => kind),
    ["assign", "scale-up"],
  );
  assert.equal(plan.scale, 3);
  const [shard, ...others] = world.shards;
  assert.deepEqual(others, []);
  assert.deepEqual(
    [shard!.pushes, shard!.list.length, shard!.configHash, shard!.epoch],
    [0, 0, "", 0],
    "the shard was told something",
  );
  assert.deepEqual(coordinator.log.after(0, 10), []);
});

test("beside a coordinator at work it sees what that one did, and lets it go on", async () => {
  const world = worldOf(["a", "b"], 2);
  const working = world.coordinator(LIMITS);
  await world.turn(working, 4);
  const looking = world.coordinator(LIMITS, CONFIG, { isDryRun: true });
  await lookUntilComplete(looking, { clock: passingClock(world) });
  assert.deepEqual(looking.view().plan?.decisions, []);
  assert.equal(looking.view().plan?.shards.length, 2);
  await world.turn(working, 2);
  assert.equal(working.leadership.epoch, 1, "it was taken for a later coordinator");
});

test("it ends though discovery does not answer, and says what it could not see", async () => {
  const world = worldOf(["a"], 1);
  world.jobs = [
    ...world.jobs,
    fakeJob("k", [], { isComplete: false, error: "connection refused" }),
    fakeJob("n", [], { isComplete: false }),
  ];
  const coordinator = world.coordinator(LIMITS, CONFIG, { isDryRun: true });
  const clock = passingClock(world);
  assert.deepEqual(await lookUntilComplete(coordinator, { clock, waitMs: 5_000 }), [
    "targets of job k: connection refused",
    "targets of job n: discovery has not answered",
  ]);
  assert.equal(coordinator.view().plan?.decisions.length, 1);
});

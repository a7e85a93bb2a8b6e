import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_LOAD } from "./load.ts";
import { fakeJob, fakeTarget, FakeWorld } from "./testdata/fake-shards.ts";

const LIMITS = { maxHeadSeries: 100, maxProcessSeries: 1000, maxSamplesPerSecond: 0 };

function exposed(world: FakeWorld, prefix: string): Record<string, number> {
  const lines = world.registry.expose().split("\n");
  return Object.fromEntries(
    lines
      .filter((line) => line.startsWith(prefix) && !line.startsWith("#"))
      .map((line) => {
        const space = line.lastIndexOf(" ");
        return [line.slice(prefix.length, space), Number(line.slice(space + 1))];
      }),
  );
}

test("every shard's load, limit and state are exposed, and go with the shard", async () => {
  const world = new FakeWorld(2);
  const targets = ["a", "b"].map((name) => fakeTarget(name));
  for (const { url } of targets) world.loads.set(url, { ...NO_LOAD, series: 45, rawSeries: 200 });
  world.jobs = [fakeJob("m", targets)];
  const coordinator = world.coordinator({ limits: LIMITS });
  await world.turn(coordinator, 4);
  const load = "shoal_coordinator_shard_load";
  const before = exposed(world, load);
  assert.equal(before['{shard="shard-0",dimension="head_series"}'], 50);
  assert.equal(before['{shard="shard-1",dimension="process_series"}'], 200);
  assert.equal(Object.keys(before).length, 6);
  assert.deepEqual(exposed(world, "shoal_coordinator_shard_limit"), {
    '{dimension="head_series"}': 100,
    '{dimension="process_series"}': 1000,
  });
  assert.deepEqual(exposed(world, "shoal_coordinator_shard_utilisation_ratio"), {
    '{shard="shard-0"}': 0.5,
    '{shard="shard-1"}': 0.5,
  });
  assert.equal(exposed(world, "shoal_coordinator_last_success_timestamp_seconds")[""], 1030);
  world.shards[1]!.isDown = true;
  await coordinator.cycle();
  assert.deepEqual(exposed(world, "shoal_coordinator_shards{"), {
    'state="ready"}': 1,
    'state="starting"}': 0,
    'state="refused"}': 0,
    'state="lost"}': 1,
  });
  world.groups[0]!.scale(1);
  await coordinator.cycle();
  assert.deepEqual(Object.keys(exposed(world, "shoal_coordinator_shard_ready")), [
    '{shard="shard-0"}',
  ]);
  assert.equal(Object.keys(exposed(world, load)).length, 3);
});

test("moves under way, held jobs and configurations that differ are counted", async () => {
  const world = new FakeWorld(1);
  const targets = ["a", "b"].map((name) => fakeTarget(name));
  const setSeries = (series: number): void => {
    for (const { url } of targets) world.loads.set(url, { ...NO_LOAD, series, rawSeries: series });
  };
  setSeries(40);
  world.jobs = [fakeJob("m", targets)];
  const coordinator = world.coordinator({ limits: LIMITS, transferScrapes: 5 });
  await world.turn(coordinator, 4);
  const value = (name: string): number | undefined => exposed(world, name)[""];
  assert.equal(value("shoal_coordinator_moves_in_flight"), 0);
  setSeries(90);
  await world.turn(coordinator, 4);
  assert.equal(value("shoal_coordinator_moves_in_flight"), 1);
  world.jobs = [fakeJob("m", [], { isComplete: false })];
  await coordinator.cycle();
  assert.equal(value("shoal_coordinator_held_jobs"), 1);
  world.shards[0]!.refuses = "config-2";
  coordinator.setConfig({ rawContent: "", baseFolder: "/", hash: "config-2" }, []);
  await coordinator.cycle();
  assert.deepEqual(exposed(world, "shoal_coordinator_shard_config_current"), {
    '{shard="shard-0"}': 0,
    '{shard="shard-1"}': 1,
  });
});

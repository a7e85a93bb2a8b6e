import assert from "node:assert/strict";
import { test } from "node:test";
import type { Coordinator } from "./coordinator.ts";
import { NO_LOAD } from "./load.ts";
import { fakeJob, fakeTarget, FakeWorld } from "./testdata/fake-shards.ts";

function worldOf(shardCount: number): FakeWorld {
  const world = new FakeWorld(shardCount);
  const targets = Array.from({ length: 4 }, (_, i) => fakeTarget(`t${i}`));
  for (const { url } of targets) world.loads.set(url, { ...NO_LOAD, series: 10, rawSeries: 10 });
  world.jobs = [fakeJob("m", targets)];
  return world;
}

/** A coordinator that leads from now on; all before it are refused. */
async function successor(world: FakeWorld): Promise<Coordinator> {
  world.epoch = (world.epoch ?? 0) + 1;
  const coordinator = world.coordinator();
  await world.turn(coordinator, 3);
  return coordinator;
}

const mark = (coordinator: Coordinator, shard: string, isDraining = true): Promise<void> =>
  coordinator.setDraining(shard, isDraining, "the operator asked for it");
const sizes = (world: FakeWorld): number[] => world.shards.map(({ list }) => list.length);

test("a mark outlives the coordinator, and taking it away does too", async () => {
  const world = worldOf(2);
  const first = await successor(world);
  await mark(first, "shard-0");
  assert.equal(world.shards[0]!.isDraining, true, "the shard knows before the operator's answer");
  const second = await successor(world);
  assert.deepEqual([...second.draining], ["shard-0"]);
  await world.turn(second, 20);
  assert.deepEqual(sizes(world), [0, 4]);
  await mark(second, "shard-0", false);
  const third = await successor(world);
  assert.deepEqual([...third.draining], []);
});

test("a coordinator that leads again goes by what shards say, not by what it remembers", async () => {
  const world = worldOf(2);
  const first = await successor(world);
  await mark(first, "shard-0");
  const second = await successor(world);
  await mark(second, "shard-0", false);
  await mark(second, "shard-1");
  // Its own log still has shard-0 as the one that is drained.
  assert.deepEqual([...first.log.drained()], ["shard-0"]);
  Object.assign(first.leadership, { epoch: (world.epoch ?? 0) + 1 });
  await world.turn(first, 1);
  assert.deepEqual([...first.draining], ["shard-1"]);
});

test("a mark that is made before the coordinator has looked at shards counts", async () => {
  const world = worldOf(2);
  const coordinator = world.coordinator();
  await mark(coordinator, "shard-1");
  await world.turn(coordinator, 20);
  assert.deepEqual(sizes(world), [4, 0]);
  assert.equal(world.shards[1]!.isDraining, true);
});

test("a shard that is away is told when it is back", async () => {
  const world = worldOf(2);
  const coordinator = await successor(world);
  const [shard] = world.shards;
  shard!.isDown = true;
  await world.turn(coordinator, 1);
  await mark(coordinator, "shard-0");
  await world.turn(coordinator, 2);
  assert.deepEqual([...coordinator.draining], ["shard-0"]);
  assert.equal(shard!.isDraining, false);
  shard!.isDown = false;
  await world.turn(coordinator, 2);
  assert.equal(shard!.isDraining, true);
  assert.deepEqual([...(await successor(world)).draining], ["shard-0"]);
});

test("a removed shard is unmarked, and one that comes later on its folder is another one", async () => {
  const world = worldOf(2);
  const coordinator = world.coordinator({ maxIdleTimeMs: 1 });
  const removed = world.shards[1]!;
  removed.dataUntilMs = world.nowMs + 60_000;
  await world.turn(coordinator, 3);
  await mark(coordinator, "shard-1");
  await world.turn(coordinator, 30);
  assert.deepEqual(sizes(world), [4]);
  assert.equal(removed.isDraining, false);
  assert.deepEqual([...coordinator.log.drained()], []);
  // Taken away by somebody else, with the mark on its folder, and asked for again.
  world.groups[0]!.scale(2);
  const later = world.shards[1]!;
  later.isDraining = true;
  await world.turn(coordinator, 1);
  assert.deepEqual([...coordinator.draining], []);
  assert.equal(later.isDraining, false);
});

test("of a shard that keeps no marks the decision log knows", async () => {
  const world = worldOf(2);
  for (const shard of world.shards) shard.isDraining = undefined;
  const first = await successor(world);
  await mark(first, "shard-1");
  await world.turn(first, 20);
  assert.deepEqual(sizes(world), [4, 0]);
  const entries = first.log.all();
  world.epoch = (world.epoch ?? 0) + 1;
  const restarted = world.coordinator();
  restarted.log.restore(entries);
  await world.turn(restarted, 1);
  assert.deepEqual([...restarted.draining], ["shard-1"]);
});

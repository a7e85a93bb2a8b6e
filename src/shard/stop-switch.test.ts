import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_LOAD } from "./load.ts";
import { fakeJob, fakeTarget, FakeWorld } from "./testdata/fake-shards.ts";

function worldOf(targetCount: number, shardCount: number): FakeWorld {
  const world = new FakeWorld(shardCount);
  const targets = Array.from({ length: targetCount }, (_, i) => fakeTarget(`t${i}`));
  for (const { url } of targets) world.loads.set(url, { ...NO_LOAD, series: 10, rawSeries: 10 });
  world.jobs = [fakeJob("m", targets)];
  return world;
}

const reasons = (world: FakeWorld): unknown[] =>
  world.shards.map(({ stopOrder }) => stopOrder?.reason);

test("an order reaches every shard, those that come or come back later too", async () => {
  const world = worldOf(3, 2);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 3);
  assert.deepEqual(reasons(world), [undefined, undefined], "nobody is told without an order");
  world.shards[1]!.isDown = true;
  await world.turn(coordinator, 1);
  await coordinator.stopScraping("too much");
  assert.deepEqual(reasons(world), ["too much", undefined]);
  assert.deepEqual(coordinator.stopState().pending, ["shard-1"]);
  const [condition] = coordinator.view().standing;
  assert.equal(condition?.kind, "stop");
  assert.match(condition.reason, /^nothing is scraped since \S+: too much; not yet told: shard-1$/);
  world.shards[1]!.isDown = false;
  world.groups[0]!.scale(3);
  await world.turn(coordinator, 2);
  assert.deepEqual(reasons(world), ["too much", "too much", "too much"]);
  await coordinator.stopScraping("");
  assert.deepEqual(reasons(world), ["", "", ""]);
  assert.deepEqual(coordinator.view().standing, []);
  assert.deepEqual(
    coordinator.log.after(0, 100).flatMap(({ kind, reason }) => {
      return kind === "stop" || kind === "resume" ? [`${kind}: ${reason}`] : [];
    }),
    ["stop: too much", "resume: the operator lets all shards scrape again"],
  );
});

test("shards keep the last order for the coordinators to come", async () => {
  const world = worldOf(2, 2);
  const first = world.coordinator();
  await world.turn(first, 2);
  await first.stopScraping("before");
  world.shards[1]!.isDown = true;
  world.nowMs += 1_000;
  await first.stopScraping("after");
  assert.deepEqual(reasons(world), ["after", "before"]);

  world.epoch = 2;
  const second = world.coordinator();
  await world.turn(second, 1);
  assert.equal(second.stopState().order?.reason, "after");
  world.shards[1]!.isDown = false;
  await world.turn(second, 1);
  assert.deepEqual(reasons(world), ["after", "after"]);
  // Its clock is behind: what it says is later all the same.
  world.nowMs -= 3_600_000;
  await second.stopScraping("");
  world.epoch = 3;
  const third = world.coordinator();
  await world.turn(third, 1);
  assert.deepEqual(reasons(world), ["", ""]);
  assert.deepEqual(third.view().standing, []);
});

test("while all is stopped nothing is tried from here either, and a look changes nothing", async () => {
  const world = worldOf(2, 1);
  const coordinator = world.coordinator();
  await coordinator.cycle();
  await coordinator.stopScraping("too much");
  world.explored = [];
  const late = fakeTarget("late");
  world.loads.set(late.url, { ...NO_LOAD, series: 10 });
  world.jobs = [fakeJob("m", [late])];
  await world.turn(coordinator, 3);
  assert.deepEqual(world.explored, []);
  await coordinator.stopScraping("");
  await world.turn(coordinator, 3);
  assert.deepEqual(world.explored, [late.url]);
  // A coordinator that starts does not know yet.
  world.shards[0]!.isDown = true;
  world.explored = [];
  await world.turn(world.coordinator(), 2);
  assert.deepEqual(world.explored, []);
  world.shards[0]!.isDown = false;
  const order = { reason: "again", sinceMs: world.nowMs * 2 };
  world.shards[0]!.stopOrder = order;
  world.groups[0]!.scale(2);
  await world.turn(world.coordinator({}, undefined, { isDryRun: true }), 2);
  assert.deepEqual(reasons(world), ["again", undefined]);
});

test("a shard that somebody has stopped by itself is told of", async () => {
  const world = worldOf(2, 2);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 2);
  world.shards[1]!.ownStopReason = "by hand";
  await world.turn(coordinator, 1);
  assert.deepEqual(coordinator.view().standing, [
    { kind: "stop", from: "shard-1", reason: "it scrapes nothing: by hand" },
  ]);
  assert.deepEqual(reasons(world), [undefined, undefined], "it is left as it is");
});

test("a condition names some of the shards that do not know yet", async () => {
  const world = worldOf(1, 13);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 1);
  for (const shard of world.shards.slice(1)) shard.isDown = true;
  await coordinator.cycle();
  await coordinator.stopScraping("too much");
  assert.equal(coordinator.stopState().pending.length, 12);
  assert.match(
    coordinator.view().standing[0]!.reason,
    /; not yet told: shard-1, .*shard-10 and 2 more$/,
  );
});

test("a coordinator that does not lead says so", async () => {
  const world = worldOf(1, 1);
  world.epoch = undefined;
  await assert.rejects(world.coordinator().stopScraping("too much"), { code: "unavailable" });
});

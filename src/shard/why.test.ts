import assert from "node:assert/strict";
import { test } from "node:test";
import type { Coordinator } from "./coordinator.ts";
import { NO_LOAD } from "./load.ts";
import { fakeJob, fakeTarget, FakeWorld } from "./testdata/fake-shards.ts";
import { explainTarget, type Why } from "./why.ts";

const LIMITS = { limits: { maxHeadSeries: 100, maxProcessSeries: 1000, maxSamplesPerSecond: 0 } };

function worldOf(series: readonly number[], shardCount = 1, groups = [""]): FakeWorld {
  const world = new FakeWorld(shardCount, groups);
  const targets = series.map((_, i) => fakeTarget(`t${i}`));
  for (const [i, { url }] of targets.entries()) setSeries(world, url, series[i]!);
  world.jobs = [fakeJob("m", targets)];
  return world;
}

function setSeries(world: FakeWorld, url: string, series: number): void {
  world.loads.set(url, { ...NO_LOAD, series, rawSeries: series });
}

function why(coordinator: Coordinator, name: string): Why {
  const known = {
    view: coordinator.view(),
    log: coordinator.log,
    options: coordinator.options.plan,
  };
  return explainTarget(known, fakeTarget(name));
}

function situation(coordinator: Coordinator, name: string): string {
  return why(coordinator, name)
    .homes.map((home) => home.situation)
    .join();
}

function verdicts({ candidates }: Why): string[] {
  return candidates.map(({ shard, isFit, verdict }) => `${shard} ${isFit ? "+" : "-"} ${verdict}`);
}

test("a target that waits: measured first, then no shard may be added", async () => {
  const world = worldOf([80, 60]);
  const coordinator = world.coordinator({ ...LIMITS, maxShards: 1 });
  await world.turn(coordinator, 4);
  assert.equal(situation(coordinator, "just found"), "measuring");
  const waiting = why(coordinator, "t1");
  assert.equal(waiting.homes[0]?.situation, "unassigned");
  assert.match(waiting.summary, /^No shard scrapes it: no room on 1 shard/);
  assert.deepEqual(
    waiting.conditions.map(({ kind }) => kind),
    ["unassigned"],
  );
  assert.deepEqual(verdicts(waiting), ["shard-0 - 85 + 65 series exceed 100 in the head"]);
  assert.equal(waiting.homes[0]?.sinceMs, 0);
});

test("a scraped target: since when, by which decision, and where else there is room", async () => {
  const world = worldOf([20, 60], 2);
  const coordinator = world.coordinator(LIMITS);
  await world.turn(coordinator, 4);
  const placed = why(coordinator, "t0");
  assert.equal(placed.homes[0]?.situation, "scraped");
  const { shard } = placed.view;
  const [decision] = placed.decisions;
  assert.equal(decision?.to, shard);
  assert.equal(placed.summary, `${shard} scrapes it: ${decision?.reason}.`);
  assert.equal(placed.homes[0]?.sinceMs, decision?.timeMs);
  assert.equal(placed.cost.series, 25);
  assert.deepEqual(verdicts(placed).sort(), ["shard-0 + has room", "shard-1 + has it"]);
  const own = placed.candidates.find(({ isOwner }) => isOwner)!;
  assert.deepEqual([own.used.series, own.utilisation, own.utilisationWith], [0, 0, 0.25]);
});

test("a move: from, to, and how many good scrapes it waits for", async () => {
  const world = worldOf([40, 40], 1);
  const coordinator = world.coordinator({ ...LIMITS, transferScrapes: 3 });
  await world.turn(coordinator, 4);
  for (const { url } of world.jobs[0]!.targets) setSeries(world, url, 90);
  await world.turn(coordinator, 3);
  const moving = [why(coordinator, "t0"), why(coordinator, "t1")].find(
    ({ homes }) => homes[0]?.situation === "moving",
  )!;
  const { from, to, neededScrapes, goodScrapes } = moving.homes[0]!.move!;
  assert.deepEqual([from, to, neededScrapes], ["shard-0", "shard-1", 3]);
  assert.equal(
    moving.summary,
    `It moves from shard-0 to shard-1: shard-0 goes on until shard-1 has 3 good scrapes: ${goodScrapes} so far.`,
  );
  assert.deepEqual(
    moving.decisions.map(({ kind }) => kind),
    ["move", "assign"],
  );
  await world.turn(coordinator, 6);
  assert.equal(situation(coordinator, "t0"), "scraped");
});

test("an oversized target and a shard that does not answer", async () => {
  const world = worldOf([500, 10], 2);
  const coordinator = world.coordinator(LIMITS);
  await world.turn(coordinator, 4);
  const big = why(coordinator, "t0");
  assert.deepEqual(
    big.conditions.map(({ kind }) => kind),
    ["too-big"],
  );
  assert.ok(
    verdicts(big).includes(
      `${why(coordinator, "t1").view.shard} - not empty, and the target is above the limit by itself`,
    ),
  );
  const owner = world.shards.find(({ list }) =>
    list.some(({ target }) => target.url.includes("t0")),
  )!;
  owner.isDown = true;
  await world.turn(coordinator, 2);
  const lost = why(coordinator, "t0");
  assert.match(lost.summary, /^shard-\d has it and counts as lost: no answer within 5 s/);
  assert.ok(
    lost.candidates.some(({ isFit, verdict }) => !isFit && verdict.startsWith("counts as lost")),
  );
});

test("a target that cannot be measured weighs its job's median", async () => {
  const world = worldOf([40, 40], 1);
  const coordinator = world.coordinator({ ...LIMITS, maxShards: 1 });
  await world.turn(coordinator, 4);
  world.jobs = [fakeJob("m", [...world.jobs[0]!.targets, fakeTarget("down")])];
  await world.turn(coordinator, 2);
  const down = why(coordinator, "down");
  assert.equal(down.homes[0]?.situation, "unassigned");
  assert.ok(down.isEstimated);
  assert.equal(down.cost.series, 45);
  assert.equal(down.view.lastError, "connection refused");
});

test("replica groups: a target has a home in each, and a move in one of them is a move", async () => {
  const world = worldOf([40, 40], 1, ["a", "b"]);
  const coordinator = world.coordinator({ ...LIMITS, transferScrapes: 5 });
  await world.turn(coordinator, 4);
  const placed = why(coordinator, "t0");
  assert.deepEqual(
    placed.homes.map(({ group, situation: at }) => [group, at]),
    [
      ["a", "scraped"],
      ["b", "scraped"],
    ],
  );
  assert.match(placed.summary, /^Replica a: \S+ scrapes it: .*\. Replica b: \S+ scrapes it: /);
  assert.equal(placed.candidates.length, 2);
  for (const { url } of world.jobs[0]!.targets) setSeries(world, url, 90);
  await world.turn(coordinator, 3);
  const moves = ["t0", "t1"].flatMap((name) =>
    why(coordinator, name).homes.flatMap((home) => home.move ?? []),
  );
  const groupOf = (shard: string): string =>
    coordinator
      .view()
      .groups.find(({ shards }) => shards.some(({ instance }) => instance.id === shard))!.name;
  assert.equal(moves.length, 2, "one in each group");
  for (const { from, to } of moves) assert.equal(groupOf(from), groupOf(to));
});

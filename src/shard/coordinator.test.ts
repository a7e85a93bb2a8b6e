import assert from "node:assert/strict";
import { test } from "node:test";
import { changedJobs } from "./config-push.ts";
import type { Coordinator } from "./coordinator.ts";
import { NO_LOAD } from "./load.ts";
import { viewTargets } from "./target-view.ts";
import { CONFIG, fakeJob, fakeTarget, FakeWorld } from "./testdata/fake-shards.ts";

const LIMITS = {
  limits: { maxHeadSeries: 30_000, maxProcessSeries: 30_000, maxSamplesPerSecond: 0 },
};

/** A world with targets `t0`, `t1`, … of the given sizes in job `m`. */
function worldOf(
  series: readonly number[],
  shardCount = 1,
  groups: readonly string[] = [""],
): FakeWorld {
  const world = new FakeWorld(shardCount, groups);
  const targets = series.map((_, i) => fakeTarget(`t${i}`));
  for (const [i, target] of targets.entries())
    world.loads.set(target.url, { ...NO_LOAD, series: series[i]!, rawSeries: series[i]! });
  world.jobs = [fakeJob("m", targets)];
  return world;
}

function sizes(world: FakeWorld): number[] {
  return world.shards.map((shard) => shard.list.length);
}

function kinds(coordinator: Coordinator, afterId = 0): string[] {
  return coordinator.log.after(afterId, 1000).map(({ kind }) => kind);
}

function lastId(coordinator: Coordinator): number {
  return coordinator.log.after(0, 10_000).at(-1)?.id ?? 0;
}

test("six targets of 10,045 series and a limit of 30,000 end on three shards with two each", async () => {
  const world = worldOf(Array.from({ length: 6 }, () => 10_045));
  const coordinator = world.coordinator(LIMITS);
  await world.turn(coordinator, 8);
  assert.deepEqual(sizes(world), [2, 2, 2]);
  assert.deepEqual([...world.owners().values()], [1, 1, 1, 1, 1, 1]);
  for (const shard of world.shards) assert.equal(shard.headSeries, 20_100);
  assert.equal(world.explored.length, 6);
});

test("a second coordinator takes over and changes nothing", async () => {
  const world = worldOf(Array.from({ length: 6 }, () => 10_045));
  await world.turn(world.coordinator(LIMITS), 8);
  const pushes = world.shards.map((shard) => shard.pushes);
  world.explored = [];
  const successor = world.coordinator(LIMITS);
  await world.turn(successor, 3);
  assert.deepEqual(kinds(successor), []);
  assert.deepEqual(world.explored, []);
  assert.deepEqual(
    world.shards.map((shard) => shard.pushes),
    pushes,
  );
});

test("a target whose volatile labels change stays where it is, and its shard is told", async () => {
  const world = worldOf([100, 100], 2);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 4);
  const before = lastId(coordinator);
  const [t0, t1] = world.jobs[0]!.targets;
  const owner = world.shards.find(({ list }) => list.some(({ target }) => target === t0))!;
  const pushes = world.shards.map((shard) => shard.pushes);
  const url = "http://t0/metrics?token=2";
  const renewed = { ...t0!, url, allLabels: t0!.allLabels.with("__param_token", "2") };
  world.loads.set(url, { ...NO_LOAD, series: 100, rawSeries: 100 });
  world.explored = [];
  world.jobs = [fakeJob("m", [renewed, t1!])];
  await world.turn(coordinator, 1);
  assert.deepEqual(
    owner.list.map(({ target }) => target.url),
    [url],
  );
  assert.equal(owner.list[0]!.state, "normal");
  await world.turn(coordinator, 2);
  assert.deepEqual(kinds(coordinator, before), [], "nothing was decided");
  assert.deepEqual(world.explored, [], "and nothing explored");
  assert.deepEqual(
    world.shards.map((shard, i) => shard.pushes - pushes[i]!),
    world.shards.map((shard) => (shard === owner ? 1 : 0)),
    "its shard was told once",
  );
});

test("a starting coordinator waits for shards it has not seen before it gives out targets", async () => {
  const world = worldOf([100, 100], 2);
  await world.turn(world.coordinator(), 4);
  assert.deepEqual(sizes(world), [1, 1]);
  world.shards[1]!.isDown = true;
  const successor = world.coordinator();
  await successor.start();
  await world.turn(successor, 5);
  assert.deepEqual(kinds(successor), [], "the unseen shard's target was given out");
  world.shards[1]!.isDown = false;
  await world.turn(successor, 2);
  assert.deepEqual(kinds(successor), []);
  assert.deepEqual(sizes(world), [1, 1]);
  await successor.stop();
});

test("a target larger than a shard gets one of its own and a warning, and nothing runs away", async () => {
  const world = worldOf([1_000, 90_000]);
  const coordinator = world.coordinator(LIMITS);
  await world.turn(coordinator, 20);
  assert.equal(world.shards.length, 2);
  assert.deepEqual([...world.owners().values()], [1, 1]);
  const warning = coordinator.view().plan?.conditions.find(({ kind }) => kind === "too-big");
  assert.match(warning?.reason ?? "", /90005 series are more than a shard's limit of 30000/);
});

test("series before relabelling count against their own limit", async () => {
  const world = worldOf([]);
  const targets = ["a", "b", "c"].map((name) => fakeTarget(name));
  for (const { url } of targets)
    world.loads.set(url, { ...NO_LOAD, series: 10, rawSeries: 20_000 });
  world.jobs = [fakeJob("m", targets)];
  await world.turn(world.coordinator(LIMITS), 8);
  assert.deepEqual(sizes(world), [1, 1, 1]);
});

test("a target that does not answer is assigned by its job's median, so that its up is 0", async () => {
  const world = worldOf([100, 300, 200, 0]);
  world.loads.delete("http://t3/metrics");
  const coordinator = world.coordinator(LIMITS);
  await world.turn(coordinator, 4);
  assert.equal(world.owners().get("http://t3/metrics"), 1);
  const view = viewTargets(coordinator.view()).find(({ target }) => target.url.includes("t3"));
  assert.equal(view?.health, "down");
  assert.equal(view.lastError, "connection refused");
  assert.equal(view.load.series, 200);
});

test("a dead shard's targets move after the grace, and come back without a second owner", async () => {
  const world = worldOf([100, 100, 100, 100], 2);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 4);
  assert.deepEqual(sizes(world), [2, 2]);
  const id = lastId(coordinator);
  const dead = world.shards[1]!;
  dead.isDown = true;
  await world.turn(coordinator, 5);
  assert.deepEqual(kinds(coordinator, id), [], "moved within the grace");
  const { id: deadId } = coordinator.view().shards[1]!.instance;
  const waiting = viewTargets(coordinator.view()).filter(({ shard }) => shard === deadId);
  assert.deepEqual(
    waiting.map(({ health }) => health),
    ["unknown", "unknown"],
    "what a dead shard said last does not count",
  );
  assert.match(waiting[0]!.lastError, /counts as lost/);
  await world.turn(coordinator, 4);
  assert.deepEqual(kinds(coordinator, id), ["rehome", "rehome"]);
  await world.turn(coordinator, 2);
  const rehomed = viewTargets(coordinator.view());
  assert.ok(rehomed.every(({ shard, health }) => shard !== deadId && health === "up"));
  assert.equal(world.shards[0]!.list.length, 4);
  dead.isDown = false;
  for (let i = 0; i < 12; i++) {
    await world.turn(coordinator, 1);
    assert.ok([...world.owners().values()].every((count) => count === 1) || i === 0);
  }
  assert.deepEqual(sizes(world), [2, 2], "it takes its share again");
});

test("discovery that fails or turns empty removes nothing until it has stood for the hold time", async () => {
  const world = worldOf([100, 100, 100]);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 4);
  const full = world.jobs;
  world.jobs = [fakeJob("m", [], { isComplete: false, error: "connection refused" })];
  await world.turn(coordinator, 60);
  assert.deepEqual(sizes(world), [3], "removed while discovery fails");
  world.jobs = [fakeJob("m", [])];
  await world.turn(coordinator, 29);
  assert.deepEqual(sizes(world), [3], "removed before the hold time");
  const held = coordinator.view().plan?.conditions.map(({ kind }) => kind);
  assert.deepEqual(held, ["hold"]);
  world.jobs = full;
  await world.turn(coordinator, 2);
  world.jobs = [fakeJob("m", [])];
  await world.turn(coordinator, 32);
  assert.deepEqual(sizes(world), [0], "kept after the hold time");
});

test("a few targets less, a static list and a removed job take effect at once", async () => {
  const world = worldOf([100, 100, 100, 100]);
  const coordinator = world.coordinator();
  const [job] = world.jobs;
  await world.turn(coordinator, 4);
  world.jobs = [fakeJob("m", job!.targets.slice(1))];
  await world.turn(coordinator, 2);
  assert.deepEqual(sizes(world), [3]);
  world.jobs = [fakeJob("m", job!.targets.slice(3), { isStatic: true })];
  await world.turn(coordinator, 2);
  assert.deepEqual(sizes(world), [1]);
  world.jobs = [];
  await world.turn(coordinator, 2);
  assert.deepEqual(sizes(world), [0]);
});

test("a reload that changes a job's discovery is believed at once", async () => {
  const world = worldOf([100, 100, 100]);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 4);
  coordinator.setConfig({ ...CONFIG, hash: "config-2" }, ["m"]);
  world.jobs = [fakeJob("m", [])];
  await world.turn(coordinator, 2);
  assert.deepEqual(sizes(world), [0]);
  assert.equal(world.shards[0]!.configHash, "config-2");
});

test("a shard that refuses the configuration keeps its targets, gets no new ones and says why", async () => {
  const world = worldOf([100, 100], 1);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 4);
  world.shards[0]!.refuses = "config-2";
  coordinator.setConfig({ ...CONFIG, hash: "config-2" }, []);
  const added = fakeTarget("new");
  world.loads.set(added.url, { ...NO_LOAD, series: 1, rawSeries: 1 });
  world.jobs = [fakeJob("m", [...world.jobs[0]!.targets, added])];
  await world.turn(coordinator, 5);
  assert.deepEqual(sizes(world), [2]);
  const [record] = coordinator.view().shards;
  assert.equal(record?.state, "refused");
  assert.equal(record.error, "it is not to be read");
});

test("an overloaded shard hands targets over without a moment in which nobody scrapes them", async () => {
  const world = worldOf([10_000, 10_000, 5_000]);
  const coordinator = world.coordinator(LIMITS);
  await world.turn(coordinator, 4);
  assert.deepEqual(sizes(world), [3]);
  for (const target of world.jobs[0]!.targets)
    world.loads.set(target.url, { ...NO_LOAD, series: 14_000, rawSeries: 14_000 });
  const scrapers = (url: string): number =>
    world.shards.filter((shard) => shard.list.some(({ target }) => target.url === url)).length;
  for (let i = 0; i < 12; i++) {
    await world.turn(coordinator, 1);
    for (const target of world.jobs[0]!.targets) assert.ok(scrapers(target.url) >= 1);
  }
  // At 1.4 × the limit the shard is emptied to half of it, as Kvass does.
  assert.deepEqual(sizes(world), [1, 2]);
  assert.deepEqual([...world.owners().values()], [1, 1, 1]);
  assert.ok(kinds(coordinator).includes("moved"));
});

test("a coordinator that another one has overtaken changes nothing any more", async () => {
  const world = worldOf([100, 100, 100], 2);
  const first = world.coordinator();
  await world.turn(first, 4);
  world.epoch = 2;
  const second = world.coordinator();
  await world.turn(second, 2);
  const pushes = world.shards.map((shard) => shard.pushes);
  world.jobs = [fakeJob("m", [], { isStatic: true })];
  await world.turn(first, 3);
  assert.deepEqual(
    world.shards.map((shard) => shard.pushes),
    pushes,
  );
  assert.equal(first.leadership.epoch, undefined);
  assert.equal(first.view().plan, undefined);
  await world.turn(second, 1);
  assert.deepEqual(sizes(world), [0, 0]);
});

test("a coordinator that stands by asks nobody anything", async () => {
  const world = worldOf([100]);
  world.epoch = undefined;
  const standby = world.coordinator();
  await world.turn(standby, 3);
  assert.deepEqual(sizes(world), [0]);
  assert.deepEqual(world.explored, []);
  assert.deepEqual(standby.view().shards, []);
});

test("a shard that answers but scrapes nothing loses its targets after the grace", async () => {
  const world = worldOf([100, 100, 100, 100], 2);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 6);
  const id = lastId(coordinator);
  const [healthy, hung] = world.shards;
  hung!.isIdle = true;
  await world.turn(coordinator, 6);
  assert.deepEqual(kinds(coordinator, id), [], "moved within the grace");
  await world.turn(coordinator, 4);
  assert.deepEqual(kinds(coordinator, id), ["rehome", "rehome"]);
  assert.equal(healthy!.list.length, 4);
  assert.match(coordinator.view().shards[1]!.error, /scraped none of its 2 targets for \d+ s/);
  hung!.isIdle = false;
  await world.turn(coordinator, 4);
  assert.deepEqual([...world.owners().values()], [1, 1, 1, 1]);
});

test("a shard that is cut off from targets which others reach loses them; targets that are down stay", async () => {
  const world = worldOf([100, 100, 100, 100, 100, 100], 3);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 6);
  assert.deepEqual(sizes(world), [2, 2, 2]);
  const id = lastId(coordinator);
  for (const { target } of world.shards[2]!.list) world.loads.delete(target.url);
  await world.turn(coordinator, 20);
  assert.deepEqual(kinds(coordinator, id), [], "targets that are down for everybody were moved");
  for (const { target } of world.shards[2]!.list)
    world.loads.set(target.url, { ...NO_LOAD, series: 100, rawSeries: 100 });
  await world.turn(coordinator, 2);
  world.shards[1]!.isCutOff = true;
  await world.turn(coordinator, 12);
  assert.deepEqual(kinds(coordinator, id), ["rehome", "rehome"]);
  assert.equal(world.shards[1]!.list.length, 2, "a lost shard's list is left alone");
  world.shards[1]!.isCutOff = false;
  await world.turn(coordinator, 4);
  assert.deepEqual([...world.owners().values()], [1, 1, 1, 1, 1, 1]);
});

test("when every shard fails on everything, nothing is moved: the test scrape says nothing", async () => {
  const world = worldOf([100, 100, 100, 100], 2);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 6);
  const id = lastId(coordinator);
  for (const shard of world.shards) shard.isCutOff = true;
  await world.turn(coordinator, 20);
  assert.deepEqual(kinds(coordinator, id), []);
  assert.equal(world.shards.length, 2);
});

test("replica groups have the same targets on the same ordinals, and fail by themselves", async () => {
  const world = worldOf(
    Array.from({ length: 6 }, () => 10_045),
    1,
    ["a", "b"],
  );
  const coordinator = world.coordinator(LIMITS);
  const listsOf = (group: number): string[][] =>
    world.groups[group]!.shards.map(({ list }) => list.map(({ target }) => target.url).sort());
  await world.turn(coordinator, 8);
  assert.deepEqual(
    listsOf(0).map((list) => list.length),
    [2, 2, 2],
  );
  assert.deepEqual(listsOf(1), listsOf(0));
  assert.equal(world.explored.length, 6, "each target is measured once for both groups");
  const before = listsOf(0);
  const dead = world.groups[1]!.shards[1]!;
  dead.isDown = true;
  await world.turn(coordinator, 14);
  assert.deepEqual(listsOf(0), before, "a failure in one group moved targets of the other");
  dead.isDown = false;
  await world.turn(coordinator, 30);
  assert.deepEqual(listsOf(1).slice(0, 3), before, "the groups are not aligned again");
});

test("a shard that is drained becomes empty, gets nothing, and fills again when it is not any more", async () => {
  const world = worldOf([100, 100, 100, 100], 2);
  const coordinator = world.coordinator();
  await world.turn(coordinator, 6);
  assert.deepEqual(sizes(world), [2, 2]);
  await coordinator.setDraining("shard-0", true, "a test");
  await world.turn(coordinator, 20);
  assert.deepEqual(sizes(world), [0, 4]);
  await coordinator.setDraining("shard-0", false, "a test");
  await world.turn(coordinator, 40);
  assert.deepEqual(sizes(world), [2, 2]);
});

test("a shard that was dead before the coordinator began is no room that is expected back", async () => {
  const world = worldOf([20_000, 20_000], 2);
  await world.turn(world.coordinator(LIMITS), 6);
  assert.deepEqual(sizes(world), [1, 1]);
  world.shards[1]!.isDown = true;
  const successor = world.coordinator(LIMITS);
  await world.turn(successor, 12);
  assert.equal(world.shards.length, 3, "no shard was asked for");
  assert.equal(world.shards[2]!.list.length, 1);
  assert.equal(successor.view().shards[1]!.state, "lost");
});

test("changedJobs names jobs whose discovery differs", () => {
  const job = (jobName: string, targets: string[]) => ({
    jobName,
    serviceDiscovery: [{ kind: "static", groups: [{ targets, labels: {} }] }],
  });
  const config = (...jobs: unknown[]) => ({ scrapeConfigs: jobs }) as never;
  const before = config(job("same", ["a"]), job("other", ["a"]));
  const after = config(job("same", ["a"]), job("other", ["b"]), job("new", []));
  assert.deepEqual(changedJobs(before, after), ["other", "new"]);
});

test("what may lack jobs is not carried out, and shards are looked at meanwhile", async () => {
  const world = worldOf([100, 100], 2);
  await world.turn(world.coordinator(), 4);
  const before = world.shards.map(({ list, configHash }) => ({ list, configHash }));
  const pushes = world.shards.map((shard) => shard.pushes);
  // A coordinator that does not know the targets' job any more.
  const { jobs } = world;
  world.jobs = [];
  const config = { ...CONFIG, hash: "config-2" };
  let reason = "m is not known yet";
  const asked: string[][] = [];
  world.withholds = (onShards) => {
    asked.push([...onShards()]);
    return reason;
  };
  const successor = world.coordinator({}, config);
  await world.turn(successor, 40);
  assert.deepEqual(asked[0], ["m"]);
  assert.deepEqual(
    world.shards.map(({ list, configHash }) => ({ list, configHash })),
    before,
  );
  const { shards, plan } = successor.view();
  assert.equal(plan, undefined);
  assert.deepEqual(
    shards.map(({ state, error }) => `${state}: ${error}`),
    ["refused: m is not known yet", "refused: m is not known yet"],
  );
  reason = "";
  world.jobs = jobs;
  await world.turn(successor, 2);
  assert.deepEqual(
    world.shards.map(({ configHash }) => configHash),
    ["config-2", "config-2"],
  );
  assert.deepEqual([...world.owners().values()], [1, 1]);
  assert.deepEqual(
    world.shards.map((shard) => shard.pushes),
    pushes,
  );
});

test("a configuration that lacks nothing is carried out in the first cycle", async () => {
  const world = worldOf([100]);
  world.withholds = () => "";
  await world.coordinator().cycle();
  assert.equal(world.shards[0]!.configHash, CONFIG.hash);
});

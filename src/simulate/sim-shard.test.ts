import assert from "node:assert/strict";
import { test } from "node:test";
import type { ShardControl } from "../shard/control.ts";
import { NO_LOAD } from "../shard/load.ts";
import type { AssignedTarget, TargetStatus } from "../shard/wire.ts";
import { Coverage } from "./coverage.ts";
import { HOUR_MS, loadAt, type SimTarget } from "./sim-target.ts";
import { simTarget } from "./testdata/sim-targets.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { World } from "./world.ts";

/** Midnight: heads are cut at odd hours. */
const START_MS = 240 * HOUR_MS;

interface Scene {
  readonly world: World;
  readonly clock: VirtualClock;
  readonly control: ShardControl;
  readonly coverage: Coverage;
}

/** A world with one running shard and `targets`, which nobody has yet. */
async function scene(targets: readonly SimTarget[], retentionMs = 0): Promise<Scene> {
  const clock = new VirtualClock(START_MS);
  const coverage = new Coverage({
    maxWaitMs: HOUR_MS,
    maxOverlapMs: () => 0,
    maxLossGapMs: () => 0,
  });
  const options = { fleet: targets, startDelayMs: 1000, refreshMs: 1000, retentionMs, seed: 1 };
  const world = new World(clock, coverage, options);
  world.start();
  await world.driver.scale(1);
  await clock.runUntil(START_MS + 2000);
  return { world, clock, coverage, control: world.connect("http://shard-0") };
}

function assigned(target: SimTarget, rest: Partial<AssignedTarget> = {}): AssignedTarget {
  return { target: target.target, state: "normal", assignedAtMs: 7, load: NO_LOAD, ...rest };
}

async function statusOf(control: ShardControl, target: SimTarget): Promise<TargetStatus> {
  const status = (await control.status()).get(target.target.hash);
  assert.ok(status !== undefined, "the shard does not have the target");
  return status;
}

test("a shard that is asked for runs after its delay, and counts scrapes from then on", async () => {
  const target = simTarget("a");
  const { clock, control } = await scene([target]);
  await control.pushTargets([assigned(target, { load: { ...NO_LOAD, series: 55 } })], 1);
  const before = await statusOf(control, target);
  assert.deepEqual([before.scrapes, before.health, before.load.series], [0, "unknown", 55]);
  await clock.runUntil(clock.now() + 30_000);
  const after = await statusOf(control, target);
  assert.deepEqual([after.scrapes, after.goodScrapes, after.health], [3, 3, "up"]);
  assert.deepEqual(after.load, loadAt(target, clock.now()));
  const runtime = await control.runtime(1);
  assert.deepEqual([runtime.headSeries, runtime.processSeries], [105, 100]);
  assert.equal(runtime.idleSinceMs, undefined);
});

test("a target that is down or gone is scraped in vain", async () => {
  const down = simTarget("down", { isDown: true });
  const leaving = simTarget("leaving", { goneMs: START_MS + 32_000 });
  const { clock, control } = await scene([down, leaving]);
  await control.pushTargets([assigned(down), assigned(leaving)], 1);
  await clock.runUntil(START_MS + 62_000);
  const [first, second] = [await statusOf(control, down), await statusOf(control, leaving)];
  assert.deepEqual([first.scrapes, first.goodScrapes, first.health], [6, 0, "down"]);
  assert.deepEqual([second.scrapes, second.goodScrapes, second.health], [6, 3, "down"]);
  assert.equal(second.load.series, 100);
  // Both leave `up` and the like in the head; the one that answered, its series as well.
  assert.equal((await control.runtime(1)).headSeries, 110);
});

test("the same assignment goes on counting, a new one of the same target starts over", async () => {
  const target = simTarget("a");
  const { clock, control } = await scene([target]);
  await control.pushTargets([assigned(target)], 1);
  await clock.runUntil(clock.now() + 20_000);
  await control.pushTargets([assigned(target, { state: "in_transfer" })], 1);
  const leaving = await statusOf(control, target);
  assert.deepEqual([leaving.state, leaving.scrapes], ["in_transfer", 2]);
  await control.pushTargets([assigned(target, { assignedAtMs: 8 })], 1);
  const anew = await statusOf(control, target);
  assert.deepEqual([anew.scrapes, anew.goodScrapes, anew.health], [0, 0, "up"]);
  assert.equal(anew.load.series, 100);
});

test("series of a target that left stay in the head until it is cut, and are not counted twice", async () => {
  const target = simTarget("a");
  const { clock, control } = await scene([target]);
  const head = async (): Promise<number> => (await control.runtime(1)).headSeries;
  await control.pushTargets([assigned(target)], 1);
  await clock.runUntil(START_MS + HOUR_MS);
  await control.pushTargets([], 1);
  assert.equal((await control.runtime(1)).idleSinceMs, START_MS + HOUR_MS);
  await clock.runUntil(START_MS + 2 * HOUR_MS);
  assert.equal(await head(), 105);
  await control.pushTargets([assigned(target)], 1);
  await clock.runUntil(START_MS + 2 * HOUR_MS + 60_000);
  assert.equal(await head(), 105);
  await control.pushTargets([], 1);
  await clock.runUntil(START_MS + 5 * HOUR_MS - 1);
  assert.equal(await head(), 105);
  await clock.runUntil(START_MS + 5 * HOUR_MS);
  assert.equal(await head(), 0);
});

test("a churning target holds more of the head than it exposes, and the shard learns how much", async () => {
  const target = simTarget("a", { churnPerHour: 0.5, size: { series: 1000, rawSeries: 1000 } });
  const { clock, control } = await scene([target]);
  await control.pushTargets([assigned(target)], 1);
  await clock.runUntil(START_MS + 4 * HOUR_MS);
  // Cut at 3 h: the head begins at 2 h, two hours ago, in which as many series came as there are.
  const { headSeries } = await control.runtime(1);
  assert.ok(Math.abs(headSeries - 2005) < 5, `${headSeries} series`);
  const { newSeriesPerHour } = (await statusOf(control, target)).load;
  assert.ok(newSeriesPerHour > 400 && newSeriesPerHour < 500, `${newSeriesPerHour} an hour`);
});

test("a crashed shard refuses calls, comes back with its targets, and has counted nothing", async () => {
  const target = simTarget("a");
  const { world, clock, control, coverage } = await scene([target]);
  // With another shard about, so that what is missed is not nobody's.
  await world.driver.scale(2);
  await control.pushTargets([assigned(target)], 1);
  await clock.runUntil(clock.now() + 20_000);
  world.shards[0]!.lose("crashed", 35_000);
  await assert.rejects(control.status(), { code: "unavailable" });
  await assert.rejects(control.pushTargets([], 1), { code: "unavailable" });
  await clock.runUntil(clock.now() + 35_000);
  assert.equal((await statusOf(control, target)).scrapes, 0);
  assert.equal((await world.driver.list())[0]!.restarts, 1);
  // Of the head it replays its log.
  assert.equal((await control.runtime(1)).headSeries, 105);
  await clock.runUntil(clock.now() + 10_000);
  const { gaps, lossGaps } = coverage.finish(clock.now());
  assert.equal(gaps.intervals, 0);
  assert.ok(lossGaps.intervals === 3 || lossGaps.intervals === 4, `${lossGaps.intervals} missed`);
});

test("a hung shard lets calls wait, and goes on where it was", async () => {
  const target = simTarget("a");
  const { world, clock, control } = await scene([target]);
  await control.pushTargets([assigned(target)], 1);
  await clock.runUntil(clock.now() + 20_000);
  world.shards[0]!.lose("hung", 60_000);
  const askedMs = clock.now();
  let failedMs = 0;
  void control.status().catch(() => (failedMs = clock.now()));
  await clock.runUntil(clock.now() + 60_000);
  assert.equal(failedMs - askedMs, 5000);
  assert.equal((await statusOf(control, target)).scrapes, 2);
  await clock.runUntil(clock.now() + 20_000);
  assert.equal((await statusOf(control, target)).scrapes, 4);
});

test("shards are added and removed at the end; one that is asked for again finds its folder", async () => {
  const target = simTarget("a");
  const { world, clock, control } = await scene([target]);
  await world.driver.scale(3);
  assert.deepEqual(
    (await world.driver.list()).map(({ id, url }) => [id, url]),
    [
      ["shard-0", "http://shard-0"],
      ["shard-1", undefined],
      ["shard-2", undefined],
    ],
  );
  await control.pushTargets([assigned(target)], 1);
  await world.driver.scale(0);
  await assert.rejects(control.status(), { code: "unavailable" });
  assert.equal(world.driver.desired, 0);
  await world.driver.scale(1);
  await clock.runUntil(clock.now() + 20_000);
  assert.equal(world.running.length, 1);
  assert.ok((await statusOf(control, target)).goodScrapes > 0);
});

test("an empty shard says until when its samples are wanted, when it knows", async () => {
  const target = simTarget("a");
  const until = async ({ control }: Scene): Promise<number | undefined> =>
    (await control.runtime(1)).dataUntilMs;
  const silent = await scene([target]);
  assert.equal(await until(silent), undefined);
  const told = await scene([target], HOUR_MS);
  assert.equal(await until(told), 0, "it never had a sample");
  await told.control.pushTargets([assigned(target)], 1);
  await told.clock.runUntil(told.clock.now() + 30_000);
  assert.equal(await until(told), undefined, "it has targets");
  const lastMs = (await statusOf(told.control, target)).lastScrapeMs;
  await told.control.pushTargets([], 1);
  assert.equal(await until(told), lastMs + HOUR_MS);
});

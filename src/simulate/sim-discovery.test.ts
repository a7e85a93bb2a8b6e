import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobTargets } from "../shard/hold.ts";
import { Coverage } from "./coverage.ts";
import { simTarget } from "./testdata/sim-targets.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { World } from "./world.ts";

const REFRESH_MS = 30_000;

function scene(): { world: World; clock: VirtualClock; wakes: () => number } {
  const clock = new VirtualClock(0);
  const coverage = new Coverage({ maxWaitMs: 0, maxOverlapMs: () => 0, maxLossGapMs: () => 0 });
  const fleet = [
    ...Array.from({ length: 6 }, (_, i) => simTarget(`t${i}`)),
    simTarget("late", { bornMs: 10_000 }),
    simTarget("early", { goneMs: 40_000 }),
  ];
  const options = { fleet, startDelayMs: 0, refreshMs: REFRESH_MS, retentionMs: 0, seed: 1 };
  const world = new World(clock, coverage, options);
  let wakes = 0;
  world.wake = () => wakes++;
  world.start();
  return { world, clock, wakes: () => wakes };
}

function jobOf(world: World, startedMs = -1): JobTargets {
  const jobs = world.discovery.sourceFor(startedMs).jobs();
  assert.equal(jobs.length, 1);
  return jobs[0]!;
}

test("targets are listed when discovery looks, and so are those that went", async () => {
  const { world, clock, wakes } = scene();
  assert.equal(jobOf(world).targets.length, 7);
  assert.equal(wakes(), 1);
  await clock.runUntil(REFRESH_MS - 1);
  assert.equal(jobOf(world).targets.length, 7);
  await clock.runUntil(REFRESH_MS);
  assert.equal(jobOf(world).targets.length, 8);
  await clock.runUntil(2 * REFRESH_MS);
  assert.equal(jobOf(world).targets.length, 7);
  assert.equal(wakes(), 3);
  await clock.runUntil(10 * REFRESH_MS);
  assert.equal(wakes(), 3, "woken though nothing changed");
});

test("an outage with errors leaves the old list, but not to a coordinator that starts in it", async () => {
  const { world, clock } = scene();
  await clock.runUntil(1000);
  const end = world.discovery.beginOutage("error");
  await clock.runUntil(5 * REFRESH_MS);
  const job = jobOf(world);
  assert.deepEqual([job.targets.length, job.isComplete], [7, true]);
  assert.match(job.error, /HTTP 503/);
  const fresh = jobOf(world, 2000);
  assert.deepEqual([fresh.targets.length, fresh.isComplete], [0, false]);
  end();
  for (const startedMs of [-1, 2000]) {
    const after = jobOf(world, startedMs);
    assert.deepEqual([after.targets.length, after.isComplete, after.error], [7, true, ""]);
  }
});

test("an empty or a short list looks like an answer; a stale one like no change", async () => {
  const { world, wakes } = scene();
  for (const [kind, listed] of [
    ["empty", 0],
    ["partial", 3],
    ["stale", 7],
  ] as const) {
    const before = wakes();
    const end = world.discovery.beginOutage(kind);
    const job = jobOf(world);
    assert.deepEqual([job.targets.length, job.isComplete, job.error], [listed, true, ""], kind);
    assert.equal(wakes() - before, kind === "stale" ? 0 : 1);
    end();
    assert.equal(jobOf(world).targets.length, 7);
  }
});

test("an outage that another one has replaced ends nothing", () => {
  const { world } = scene();
  const endFirst = world.discovery.beginOutage("stale");
  const endSecond = world.discovery.beginOutage("empty");
  endFirst();
  assert.equal(jobOf(world).targets.length, 0);
  endSecond();
  assert.equal(jobOf(world).targets.length, 7);
});

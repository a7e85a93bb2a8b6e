import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import type { Knowledge } from "./followed.ts";
import { MonitorGate } from "./monitor-gate.ts";

class World {
  nowMs = 0;
  knowledge: Knowledge = "unknown";
  readonly gate = new MonitorGate({
    knowledge: () => this.knowledge,
    holdMs: 300_000,
    clock: { ...systemClock, now: () => this.nowMs },
  });

  constructor() {
    this.gate.configure(["node", "serviceMonitor/a/known/0"]);
  }

  isHeld(...jobs: readonly string[]): boolean {
    return this.gate.reason(() => new Set(jobs)) !== "";
  }
}

test("shards that scrape nothing unknown are not waited for", () => {
  const world = new World();
  assert.equal(world.isHeld(), false);
  assert.equal(world.isHeld("node", "serviceMonitor/a/known/0"), false);
});

test("an API that says nothing never takes targets away", () => {
  const world = new World();
  for (const job of ["serviceMonitor/a/x/0", "podMonitor/a/x/1", "probe/a/x", "additional"]) {
    assert.equal(world.isHeld(job), true);
    world.nowMs += 1e9;
    assert.equal(world.isHeld(job), true);
  }
  assert.match(
    world.gate.reason(() => new Set(["probe/a/x"])),
    /1 jobs that are scraped are not known \(probe\/a\/x\)/,
  );
  world.knowledge = "known";
  assert.equal(world.isHeld("probe/a/x"), false);
});

test("an API that says no is believed after the hold time, which begins anew with each silence", () => {
  const world = new World();
  world.knowledge = "refused";
  assert.equal(world.isHeld("probe/a/x"), true);
  world.nowMs += 299_000;
  assert.equal(world.isHeld("probe/a/x"), true);
  world.knowledge = "unknown";
  assert.equal(world.isHeld("probe/a/x"), true);
  world.knowledge = "refused";
  world.nowMs += 2_000;
  assert.equal(world.isHeld("probe/a/x"), true);
  world.nowMs += 300_000;
  assert.equal(world.isHeld("probe/a/x"), false);
});

test("what was known once is not waited for again", () => {
  const world = new World();
  world.knowledge = "known";
  assert.equal(world.isHeld("probe/a/x"), false);
  world.knowledge = "unknown";
  assert.equal(world.isHeld("probe/a/x"), false);
});

test("a job that somebody removes is not waited for", () => {
  const world = new World();
  world.gate.configure(["edited"]);
  world.gate.configure(["node"]);
  assert.equal(world.isHeld("edited"), false);
});

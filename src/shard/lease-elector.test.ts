import assert from "node:assert/strict";
import { test } from "node:test";
import { randomInt, seededRandom } from "../base/random.ts";
import { DEFAULT_LEASE_TIMES } from "./lease-elector.ts";
import { CoordinatorProcess, MemoryLease } from "./testdata/coordinator-process.ts";
import { VirtualClock } from "./testdata/virtual-clock.ts";

function world(seed = 1) {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  const lease = new MemoryLease();
  const start = (identity: string): CoordinatorProcess =>
    new CoordinatorProcess(identity, { clock, random, lease });
  return { clock, random, lease, start };
}

test("the first one leads, the second waits", async () => {
  const { clock, lease, start } = world();
  const a = start("a");
  await clock.advance(3_000);
  const b = start("b");
  await clock.advance(60_000);
  assert.equal(a.elections.length, 1);
  assert.deepEqual(b.elections, []);
  assert.equal(a.elector.epoch(), a.elections[0]);
  assert.equal(a.elector.holder(), "a");
  assert.equal(b.elector.holder(), "a");
  assert.equal(lease.stored?.record.durationMs, DEFAULT_LEASE_TIMES.leaseDurationMs);
  // It renews every two seconds, a little more with jitter.
  assert.ok(Number(lease.stored?.version) > 20 && Number(lease.stored?.version) < 35);
});

test("a clean stop hands over within one retry", async () => {
  const { clock, lease, start } = world();
  const a = start("a");
  await clock.advance(3_000);
  const b = start("b");
  await clock.advance(10_000);
  const stopped = a.stop();
  await clock.advance(500);
  await stopped;
  assert.deepEqual(a.lossReasons, ["stopping"]);
  assert.equal(lease.stored?.record.holder, "");
  await clock.advance(3_000);
  assert.equal(b.elections.length, 1);
  assert.ok(b.elections[0]! > a.elections[0]!);
});

test("one that is only standing by writes nothing when it stops", async () => {
  const { clock, lease, start } = world();
  start("a");
  await clock.advance(3_000);
  const b = start("b");
  await clock.advance(3_000);
  const stopped = b.stop();
  await clock.advance(500);
  await stopped;
  assert.equal(lease.stored?.record.holder, "a");
});

test("a leader that is cut off stops before its lease ends for the others", async () => {
  const { clock, start } = world();
  const a = start("a");
  await clock.advance(3_000);
  const b = start("b");
  await clock.advance(10_000);
  a.isCutOff = true;
  await clock.advance(DEFAULT_LEASE_TIMES.renewDeadlineMs + 1);
  assert.equal(a.elector.epoch(), undefined);
  assert.match(a.lossReasons[0]!, /not renewed within 10 s/);
  assert.equal(b.elector.epoch(), undefined);
  await clock.advance(9_000);
  assert.equal(b.elections.length, 1);
  assert.ok(b.elections[0]! > a.elections[0]!);
  a.isCutOff = false;
  await clock.advance(30_000);
  assert.equal(a.elector.epoch(), undefined);
  assert.equal(a.elector.holder(), "b");
});

test("a resumed leader knows at once that its time is over", async () => {
  const { clock, start } = world();
  const a = start("a");
  await clock.advance(3_000);
  a.pause();
  await clock.advance(60_000);
  // None of its timers or answers has run.
  assert.equal(a.elector.epoch(), undefined);
  assert.deepEqual(a.lossReasons, []);
  a.resume();
  await clock.advance(3_000);
  assert.equal(a.lossReasons.length, 1);
  assert.equal(a.elections.length, 2);
});

test("a shard that has heard of a later epoch lifts the leader above it", async () => {
  const { clock, lease, start } = world();
  const a = start("a");
  await clock.advance(3_000);
  const later = a.elections[0]! + 3_600_000;
  a.elector.raise(later);
  await clock.advance(3_000);
  assert.deepEqual(a.elections.slice(1), [later + 1]);
  assert.deepEqual(a.lossReasons, []);
  // Someone deleted the lease: it is made anew, and the epochs go on.
  lease.stored = undefined;
  await clock.advance(10_000);
  assert.deepEqual(a.elections.slice(2), [later + 2]);
});

for (const seed of [1, 2, 3, 4])
  test(`50 kills, pauses and partitions, seed ${seed}: one leader an epoch`, async () => {
    const { clock, random, start } = world(seed);
    let started = 0;
    const processes: CoordinatorProcess[] = [];
    const acted = new Map<number, string>();
    let newest = 0;
    let leaderlessMs = 0;
    const stepMs = 100;
    const look = (): void => {
      const leaders = processes.filter((process) => process.epoch() !== undefined);
      assert.ok(leaders.length <= 1, `${leaders.length} leaders at once`);
      const [leader] = leaders;
      leaderlessMs = leader === undefined ? leaderlessMs + stepMs : 0;
      if (leader === undefined) return;
      const epoch = leader.epoch()!;
      const { identity } = leader.elector;
      assert.equal(acted.get(epoch) ?? identity, identity, `two led in epoch ${epoch}`);
      assert.ok(epoch >= newest, `epoch ${epoch} after ${newest}`);
      acted.set(epoch, identity);
      newest = epoch;
    };
    const pass = async (durationMs: number): Promise<void> => {
      for (let ms = 0; ms < durationMs; ms += stepMs) {
        await clock.advance(stepMs);
        look();
      }
    };
    const launch = (): void => void processes.push(start(`coordinator-${++started}`));
    launch();
    launch();
    await pass(5_000);
    for (let round = 0; round < 50; round++) {
      const victim = processes.find((process) => process.epoch() !== undefined);
      assert.ok(victim !== undefined, `nobody leads before round ${round}`);
      leaderlessMs = 0;
      const kind = randomInt(random, 3);
      if (kind === 0) victim.kill();
      if (kind === 1) victim.pause();
      if (kind === 2) victim.isCutOff = true;
      const failoverMs = 20_000;
      const before = newest;
      for (let ms = 0; ms < failoverMs && newest === before; ms += stepMs) await pass(stepMs);
      assert.ok(newest > before, `round ${round}, kind ${kind}: no new leader within 20 s`);
      await pass(randomInt(random, 10_000));
      if (kind === 0) {
        processes.splice(processes.indexOf(victim), 1);
        launch();
      } else if (kind === 1) {
        victim.resume();
        look();
      } else victim.isCutOff = false;
      await pass(3_000 + randomInt(random, 3_000));
    }
    const epochs = processes.flatMap((process) => process.elections);
    assert.equal(new Set(epochs).size, epochs.length);
    await Promise.all(processes.map((process) => process.stop()).concat(clock.advance(1_000)));
  });

import assert from "node:assert/strict";
import { test } from "node:test";
import { randomInt, seededRandom } from "../base/random.ts";
import {
  eventually,
  fastClock,
  NAMESPACE,
  startCluster,
  statefulSet,
} from "./statefulset-driver.fixture.ts";
import { fakeJob, fakeTarget, FakeWorld } from "./testdata/fake-shards.ts";

const SHARDS = 10;
const load = {
  series: 1_000,
  rawSeries: 1_000,
  samplesPerSecond: 100,
  bodyBytesPerSecond: 10_000,
  newSeriesPerHour: 0,
};

/** Kvass scaled this to 5 and deleted the claims of the other five. */
for (const maxIdleTimeMs of [0, 60_000])
  test(`6 of 10 shards unready, at least 5 wanted, idle time ${maxIdleTimeMs} ms: nothing is scaled`, async (context) => {
    const cluster = await startCluster(context, {
      sets: [statefulSet("shoal", SHARDS)],
      drivers: { clock: fastClock },
    });
    const { fake, drivers } = cluster;
    const [driver] = await eventually("it is there", () => drivers.drivers());
    await eventually("all are up", async () =>
      (await driver!.list()).every(({ url }) => url !== undefined),
    );
    const world = new FakeWorld(SHARDS);
    const targets = Array.from({ length: 30 }, (_, i) => fakeTarget(`t${i}`));
    for (const { url } of targets) world.loads.set(url, load);
    world.jobs = [fakeJob("m", targets)];
    Object.assign(world.groups[0]!, { driver });
    for (const [i, shard] of world.shards.entries())
      Object.assign(shard, { url: `http://127.0.0.${i + 1}:8080` });
    const coordinator = world.coordinator({
      limits: { maxHeadSeries: 50_000, maxProcessSeries: 50_000, maxSamplesPerSecond: 0 },
      minShards: 5,
      maxIdleTimeMs,
    });
    await world.turn(coordinator, 5);
    assert.equal(world.owners().size, targets.length);
    const replicas = (): unknown =>
      (fake.get("statefulsets", "shoal", NAMESPACE)!["spec"] as { replicas: number }).replicas;
    assert.equal(replicas(), SHARDS);
    const writes = (): number =>
      fake.accesses.filter(({ verb }) => verb === "update" || verb === "patch").length;
    const before = writes();

    for (let ordinal = 4; ordinal < SHARDS; ordinal++) {
      world.shards[ordinal]!.isDown = true;
      const pod = fake.get("pods", `shoal-${ordinal}`, NAMESPACE)!;
      const conditions = [{ type: "Ready", status: "False", reason: "ContainersNotReady" }];
      fake.put("pods", { ...pod, status: { ...(pod["status"] as object), conditions } });
    }
    await eventually(
      "six are away",
      async () => (await driver!.list()).filter(({ url }) => url === undefined).length === 6,
    );
    const random = seededRandom(7);
    const faults = [
      () => fake.fail({ action: { status: 409, reason: "Conflict" } }),
      () => fake.fail({ times: 3, action: { status: 500 } }),
      () => fake.fail({ times: 2, action: { status: 429, retryAfterSeconds: 1 } }),
      () => fake.fail({ action: "cut" }),
      () => fake.dropWatches(),
      () => fake.compact(),
      () => fake.breakWatches({ code: 410, reason: "Expired", message: "too old" }),
    ];
    // Three minutes and more: longer than the grace and the idle time.
    for (let i = 0; i < 20; i++) {
      faults[randomInt(random, faults.length)]!();
      await world.turn(coordinator, 1);
      assert.equal(replicas(), SHARDS);
    }
    assert.equal(writes(), before);
  });

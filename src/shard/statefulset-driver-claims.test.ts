import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { type Clock, systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { NO_LOAD } from "./load.ts";
import type { StatefulSetDriver } from "./statefulset-driver.ts";
import { RemovedClaims } from "./statefulset-driver-claims.ts";
import {
  eventually,
  type FakeCluster,
  NAMESPACE,
  startCluster,
  startDrivers,
  statefulSet,
} from "./statefulset-driver.fixture.ts";
import type { StatefulSetDrivers } from "./statefulset-drivers.ts";
import { fakeJob, fakeTarget, FakeWorld } from "./testdata/fake-shards.ts";

const HOUR_MS = 3_600_000;
const ALL_CLAIMS = ["data-shoal-0", "data-shoal-1", "data-shoal-2"];

/** Three shards with claims, and what a coordinator does about them, whose time a test sets forward. */
class Estate {
  readonly cluster: FakeCluster;
  #drivers: StatefulSetDrivers;
  #aheadMs = 0;
  readonly #context: TestContext;

  static async start(context: TestContext): Promise<Estate> {
    const sets = [statefulSet("shoal", 3)];
    const cluster = await startCluster(context, { sets, drivers: { deletesClaims: true } });
    const estate = new Estate(context, cluster);
    const driver = await estate.driver();
    await eventually("pods are up", async () => (await driver.list())[2]!.url !== undefined);
    return estate;
  }

  constructor(context: TestContext, cluster: FakeCluster) {
    this.#context = context;
    this.cluster = cluster;
    this.#drivers = cluster.drivers;
  }

  async driver(): Promise<StatefulSetDriver> {
    const [driver] = await eventually("the set is there", () => this.#drivers.drivers());
    return driver!;
  }

  /** Removes the last two shards, which have told `dataUntilMs` from now. */
  async scaleDown(dataInMs: Readonly<Record<string, number>>): Promise<void> {
    const driver = await this.driver();
    const known = Object.entries(dataInMs).map(([id, inMs]) => [id, Date.now() + inMs] as const);
    await driver.scale(1, new Map(known));
    await eventually("pods are gone", () => driver.isGone(1) && driver.isGone(2));
    await this.isSeen();
  }

  /** As `kubectl scale`, or a new image. */
  async change(spec: object): Promise<void> {
    const { fake } = this.cluster;
    const set = fake.get("statefulsets", "shoal", NAMESPACE)!;
    fake.put("statefulsets", { ...set, spec: { ...(set["spec"] as object), ...spec } });
  }

  /** The watch has told of the newest StatefulSet. */
  async isSeen(): Promise<void> {
    const driver = await this.driver();
    const newest = this.cluster.fake.get("statefulsets", "shoal", NAMESPACE)!.metadata.generation!;
    await eventually("it is seen", () => driver.isGoneSince(99, newest));
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.begin();
  }

  async stop(): Promise<void> {
    await this.#drivers.stop();
  }

  async begin(): Promise<void> {
    this.#drivers = await startDrivers(this.#context, this.cluster, { deletesClaims: true });
    const driver = await this.driver();
    await eventually("its pods are known", async () => (await driver.list()).length > 0);
  }

  later(ms: number): void {
    this.#aheadMs += ms;
  }

  async sweep(): Promise<void> {
    const clock: Clock = { ...systemClock, now: () => Date.now() + this.#aheadMs };
    const { client, registry } = this.cluster;
    const mayWrite = (): boolean => this.cluster.leads;
    const claims = new RemovedClaims({ client, mayWrite, clock, logger: silentLogger, registry });
    await claims.sweep(this.#drivers.drivers());
  }

  get claims(): string[] {
    const all = this.cluster.fake.list("persistentvolumeclaims", NAMESPACE);
    return all.map(({ metadata }) => metadata.name);
  }
}

test("a claim is deleted when its data has expired, and not before", async (context) => {
  const estate = await Estate.start(context);
  await estate.scaleDown({ "shoal-1": HOUR_MS, "shoal-2": -1 });
  await estate.sweep();
  assert.deepEqual(estate.claims, ["data-shoal-0", "data-shoal-1"]);
  assert.match(estate.cluster.registry.expose(), /shoal_removed_shards_kept_claims 1/);
  estate.later(HOUR_MS - 60_000);
  await estate.sweep();
  assert.deepEqual(estate.claims, ["data-shoal-0", "data-shoal-1"]);
  estate.later(120_000);
  await estate.sweep();
  assert.deepEqual(estate.claims, ["data-shoal-0"]);
  assert.match(estate.cluster.registry.expose(), /shoal_removed_shards_kept_claims 0/);
});

test("claims are kept where nobody told until when their data is wanted, or only an upload ends it", async (context) => {
  const estate = await Estate.start(context);
  await estate.scaleDown({ "shoal-2": Infinity });
  estate.later(10_000 * HOUR_MS);
  await estate.sweep();
  assert.deepEqual(estate.claims, ALL_CLAIMS);
  assert.match(estate.cluster.registry.expose(), /shoal_removed_shards_kept_claims 2/);
});

test("what is known outlives the coordinator, and changes of the set that it saw", async (context) => {
  const estate = await Estate.start(context);
  await estate.scaleDown({ "shoal-1": HOUR_MS, "shoal-2": HOUR_MS });
  await estate.change({ revisionHistoryLimit: 3 });
  await estate.isSeen();
  await estate.sweep();
  await estate.restart();
  await estate.sweep();
  assert.deepEqual(estate.claims, ALL_CLAIMS);
  estate.later(2 * HOUR_MS);
  await estate.sweep();
  assert.deepEqual(estate.claims, ["data-shoal-0"]);
});

test("a claim that was in use again while nobody looked has samples that its mark does not know", async (context) => {
  const estate = await Estate.start(context);
  await estate.scaleDown({ "shoal-1": -1, "shoal-2": -1 });
  await estate.stop();
  await estate.change({ replicas: 3 });
  await estate.change({ replicas: 1 });
  await estate.begin();
  await eventually("it is gone again", async () => (await estate.driver()).isGone(2));
  await estate.sweep();
  assert.deepEqual(estate.claims, ALL_CLAIMS);
});

test("a shard that somebody else brought back and took away again is no removed one", async (context) => {
  const estate = await Estate.start(context);
  await estate.scaleDown({ "shoal-1": -1, "shoal-2": -1 });
  await estate.change({ replicas: 2 });
  await estate.isSeen();
  await estate.change({ replicas: 1 });
  await estate.isSeen();
  await eventually("it is gone again", async () => (await estate.driver()).isGone(1));
  await estate.sweep();
  assert.deepEqual(estate.claims, ["data-shoal-0", "data-shoal-1"]);
});

test("a removal without evidence takes the evidence of an earlier one away", async (context) => {
  const estate = await Estate.start(context);
  await estate.scaleDown({ "shoal-1": -1, "shoal-2": -1 });
  const driver = await estate.driver();
  await driver.scale(3);
  await eventually("pods are up", async () => (await driver.list())[2]!.url !== undefined);
  await estate.scaleDown({ "shoal-2": -1 });
  await estate.restart();
  await estate.sweep();
  assert.deepEqual(estate.claims, ["data-shoal-0", "data-shoal-1"]);
});

test("a claim that cannot be marked is kept; the shard goes all the same", async (context) => {
  const estate = await Estate.start(context);
  estate.cluster.fake.fail({
    matches: ({ verb }) => verb === "patch",
    times: 9,
    action: { status: 403 },
  });
  await estate.scaleDown({ "shoal-1": -1, "shoal-2": -1 });
  estate.cluster.fake.healFaults();
  await estate.sweep();
  assert.deepEqual(estate.claims, ALL_CLAIMS);
});

test("a claim that cannot be deleted is tried again", async (context) => {
  const estate = await Estate.start(context);
  await estate.scaleDown({ "shoal-1": -1, "shoal-2": -1 });
  estate.cluster.fake.fail({
    matches: ({ verb }) => verb === "delete",
    times: 2,
    action: { status: 500 },
  });
  await estate.sweep();
  assert.deepEqual(estate.claims, ALL_CLAIMS);
  estate.cluster.fake.healFaults();
  await estate.sweep();
  assert.deepEqual(estate.claims, ["data-shoal-0"]);
});

test("nothing is deleted while the StatefulSet is not as it was last seen", async (context) => {
  const estate = await Estate.start(context);
  await estate.scaleDown({ "shoal-1": -1, "shoal-2": -1 });
  const { fake } = estate.cluster;
  fake.fail({ matches: ({ verb }) => verb === "watch", times: 1_000, action: "hang" });
  fake.dropWatches();
  await estate.change({ replicas: 2 });
  await estate.sweep();
  assert.deepEqual(estate.claims, ALL_CLAIMS);
});

test("who does not lead deletes nothing; other claims are not touched", async (context) => {
  const estate = await Estate.start(context);
  await estate.scaleDown({ "shoal-1": -1, "shoal-2": -1 });
  for (const name of ["data-shoal-x", "other-shoal-2", "data-shoal-2-3"])
    estate.cluster.fake.put("persistentvolumeclaims", {
      metadata: { name, namespace: NAMESPACE, labels: { group: "shoal" } },
    });
  const all = estate.claims;
  estate.cluster.leads = false;
  await estate.sweep();
  assert.deepEqual(estate.claims, all);
  estate.cluster.leads = true;
  await estate.sweep();
  assert.deepEqual(estate.claims.sort(), [
    "data-shoal-0",
    "data-shoal-2-3",
    "data-shoal-x",
    "other-shoal-2",
  ]);
});

test("the coordinator passes on what empty shards say of their data", async (context) => {
  const estate = await Estate.start(context);
  const driver = await estate.driver();
  const world = new FakeWorld(3);
  Object.assign(world.groups[0]!, { driver });
  const instances = await driver.list();
  for (const [i, shard] of world.shards.entries()) Object.assign(shard, { url: instances[i]!.url });
  const target = fakeTarget("t0");
  world.loads.set(target.url, { ...NO_LOAD, series: 10, rawSeries: 10 });
  world.jobs = [fakeJob("m", [target])];
  world.nowMs = Date.now();
  const coordinator = world.coordinator({ maxIdleTimeMs: 1 });
  world.shards[2]!.dataUntilMs = world.nowMs + 60_000;
  await world.turn(coordinator, 5);
  assert.equal(driver.desired, 3, "it waits for the samples to expire");
  world.nowMs = Math.max(world.nowMs, Date.now() + 60_000);
  await world.turn(coordinator, 2);
  assert.equal(driver.desired, 1);
  await eventually("pods are gone", () => driver.isGone(1) && driver.isGone(2));
  await estate.isSeen();
  await estate.sweep();
  assert.deepEqual(estate.claims, ALL_CLAIMS, "not yet, by the clock of the cluster");
  estate.later(120_000);
  await estate.sweep();
  assert.deepEqual(estate.claims, ["data-shoal-0", "data-shoal-1"]);
});

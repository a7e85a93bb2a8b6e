import assert from "node:assert/strict";
import { test } from "node:test";
import type { StatefulSetDriver } from "./statefulset-driver.ts";
import {
  eventually,
  type FakeCluster,
  fastClock,
  NAMESPACE,
  startCluster,
  statefulSet,
} from "./statefulset-driver.fixture.ts";

/** The one driver, once it knows its pods. */
async function driverOf(cluster: FakeCluster): Promise<StatefulSetDriver> {
  return eventually("the pods are listed", async () => {
    const [driver] = cluster.drivers.drivers();
    await driver!.list();
    return driver;
  });
}

const replicasOf = ({ fake }: FakeCluster, name = "shoal"): unknown =>
  (fake.get("statefulsets", name, NAMESPACE)!["spec"] as { replicas?: number }).replicas;

const claimsOf = ({ fake }: FakeCluster): string[] =>
  fake.list("persistentvolumeclaims", NAMESPACE).map(({ metadata }) => metadata.name);

/** Every write to a StatefulSet or its scale by the program. */
const scaleWrites = ({ fake }: FakeCluster): number =>
  fake.accesses.filter(
    ({ resource, verb }) => resource.startsWith("statefulsets") && !/get|list|watch/.test(verb),
  ).length;

test("shards are the ordinals that the spec asks for, up where their pods are", async (context) => {
  const cluster = await startCluster(context);
  const driver = await driverOf(cluster);
  await driver.scale(3);
  assert.equal(driver.desired, 3);
  assert.equal(replicasOf(cluster), 3);
  const shards = await eventually("three shards are up", async () => {
    const listed = await driver.list();
    return listed.every(({ url }) => url !== undefined) && listed.length === 3 ? listed : undefined;
  });
  assert.deepEqual(
    shards.map(({ id, url, grpcAddress }) => [id, url, grpcAddress]),
    [1, 2, 3].map((n) => [`shoal-${n - 1}`, `http://127.0.0.${n}:8080`, `127.0.0.${n}:10901`]),
  );
  await driver.scale(1);
  assert.equal((await driver.list()).length, 1);
  assert.equal(replicasOf(cluster), 1);
  assert.deepEqual(claimsOf(cluster), ["data-shoal-0", "data-shoal-1", "data-shoal-2"]);
});

test("a missing pod changes nothing about how many are asked for", async (context) => {
  // Nobody makes pods here: what there is, the test has put.
  const { fake: cluster } = await withPods(context, 3, [0, 2]);
  const driver = await driverOf(cluster);
  const shards = await driver.list();
  assert.equal(driver.desired, 3);
  assert.deepEqual(
    shards.map(({ url }) => url !== undefined),
    [true, false, true],
  );
  assert.equal(shards[1]!.error, "there is no pod for it");
  // The planner asks for what is there already: no write.
  await driver.scale(driver.desired);
  assert.equal(scaleWrites(cluster), 0);
});

test("a pod of the same name that somebody else made is not a shard", async (context) => {
  const { fake: cluster } = await withPods(context, 1, [0], { ownerUid: "another" });
  const driver = await driverOf(cluster);
  assert.equal((await driver.list())[0]!.error, "there is no pod for it");
});

test("a rolling update takes away the pods that it replaces, no others", async (context) => {
  const cluster = await startCluster(context, { sets: [statefulSet("shoal", 3)] });
  const driver = await driverOf(cluster);
  const { fake } = cluster;
  await eventually("pods are up", async () =>
    (await driver.list()).every(({ url }) => url !== undefined),
  );
  const set = fake.get("statefulsets", "shoal", NAMESPACE)!;
  fake.put("statefulsets", {
    ...set,
    status: { ...(set["status"] as object), currentRevision: "a", updateRevision: "b" },
  });
  const pod = fake.get("pods", "shoal-2", NAMESPACE)!;
  fake.put("pods", {
    ...pod,
    metadata: { ...pod.metadata, deletionTimestamp: new Date().toISOString() },
  });
  const shards = await eventually("the pod is going", async () => {
    const listed = await driver.list();
    return listed[2]!.url === undefined ? listed : undefined;
  });
  assert.deepEqual(
    shards.map(({ error }) => error),
    [undefined, undefined, "its pod is being deleted"],
  );
  fake.remove("pods", "shoal-2", NAMESPACE);
  const [, , third] = await eventually("a new pod is up", async () => {
    const listed = await driver.list();
    return listed[2]!.url !== undefined && listed;
  });
  assert.equal(third!.restarts, 1);
});

test("a change of the status at the same moment is no conflict to give up for", async (context) => {
  const cluster = await startCluster(context);
  const driver = await driverOf(cluster);
  const { fake } = cluster;
  const set = fake.get("statefulsets", "shoal", NAMESPACE)!;
  fake.put("statefulsets", { ...set, status: { ...(set["status"] as object), readyReplicas: 0 } });
  fake.fail({
    matches: ({ resource }) => resource === "statefulsets/scale",
    times: 3,
    action: { status: 409, reason: "Conflict" },
  });
  await driver.scale(4);
  assert.equal(replicasOf(cluster), 4);
});

test("what somebody else asks for meanwhile is not overwritten", async (context) => {
  const cluster = await startCluster(context);
  const driver = await driverOf(cluster);
  const { fake } = cluster;
  // The driver does not see it: no watch tells.
  fake.fail({ matches: ({ verb }) => verb === "watch", times: 1_000, action: "hang" });
  fake.dropWatches();
  const set = fake.get("statefulsets", "shoal", NAMESPACE)!;
  fake.put("statefulsets", { ...set, spec: { ...(set["spec"] as object), replicas: 7 } });
  await assert.rejects(driver.scale(2), /from 1 to 2: somebody set it to 7 meanwhile/);
  assert.equal(replicasOf(cluster), 7);
});

test("while the API is away or refuses, all stays as it was", async (context) => {
  const cluster = await startCluster(context, { sets: [statefulSet("shoal", 2)] });
  const driver = await driverOf(cluster);
  const before = await eventually("pods are up", async () => {
    const listed = await driver.list();
    return listed.every(({ url }) => url !== undefined) && listed;
  });
  const { fake } = cluster;
  for (const action of [{ status: 500 }, { status: 503 }, "cut"] as const) {
    fake.fail({ times: 1_000, action });
    fake.dropWatches();
    assert.deepEqual(await driver.list(), before);
    assert.equal(driver.desired, 2);
    await assert.rejects(driver.scale(5));
    fake.healFaults();
  }
  // It hangs longer than a request may take.
  fake.fail({ matches: ({ resource }) => resource.endsWith("scale"), action: "hang" });
  await assert.rejects(driver.scale(5), /deadline exceeded/);
  assert.equal(replicasOf(cluster), 2);
  // Too busy: asked again after the time it names.
  fake.fail({
    matches: ({ resource }) => resource.endsWith("scale"),
    action: { status: 429, retryAfterSeconds: 1 },
  });
  await driver.scale(3);
  assert.equal(replicasOf(cluster), 3);
});

test("a history that was thrown away is read anew", async (context) => {
  const cluster = await startCluster(context, { drivers: { clock: fastClock } });
  const driver = await driverOf(cluster);
  const { fake } = cluster;
  fake.compact();
  fake.breakWatches({ code: 410, reason: "Expired", message: "too old resource version" });
  await driver.scale(2);
  await eventually("both are up", async () => {
    const listed = await driver.list();
    return listed.length === 2 && listed.every(({ url }) => url !== undefined);
  });
});

test("who does not lead does not scale", async (context) => {
  const cluster = await startCluster(context);
  const driver = await driverOf(cluster);
  cluster.leads = false;
  await assert.rejects(driver.scale(2), /cannot scale StatefulSet monitoring\/shoal: not leading/);
  assert.equal(scaleWrites(cluster), 0);
});

test("a paused StatefulSet and one that is being deleted are left alone", async (context) => {
  const paused = statefulSet("shoal", 1, { metadata: { annotations: { "shoal/paused": "true" } } });
  const cluster = await startCluster(context, { sets: [paused] });
  const driver = await driverOf(cluster);
  await assert.rejects(driver.scale(2), /its annotation shoal\/paused says so/);
  const set = cluster.fake.get("statefulsets", "shoal", NAMESPACE)!;
  cluster.fake.put("statefulsets", {
    ...set,
    metadata: {
      ...set.metadata,
      annotations: {},
      deletionTimestamp: new Date().toISOString(),
    },
  });
  await eventually("it is seen", () => driver.set.isDeleting);
  await assert.rejects(driver.scale(2), /it is being deleted/);
  assert.equal(scaleWrites(cluster), 0);
});

test("where Kubernetes deletes volumes itself, shards go only when their data is safe", async (context) => {
  const set = statefulSet("shoal", 3, {
    spec: { persistentVolumeClaimRetentionPolicy: { whenScaled: "Delete" } },
  });
  const cluster = await startCluster(context, { sets: [set] });
  const driver = await driverOf(cluster);
  const known = new Map([
    ["shoal-1", Date.now() + 60_000],
    ["shoal-2", Date.now() - 1],
  ]);
  const refusal = /deletes the volume of shoal-1, whose data is not known/;
  await assert.rejects(driver.scale(1, known), refusal);
  await assert.rejects(driver.scale(2), /deletes the volume of shoal-2/);
  assert.equal(replicasOf(cluster), 3);
  await driver.scale(2, known);
  assert.equal(replicasOf(cluster), 2);
});

test("ordinals may start above zero", async (context) => {
  const set = statefulSet("shoal", 1, { spec: { ordinals: { start: 5 } } });
  const cluster = await startCluster(context, { sets: [set], fake: {} });
  const driver = await driverOf(cluster);
  assert.deepEqual(
    (await driver.list()).map(({ id, ordinal }) => [id, ordinal]),
    [["shoal-5", 0]],
  );
});

/** A cluster whose StatefulSet asks for `replicas`, where only `ordinals` have pods, and nobody makes more. */
async function withPods(
  context: Parameters<typeof startCluster>[0],
  replicas: number,
  ordinals: readonly number[],
  options: { ownerUid?: string } = {},
): Promise<{ fake: FakeCluster }> {
  const cluster = await startCluster(context, { sets: [], hasController: false });
  const set = cluster.fake.put("statefulsets", statefulSet("shoal", replicas));
  for (const ordinal of ordinals)
    cluster.fake.put("pods", {
      metadata: {
        name: `shoal-${ordinal}`,
        namespace: NAMESPACE,
        labels: { group: "shoal" },
        ownerReferences: [
          {
            kind: "StatefulSet",
            name: "shoal",
            uid: options.ownerUid ?? set.metadata.uid!,
            controller: true,
          },
        ],
      },
      status: {
        phase: "Running",
        podIP: `127.0.0.${ordinal + 1}`,
        conditions: [{ type: "Ready", status: "True" }],
      },
    });
  return { fake: cluster };
}

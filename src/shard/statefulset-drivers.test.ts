import assert from "node:assert/strict";
import { test } from "node:test";
import {
  eventually,
  type FakeCluster,
  NAMESPACE,
  SELECTOR,
  startCluster,
  statefulSet,
} from "./statefulset-driver.fixture.ts";

const namesOf = (cluster: FakeCluster): string[] =>
  cluster.drivers.drivers().map(({ set }) => set.name);

test("every StatefulSet that matches is a group, as they come and go", async (context) => {
  const cluster = await startCluster(context, {
    sets: [statefulSet("shoal-b", 1), statefulSet("shoal-a", 2)],
  });
  await eventually("both are there", () => namesOf(cluster).length === 2);
  assert.deepEqual(namesOf(cluster), ["shoal-a", "shoal-b"]);
  const { fake } = cluster;
  fake.put("statefulsets", { ...statefulSet("other", 1), metadata: { ...other, name: "other" } });
  fake.put("statefulsets", statefulSet("shoal-c", 1));
  await eventually("the third is there", () => namesOf(cluster).length === 3);
  fake.remove("statefulsets", "shoal-a", NAMESPACE);
  await eventually("the first is gone", () => namesOf(cluster).length === 2);
  assert.deepEqual(namesOf(cluster), ["shoal-b", "shoal-c"]);
  // Each has its own pods and its own number.
  const [b, c] = cluster.drivers.drivers();
  await b!.scale(3);
  assert.equal(c!.desired, 1);
  await eventually("b has three", async () => (await b!.list())[2]?.url !== undefined);
  assert.deepEqual(
    (await c!.list()).map(({ id }) => id),
    ["shoal-c-0"],
  );
});

const other = { namespace: NAMESPACE, labels: { "app.kubernetes.io/name": "other" } };

test("nothing that matches, and an API that does not answer, are said", async (context) => {
  const none = await startCluster(context, { sets: [] });
  await eventually("the list is there", () => {
    assert.throws(() => none.drivers.drivers(), {
      message: `there are no StatefulSets with ${SELECTOR} in namespace "monitoring": check --shard.selector`,
    });
    return true;
  });
  const forbidden = await startCluster(context, {
    fake: { enforcesRoles: true, tokens: { "": "nobody" } },
  });
  await eventually("the refusal is there", () => {
    assert.throws(
      () => forbidden.drivers.drivers(),
      /cannot list StatefulSets with .*: cannot list statefulsets.apps in namespace "monitoring": forbidden: .* grant the verb "list"/,
    );
    return true;
  });
});

test("over all namespaces, ids name theirs", async (context) => {
  const cluster = await startCluster(context, { drivers: { namespace: "" } });
  const [driver] = await eventually("it is there", () => cluster.drivers.drivers());
  assert.equal(driver!.shardId(0), "monitoring/shoal-0");
});

test("nodes and their zones come with the shards", async (context) => {
  const cluster = await startCluster(context, {
    sets: [statefulSet("shoal-a", 1), statefulSet("shoal-b", 1)],
  });
  const { fake, drivers } = cluster;
  for (const name of ["n1", "n2"])
    fake.put("nodes", {
      metadata: { name, labels: { "topology.kubernetes.io/zone": `zone-of-${name}` } },
    });
  await eventually("pods are up", () => fake.list("pods", NAMESPACE).length === 2);
  for (const pod of fake.list("pods", NAMESPACE))
    fake.put("pods", { ...pod, spec: { ...(pod["spec"] as object), nodeName: "n1" } });
  const { node } = await eventually("it is noticed", async () => {
    const [first] = await drivers.drivers()[0]!.list();
    return first!.node === "n1" && first;
  });
  assert.equal(node, "n1");
  await eventually(
    "the zone is known",
    async () => (await drivers.drivers()[0]!.list())[0]!.zone === "zone-of-n1",
  );
});

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { FakeKubernetes } from "./fake-kubernetes.ts";
import type { FakeObject } from "./fake-kubernetes-store.ts";

/** The StatefulSet controller: that of the real server is what the shard driver meets. */

async function start(
  t: TestContext,
  podStatus?: (pod: FakeObject) => Record<string, unknown> | undefined,
): Promise<FakeKubernetes> {
  const fake = await FakeKubernetes.start({
    statefulSets: podStatus === undefined ? {} : { podStatus },
  });
  t.after(() => fake.stop());
  return fake;
}

function set(replicas: number, policy: string): Omit<FakeObject, "apiVersion" | "kind"> {
  return {
    metadata: { name: "shard", namespace: "a" },
    spec: {
      replicas,
      podManagementPolicy: policy,
      selector: { matchLabels: { app: "shard" } },
      template: { metadata: { labels: { app: "shard" } }, spec: { containers: [{ name: "c" }] } },
      volumeClaimTemplates: [{ metadata: { name: "data" }, spec: {} }],
    },
  };
}

const names = (objects: readonly FakeObject[]): string[] => objects.map((one) => one.metadata.name);
const settled = (): Promise<void> =>
  new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test("pods follow the replicas, and claims stay", async (t) => {
  const fake = await start(t);
  fake.put("statefulsets", set(3, "Parallel"));
  await settled();
  assert.deepEqual(names(fake.list("pods", "a")), ["shard-0", "shard-1", "shard-2"]);
  fake.put("statefulsets", {
    ...fake.get("statefulsets", "shard", "a")!,
    spec: set(1, "Parallel")["spec"],
  });
  await settled();
  assert.deepEqual(names(fake.list("pods", "a")), ["shard-0"]);
  assert.deepEqual(names(fake.list("persistentvolumeclaims", "a")), [
    "data-shard-0",
    "data-shard-1",
    "data-shard-2",
  ]);
  assert.equal(
    (fake.get("statefulsets", "shard", "a")!["status"] as { readyReplicas: number }).readyReplicas,
    1,
  );
  fake.remove("pods", "shard-0", "a");
  await settled();
  assert.deepEqual(names(fake.list("pods", "a")), ["shard-0"], "a lost pod comes again");
});

test("in order, each pod waits until the one before it is ready", async (t) => {
  const fake = await start(t, () => undefined);
  fake.put("statefulsets", set(2, "OrderedReady"));
  await settled();
  assert.deepEqual(names(fake.list("pods", "a")), ["shard-0"]);
  const first = fake.get("pods", "shard-0", "a")!;
  fake.put("pods", { ...first, status: { conditions: [{ type: "Ready", status: "True" }] } });
  await settled();
  assert.deepEqual(names(fake.list("pods", "a")), ["shard-0", "shard-1"]);
});

/**
 * The manifests of deploy/kubernetes at work: on a fake API server, and with `npm run test:kubernetes` on a real control
 * plane. Coordinators use the service account that the manifests give them, so what they may not do fails.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { NODES, PERSISTENT_VOLUME_CLAIMS, PODS } from "../src/kubernetes/resources.ts";
import { grants, type FakeRule } from "./support/fake-kubernetes-rbac.ts";
import { KubernetesDemo, NAMESPACE, SHARDS } from "./support/kubernetes-demo.ts";
import { pick, readManifests } from "./support/manifests.ts";
import { apiData, until } from "./support/processes.ts";
import { value } from "./support/sidecar-shards.ts";

/** Quicker than a user would want. */
const FLAGS = ["--coordinator.interval=1s"];
/** A real control plane shares the machine with all that it starts. */
const SETTLE_MS = 180_000;
/** A leader renews for 10 s at most, a standby waits 15 s and a retry. */
const FAILOVER_MS = 20_000;

interface Targets {
  readonly activeTargets: readonly {
    readonly health: string;
    readonly shards: readonly string[];
  }[];
}

/** How many of six targets each shard has, once all are scraped well by exactly one. */
function settled(url: string): Promise<Record<string, number>> {
  return until(
    "six targets are scraped, each by one shard",
    async () => {
      const data = await apiData<Targets>(`${url}/api/v1/targets?state=active`).catch(
        () => undefined,
      );
      const targets = data?.activeTargets ?? [];
      const isDone =
        targets.length === 6 &&
        targets.every(({ health, shards }) => health === "up" && shards.length === 1);
      if (!isDone) return undefined;
      const counts: Record<string, number> = {};
      for (const { shards } of targets) counts[shards[0]!] = (counts[shards[0]!] ?? 0) + 1;
      return counts;
    },
    SETTLE_MS,
  );
}

test("six generators on Kubernetes end on three shards, and nothing shakes that", async (context) => {
  const demo = await KubernetesDemo.start(context);
  const { cluster } = demo;
  assert.equal((await demo.statefulSet()).replicas, 1);
  await demo.startCoordinator(FLAGS);
  await demo.startCoordinator(FLAGS);
  const [first, second] = demo.coordinators;

  await context.test("the StatefulSet grows from 1 to 3 by the load", async () => {
    // Anyone may be asked: a standby passes the question on.
    assert.deepEqual(await settled(first!.url), {
      [`${SHARDS}-0`]: 2,
      [`${SHARDS}-1`]: 2,
      [`${SHARDS}-2`]: 2,
    });
    assert.deepEqual(await settled(second!.url), await settled(first!.url));
    assert.equal((await demo.statefulSet()).replicas, 3);
    const claims = await cluster.client.list(PERSISTENT_VOLUME_CLAIMS, { namespace: NAMESPACE });
    assert.deepEqual(
      claims.items.map(({ metadata }) => metadata.name),
      [0, 1, 2].map((i) => `data-${SHARDS}-${i}`),
    );
  });

  await context.test("one query sees all of it", async () => {
    const url = await demo.startQuery();
    const count = await until("all series are there", async () => {
      const found = await value(url, 'count({__name__=~"a0+metrics0"})').catch(() => 0);
      return found === 60_000 ? found : undefined;
    });
    assert.equal(count, 60_000);
  });

  await context.test("a killed leader is followed by the other coordinator", async () => {
    const leader = await demo.leader();
    leader.container.child.kill("SIGKILL");
    const killedAt = performance.now();
    demo.coordinators.splice(demo.coordinators.indexOf(leader), 1);
    const next = await demo.leader();
    const tookMs = performance.now() - killedAt;
    assert.ok(tookMs <= FAILOVER_MS, `failover took ${tookMs} ms`);
    context.diagnostic(`failover took ${(tookMs / 1000).toFixed(1)} s`);
    await settled(next.url);
    assert.equal((await demo.statefulSet()).replicas, 3);
  });

  await context.test("a pod that is gone and finds no node changes no number", async () => {
    const before = await demo.statefulSet();
    if (cluster.kind === "fake") demo.kubelet.blockScheduling();
    else await cluster.client.patch(NODES, { name: "n1" }, { spec: { unschedulable: true } });
    await cluster.client.delete(PODS, { name: `${SHARDS}-1`, namespace: NAMESPACE });
    const { url } = await demo.leader();
    const reason = await until("the shard is said to be away", async () => {
      const { shards } = await apiData<{
        shards: { id: string; state: string; error: string }[];
      }>(`${url}/api/v1/shards`);
      const shard = shards.find(({ id }) => id === `${SHARDS}-1`);
      return shard?.error.includes("Unschedulable") === true ? shard.error : undefined;
    });
    assert.match(reason, /cannot be scheduled: Unschedulable: 0\/1 nodes are available/);
    // More looks at it.
    await sleep(5_000);
    assert.deepEqual(await demo.statefulSet(), before);
  });

  await context.test("an API that is away changes no number either", async () => {
    const before = await demo.statefulSet();
    await cluster.outage(() => sleep(3_000));
    await sleep(5_000);
    assert.deepEqual(await demo.statefulSet(), before);
    await demo.leader();
  });

  await context.test("what is asked of the API is what the manifests grant", async () => {
    for (const { container } of demo.coordinators)
      assert.doesNotMatch(container.output, /forbidden/);
    const { fake } = cluster;
    if (fake === undefined) return;
    const manifests = readManifests("embedded");
    const rulesOf = (kind: string): readonly FakeRule[] =>
      pick(manifests, kind, "shoal-coordinator")["rules"] as readonly FakeRule[];
    const rules = [...rulesOf("Role"), ...rulesOf("ClusterRole")];
    const used = fake.accesses.filter(({ user }) => user.endsWith(":shoal-coordinator"));
    for (const access of used)
      assert.ok(grants(rules, access), `${access.verb} ${access.resource} is not granted`);
    // And nothing is granted that is never asked for. Reading a StatefulSet follows a conflict: see the driver's tests.
    for (const { resources = [], verbs = [] } of rules)
      for (const resource of resources)
        for (const verb of verbs)
          assert.ok(
            (verb === "get" && resource === "statefulsets") ||
              used.some((access) => access.verb === verb && access.resource === resource),
            `${verb} ${resource} is granted and never used`,
          );
  });
});

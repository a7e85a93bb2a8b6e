/** The StatefulSet driver and the Lease, with the rights of the manifests, on a fake and on a real API server. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { systemClock } from "../src/base/clock.ts";
import { silentLogger } from "../src/base/logger.ts";
import { Registry } from "../src/base/metrics.ts";
import { systemRandom } from "../src/base/random.ts";
import type { KubeClient } from "../src/kubernetes/client.ts";
import { PERSISTENT_VOLUME_CLAIMS, SERVICES, STATEFUL_SETS } from "../src/kubernetes/resources.ts";
import { LeaseElector } from "../src/shard/lease-elector.ts";
import { KubernetesLeaseStore } from "../src/shard/lease-kubernetes.ts";
import { RemovedClaims } from "../src/shard/statefulset-driver-claims.ts";
import type { StatefulSetDriver } from "../src/shard/statefulset-driver.ts";
import { StatefulSetDrivers } from "../src/shard/statefulset-drivers.ts";
import { type Cluster, connect, create, startCluster } from "./support/kubernetes-cluster.ts";
import { readManifests } from "./support/manifests.ts";
import { until } from "./support/processes.ts";

const NAMESPACE = "shoal";
const SET = { name: "shoal-shard", namespace: NAMESPACE };

interface Setup {
  readonly cluster: Cluster;
  /** As the coordinator's service account. */
  readonly client: KubeClient;
  readonly drivers: StatefulSetDrivers;
}

async function start(context: TestContext): Promise<Setup> {
  const cluster = await startCluster(context);
  for (const object of readManifests("embedded", ["delete-pvc"]))
    if (object.kind !== "Deployment") await create(cluster, object);
  const kubeconfig = await cluster.serviceAccount(NAMESPACE, "shoal-coordinator");
  const client = await connect(context, kubeconfig);
  const drivers = new StatefulSetDrivers({
    client,
    namespace: NAMESPACE,
    selector: "app.kubernetes.io/name=shoal,app.kubernetes.io/component=shard",
    port: 8080,
    grpcPort: 10_901,
    deletesClaims: true,
    mayWrite: () => true,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    registry: new Registry(),
    onChange: () => {},
  });
  await drivers.start();
  context.after(() => drivers.stop());
  return { cluster, client, drivers };
}

function driverOf({ drivers }: Setup): Promise<StatefulSetDriver> {
  return until("the StatefulSet and its pods are known", async () => {
    try {
      const [driver] = drivers.drivers();
      await driver!.list();
      return driver;
    } catch {
      return undefined;
    }
  });
}

test("the number of shards is written with the version that was read; claims outlive shards", async (context) => {
  const setup = await start(context);
  const { cluster, client } = setup;
  const driver = await driverOf(setup);
  const replicas = async (): Promise<number> => {
    const set = await cluster.client.get<{ metadata: object; spec: { replicas: number } }>(
      STATEFUL_SETS,
      SET,
    );
    return set.spec.replicas;
  };
  const claims = async (): Promise<readonly (string | undefined)[]> => {
    const found = await cluster.client.list(PERSISTENT_VOLUME_CLAIMS, { namespace: NAMESPACE });
    return found.items.map(({ metadata }) => metadata.name);
  };
  assert.equal(driver.desired, 1);
  // The status changes all the time: labels and the like are no reason to give up.
  const touch = (text: string): Promise<unknown> =>
    cluster.client.patch(STATEFUL_SETS, SET, { metadata: { annotations: { text } } });
  await touch("one");
  await driver.scale(3);
  assert.equal(await replicas(), 3);
  await touch("two");
  await driver.scale(4);
  assert.equal(await replicas(), 4);
  await until("four claims are there", async () => (await claims()).length === 4 || undefined);
  assert.equal((await driver.list()).length, 4);

  await driver.scale(2, new Map([["shoal-shard-3", Date.now() - 1]]));
  await until("two pods are gone", async () => (driver.isGone(2) && driver.isGone(3)) || undefined);
  const sweeper = new RemovedClaims({
    client,
    mayWrite: () => true,
    clock: systemClock,
    logger: silentLogger,
    registry: new Registry(),
  });
  await until("one claim is deleted", async () => {
    await sweeper.sweep([driver]);
    return (await claims()).length === 3 || undefined;
  });
  await sweeper.sweep([driver]);
  assert.deepEqual(
    await claims(),
    [0, 1, 2].map((i) => `data-shoal-shard-${i}`),
  );
});

test("what is not granted is refused", async (context) => {
  const { client } = await start(context);
  const refused = (request: Promise<unknown>): Promise<void> =>
    assert.rejects(request, /forbidden/);
  await refused(client.patch(STATEFUL_SETS, SET, { spec: { replicas: 9 } }));
  await refused(client.delete(STATEFUL_SETS, SET));
  await refused(client.list(SERVICES, { namespace: NAMESPACE }));
  await refused(client.list(STATEFUL_SETS, { namespace: "kube-system" }));
});

test("two coordinators, one Lease: one leads, the other follows at once when it stops", async (context) => {
  const { client, cluster } = await start(context);
  const elect = (identity: string) => {
    const abort = new AbortController();
    context.after(() => abort.abort());
    const elector = new LeaseElector({
      identity,
      store: new KubernetesLeaseStore(client, { name: "shoal-coordinator", namespace: NAMESPACE }),
      times: { leaseDurationMs: 6_000, renewDeadlineMs: 4_000, retryMs: 200 },
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
    });
    const done = elector.run(abort.signal, { onElected: () => {}, onLost: () => {} });
    return { elector, abort, done };
  };
  const a = elect("http://a:9091");
  const first = await until("a leads", async () => a.elector.epoch());
  const b = elect("http://b:9091");
  await until("b knows", async () => b.elector.holder() === "http://a:9091" || undefined);
  // Longer than a leader may go without renewing.
  await cluster.outage(() => sleep(5_000));
  const leaders = [a, b].filter(({ elector }) => elector.epoch() !== undefined);
  assert.ok(leaders.length <= 1);
  const leader = await until("somebody leads again", async () =>
    [a, b].find(({ elector }) => elector.epoch() !== undefined),
  );
  const second = leader.elector.epoch()!;
  assert.ok(second > first);
  leader.abort.abort();
  await leader.done;
  const other = leader === a ? b : a;
  const third = await until("the other one leads", async () => other.elector.epoch(), 5_000);
  assert.ok(third > second);
  other.abort.abort();
  await other.done;
});

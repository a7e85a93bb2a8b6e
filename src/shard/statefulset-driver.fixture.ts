import { plainHttpClient } from "../config/plain-http-client.ts";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestContext } from "node:test";
import { FakeKubernetes, type FakeKubernetesOptions } from "../../test/support/fake-kubernetes.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { seededRandom } from "../base/random.ts";
import { createHttpClient } from "../http/client.ts";
import { KubeClient } from "../kubernetes/client.ts";
import { StatefulSetDrivers, type StatefulSetDriversOptions } from "./statefulset-drivers.ts";

export const NAMESPACE = "monitoring";
export const SELECTOR = "app.kubernetes.io/name=shoal";

type FakeObject = Parameters<FakeKubernetes["put"]>[1];

export interface FakeCluster {
  readonly fake: FakeKubernetes;
  readonly client: KubeClient;
  readonly drivers: StatefulSetDrivers;
  readonly registry: Registry;
  /** What the leader would say; true at first. */
  leads: boolean;
}

/** A fake API server and the drivers of its StatefulSets, which a test changes as it likes. */
export async function startCluster(
  context: TestContext,
  options: {
    readonly fake?: FakeKubernetesOptions;
    readonly sets?: readonly FakeObject[];
    readonly drivers?: Partial<StatefulSetDriversOptions>;
    /** Whether somebody makes pods for StatefulSets. Default true. */
    readonly hasController?: boolean;
  } = {},
): Promise<FakeCluster> {
  const fake = await FakeKubernetes.start({
    ...(options.hasController !== false && { statefulSets: {} }),
    ...options.fake,
  });
  for (const set of options.sets ?? [statefulSet("shoal", 1)]) fake.put("statefulsets", set);
  const client = new KubeClient({
    connection: {
      server: fake.url,
      namespace: NAMESPACE,
      httpClient: plainHttpClient(),
      credentials: undefined,
    },
    createHttpClient: (config) => createHttpClient(config, { userAgent: "test" }),
    requestTimeoutMs: 2_000,
  });
  const registry = new Registry();
  const cluster = { fake, client, registry, leads: true };
  context.after(async () => {
    await client.close();
    await fake.stop();
  });
  const drivers = await startDrivers(context, cluster, options.drivers);
  return Object.assign(cluster, { drivers });
}

/** The drivers of one coordinator; a cluster may have several. */
export async function startDrivers(
  context: TestContext,
  cluster: Omit<FakeCluster, "drivers">,
  options: Partial<StatefulSetDriversOptions> = {},
): Promise<StatefulSetDrivers> {
  const drivers = new StatefulSetDrivers({
    client: cluster.client,
    namespace: NAMESPACE,
    selector: SELECTOR,
    port: 8080,
    grpcPort: 10901,
    deletesClaims: false,
    mayWrite: () => cluster.leads,
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    registry: cluster.registry,
    onChange: () => {},
    ...options,
  });
  await drivers.start();
  context.after(() => drivers.stop());
  return drivers;
}

export function statefulSet(
  name: string,
  replicas: number,
  rest: { readonly spec?: object; readonly metadata?: object } = {},
): FakeObject {
  const labels = { "app.kubernetes.io/name": "shoal", group: name };
  return {
    metadata: { name, namespace: NAMESPACE, labels, ...rest.metadata },
    spec: {
      replicas,
      podManagementPolicy: "Parallel",
      selector: { matchLabels: { group: name } },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            { name: "shard", image: "shoal", ports: [{ name: "grpc", containerPort: 10901 }] },
          ],
        },
      },
      volumeClaimTemplates: [{ metadata: { name: "data" }, spec: {} }],
      ...rest.spec,
    },
  };
}

/** Runs twenty times as fast: for waits that a server is to be spared by. */
export const fastClock: Clock = {
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic() * 20,
  after: (delayMs, callback) => systemClock.after(delayMs / 20, callback),
  sleep: (delayMs, signal) => systemClock.sleep(delayMs / 20, signal),
};

/** Waits until `condition` gives something other than undefined or false; errors count as not yet. */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  let last: unknown;
  const deadline = systemClock.monotonic() + 30_000;
  while (systemClock.monotonic() < deadline) {
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    await sleep(20);
  }
  throw new Error(`still not: ${what}`, { cause: last });
}

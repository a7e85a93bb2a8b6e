/** deploy/kubernetes, run for real as far as there is no kubelet: six generators, shards, two coordinators, one query. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { parse, stringify } from "yaml";
import { LEASES, type KubeObject, STATEFUL_SETS } from "../../src/kubernetes/resources.ts";
import { type Container, Kubelet, PodNetwork, RunningContainer } from "./kubelet.ts";
import { type Cluster, create, startCluster } from "./kubernetes-cluster.ts";
import { type Manifest, MANIFESTS, parseManifests, pick, readManifests } from "./manifests.ts";
import { until } from "./processes.ts";

export const NAMESPACE = "shoal";
export const SHARDS = "shoal-shard";
const LEASE = "shoal-coordinator";

export interface Coordinator {
  readonly url: string;
  readonly container: RunningContainer;
}

export class KubernetesDemo {
  readonly cluster: Cluster;
  readonly kubelet: Kubelet;
  readonly coordinators: Coordinator[] = [];
  readonly network = new PodNetwork();
  readonly #manifests: readonly Manifest[];
  readonly #folder: string;
  readonly #containers: RunningContainer[] = [];
  #kubeconfig = "";

  private constructor(parts: { cluster: Cluster; manifests: readonly Manifest[]; folder: string }) {
    this.cluster = parts.cluster;
    this.#manifests = parts.manifests;
    this.#folder = parts.folder;
    this.kubelet = new Kubelet({
      ...parts,
      namespace: NAMESPACE,
      network: this.network,
      runs: ({ metadata: { labels = {} } }) =>
        labels["app.kubernetes.io/component"] === "shard" ||
        labels["app.kubernetes.io/name"] === "metrics",
    });
  }

  static async start(context: TestContext): Promise<KubernetesDemo> {
    const folder = mkdtempSync(join(tmpdir(), "shoal-demo-"));
    context.after(() => rmSync(folder, { recursive: true, force: true }));
    const cluster = await startCluster(context);
    const generators = parseManifests(
      readFileSync(join(MANIFESTS, "demo/generators.yaml"), "utf8"),
    );
    const manifests = readManifests("embedded");
    const demo = new KubernetesDemo({ cluster, manifests, folder });
    context.after(() => demo.#stop());
    await create(cluster, NODE);
    // The coordinators and the query are run by this test, with the address of the cluster.
    for (const object of manifests) if (object.kind !== "Deployment") await create(cluster, object);
    for (const object of generators)
      if (cluster.kind === "real") await create(cluster, object);
      else for (const pod of podsOf(object)) await create(cluster, pod);
    demo.kubelet.start();
    demo.#kubeconfig = await cluster.serviceAccount(NAMESPACE, "shoal-coordinator");
    demo.#writeConfig();
    return demo;
  }

  /** One more replica of the coordinator's Deployment. */
  async startCoordinator(flags: readonly string[] = []): Promise<Coordinator> {
    const ip = this.network.address();
    const container = this.#run("shoal-coordinator", {
      ip,
      args: [`--kubeconfig=${this.#kubeconfig}`, ...flags],
    });
    const coordinator = { url: `http://${ip}:9091`, container };
    this.coordinators.push(coordinator);
    await answers(coordinator.url, container);
    return coordinator;
  }

  async startQuery(): Promise<string> {
    const ip = this.network.address();
    const container = this.#run("shoal-query", {
      ip,
      args: [`--coordinator.url=${this.coordinators[0]!.url}`],
    });
    await answers(`http://${ip}:9090`, container);
    return `http://${ip}:9090`;
  }

  /** The coordinator that the Lease names, once it names one of those that run. */
  leader(): Promise<Coordinator> {
    return until("a coordinator leads", async () => {
      const lease = await this.cluster.client
        .get<KubeObject & { spec?: { holderIdentity?: string } }>(LEASES, {
          name: LEASE,
          namespace: NAMESPACE,
        })
        .catch(() => undefined);
      return this.coordinators.find(({ url }) => url === lease?.spec?.holderIdentity);
    });
  }

  async statefulSet(): Promise<{ replicas: number; generation: number }> {
    const { spec, metadata } = await this.cluster.client.get<
      KubeObject & { spec: { replicas: number } }
    >(STATEFUL_SETS, { name: SHARDS, namespace: NAMESPACE });
    return { replicas: spec.replicas, generation: metadata.generation ?? 0 };
  }

  #run(deployment: string, options: { ip: string; args: readonly string[] }): RunningContainer {
    const { template } = pick(this.#manifests, "Deployment", deployment)["spec"] as {
      template: { spec: { containers: readonly Container[] } };
    };
    const container = new RunningContainer(template.spec.containers[0]!, {
      ...options,
      fields: { "metadata.namespace": NAMESPACE, "status.podIP": options.ip },
      folders: { "/etc/shoal": join(this.#folder, "config") },
    });
    this.#containers.push(container);
    return container;
  }

  /** The ConfigMap as it is mounted; discovery asks this test's cluster, and scrapes are more frequent. */
  #writeConfig(): void {
    mkdirSync(join(this.#folder, "config"), { recursive: true });
    const { data } = pick(this.#manifests, "ConfigMap", "shoal-config");
    const config = parse((data as Record<string, string>)["prometheus.yml"]!) as {
      global: { scrape_interval: string };
      scrape_configs: { kubernetes_sd_configs: Record<string, unknown>[] }[];
    };
    config.global.scrape_interval = "3s";
    for (const discovery of config.scrape_configs[0]!.kubernetes_sd_configs)
      Object.assign(discovery, {
        kubeconfig_file: this.#kubeconfig,
        namespaces: { names: [NAMESPACE] },
      });
    writeFileSync(join(this.#folder, "config", "prometheus.yml"), stringify(config));
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#containers.map((container) => container.stop()));
    await this.kubelet.stop();
  }
}

/** Enough for everything; without a kubelet it is ready because the test says so. */
const NODE: Manifest = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "n1", labels: { "topology.kubernetes.io/zone": "z1" } },
  status: {
    capacity: { cpu: "64", memory: "256Gi", pods: "200" },
    allocatable: { cpu: "64", memory: "256Gi", pods: "200" },
    conditions: [{ type: "Ready", status: "True" }],
  },
};

/** What the Deployment controller makes of a Deployment. */
function podsOf({ metadata, spec }: Manifest): Manifest[] {
  const { replicas, template } = spec as { replicas: number; template: KubeObject };
  return Array.from({ length: replicas }, (_, i) => ({
    ...template,
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...template.metadata, name: `${metadata.name}-${i}`, namespace: NAMESPACE },
  }));
}

async function answers(url: string, container: RunningContainer): Promise<void> {
  await until(`${url} is ready`, async () => {
    const { exitCode, signalCode } = container.child;
    if (exitCode !== null || signalCode !== null)
      throw new Error(`it ended with ${exitCode ?? signalCode}: ${container.output}`);
    const response = await fetch(`${url}/-/ready`).catch(() => undefined);
    return response?.ok === true ? true : undefined;
  });
}

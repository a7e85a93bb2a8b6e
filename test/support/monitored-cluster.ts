/** A fake cluster with the Prometheus operator's custom resources, and the pod of a service that they find. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { grants, type FakeRule } from "./fake-kubernetes-rbac.ts";
import { FakeKubernetes } from "./fake-kubernetes.ts";
import { MONITORING_TYPES } from "./fake-monitoring.ts";
import { type Manifest, readManifests } from "./manifests.ts";

const ACCOUNT = "system:serviceaccount:shoal:shoal-coordinator";
const TOKEN = "coordinator-token";
/** The namespace of what is monitored. */
export const SHOP = "shop";

export class MonitoredCluster {
  readonly fake: FakeKubernetes;
  /** For the coordinator's service account, which may do what the manifests grant. */
  readonly kubeconfig: string;
  readonly #rules: readonly FakeRule[];

  private constructor(fake: FakeKubernetes, kubeconfig: string, rules: readonly FakeRule[]) {
    this.fake = fake;
    this.kubeconfig = kubeconfig;
    this.#rules = rules;
  }

  static async start(folder: string): Promise<MonitoredCluster> {
    const fake = await FakeKubernetes.start({
      types: MONITORING_TYPES,
      tokens: { [TOKEN]: ACCOUNT },
      enforcesRoles: true,
    });
    const manifests = readManifests("embedded", ["cluster-discovery", "monitors"]);
    const roles = manifests.filter(({ kind }) => kind.startsWith("ClusterRole"));
    for (const role of roles)
      fake.put(role.kind === "ClusterRole" ? "clusterroles" : "clusterrolebindings", role);
    // As the component says.
    fake.put("rolebindings", {
      metadata: { name: "shoal-monitor-secrets", namespace: SHOP },
      roleRef: { kind: "ClusterRole", name: "shoal-monitor-secrets" },
      subjects: [{ kind: "ServiceAccount", name: "shoal-coordinator", namespace: "shoal" }],
    });
    const kubeconfig = join(folder, "kubeconfig");
    // JSON is YAML.
    const text = JSON.stringify({
      "current-context": "c",
      contexts: [{ name: "c", context: { cluster: "c", user: "u", namespace: "shoal" } }],
      clusters: [{ name: "c", cluster: { server: fake.url } }],
      users: [{ name: "u", user: { token: TOKEN } }],
    });
    writeFileSync(kubeconfig, text, { mode: 0o600 });
    const rulesOf = (role: Manifest): FakeRule[] => role["rules"] as FakeRule[];
    const ours = manifests.filter(({ metadata }) => metadata.name.startsWith("shoal-monitor"));
    const rules = ours.filter(({ kind }) => kind === "ClusterRole").flatMap(rulesOf);
    return new MonitoredCluster(fake, kubeconfig, rules);
  }

  /** Selects every ServiceMonitor, PodMonitor, Probe and ScrapeConfig of namespaces that are labelled `monitored: "yes"`. */
  selectAll(spec: Record<string, unknown> = {}): void {
    const selectors = ["serviceMonitor", "podMonitor", "probe", "scrapeConfig"].flatMap((kind) => [
      [`${kind}Selector`, {}],
      [`${kind}NamespaceSelector`, { matchLabels: { monitored: "yes" } }],
    ]);
    this.fake.put("prometheuses", {
      metadata: { namespace: "monitoring", name: "k8s" },
      spec: { scrapeInterval: "1s", ...Object.fromEntries(selectors), ...spec },
    });
    this.fake.put("namespaces", { metadata: { name: SHOP, labels: { monitored: "yes" } } });
  }

  /** A service `name` with one pod that listens at `address`, and the port `http`. */
  serve(name: string, address: string): void {
    const [ip, port] = address.split(":");
    const metadata = { namespace: SHOP, name, labels: { app: name } };
    this.fake.put("services", {
      metadata,
      spec: { ports: [{ name: "http", port: Number(port) }], type: "ClusterIP" },
    });
    this.fake.put("pods", {
      metadata: { ...metadata, name: `${name}-0` },
      spec: {
        nodeName: "n1",
        containers: [
          { name: "main", ports: [{ name: "http", containerPort: Number(port), protocol: "TCP" }] },
        ],
      },
      status: { phase: "Running", podIP: ip, conditions: [{ type: "Ready", status: "True" }] },
    });
    this.fake.put("endpoints", {
      metadata,
      subsets: [
        {
          addresses: [{ ip, targetRef: { kind: "Pod", namespace: SHOP, name: `${name}-0` } }],
          ports: [{ name: "http", port: Number(port), protocol: "TCP" }],
        },
      ],
    });
  }

  serviceMonitor(name: string, endpoint: Record<string, unknown> = {}): void {
    this.fake.put("servicemonitors", {
      metadata: { namespace: SHOP, name },
      spec: {
        selector: { matchLabels: { app: name } },
        endpoints: [{ port: "http", ...endpoint }],
      },
    });
  }

  secret(name: string, values: Readonly<Record<string, string>>): void {
    const data = Object.entries(values).map(([key, value]) => [
      key,
      Buffer.from(value).toString("base64"),
    ]);
    this.fake.put("secrets", {
      metadata: { namespace: SHOP, name },
      data: Object.fromEntries(data) as unknown,
    });
  }

  /** What the coordinator may do by the component's roles and never did, and what it asked for beyond all roles. */
  rights(): { readonly unused: string[]; readonly forbidden: string[] } {
    const { accesses } = this.fake;
    const roles = this.fake.list("clusterroles").flatMap((role) => role["rules"] as FakeRule[]);
    const forbidden = accesses.filter((access) => !grants(roles, access));
    const unused = this.#rules.flatMap(({ resources = [], verbs = [] }) =>
      resources.flatMap((resource) =>
        verbs
          .filter(
            (verb) =>
              !accesses.some((access) => access.resource === resource && access.verb === verb),
          )
          .map((verb) => `${verb} ${resource}`),
      ),
    );
    return { unused, forbidden: forbidden.map(({ verb, resource }) => `${verb} ${resource}`) };
  }

  /** The API answers nobody, until `healFaults`. */
  outage(): void {
    this.fake.fail({ times: Infinity, action: "cut" });
    this.fake.dropWatches();
  }
}

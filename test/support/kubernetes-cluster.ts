/**
 * A cluster for system tests: the fake API server in the test's own process, or, with `SHOAL_KUBERNETES` (npm run
 * test:kubernetes), a real control plane. Both hold roles to what they grant. Neither has a kubelet: see `kubelet.ts`.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type ControlPlane, startControlPlane } from "../../scripts/kubernetes-control-plane.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { HttpClientConfig } from "../../src/config/types.ts";
import { createHttpClient, type HttpClient } from "../../src/http/client.ts";
import { KubeClient } from "../../src/kubernetes/client.ts";
import { kubeconfigConnection } from "../../src/kubernetes/kubeconfig.ts";
import { resourcePath, type ResourceType } from "../../src/kubernetes/resources.ts";
import { FakeKubernetes } from "./fake-kubernetes.ts";
import type { Manifest } from "./manifests.ts";

export interface Cluster {
  readonly kind: "fake" | "real";
  /** As the administrator. */
  readonly client: KubeClient;
  /** Only in a fake cluster: what was asked, and faults. */
  readonly fake: FakeKubernetes | undefined;
  /** Path of a kubeconfig for a service account. */
  serviceAccount(namespace: string, name: string): Promise<string>;
  /** The API does not answer while `action` runs. */
  outage(action: () => Promise<void>): Promise<void>;
  /** What the server says about creating `object`, without doing it: "" when it would. Only a real one can tell. */
  dryRun(object: Manifest): Promise<string>;
}

/** The types of our manifests, by kind. */
const TYPES: Readonly<Record<string, readonly [apiVersion: string, plural: string]>> = {
  Namespace: ["v1", "namespaces"],
  ServiceAccount: ["v1", "serviceaccounts"],
  ConfigMap: ["v1", "configmaps"],
  Service: ["v1", "services"],
  Node: ["v1", "nodes"],
  Pod: ["v1", "pods"],
  Deployment: ["apps/v1", "deployments"],
  StatefulSet: ["apps/v1", "statefulsets"],
  Role: ["rbac.authorization.k8s.io/v1", "roles"],
  RoleBinding: ["rbac.authorization.k8s.io/v1", "rolebindings"],
  ClusterRole: ["rbac.authorization.k8s.io/v1", "clusterroles"],
  ClusterRoleBinding: ["rbac.authorization.k8s.io/v1", "clusterrolebindings"],
  NetworkPolicy: ["networking.k8s.io/v1", "networkpolicies"],
  Ingress: ["networking.k8s.io/v1", "ingresses"],
  PodDisruptionBudget: ["policy/v1beta1", "poddisruptionbudgets"],
};

export function typeOf({ kind, apiVersion }: Manifest): ResourceType {
  const known = TYPES[kind];
  if (known === undefined || known[0] !== apiVersion)
    throw new Error(`no type is known for ${kind} of ${apiVersion}`);
  const [version, group = ""] = apiVersion.split("/").reverse();
  const isNamespaced = !["Namespace", "Node", "ClusterRole", "ClusterRoleBinding"].includes(kind);
  return { group, version: version!, plural: known[1], kind, isNamespaced };
}

export async function create(cluster: Cluster, object: Manifest): Promise<void> {
  await cluster.client.create(typeOf(object), object);
}

export async function startCluster(context: TestContext): Promise<Cluster> {
  const binaries = process.env["SHOAL_KUBERNETES"];
  const folder = mkdtempSync(join(tmpdir(), "shoal-cluster-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return binaries === undefined
    ? startFake(context, folder)
    : startReal(context, { folder, binaries });
}

async function startFake(context: TestContext, folder: string): Promise<Cluster> {
  const tokens: Record<string, string> = { admin: "admin" };
  const fake = await FakeKubernetes.start({
    tokens,
    enforcesRoles: true,
    types: [
      {
        group: "networking.k8s.io",
        version: "v1",
        plural: "networkpolicies",
        kind: "NetworkPolicy",
        isNamespaced: true,
        hasStatus: false,
      },
    ],
    // The test's kubelet runs the pods.
    statefulSets: { podStatus: () => undefined },
  });
  context.after(() => fake.stop());
  const kubeconfig = (namespace: string, token: string): string =>
    writeKubeconfig(join(folder, `${token}.kubeconfig`), {
      cluster: { server: fake.url },
      namespace,
      token,
    });
  const client = await connect(context, kubeconfig("default", "admin"));
  return {
    kind: "fake",
    client,
    fake,
    async serviceAccount(namespace, name) {
      const token = `${namespace}-${name}`;
      tokens[token] = `system:serviceaccount:${namespace}:${name}`;
      return kubeconfig(namespace, token);
    },
    async outage(action) {
      fake.fail({ times: Infinity, action: "cut" });
      fake.dropWatches();
      await action();
      fake.healFaults();
    },
    dryRun: async () => "",
  };
}

async function startReal(
  context: TestContext,
  { folder, binaries }: { folder: string; binaries: string },
): Promise<Cluster> {
  const plane = await startControlPlane(binaries);
  context.after(() => plane.stop());
  const client = await connect(context, plane.kubeconfig);
  const access = { server: plane.url, "certificate-authority": plane.caFile };
  return {
    kind: "real",
    client,
    fake: undefined,
    async serviceAccount(namespace, name) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
      const answer = (await post(plane, path, {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { expirationSeconds: 3_600 },
      })) as { status: { token: string } };
      return writeKubeconfig(join(folder, `${namespace}-${name}.kubeconfig`), {
        cluster: access,
        namespace,
        token: answer.status.token,
      });
    },
    outage: (action) => plane.pauseApiServer(action),
    async dryRun(object) {
      const type = typeOf(object);
      const { namespace } = object.metadata;
      const path = resourcePath(type, namespace === undefined ? {} : { namespace });
      const answer = (await post(plane, `${path}?dryRun=All`, object)) as { message?: string };
      return answer.message ?? "";
    },
  };
}

function writeKubeconfig(
  path: string,
  access: { cluster: object; namespace: string; token: string },
): string {
  const { cluster, namespace, token } = access;
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    contexts: [{ name: "test", context: { cluster: "test", user: "test", namespace } }],
    clusters: [{ name: "test", cluster }],
    users: [{ name: "test", user: { token } }],
  };
  // JSON is YAML.
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

export async function connect(context: TestContext, kubeconfig: string): Promise<KubeClient> {
  const newHttpClient = (config: HttpClientConfig): HttpClient =>
    createHttpClient(config, { userAgent: "test" });
  const client = new KubeClient({
    connection: await kubeconfigConnection(kubeconfig, {
      environment: {},
      clock: systemClock,
      createHttpClient: newHttpClient,
    }),
    createHttpClient: newHttpClient,
  });
  context.after(() => client.close());
  return client;
}

/** For what the program itself never asks. */
function post(plane: ControlPlane, path: string, body: unknown): Promise<unknown> {
  const text = JSON.stringify(body);
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const asked = request(
    plane.url + path,
    {
      method: "POST",
      ca: readFileSync(plane.caFile),
      headers: { Authorization: `Bearer ${plane.token}`, "Content-Type": "application/json" },
      agent: false,
    },
    (response) => {
      let answer = "";
      response.on("data", (data: Buffer) => (answer += data.toString()));
      response.on("end", () => resolve(JSON.parse(answer)));
    },
  );
  asked.on("error", reject).end(text);
  return promise;
}

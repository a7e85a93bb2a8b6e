/**
 * deploy/kubernetes and deploy/helm: that they are accepted by a real API server (npm run test:kubernetes), and what can be
 * said of them without one. Helm's templates are rendered where a helm is there (SHOAL_HELM or on PATH).
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { type Cluster, create, startCluster } from "./support/kubernetes-cluster.ts";
import {
  type Manifest,
  MANIFESTS,
  parseManifests,
  pick,
  readManifests,
} from "./support/manifests.ts";

const VARIANTS: readonly (readonly [folder: string, components?: readonly string[]])[] = [
  ["prometheus"],
  ["embedded"],
  ["replica-groups"],
  ["demo", ["delete-pvc", "cluster-discovery"]],
  ["embedded", ["cluster-discovery", "monitors"]],
];

test("every variant of the manifests is accepted", async (context) => {
  const cluster = await startCluster(context);
  await create(cluster, pick(readManifests("embedded"), "Namespace", "shoal"));
  for (const [folder, components] of VARIANTS)
    await accepts(cluster, readManifests(folder, components));
});

test("pods run as nobody, read-only and with probes", () => {
  for (const [folder, components] of VARIANTS)
    for (const { kind, spec } of readManifests(folder, components)) {
      if (kind !== "Deployment" && kind !== "StatefulSet") continue;
      const pod = spec.template.spec;
      assert.equal(pod.securityContext.runAsNonRoot, true);
      assert.equal(pod.securityContext.seccompProfile.type, "RuntimeDefault");
      for (const container of pod.containers) {
        assert.deepEqual(container.securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        assert.notEqual(container.readinessProbe, undefined);
        assert.notEqual(container.resources.limits.memory, undefined);
      }
    }
});

test("two replica groups are told apart in everything that must differ", () => {
  const objects = readManifests("replica-groups");
  for (const group of ["a", "b"]) {
    const { metadata, spec } = pick(objects, "StatefulSet", `shoal-shard-${group}`);
    assert.equal(metadata.labels?.["shoal/group"], group);
    assert.equal(spec.selector.matchLabels["shoal/group"], group);
    assert.equal(spec.template.metadata.labels["shoal/group"], group);
    assert.equal(spec.serviceName, `shoal-shard-${group}`);
    pick(objects, "Service", `shoal-shard-${group}`);
    const { podAntiAffinity } = spec.template.spec.affinity;
    for (const {
      podAffinityTerm,
    } of podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution)
      assert.deepEqual(podAffinityTerm.labelSelector.matchExpressions[0].values, [group]);
  }
});

test("claims may be deleted only in the component for it", () => {
  const verbs = (objects: readonly Manifest[]): boolean =>
    JSON.stringify(objects).includes("persistentvolumeclaims");
  const flag = (objects: readonly Manifest[]): boolean =>
    pick(objects, "Deployment", "shoal-coordinator")[
      "spec"
    ].template.spec.containers[0].args.includes("--shard.delete-pvc");
  const plain = readManifests("prometheus");
  assert.deepEqual([verbs(plain), flag(plain)], [false, false]);
  const component = readManifests("prometheus", ["delete-pvc"]);
  assert.deepEqual([verbs(component), flag(component)], [true, true]);
});

test("custom resources are scraped only with the component for it, and Secrets read only where they are granted", () => {
  const grants = (objects: readonly Manifest[]): boolean =>
    JSON.stringify(objects).includes("monitoring.coreos.com");
  const flags = (objects: readonly Manifest[]): string[] =>
    pick(objects, "Deployment", "shoal-coordinator")[
      "spec"
    ].template.spec.containers[0].args.filter((flag: string) => flag.startsWith("--operator."));
  const plain = readManifests("prometheus");
  assert.deepEqual([grants(plain), flags(plain)], [false, []]);
  const component = readManifests("prometheus", ["monitors"]);
  assert.equal(grants(component), true);
  assert.deepEqual(flags(component), ["--operator.prometheus=monitoring/k8s"]);
  const secrets = pick(component, "ClusterRole", "shoal-monitor-secrets");
  assert.deepEqual(secrets["rules"], [
    { apiGroups: [""], resources: ["secrets", "configmaps"], verbs: ["get"] },
  ]);
  const bindings = component.filter(({ kind }) => kind.endsWith("RoleBinding"));
  assert.ok(bindings.every(({ roleRef }) => roleRef.name !== "shoal-monitor-secrets"));
});

const CHART = join(MANIFESTS, "../helm/shoal");
const HELM = process.env["SHOAL_HELM"] ?? "helm";
const hasHelm = spawnSync(HELM, ["version"]).status === 0;
const withoutHelm = hasHelm ? false : "skipped: no helm here (SHOAL_HELM)";

function helm(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(HELM, args, { encoding: "utf8" });
}

test("the chart renders objects that are accepted", { skip: withoutHelm }, async (context) => {
  assert.equal(helm("lint", "--strict", CHART).status, 0);
  const sets = [
    [],
    [
      "engine=embedded,demo.enabled=true,query.ingress.enabled=true,rbac.clusterDiscovery=true",
      "coordinator.deletePvc=true,query.ingress.hosts={a.example}",
      "shards.groups[0].name=a,shards.groups[1].name=b,shards.persistence.enabled=false",
      "monitors.prometheus=monitoring/k8s,monitors.secretNamespaces={shop,web}",
    ],
  ];
  const cluster = await startChartCluster(context);
  for (const values of sets) {
    const args = values.flatMap((value) => ["--set", value]);
    const rendered = helm("template", "t", CHART, "-n", "shoal", "--kube-version=1.20.2", ...args);
    assert.equal(rendered.status, 0, rendered.stderr);
    const objects = parseManifests(rendered.stdout).map(inNamespace);
    await accepts(cluster, objects);
    const groups = objects.filter(({ kind }) => kind === "StatefulSet");
    assert.equal(groups.length, values.length === 0 ? 1 : 2);
    const secrets = objects.filter(
      ({ kind, roleRef }) => kind === "RoleBinding" && roleRef.name.endsWith("-monitor-secrets"),
    );
    assert.equal(secrets.length, values.length === 0 ? 0 : 2);
    assert.equal(
      rendered.stdout.includes("--operator.prometheus=monitoring/k8s"),
      values.length > 0,
    );
  }
});

test("the chart refuses values it does not know", { skip: withoutHelm }, () => {
  const f = (value: string, want: RegExp): void =>
    assert.match(helm("template", "t", CHART, "--set", value).stderr, want);
  f("engine=thanos", /'\/engine'|engine: engine must be one of/);
  f("limit=1", /additional properties 'limit' not allowed|Additional property limit/);
  f("coordinator.replicas=0", /replicas/);
  f("monitors.prometheus=k8s", /prometheus/);
});

async function startChartCluster(context: TestContext): Promise<Cluster> {
  const cluster = await startCluster(context);
  await create(cluster, pick(readManifests("embedded"), "Namespace", "shoal"));
  return cluster;
}

function inNamespace(object: Manifest): Manifest {
  if (object.kind.startsWith("Cluster")) return object;
  return { ...object, metadata: { ...object.metadata, namespace: "shoal" } };
}

/** A real server says what it thinks of each; a fake one takes all, so that only their types are checked. */
async function accepts(cluster: Cluster, objects: readonly Manifest[]): Promise<void> {
  assert.ok(objects.length > 10);
  for (const object of objects) {
    if (object.kind === "Namespace") continue;
    const said = await cluster.dryRun(object);
    assert.equal(said, "", `${object.kind} ${object.metadata.name}`);
  }
}

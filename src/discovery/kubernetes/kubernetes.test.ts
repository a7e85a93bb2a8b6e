import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { FakeKubernetes } from "../../../test/support/fake-kubernetes.ts";
import { Registry } from "../../base/metrics.ts";
import { parseConfig } from "../../config/load.ts";
import type { KubernetesDiscovery } from "../../config/types.ts";
import type { TargetGroup } from "../../model/target.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLogger } from "../../base/logger.ts";
import { DiscoveryManager, type JobDiscovery } from "../manager.ts";
import type { MechanismContext } from "../mechanism.ts";
import { testContext, TestReports } from "../test-reports.ts";
import { endpoints, fillCluster, node, pod, service, slice } from "./cluster.fixture.ts";
import { createKubernetes } from "./kubernetes.ts";

function config(server: string, options: string): KubernetesDiscovery {
  const text = `scrape_configs: [{job_name: a, kubernetes_sd_configs: [{api_server: "${server}", ${options}}]}]`;
  const { scrapeConfigs } = parseConfig(text, { path: "p", baseFolder: "/", environment: {} });
  const [found] = scrapeConfigs[0]!.serviceDiscovery;
  assert(found?.kind === "kubernetes");
  return found;
}

class Cluster {
  readonly fake: FakeKubernetes;
  readonly context: MechanismContext = testContext();
  readonly #t: TestContext;

  private constructor(t: TestContext, fake: FakeKubernetes) {
    this.#t = t;
    this.fake = fake;
  }

  static async start(t: TestContext): Promise<Cluster> {
    const fake = await FakeKubernetes.start();
    t.after(() => fake.stop());
    return new Cluster(t, fake);
  }

  put(type: string, object: unknown): void {
    this.fake.put(type, object as never);
  }

  run(options: string): TestReports {
    return TestReports.run(this.#t, createKubernetes(config(this.fake.url, options), this.context));
  }

  /** The first list of `options`, by source. */
  async groups(options: string): Promise<Map<string, TargetGroup>> {
    const { groups = [] } = await this.run(options).next(
      ({ groups: found }) => found !== undefined,
    );
    return new Map(groups.map((group) => [group.source, group]));
  }
}

/** Takes changes until `source` is among them. */
async function changeOf(reports: TestReports, source: string): Promise<TargetGroup> {
  for (;;) {
    const { changes } = await reports.next((finding) => finding.changes !== undefined);
    const found = changes!().find((group) => group.source === source);
    if (found !== undefined) return found;
  }
}

test("metadata of namespaces and of what controls a pod's controller is attached", async (t) => {
  const cluster = await Cluster.start(t);
  fillCluster(cluster.fake);
  const attach = "attach_metadata: {namespace: true, deployment: true, job: true, cronjob: true}";
  const pods = await cluster.groups(`role: pod, ${attach}`);
  const web = pods.get("pod/web/shop-1")!.labels;
  assert.equal(web["__meta_kubernetes_namespace_label_team"], "t-web");
  assert.equal(web["__meta_kubernetes_namespace_labelpresent_team"], "true");
  assert.equal(web["__meta_kubernetes_namespace_annotation_x"], "y");
  assert.equal(web["__meta_kubernetes_namespace_annotationpresent_x"], "true");
  assert.equal(web["__meta_kubernetes_pod_controller_kind"], "ReplicaSet");
  assert.equal(web["__meta_kubernetes_pod_deployment_name"], "shop");
  const job = pods.get("pod/db/job-1")!.labels;
  assert.equal(job["__meta_kubernetes_pod_job_name"], "nightly-1");
  assert.equal(job["__meta_kubernetes_pod_cronjob_name"], "nightly");
  assert.equal(
    pods.get("pod/db/owned")!.labels["__meta_kubernetes_pod_controller_kind"],
    undefined,
  );
  assert.equal(pods.has("pod/web/starting"), false, "a pod without an address is no target");

  for (const [role, source] of [
    ["service", "svc/web/shop"],
    ["ingress", "ingress/web/front"],
    ["endpoints", "endpoints/web/shop"],
    ["endpointslice", "endpointslice/web/shop-abc"],
  ] as const) {
    const group = (await cluster.groups(`role: ${role}, ${attach}`)).get(source)!;
    assert.equal(group.labels["__meta_kubernetes_namespace_label_team"], "t-web", role);
    if (role.startsWith("endpoint"))
      assert.ok(
        group.targets.some((target) => target["__meta_kubernetes_pod_deployment_name"] === "shop"),
        role,
      );
  }
});

test("without being asked for, nothing is attached and nothing else is watched", async (t) => {
  const cluster = await Cluster.start(t);
  fillCluster(cluster.fake);
  const pods = await cluster.groups("role: pod");
  const names = [...pods.values()].flatMap(({ labels }) => Object.keys(labels));
  assert.ok(!names.some((name) => /_namespace_label_|_deployment_|_job_|_node_label_/.test(name)));
  assert.ok(cluster.fake.accesses.every(({ resource }) => resource === "pods"));
});

test("a group changes with what is attached to it, and only then", async (t) => {
  const cluster = await Cluster.start(t);
  fillCluster(cluster.fake);
  const reports = cluster.run(
    "role: pod, attach_metadata: {node: true, namespace: true, deployment: true}",
  );
  await reports.next(({ groups }) => groups !== undefined);
  cluster.put("nodes", node("n1", { labels: { zone: "z7" } }));
  const moved = await changeOf(reports, "pod/web/shop-1");
  assert.equal(moved.labels["__meta_kubernetes_node_label_zone"], "z7");
  cluster.put("namespaces", { metadata: { name: "web", labels: { team: "other" } } });
  const renamed = await changeOf(reports, "pod/web/shop-1");
  assert.equal(renamed.labels["__meta_kubernetes_namespace_label_team"], "other");
  cluster.fake.remove("replicasets", "shop-7c", "web");
  const orphan = await changeOf(reports, "pod/web/shop-1");
  assert.equal(orphan.labels["__meta_kubernetes_pod_deployment_name"], undefined);
  cluster.fake.remove("nodes", "n1");
  const homeless = await changeOf(reports, "pod/web/shop-1");
  assert.deepEqual(homeless.targets, [], "a pod on a node that is left out is no target");
});

test("a node's heart-beat is no change", async (t) => {
  const cluster = await Cluster.start(t);
  cluster.put("nodes", node("n1"));
  const reports = cluster.run("role: node");
  await reports.next(({ groups }) => groups !== undefined);
  const beating = {
    ...node("n1"),
    status: { ...(node("n1")["status"] as object), images: ["new"] },
  };
  cluster.put("nodes", beating);
  cluster.put("nodes", node("n2"));
  const { changes } = await reports.next();
  assert.deepEqual(
    changes!().map(({ source }) => source),
    ["node/n2"],
  );
});

test("a node tells its conditions, and stays when it loses its addresses", async (t) => {
  const cluster = await Cluster.start(t);
  cluster.put("nodes", node("n1"));
  const reports = cluster.run("role: node");
  const { groups } = await reports.next(({ groups: found }) => found !== undefined);
  assert.equal(groups![0]!.labels["__meta_kubernetes_node_condition_ready"], "true");
  assert.equal(groups![0]!.labels["__meta_kubernetes_node_condition_memorypressure"], "unknown");
  cluster.put("nodes", node("n1", { status: { addresses: [] } }));
  const { changes } = await reports.next();
  assert.deepEqual(changes!(), []);
  cluster.fake.remove("nodes", "n1");
  assert.deepEqual((await changeOf(reports, "node/n1")).targets, []);
});

test("a load balancer's addresses come from the status", async (t) => {
  const cluster = await Cluster.start(t);
  cluster.put("services", {
    ...service("lb", { type: "LoadBalancer", loadBalancerIP: "1.1.1.1" }),
    status: {
      loadBalancer: { ingress: [{ ip: "2.2.2.2" }, { hostname: "h" }, { ip: "3.3.3.3" }] },
    },
  });
  const [target] = (await cluster.groups("role: service")).get("svc/web/lb")!.targets;
  assert.equal(target!["__meta_kubernetes_service_loadbalancer_ip"], "2.2.2.2,3.3.3.3");
  assert.equal(target!["__address__"], "lb.web.svc:80");
});

test("of a service with two address families only the first one's slice has targets", async (t) => {
  const cluster = await Cluster.start(t);
  const dual = { ipFamilyPolicy: "PreferDualStack", ipFamilies: ["IPv6", "IPv4"] };
  cluster.put("services", service("shop", dual));
  cluster.put("endpointslices", slice("four"));
  cluster.put(
    "endpointslices",
    slice("six", { addressType: "IPv6", endpoints: [{ addresses: ["fd00::1"] }] }),
  );
  assert.deepEqual(
    [...(await cluster.groups("role: endpointslice")).keys()],
    ["endpointslice/web/six"],
  );
});

test("endpoints follow their pods, but keep the labels of one that is gone", async (t) => {
  const cluster = await Cluster.start(t);
  fillCluster(cluster.fake);
  const reports = cluster.run("role: endpoints");
  await reports.next(({ groups }) => groups !== undefined);
  cluster.put("pods", pod("shop-1", { labels: { version: "9" } }));
  const changed = await changeOf(reports, "endpoints/web/shop");
  assert.ok(
    changed.targets.some((target) => target["__meta_kubernetes_pod_label_version"] === "9"),
  );
  cluster.fake.remove("pods", "shop-1", "web");
  cluster.put(
    "endpoints",
    endpoints("other", { subsets: [{ addresses: [{ ip: "1.1.1.1" }], ports: [{ port: 1 }] }] }),
  );
  const { changes } = await reports.next();
  assert.deepEqual(
    changes!().map(({ source }) => source),
    ["endpoints/web/other"],
  );
});

test("namespaces and selectors narrow down what is listed", async (t) => {
  const cluster = await Cluster.start(t);
  fillCluster(cluster.fake);
  const both = await cluster.groups("role: pod, namespaces: {names: [db, web, db]}");
  assert.ok(both.has("pod/web/shop-1") && both.has("pod/db/lone"));
  const lists = cluster.fake.accesses.filter(({ verb }) => verb === "list");
  assert.deepEqual(
    lists.map(({ namespace }) => namespace),
    ["db", "web"],
  );
  const selected = await cluster.groups('role: pod, selectors: [{role: pod, label: "tier=v6"}]');
  assert.deepEqual([...selected.keys()], ["pod/web/shop-v6"]);
});

test("jobs that look at the same objects share their watches, and give them back", async (t) => {
  const cluster = await Cluster.start(t);
  fillCluster(cluster.fake);
  const lists = (resource: string): number =>
    cluster.fake.accesses.filter((one) => one.verb === "list" && one.resource === resource).length;
  const stopping = new AbortController();
  const running: Promise<void>[] = [];
  for (const role of ["pod", "endpoints", "endpointslice", "service"]) {
    const listed = Promise.withResolvers<void>();
    running.push(
      createKubernetes(config(cluster.fake.url, `role: ${role}`), cluster.context).run(
        ({ groups }) => groups !== undefined && listed.resolve(),
        stopping.signal,
      ),
    );
    await listed.promise;
  }
  assert.deepEqual([lists("pods"), lists("services"), lists("endpoints")], [1, 1, 1]);
  await cluster.fake.watching(4);
  assert.equal(cluster.fake.watchCount, 4);
  // Other selectors or credentials are another watch.
  await cluster.groups("role: pod, selectors: [{role: pod, label: app}]");
  await cluster.groups("role: pod, authorization: {credentials: x}");
  assert.equal(lists("pods"), 3);
  stopping.abort();
  await Promise.all(running);
  await cluster.groups("role: pod");
  assert.equal(lists("pods"), 4, "the shared watch has ended with its last user");
});

test("what goes wrong is reported while the last list stands, and no longer once it works", async (t) => {
  const cluster = await Cluster.start(t);
  cluster.put("pods", pod("a"));
  cluster.fake.fail({ action: { status: 403 } });
  const reports = cluster.run("role: pod, namespaces: {names: [web]}");
  const failed = await reports.next();
  assert.equal(failed.groups, undefined);
  assert.match(
    failed.errors[0]!,
    /^cannot list pods in namespace "web": forbidden: .*grant the verb "list"/,
  );
  const listed = await reports.next(({ groups }) => groups !== undefined);
  assert.deepEqual(listed.errors, []);
  assert.match(cluster.context.registry.expose(), /prometheus_sd_kubernetes_failures_total 1\n/);
  assert.match(
    cluster.context.registry.expose(),
    /prometheus_sd_kubernetes_events_total\{role="pod",event="add"\} 1\n/,
  );
});

test("outside a cluster the default access says what to configure", async (t) => {
  const context = testContext();
  const own = { ...config("http://x", "role: pod"), apiServer: "" };
  const { errors } = await TestReports.run(t, createKubernetes(own, context)).next();
  assert.match(errors[0]!, /KUBERNETES_SERVICE_HOST .* give api_server or kubeconfig_file/);
  const inOwn = { ...own, namespaces: { ownNamespace: true, names: [] } };
  const second = await TestReports.run(t, createKubernetes(inOwn, context)).next();
  assert.match(second.errors[0]!, /cannot read the pod's own namespace from .*: no such file/);
});

test("an old server without a resource is told apart from one that has none of it", async (t) => {
  const cluster = await Cluster.start(t);
  cluster.fake.fail({ action: { status: 404, reason: "NotFound" } });
  const { errors } = await cluster.run("role: endpointslice").next();
  assert.match(
    errors[0]!,
    /this API server has no endpointslices\.discovery\.k8s\.io of that version/,
  );
});

test("the manager delivers changes with what did not change the same", async (t) => {
  const cluster = await Cluster.start(t);
  fillCluster(cluster.fake);
  const manager = new DiscoveryManager({
    logger: silentLogger,
    clock: systemClock,
    registry: new Registry(),
    updateIntervalMs: 10,
  });
  t.after(() => manager.stop());
  let wake = (): void => {};
  let latest: JobDiscovery | undefined;
  manager.onUpdate((snapshot) => {
    latest = snapshot.get("pods");
    wake();
  });
  const delivered = async (accept: (job: JobDiscovery) => boolean): Promise<JobDiscovery> => {
    while (latest === undefined || !accept(latest))
      await new Promise<void>((resolve) => (wake = resolve));
    return latest;
  };
  const find = (job: JobDiscovery, source: string): TargetGroup | undefined =>
    job.groups.find((group) => group.source === source);
  manager.apply([{ jobName: "pods", serviceDiscovery: [config(cluster.fake.url, "role: pod")] }]);
  manager.start();
  const first = await delivered((job) => job.complete);
  cluster.put("pods", pod("late", { ip: "10.1.0.9" }));
  cluster.fake.remove("pods", "lone", "db");
  const second = await delivered(
    (job) => find(job, "pod/web/late") !== undefined && find(job, "pod/db/lone") === undefined,
  );
  assert.equal(second.complete, true);
  assert.ok(find(first, "pod/db/lone") !== undefined);
  assert.equal(find(second, "pod/web/shop-1"), find(first, "pod/web/shop-1"));
});

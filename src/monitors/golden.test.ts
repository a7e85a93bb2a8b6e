import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../config/load.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { TargetBuilder } from "../model/target-build.ts";
import { type Fixture, fixtureNames, keyOf, readFixture } from "./monitors.fixture.ts";
import { checkJobs, translate } from "./translate.ts";

/**
 * `testdata/*.golden.yml` is what prometheus-operator v0.93.0 generates from `testdata/*.yaml`, with TLS material inline.
 * Both are compared as Shoal reads them, defaults filled in, so that neither order of keys nor quoting counts.
 */

/** The rules by which the operator's shards part the targets: the last three of every job. */
const SHARDING_RULES = 3;
const OPTIONS = { path: "test", baseFolder: "/etc/prometheus" };

/** The operator's jobs without what makes shards of them. */
function goldenJobs({ golden }: Fixture): ScrapeConfig[] {
  return parseConfig(golden, OPTIONS).scrapeConfigs.map((job) => {
    const last = job.relabelConfigs.at(-1);
    const isSharded = last?.sourceLabels[0] === "__tmp_hash" && last.action === "keep";
    return isSharded
      ? { ...job, relabelConfigs: job.relabelConfigs.slice(0, -SHARDING_RULES) }
      : job;
  });
}

/** Our jobs by resource, or why there are none. */
function ourJobs(fixture: Fixture): Map<string, readonly ScrapeConfig[] | string> {
  const jobs = new Map<string, readonly ScrapeConfig[] | string>();
  for (const { kind, object } of fixture.monitors) {
    try {
      const made = translate(kind, object.spec, fixture.translation(object));
      jobs.set(
        `${kind} ${keyOf(object)}`,
        checkJobs(made, { global: "", baseFolder: OPTIONS.baseFolder }).configs,
      );
    } catch (error) {
      jobs.set(`${kind} ${keyOf(object)}`, (error as Error).message);
    }
  }
  return jobs;
}

/** Comparable as plain data: secrets revealed, expressions as their source. */
function plain(job: ScrapeConfig): unknown {
  return JSON.parse(
    JSON.stringify(job, function (this: Record<string, unknown>, key, value: unknown) {
      const raw = this[key];
      if (typeof raw !== "object" || raw === null) return value;
      if ("reveal" in raw && typeof raw.reveal === "function") return String(raw.reveal());
      return "source" in raw && "matches" in raw ? raw.source : value;
    }),
  );
}

/** What discovery finds, each a target of some job of the fixtures. */
const DISCOVERED: readonly Readonly<Record<string, string>>[] = [
  {
    __address__: "10.0.0.1:8080",
    __meta_kubernetes_namespace: "shop",
    __meta_kubernetes_service_name: "web",
    __meta_kubernetes_service_label_tier: "front",
    __meta_kubernetes_service_labelpresent_tier: "true",
    __meta_kubernetes_service_label_app: "web",
    __meta_kubernetes_service_labelpresent_app: "true",
    __meta_kubernetes_service_label_app_kubernetes_io_part_of: "shop",
    __meta_kubernetes_service_labelpresent_app_kubernetes_io_part_of: "true",
    __meta_kubernetes_service_label_app_kubernetes_io_name: "web-shop",
    __meta_kubernetes_service_label_env: "prod",
    __meta_kubernetes_service_labelpresent_env: "true",
    __meta_kubernetes_service_label_team: "hermes",
    __meta_kubernetes_service_label_cost_center: "17",
    __meta_kubernetes_endpoint_port_name: "http-metrics",
    __meta_kubernetes_endpoint_address_target_kind: "Pod",
    __meta_kubernetes_endpoint_address_target_name: "web-0",
    __meta_kubernetes_pod_name: "web-0",
    __meta_kubernetes_pod_node_name: "n1",
    __meta_kubernetes_pod_phase: "Running",
    __meta_kubernetes_pod_container_name: "web",
    __meta_kubernetes_pod_container_port_name: "admin",
    __meta_kubernetes_pod_container_port_number: "8080",
    __meta_kubernetes_pod_label_version: "1.2",
    __meta_kubernetes_pod_annotation_scrape_me: "please",
  },
  {
    __address__: "10.0.0.2:9102",
    __meta_kubernetes_namespace: "jobs",
    __meta_kubernetes_service_name: "kubelet",
    __meta_kubernetes_service_label_k8s_app: "kubelet",
    __meta_kubernetes_service_labelpresent_k8s_app: "true",
    __meta_kubernetes_endpoint_port_name: "https-metrics",
    __meta_kubernetes_endpointslice_port_name: "http",
    __meta_kubernetes_endpoint_address_target_kind: "Node",
    __meta_kubernetes_endpoint_address_target_name: "n1",
    __meta_kubernetes_pod_name: "batch-0",
    __meta_kubernetes_pod_label_app: "batch",
    __meta_kubernetes_pod_labelpresent_app: "true",
    __meta_kubernetes_pod_label_env: "prod",
    __meta_kubernetes_pod_labelpresent_env: "true",
    __meta_kubernetes_pod_label_team: "hermes",
    __meta_kubernetes_pod_container_port_name: "metrics",
    __meta_kubernetes_pod_container_port_number: "9102",
  },
  { __address__: "done:1", __meta_kubernetes_pod_phase: "Succeeded" },
  { __address__: "a:1", namespace: "web", team: "shop" },
  {
    __address__: "shop.example",
    __meta_kubernetes_namespace: "web",
    __meta_kubernetes_ingress_name: "shop",
    __meta_kubernetes_ingress_scheme: "https",
    __meta_kubernetes_ingress_path: "/",
    __meta_kubernetes_ingress_label_public: "yes",
    __meta_kubernetes_ingress_labelpresent_public: "true",
    __meta_kubernetes_ingress_label_env: "prod",
    __meta_kubernetes_ingress_labelpresent_env: "true",
    __meta_kubernetes_ingress_labelpresent_host: "true",
  },
];

/** What becomes of everything discovered in the jobs: URL and labels, or what went wrong. */
function outcomes(jobs: readonly ScrapeConfig[]): string[] {
  return jobs.flatMap((job) => {
    const builder = new TargetBuilder(job);
    return DISCOVERED.map((labels) => {
      const result = builder.build(labels);
      if (result.kind === "error") return `${job.jobName}: ${result.message}`;
      if (result.kind === "dropped") return `${job.jobName}: dropped`;
      const { url, allLabels, intervalMs, timeoutMs } = result.target;
      const shown = [...allLabels].filter(([name]) => !name.startsWith("__"));
      return `${job.jobName}: ${url} ${intervalMs} ${timeoutMs} ${JSON.stringify(shown)}`;
    });
  });
}

for (const name of fixtureNames()) {
  test(`${name}: the same labels as a single shard of the operator's gets`, () => {
    const fixture = readFixture(name);
    // All that a Prometheus pod puts in there is its number.
    const theirs = parseConfig(fixture.golden.replaceAll("$(SHARD)", "0"), OPTIONS).scrapeConfigs;
    const ours = [...ourJobs(fixture).values()].flatMap((jobs) =>
      typeof jobs === "string" ? [] : jobs,
    );
    assert.deepEqual(outcomes(ours), outcomes(theirs));
  });

  test(`${name}: the operator's jobs`, () => {
    const fixture = readFixture(name);
    const ours = [...ourJobs(fixture).values()].flatMap((jobs) =>
      typeof jobs === "string" ? [] : jobs,
    );
    const theirs = goldenJobs(fixture);
    assert.deepEqual(
      ours.map(({ jobName }) => jobName),
      theirs.map(({ jobName }) => jobName),
    );
    for (const [i, job] of ours.entries()) assert.deepEqual(plain(job), plain(theirs[i]!));
  });

  test(`${name}: what the operator rejects`, () => {
    const fixture = readFixture(name);
    const rejected = [...fixture.golden.matchAll(/^# rejected (\S+ \S+): /gm)].map(
      ([, one]) => one,
    );
    const ours = [...ourJobs(fixture)].filter(([, jobs]) => typeof jobs === "string");
    const byName = (keys: unknown[]): unknown[] =>
      keys.map(String).toSorted((a, b) => (a < b ? -1 : 1));
    assert.deepEqual(byName(ours.map(([key]) => key)), byName(rejected));
  });
}

test("an endpoint's labels are those that dashboards of kube-prometheus expect", () => {
  const jobs = [...ourJobs(readFixture("service-monitors")).values()].flat();
  const found = outcomes(jobs.filter((job) => typeof job !== "string"));
  assert.ok(
    found.includes(
      `serviceMonitor/shop/everything/0: https://10.0.0.1:8080/internal/metrics?format=prometheus&match=a&match=b 15000 5000 ${JSON.stringify(
        Object.entries({
          container: "web",
          cost_center: "17",
          endpoint: "http-metrics",
          instance: "10.0.0.1:8080",
          job: "web-shop",
          namespace: "shop",
          node: "n1",
          note_me: "please",
          pod: "web-0",
          service: "web",
          team: "hermes",
          version: "1.2",
        }),
      )}`,
    ),
    found.filter((one) => one.includes("everything/0")).join("\n"),
  );
});

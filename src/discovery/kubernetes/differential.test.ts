import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeKubernetes } from "../../../test/support/fake-kubernetes.ts";
import {
  apiData,
  skipWithoutParts,
  startPrometheus,
  until,
} from "../../../test/support/processes.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLogger } from "../../base/logger.ts";
import { Registry } from "../../base/metrics.ts";
import { parseConfig } from "../../config/load.ts";
import { DiscoveryManager, type DiscoverySnapshot } from "../manager.ts";
import { withoutSwitches } from "../prometheus.fixture.ts";
import { JobTargetBuilder } from "../targets.ts";
import { changePods, changeServices, fillCluster } from "./cluster.fixture.ts";

/**
 * The same configuration against the same API server: the real Prometheus (3.5, which attaches metadata of nodes only)
 * and ours must discover the same labels, object for object, as the cluster changes.
 */

/** Every target is dropped by relabelling, so that nothing is scraped; its discovered labels are shown all the same. */
function config(server: string): string {
  const jobs: Record<string, string> = {
    pod: "{role: pod}",
    "pod-node": "{role: pod, attach_metadata: {node: true}}",
    "pod-selected": `{role: pod, selectors: [{role: pod, label: "tier in (v6), app=shop", field: "status.phase=Running"}]}`,
    "pod-namespaces": "{role: pod, namespaces: {names: [db, none]}}",
    service: "{role: service}",
    "service-selected": "{role: service, selectors: [{role: service, field: metadata.name=lb}]}",
    endpoints: "{role: endpoints}",
    "endpoints-node": "{role: endpoints, attach_metadata: {node: true}}",
    "endpoints-selected":
      "{role: endpoints, selectors: [{role: service, label: none}, {role: pod, label: version}]}",
    slice: "{role: endpointslice}",
    "slice-node":
      "{role: endpointslice, attach_metadata: {node: true}, namespaces: {names: [web]}}",
    node: "{role: node}",
    ingress: "{role: ingress}",
  };
  const sections = Object.entries(jobs).map(
    ([name, options]) => `
- job_name: ${name}
  kubernetes_sd_configs: [${options.replace("{", `{api_server: "${server}", `)}]
  relabel_configs: [{action: drop, source_labels: [job], regex: .*}]`,
  );
  return `scrape_configs:${sections.join("")}\n`;
}

interface Dropped {
  readonly discoveredLabels: Readonly<Record<string, string>>;
}

/** Prometheus shows the conditions of a node since 3.10. */
const NEWER = /^__meta_kubernetes_node_condition_/;

/** Since 3.11 pods on nodes that are not there are left out where nodes are attached. */
function isOlder(labels: Readonly<Record<string, string>>): boolean {
  return labels["job"] === "pod-node" && labels["__meta_kubernetes_node_name"] === undefined;
}

/** All discovered targets, one line each, sorted. */
function asText(targets: Iterable<Readonly<Record<string, string>>>): string {
  const lines = [...targets]
    .filter((labels) => !isOlder(labels))
    .map((labels) =>
      JSON.stringify(
        Object.entries(labels)
          .filter(([name]) => !NEWER.test(name))
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      ),
    );
  return lines.sort().join("\n");
}

test("the real Prometheus discovers the same", { skip: skipWithoutParts() }, async (t) => {
  const fake = await FakeKubernetes.start();
  t.after(() => fake.stop());
  fillCluster(fake);
  const text = config(fake.url);
  const prometheus = await startPrometheus({ config: text });
  assert(prometheus !== undefined);
  t.after(() => prometheus.stop());
  const { scrapeConfigs } = parseConfig(text, { path: "p.yml", baseFolder: "/", environment: {} });
  const manager = new DiscoveryManager({
    logger: silentLogger,
    clock: systemClock,
    registry: new Registry(),
    updateIntervalMs: 100,
  });
  t.after(() => manager.stop());
  let snapshot: DiscoverySnapshot = new Map();
  manager.onUpdate((update) => (snapshot = update));
  manager.apply(scrapeConfigs);
  manager.start();

  const ours = (): string =>
    asText(
      scrapeConfigs.flatMap((job) =>
        new JobTargetBuilder(job)
          .build(snapshot.get(job.jobName)?.groups ?? [])
          .dropped(Infinity)
          .map((target) => withoutSwitches(Object.fromEntries(target.discoveredLabels))),
      ),
    );
  const theirs = async (): Promise<string> => {
    const { droppedTargets } = await apiData<{ droppedTargets: Dropped[] }>(
      `${prometheus.url}/api/v1/targets?state=dropped`,
    );
    return asText(droppedTargets.map((target) => withoutSwitches(target.discoveredLabels)));
  };
  /** Waits until both say the same, and something that `holds` is satisfied with. */
  const same = async (what: string, holds: (text: string) => boolean): Promise<string> => {
    let difference = "";
    const found = await until(
      `both discover the same ${what}`,
      async () => {
        const [a, b] = [ours(), await theirs()];
        difference = a === b && holds(a) ? "" : compare(a, b);
        return difference === "" ? a : undefined;
      },
      40_000,
    ).catch(() => "");
    assert.equal(difference, "", what);
    return found;
  };
  const late = /"__meta_kubernetes_pod_name","late"/;
  const before = await same("at first", (all) => all.includes('"shop-v6"'));
  for (const job of scrapeConfigs)
    assert.match(before, new RegExp(`"job","${job.jobName}"`), `nothing found by ${job.jobName}`);
  changePods(fake);
  // Prometheus makes endpoints anew when they change, not when their pods do: so those change after it has seen the pods.
  await until("Prometheus sees the pods", async () =>
    /_pod_label_version.*"job","pod"\]/.test(await theirs()) ? true : undefined,
  );
  fake.dropWatches();
  changeServices(fake);
  await same("after the changes", (all) => all.includes("_pod_label_version") && late.test(all));
});

function compare(ours: string, theirs: string): string {
  const [a, b] = [new Set(ours.split("\n")), new Set(theirs.split("\n"))];
  return [
    ...[...a]
      .filter((line) => !b.has(line))
      .slice(0, 3)
      .map((line) => `ours only: ${line}`),
    ...[...b]
      .filter((line) => !a.has(line))
      .slice(0, 3)
      .map((line) => `theirs only: ${line}`),
    `${ours.split("\n").length} against ${theirs.split("\n").length}`,
  ].join("\n");
}

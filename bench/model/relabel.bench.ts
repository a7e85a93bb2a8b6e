/**
 * Target work on 100,000 targets with ten labels each: eight relabelling rules, whole target construction, label and
 * target hashes; and metric relabelling of series whose values repeat. Run: node bench/model/relabel.bench.ts
 */
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { Labels } from "../../src/model/labels.ts";
import { compileRelabelRegex } from "../../src/model/regex.ts";
import type { RelabelConfig } from "../../src/model/relabel-config.ts";
import { createRelabeler } from "../../src/model/relabel.ts";
import { PLAIN_JOB } from "../../src/model/target-build.fixture.ts";
import { TargetBuilder } from "../../src/model/target-build.ts";
import { hashLabels, hashTarget } from "../../src/model/target-hash.ts";
import { median, report } from "../support/report.ts";

const TARGETS = 100_000;
const ROUNDS = 5;
const random = seededRandom(1);

function rule(options: Partial<Omit<RelabelConfig, "regex">> & { regex?: string }): RelabelConfig {
  const { regex = "(.*)", ...rest } = options;
  return {
    sourceLabels: [],
    separator: ";",
    modulus: 0,
    targetLabel: "",
    replacement: "$1",
    action: "replace",
    ...rest,
    regex: compileRelabelRegex(regex),
  };
}

/** What a Kubernetes job usually has. */
const rules = [
  rule({ sourceLabels: ["__meta_scrape"], regex: "true", action: "keep" }),
  rule({ sourceLabels: ["__meta_path"], regex: "(.+)", targetLabel: "__metrics_path__" }),
  rule({
    sourceLabels: ["__address__", "__meta_port"],
    regex: "([^:]+)(?::\\d+)?;(\\d+)",
    replacement: "$1:$2",
    targetLabel: "__address__",
  }),
  rule({ regex: "__meta_label_(.+)", action: "labelmap" }),
  rule({ sourceLabels: ["__meta_namespace"], targetLabel: "namespace" }),
  rule({ sourceLabels: ["__meta_pod"], targetLabel: "pod" }),
  rule({ sourceLabels: ["__meta_phase"], regex: "Pending|Succeeded|Failed", action: "drop" }),
  rule({
    sourceLabels: ["__address__"],
    modulus: 200,
    targetLabel: "__tmp_hash",
    action: "hashmod",
  }),
];

const targets: Record<string, string>[] = Array.from({ length: TARGETS }, (_, i) => ({
  __address__: `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`,
  __meta_scrape: "true",
  __meta_path: "/metrics",
  __meta_port: "9100",
  __meta_namespace: `namespace-${randomInt(random, 50)}`,
  __meta_pod: `service-${randomInt(random, 500)}-${i.toString(36)}`,
  __meta_phase: "Running",
  __meta_label_app: `service-${randomInt(random, 500)}`,
  __meta_label_team: `team-${randomInt(random, 20)}`,
  __meta_label_version: "v1.2.3",
}));
const labels = targets.map((target) => Labels.fromObject(target));

const relabeler = createRelabeler(rules);
let kept = 0;
measure("relabel 100k targets, 8 rules", () => {
  kept = 0;
  for (const one of labels) if (relabeler.relabel(one)?.has("__tmp_hash") === true) kept++;
});
check(kept === TARGETS);

let built = 0;
measure("build 100k targets, 8 rules, hash and URL", () => {
  const builder = new TargetBuilder({ ...PLAIN_JOB, jobName: "pods", relabelConfigs: rules });
  built = 0;
  for (const target of targets) if (builder.build(target).kind === "target") built++;
});
check(built === TARGETS);

const hashes = new Set<string>();
measure("hash the labels of 100k targets", () => {
  hashes.clear();
  for (const one of labels) hashes.add(hashLabels(one));
});
check(hashes.size === TARGETS);
measure("hash 100k targets with their URLs", () => {
  hashes.clear();
  for (const one of labels) hashes.add(hashTarget(one, "http://10.0.0.1:9100/metrics"));
});
check(hashes.size === TARGETS);

const series = Array.from({ length: TARGETS }, (_, i) =>
  Labels.fromObject({
    __name__: `metric_${i % 400}`,
    instance: "10.0.0.1:9100",
    job: "pods",
    le: String(i % 12),
    path: `/api/v1/${i % 300}`,
  }),
);
const metricRelabeler = createRelabeler([
  rule({ sourceLabels: ["__name__"], regex: "metric_1[0-9]{2}_debug|go_.*", action: "drop" }),
  rule({ sourceLabels: ["path"], regex: "/api/(v[0-9]+)/.*", targetLabel: "version" }),
  rule({ regex: "pod_template_hash|controller_revision_.*", action: "labeldrop" }),
]);
let versions = 0;
measure("metric-relabel 100k series, 3 rules", () => {
  versions = 0;
  for (const one of series) if (metricRelabeler.relabel(one)?.get("version") === "v1") versions++;
});
check(versions === TARGETS);

function measure(name: string, run: () => void): void {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
  }
  report({ name, unit: "ms CPU", ours: median(times), better: "less" });
}

function check(condition: boolean): void {
  if (!condition) throw new Error("the benchmark computed something wrong");
}

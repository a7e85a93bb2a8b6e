/**
 * 100,000 pods of a Kubernetes cluster: time to the first targets, memory, and the CPU and delay of 1,000 changes a minute, in
 * a process that does what a coordinator does with them. The real Prometheus beside it discovers the same pods and drops
 * them all, so that it does not scrape.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import {
  apiData,
  cpuSeconds,
  rssBytes,
  sleep,
  startPrometheus,
  until,
} from "../../test/support/processes.ts";
import { median, report } from "../support/report.ts";

const PODS = Number(process.env["SHOAL_BENCH_PODS"] ?? 100_000);
/** Prometheus needs some minutes and gigabytes for so many pods; `off` goes without. */
const hasPeer = process.env["SHOAL_BENCH_PEER"] !== "off";
const CHANGES_PER_MINUTE = 1000;
const CHURN_MS = 60_000;
const SETTLE_MS = 10_000;
const MEGABYTE = 1e6;

/** The rules that most clusters have. */
const RULES = `
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: "true"}
  - {source_labels: [__meta_kubernetes_pod_container_port_name], action: keep, regex: metrics}
  - {source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port], action: replace, regex: '([^:]+)(?::\\d+)?;(\\d+)', replacement: "$1:$2", target_label: __address__}
  - {action: labelmap, regex: __meta_kubernetes_pod_label_(.+)}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}`;

function config(server: string, extraRule = ""): string {
  return `
scrape_configs:
- job_name: pods
  kubernetes_sd_configs: [{role: pod, api_server: "${server}"}]
  relabel_configs:${RULES}${extraRule}
`;
}

class Child {
  readonly process: ChildProcess;
  readonly #lines: Interface;

  constructor(script: string, args: readonly string[]) {
    const path = new URL(script, import.meta.url).pathname;
    this.process = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=2", path, ...args],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    this.#lines = createInterface({ input: this.process.stdout! });
  }

  get pid(): number {
    return this.process.pid!;
  }

  async line(): Promise<string> {
    const [line] = (await once(this.#lines, "line")) as [string];
    return line;
  }

  tell(): void {
    this.process.stdin!.write("\n");
  }
}

function peakRssBytes(pid: number): number {
  return (
    Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024
  );
}

const server = new Child("kube-server.ts", [String(PODS), String(CHANGES_PER_MINUTE)]);
const url = await server.line();
const children = [server];
try {
  const subject = new Child("kube-subject.ts", [config(url)]);
  children.push(subject);
  const first = JSON.parse(await subject.line()) as { targets: number; seconds: number };
  if (first.targets < PODS) throw new Error(`only ${first.targets} targets of ${PODS} pods`);
  const startCpu = cpuSeconds(subject.pid);
  const peer = hasPeer
    ? await startPrometheus({
        config: config(url, "\n  - {action: drop, regex: .*, source_labels: [job]}"),
      })
    : undefined;
  if (peer !== undefined)
    await until(
      "Prometheus has all pods",
      async () => {
        const { droppedTargetCounts } = await apiData<{
          droppedTargetCounts: Record<string, number>;
        }>(`${peer.url}/api/v1/targets?state=dropped&scrapePool=none`);
        return (droppedTargetCounts["pods"] ?? 0) >= PODS ? true : undefined;
      },
      300_000,
    );
  await sleep(SETTLE_MS);
  const restRss = rssBytes(subject.pid);
  server.tell();
  const before = cpuSeconds(subject.pid);
  const peerBefore = peer === undefined ? 0 : cpuSeconds(peer.pid);
  await sleep(CHURN_MS);
  const share = (seconds: number): number => (100 * seconds * 1000) / CHURN_MS;
  const cpu = share(cpuSeconds(subject.pid) - before);
  const peerCpu = peer === undefined ? undefined : share(cpuSeconds(peer.pid) - peerBefore);
  const peerPeak = peer === undefined ? undefined : peakRssBytes(peer.pid) / MEGABYTE;
  const peerRest = peer === undefined ? undefined : rssBytes(peer.pid) / MEGABYTE;
  const peak = peakRssBytes(subject.pid);
  subject.tell();
  const last = JSON.parse(await subject.line()) as { targets: number; latenciesMs: number[] };
  const { latenciesMs } = last;
  if (latenciesMs.length < CHANGES_PER_MINUTE / 8)
    throw new Error(`only ${latenciesMs.length} new pods were seen`);
  const beside = (value: number | undefined): { peer?: number } =>
    value === undefined ? {} : { peer: value };
  const what = `${PODS.toLocaleString("en")} pods`;
  report({ name: `${what}: first targets after`, unit: "s", ours: first.seconds, better: "less" });
  report({ name: `${what}: CPU to the first targets`, unit: "s", ours: startCpu, better: "less" });
  report({
    name: `${what}: RSS at rest`,
    unit: "MB",
    ours: restRss / MEGABYTE,
    ...beside(peerRest),
    better: "less",
  });
  report({
    name: `${what}: RSS at its highest`,
    unit: "MB",
    ours: peak / MEGABYTE,
    ...beside(peerPeak),
    better: "less",
    gate: "≤ 2,000 MB",
  });
  report({
    name: `${what}, 1,000 changes a minute: CPU of one core`,
    unit: "%",
    ours: cpu,
    ...beside(peerCpu),
    better: "less",
    gate: "≤ 5 %",
  });
  report({
    name: `${what}: new pod to delivery, median`,
    unit: "ms",
    ours: median(latenciesMs),
    better: "less",
  });
  report({
    name: `${what}: new pod to delivery, longest`,
    unit: "ms",
    ours: Math.max(...latenciesMs),
    better: "less",
    gate: "≤ 5,000 ms",
  });
  await peer?.stop();
} finally {
  for (const child of children) child.process.kill("SIGKILL");
}

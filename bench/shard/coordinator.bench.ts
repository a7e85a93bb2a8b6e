/**
 * A whole coordinator on 100,000 targets that look like pods, over 200 shards that answer over HTTP: its memory and what
 * a cycle costs, while targets come and go, for the one that placed them all and for one that was started later. The
 * shards are in another process. Run: node --expose-gc bench/shard/coordinator.bench.ts
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { HEAP_TRIM_MS } from "../../src/cli/coordinator-role.ts";
import { HeapTrim } from "../../src/cli/heap-trim.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { seededRandom } from "../../src/base/random.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { DiscoveryManager, DiscoverySnapshot } from "../../src/discovery/manager.ts";
import type { TargetGroup } from "../../src/model/target.ts";
import { connectShard } from "../../src/shard/control.ts";
import { Coordinator, DEFAULT_COORDINATOR_TIMES } from "../../src/shard/coordinator.ts";
import { DecisionLog } from "../../src/shard/decision-log.ts";
import { ConfiguredDiscovery } from "../../src/shard/discovery-source.ts";
import { singleGroup } from "../../src/shard/driver.ts";
import { DEFAULT_EXPLORER_OPTIONS } from "../../src/shard/explorer.ts";
import { plan } from "../../src/shard/plan.ts";
import { DEFAULT_PLAN_OPTIONS } from "../../src/shard/plan-types.ts";
import { SoleLeadership } from "../../src/shard/sole-leadership.ts";
import type { AssignedTarget } from "../../src/shard/wire.ts";
import { median, report } from "../support/report.ts";

const TARGETS = 100_000;
const SHARDS = 200;
const JOBS = 10;
/** Of 1,000 changes a minute, those of one cycle of 10 s. */
const CHANGES = 167;
const CYCLES = 7;

interface Figures {
  readonly rssMb: number;
  readonly restRssMb: number;
  readonly steadyMs: number;
  readonly restMs: number;
  readonly buildMs: number;
  readonly cycleMs: number;
  readonly latenciesMs: readonly number[];
}

/** Changes come once a second and are delivered together, as the discovery manager does it. */
const DELIVERY_MS = 5_000;
const LIVE_MS = 60_000;
/** At rest memory is looked at after some cycles that found nothing to do. */
const REST_MS = 30_000;

/** Each coordinator has a process of its own: what it weighs is what the process weighs. */
async function runAll(): Promise<void> {
  const here = fileURLToPath(import.meta.url);
  const shards = fork(here.replace("coordinator.bench", "fleet-server"), [String(SHARDS)]);
  const [port] = await once(shards, "message");
  try {
    for (const which of ["the one that placed them", "one started later"]) {
      const figures = await resultOf(fork(here, [String(port)], { execArgv: process.execArgv }));
      const what = `coordinator, 100k targets, 200 shards, ${which}`;
      for (const [when, mb] of [
        ["while targets come and go", figures.rssMb],
        ["at rest", figures.restRssMb],
      ] as const)
        report({
          name: `${what}: RSS ${when}`,
          unit: "MB",
          ours: mb,
          better: "less",
          gate: "≤ 500 MB",
        });
      report({
        name: `${what}: relabel, hash and plan at rest`,
        unit: "ms of CPU",
        ours: figures.steadyMs,
        better: "less",
        gate: "≤ 100 ms",
      });
      report({
        name: `${what}: whole cycle at rest`,
        unit: "ms of CPU",
        ours: figures.restMs,
        better: "less",
      });
      report({
        name: `${what}: relabel and hash after 167 changes`,
        unit: "ms of CPU",
        ours: figures.buildMs,
        better: "less",
      });
      report({
        name: `${what}: whole cycle after 167 changes`,
        unit: "ms of CPU",
        ours: figures.cycleMs,
        better: "less",
      });
      for (const [which, ms] of [
        ["median", median(figures.latenciesMs)],
        ["longest", Math.max(...figures.latenciesMs)],
      ] as const)
        report({
          name: `${what}, 1,000 changes a minute: new target to its shard, ${which}`,
          unit: "s",
          ours: ms / 1000,
          better: "less",
          gate: "≤ 15 s",
        });
    }
  } finally {
    shards.disconnect();
  }
}

async function resultOf(child: ChildProcess): Promise<Figures> {
  const { promise, resolve, reject } = Promise.withResolvers<Figures>();
  child.once("message", (figures) => resolve(figures as Figures));
  child.once("exit", () => reject(new Error("the coordinator's process ended without figures")));
  const figures = await promise;
  child.disconnect();
  return figures;
}

async function coordinate(port: number): Promise<Figures> {
  await new HeapTrim({ clock: systemClock, busyEveryMs: HEAP_TRIM_MS }).start();
  const config = parseConfig(configText(), { path: "the configuration", baseFolder: "/" });
  const pods = new Pods();
  let onChange = (): void => {};
  const discovery = new ConfiguredDiscovery(config, {
    manager: pods.manager,
    onChange: () => onChange(),
  });
  pods.deliver();
  const loads = seededRandom(3);
  let planMs = 0;
  const instances = Array.from({ length: SHARDS }, (_, ordinal) => ({
    id: `shard-${ordinal}`,
    ordinal,
    url: `http://127.0.0.1:${port}/${ordinal}`,
    restarts: 0,
  }));
  const coordinator = new Coordinator(
    { rawContent: configText(), baseFolder: "/", hash: "1" },
    {
      ...DEFAULT_COORDINATOR_TIMES,
      plan: DEFAULT_PLAN_OPTIONS,
      explorer: DEFAULT_EXPLORER_OPTIONS,
    },
    {
      discovery,
      fleet: singleGroup({
        list: async () => instances,
        desired: SHARDS,
        scale: async (count) => {
          throw new Error(`asked for ${count} shards`);
        },
      }),
      leadership: new SoleLeadership(systemClock, { ownsShards: true }),
      connect: (url) => {
        const control = connectShard(url, 60_000);
        const note = (list: readonly AssignedTarget[]): void => {
          for (const { target } of list) pods.taken(target.url);
        };
        return {
          ...control,
          pushTargets: async (list, epoch) => {
            await control.pushTargets(list, epoch);
            note(list);
          },
          pushChanges: async (changes, epoch) => {
            const isTaken = await control.pushChanges!(changes, epoch);
            if (isTaken) note(changes.set);
            return isTaken;
          },
        };
      },
      explore: async () => {
        const series = 100 + Math.floor(loads.next() * 2_000);
        return {
          series,
          rawSeries: series,
          samplesPerSecond: series / 15,
          bodyBytesPerSecond: series * 6,
          newSeriesPerHour: 0,
        };
      },
      plan: (...given) => {
        const before = process.cpuUsage();
        const made = plan(...given);
        const { user, system } = process.cpuUsage(before);
        planMs += (user + system) / 1000;
        return made;
      },
      log: new DecisionLog(10_000),
      clock: systemClock,
      random: seededRandom(1),
      logger: silentLogger,
      registry: new Registry(),
    },
  );
  const placed = (): number =>
    coordinator.view().plan?.shards.reduce((sum, shard) => sum + shard.assignments.length, 0) ?? 0;
  while (placed() < TARGETS) {
    await coordinator.cycle();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const builds: number[] = [];
  const cycles: number[] = [];
  const steadies: number[] = [];
  const rests: number[] = [];
  for (let i = 0; i < CYCLES; i++) {
    const built = await cpuMs(async () => void discovery.jobs());
    planMs = 0;
    rests.push(await cpuMs(() => coordinator.cycle()));
    steadies.push(built + planMs);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (let i = 0; i < CYCLES; i++) {
    pods.change(CHANGES);
    builds.push(await cpuMs(async () => void discovery.jobs()));
    cycles.push(await cpuMs(() => coordinator.cycle()));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // From here on as it runs by itself.
  onChange = () => coordinator.wake();
  await coordinator.start();
  const latenciesMs = await pods.live(LIVE_MS);
  const rssMb = residentBytes() / 1e6;
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const restRssMb = residentBytes() / 1e6;
  await coordinator.stop();
  return {
    rssMb,
    restRssMb,
    steadyMs: median(steadies),
    restMs: median(rests),
    buildMs: median(builds),
    cycleMs: median(cycles),
    latenciesMs,
  };
}

async function cpuMs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function residentBytes(): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024;
}

/** Pods as discovery delivers them: one group each, the same objects again while they do not change. */
class Pods {
  readonly #jobs = Array.from({ length: JOBS }, (): TargetGroup[] => []);
  /** By URL, when pods were made that no shard has yet. */
  readonly #waiting = new Map<string, number>();
  #latenciesMs: number[] = [];
  #next = 0;
  #listener: (snapshot: DiscoverySnapshot) => void = () => {};

  constructor() {
    for (let i = 0; i < TARGETS; i++) this.#add();
  }

  get manager(): DiscoveryManager {
    const manager = {
      apply: () => {},
      onUpdate: (listener: (snapshot: DiscoverySnapshot) => void) => {
        this.#listener = listener;
      },
    };
    return manager as unknown as DiscoveryManager;
  }

  deliver(): void {
    this.#listener(
      new Map(
        this.#jobs.map((groups, job) => [
          `job-${job}`,
          { groups: [...groups], complete: true, errors: [] },
        ]),
      ),
    );
  }

  /** Lets pods come and go for a while; how long new ones waited until a shard had taken them. */
  async live(durationMs: number): Promise<readonly number[]> {
    this.#waiting.clear();
    this.#latenciesMs = [];
    for (let passedMs = 0; passedMs < durationMs; passedMs += 1_000) {
      const made = this.#turn(Math.round(CHANGES / 10));
      for (const url of made) this.#waiting.set(url, performance.now());
      if (passedMs % DELIVERY_MS === 0) this.deliver();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    return this.#latenciesMs;
  }

  taken(url: string): void {
    const madeMs = this.#waiting.get(url);
    if (madeMs === undefined) return;
    this.#waiting.delete(url);
    this.#latenciesMs.push(performance.now() - madeMs);
  }

  change(count: number): void {
    this.#turn(count);
    this.deliver();
  }

  /** As many go as come; the URLs of those that come. */
  #turn(count: number): string[] {
    const made: string[] = [];
    for (let i = 0; i < count; i++) {
      this.#jobs[this.#next % JOBS]!.shift();
      made.push(this.#add());
    }
    return made;
  }

  #add(): string {
    const i = this.#next++;
    const ip = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
    this.#jobs[i % JOBS]!.push({
      source: `pod/namespace-${i % 100}/app-${i}`,
      labels: {
        __meta_kubernetes_namespace: `namespace-${i % 100}`,
        __meta_kubernetes_pod_name: `app-${i % 1000}-${i.toString(36)}`,
        __meta_kubernetes_pod_node_name: `node-${i % 2000}`,
        __meta_kubernetes_pod_phase: "Running",
        __meta_kubernetes_pod_label_app: `app-${i % 1000}`,
        __meta_kubernetes_pod_uid: `00000000-0000-4000-8000-${String(i).padStart(12, "0")}`,
      },
      targets: [
        {
          __address__: `${ip}:9100`,
          __meta_kubernetes_pod_ip: ip,
          __meta_kubernetes_pod_container_name: "main",
          __meta_kubernetes_pod_container_port_number: "9100",
        },
      ],
    });
    return `http://${ip}:9100/metrics`;
  }
}

function configText(): string {
  const jobs = Array.from(
    { length: JOBS },
    (_, i) => `- job_name: job-${i}
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_phase], regex: Running, action: keep}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  - {source_labels: [__meta_kubernetes_pod_node_name], target_label: node}
  - {regex: __meta_kubernetes_pod_label_(.+), action: labelmap}
`,
  );
  return `scrape_configs:\n${jobs.join("")}`;
}

if (process.argv[2] === undefined) await runAll();
else process.send?.(await coordinate(Number(process.argv[2])));

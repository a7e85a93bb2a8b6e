/** The Prometheus operator's custom resources in a cluster, scraped by coordinator and shards. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { MonitoredCluster, SHOP } from "./support/monitored-cluster.ts";
import {
  apiData,
  freePort,
  type RunningProcess,
  SHOAL_COMMAND,
  skipWithoutParts,
  sleep,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";
import { type RecordingExporter, startRecordingExporter } from "./support/recording-exporter.ts";
import { type Active, activeTargets, shardsFile, startShard } from "./support/sidecar-shards.ts";

const SECRET = "canary-90b1d3f4";
const CONFIG = "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: own\n";
/** "Within seconds": one change of the configuration in five, and then a scrape. */
const CHANGE_MS = 10_000;

interface Conditions {
  readonly counts: Readonly<Record<string, number>>;
  readonly conditions: readonly { readonly resource: string; readonly reason: string }[];
}

class System {
  readonly folder: string;
  readonly cluster: MonitoredCluster;
  readonly exporters: RecordingExporter[] = [];
  readonly running: RunningProcess[] = [];
  coordinator!: RunningProcess;
  #args: readonly string[] = [];
  #port = 0;

  private constructor(folder: string, cluster: MonitoredCluster) {
    this.folder = folder;
    this.cluster = cluster;
  }

  static async start(t: TestContext): Promise<System> {
    const folder = temporaryFolder("monitors");
    const cluster = await MonitoredCluster.start(folder);
    const system = new System(folder, cluster);
    t.after(async () => {
      for (const process of system.running.toReversed()) await process.stop();
      for (const exporter of system.exporters) exporter.close();
      await cluster.fake.stop();
      rmSync(folder, { recursive: true, force: true });
    });
    return system;
  }

  async exporter(): Promise<RecordingExporter> {
    const exporter = await startRecordingExporter();
    this.exporters.push(exporter);
    return exporter;
  }

  async embeddedShard(): Promise<RunningProcess> {
    const shard = await startShoal({
      args: [
        "shard",
        "--shard.id=shard-0",
        `--storage.tsdb.path=${join(this.folder, "shard-0")}`,
        "--grpc.address=127.0.0.1:0",
        "--log.level=debug",
      ],
    });
    this.running.push(shard);
    return shard;
  }

  async coordinate(...shards: readonly string[]): Promise<void> {
    this.#port = await freePort();
    const configFile = join(this.folder, "prometheus.yml");
    writeFileSync(configFile, CONFIG);
    this.#args = [
      "coordinator",
      `--config.file=${configFile}`,
      ...shards,
      "--operator.prometheus=monitoring/k8s",
      `--kubeconfig=${this.cluster.kubeconfig}`,
      "--coordinator.interval=1s",
      "--sd.hold-time=4s",
      "--log.level=debug",
    ];
    await this.#startCoordinator();
  }

  /** What another coordinator would do now. */
  async dryRun(): Promise<string> {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...SHOAL_COMMAND, ...this.#args, "--dry-run"],
      { timeout: 60_000 },
    );
    return stdout;
  }

  /** Kills the coordinator, and starts another after `meanwhile`. */
  async restartAfter(meanwhile: () => void): Promise<void> {
    this.coordinator.child.kill("SIGKILL");
    await once(this.coordinator.child, "exit");
    meanwhile();
    await this.#startCoordinator();
  }

  /** The labels of active targets by job, once `holds`. */
  async targets(what: string, holds: (targets: readonly Active[]) => boolean): Promise<Active[]> {
    return until(what, async () => {
      const targets = await activeTargets(this.coordinator.url);
      return holds(targets) ? targets : undefined;
    });
  }

  conditions(): Promise<Conditions> {
    return apiData<Conditions>(`${this.coordinator.url}/api/v1/conditions`);
  }

  async #startCoordinator(): Promise<void> {
    this.coordinator = await startShoal({ args: this.#args, port: this.#port });
    this.running.push(this.coordinator);
  }
}

const areUp = (count: number) => (targets: readonly Active[]) =>
  targets.length === count && targets.every(({ health }) => health === "up");

test("custom resources are scraped as the operator's Prometheus would, and go on through every outage", async (t) => {
  const system = await System.start(t);
  const { cluster } = system;
  const [web, side, probed, outside] = [
    await system.exporter(),
    await system.exporter(),
    await system.exporter(),
    await system.exporter(),
  ];
  cluster.selectAll();
  cluster.serve("web", web.address);
  cluster.serve("side", side.address);
  cluster.secret("auth", { token: `${SECRET}-token`, user: `${SECRET}-user` });
  cluster.fake.put("configmaps", {
    metadata: { namespace: SHOP, name: "client" },
    data: { id: "c" },
  });
  cluster.serviceMonitor("web", {
    authorization: { credentials: { name: "auth", key: "token" } },
    relabelings: [{ targetLabel: "cluster", replacement: "blue" }],
  });
  cluster.fake.put("podmonitors", {
    metadata: { namespace: SHOP, name: "side" },
    spec: {
      selector: { matchLabels: { app: "side" } },
      podMetricsEndpoints: [
        {
          port: "http",
          basicAuth: {
            username: { name: "auth", key: "user" },
            password: { name: "auth", key: "token" },
          },
        },
      ],
    },
  });
  cluster.fake.put("probes", {
    metadata: { namespace: SHOP, name: "site" },
    spec: {
      prober: { url: probed.address, path: "/probe" },
      module: "http_2xx",
      targets: { staticConfig: { static: ["https://shop.example/"] } },
    },
  });
  cluster.fake.put("scrapeconfigs", {
    metadata: { namespace: SHOP, name: "outside" },
    spec: { jobName: "outside", staticConfigs: [{ targets: [outside.address] }] },
  });
  const shard = await system.embeddedShard();
  await system.coordinate(`--shard.url=${shard.url}`);

  await t.test("each kind's targets are up, with the operator's labels", async () => {
    const targets = await system.targets("all are up", areUp(4));
    const labels = new Map(targets.map(({ labels: { job, ...rest } }) => [job, rest]));
    assert.deepEqual(labels.get("web"), {
      cluster: "blue",
      container: "main",
      endpoint: "http",
      instance: web.address,
      namespace: SHOP,
      pod: "web-0",
      service: "web",
    });
    assert.deepEqual(labels.get(`${SHOP}/side`), {
      container: "main",
      endpoint: "http",
      instance: side.address,
      namespace: SHOP,
      pod: "side-0",
    });
    assert.deepEqual(labels.get("probe/shop/site"), {
      instance: "https://shop.example/",
      namespace: SHOP,
    });
    assert.deepEqual(labels.get("outside"), { instance: outside.address });
    assert.ok(
      probed.requests.some(
        ({ url }) => url === "/probe?module=http_2xx&target=https%3A%2F%2Fshop.example%2F",
      ),
    );
  });

  await t.test("a dry run plans for all of them, and changes nothing", async () => {
    const before = await apiData(`${system.coordinator.url}/api/v1/decisions`);
    const printed = await system.dryRun();
    assert.match(printed, /^scale 1\nshard-0: 4 targets, \d+ series\n/);
    assert.deepEqual(await apiData(`${system.coordinator.url}/api/v1/decisions`), before);
  });

  await t.test("credentials come from the Secret, and change with it", async () => {
    assert.equal(web.requests.at(-1)!.authorization, `Bearer ${SECRET}-token`);
    const basic = Buffer.from(`${SECRET}-user:${SECRET}-token`).toString("base64");
    assert.equal(side.requests.at(-1)!.authorization, `Basic ${basic}`);
    cluster.secret("auth", { token: `${SECRET}-renewed`, user: `${SECRET}-user` });
    // Nobody tells of a changed Secret: it is read every 30 s.
    await until(
      "the new token is used",
      async () => web.requests.at(-1)!.authorization === `Bearer ${SECRET}-renewed` || undefined,
      45_000,
    );
  });

  await t.test(
    "a change takes effect within seconds, and no other job's discovery begins anew",
    async () => {
      const lists = (): number =>
        cluster.fake.accesses.filter(({ verb }) => verb === "list").length;
      const before = lists();
      const startedMs = performance.now();
      cluster.serviceMonitor("web", { path: "/other" });
      await until(
        "the new path is scraped",
        async () => web.requests.at(-1)!.url === "/other" || undefined,
      );
      assert.ok(performance.now() - startedMs < CHANGE_MS, "it took too long");
      assert.equal(lists(), before, "something is listed again");
      await system.targets("all are up", areUp(4));
    },
  );

  await t.test("a broken resource is named with the reason, and spares the others", async () => {
    cluster.serviceMonitor("broken", { relabelings: [{ action: "replace", regex: "(" }] });
    cluster.fake.put("scrapeconfigs", {
      metadata: { namespace: SHOP, name: "cloudy" },
      spec: { gceSDConfigs: [{ project: "p", zone: "z" }] },
    });
    const { conditions } = await until("both are rejected", async () => {
      const answer = await system.conditions();
      return answer.counts["rejected-resource"] === 2 ? answer : undefined;
    });
    const reasons = new Map(conditions.map(({ resource, reason }) => [resource, reason]));
    assert.match(reasons.get("ServiceMonitor shop/broken")!, /cannot use regex "\("/);
    assert.match(reasons.get("ScrapeConfig shop/cloudy")!, /uses gceSDConfigs/);
    assert.match(
      system.coordinator.output(),
      /cannot use custom resource.*ServiceMonitor shop\/broken/,
    );
    const metrics = await (await fetch(`${system.coordinator.url}/metrics`)).text();
    assert.match(metrics, /shoal_operator_resources\{kind="ServiceMonitor",state="rejected"\} 1\n/);
    await system.targets("the others are up", areUp(4));
    cluster.fake.remove("servicemonitors", "broken", SHOP);
    cluster.fake.remove("scrapeconfigs", "cloudy", SHOP);
    await until(
      "nothing is wrong",
      async () =>
        (await system.conditions()).counts["rejected-resource"] === undefined || undefined,
    );
  });

  await t.test(
    "restarted while the API is away, the coordinator leaves everything where it is",
    async () => {
      const before = readFileSync(join(system.folder, "shard-0/shard/config.json"), "utf8");
      await system.restartAfter(() => cluster.outage());
      const startedMs = performance.now();
      const error = await until("it tells why it waits", async () => {
        const { shards } = await apiData<{ shards: { error: string }[] }>(
          `${system.coordinator.url}/api/v1/shards`,
        );
        return shards[0]?.error.includes("have been read") === true ? shards[0].error : undefined;
      });
      assert.match(error, /4 jobs that are scraped are not known/);
      // Longer than the hold time, which is for APIs that answer.
      await sleep(8_000);
      for (const { requests } of [web, side, probed, outside]) {
        const times = requests.map(({ timeMs }) => timeMs).filter((timeMs) => timeMs > startedMs);
        assert.ok(times.length >= 6, `only ${times.length} scrapes in 8 s`);
      }
      const after = readFileSync(join(system.folder, "shard-0/shard/config.json"), "utf8");
      assert.equal(after, before, "the shard got another configuration");
      cluster.fake.healFaults();
      cluster.fake.remove("probes", "site", SHOP);
      await system.targets("what changed meanwhile takes effect", areUp(3));
    },
  );

  await t.test("an outage while it runs changes nothing either", async () => {
    cluster.outage();
    await sleep(3_000);
    await system.targets("all are up", areUp(3));
    const { counts } = await system.conditions();
    assert.ok(counts["unread-resource"]! >= 4, JSON.stringify(counts));
    cluster.fake.healFaults();
  });

  await t.test("no endpoint, log or file for others shows what stands in the Secret", async () => {
    const bare = (shown: string, where: string): void =>
      assert.ok(!shown.includes(SECRET), `${where} shows a secret`);
    for (const path of [
      "targets?state=any",
      "status/config",
      "conditions",
      "shards",
      "decisions",
      "plan",
    ]) {
      const response = await fetch(`${system.coordinator.url}/api/v1/${path}`);
      bare(await response.text(), path);
      assert.equal(response.status, 200, path);
    }
    bare(await (await fetch(`${system.coordinator.url}/metrics`)).text(), "metrics");
    for (const process of system.running) bare(process.output(), "a log");
    const files = readdirSync(system.folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(system.folder, name))
      .filter((path) => statSync(path).isFile() && readFileSync(path, "latin1").includes(SECRET));
    // A shard needs it after a restart.
    assert.deepEqual(files, [join(system.folder, "shard-0/shard/config.json")]);
    assert.equal(statSync(files[0]!).mode & 0o077, 0);
  });

  await t.test(
    "what is asked of the API is what the manifests grant, and nothing more is granted",
    async () => {
      cluster.serviceMonitor("side", {
        oauth2: {
          clientId: { configMap: { name: "client", key: "id" } },
          clientSecret: { name: "auth", key: "token" },
          tokenUrl: "http://127.0.0.1:9/token",
        },
      });
      await until(
        "the ConfigMap is read",
        async () =>
          cluster.fake.accesses.some(({ resource }) => resource === "configmaps") || undefined,
      );
      assert.deepEqual(cluster.rights(), { unused: [], forbidden: [] });
      for (const process of system.running) assert.doesNotMatch(process.output(), /forbidden/);
    },
  );
});

test(
  "a real Prometheus beside a sidecar scrapes them with their credentials",
  { skip: skipWithoutParts() },
  async (t) => {
    const system = await System.start(t);
    const { cluster } = system;
    const web = await system.exporter();
    cluster.selectAll();
    cluster.serve("web", web.address);
    cluster.secret("auth", { token: `${SECRET}-token` });
    cluster.serviceMonitor("web", {
      authorization: { credentials: { name: "auth", key: "token" } },
    });
    const shard = await startShard(system.folder, 0, system.running);
    await system.coordinate(`--shard.static-file=${shardsFile(system.folder, [shard])}`);
    await system.targets("it is up", areUp(1));
    assert.equal(web.requests.at(-1)!.authorization, `Bearer ${SECRET}-token`);
    const shown = await activeTargets(`http://127.0.0.1:${shard.prometheusPort}`);
    assert.deepEqual(
      shown.map(({ labels }) => labels["job"]),
      ["web"],
    );
    cluster.serviceMonitor("web", { path: "/other" });
    await until(
      "the new path is scraped",
      async () => web.requests.at(-1)!.url === "/other" || undefined,
    );
    cluster.fake.remove("servicemonitors", "web", SHOP);
    await system.targets("nothing is scraped", areUp(0));
  },
);

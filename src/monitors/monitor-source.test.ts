import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { FakeKubernetes } from "../../test/support/fake-kubernetes.ts";
import { MONITORING_TYPES } from "../../test/support/fake-monitoring.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import { createLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { seededRandom } from "../base/random.ts";
import { withJobs } from "../config/added-jobs.ts";
import { parseConfig } from "../config/load.ts";
import { printConfig } from "../config/print.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";
import { createHttpClient } from "../http/client.ts";
import { KubeClient } from "../kubernetes/client.ts";
import { MonitorSource } from "./monitor-source.ts";

/** Waits last a hundredth. */
const QUICK: Clock = {
  ...systemClock,
  after: (delayMs, callback) => systemClock.after(delayMs / 100, callback),
  sleep: (delayMs, signal) => systemClock.sleep(delayMs / 100, signal),
};
const HOLD_MS = 60_000;
const BASE = parseConfig("scrape_configs: [{job_name: own}]\n", {
  path: "prometheus.yml",
  baseFolder: "/etc",
});

class World {
  readonly fake: FakeKubernetes;
  readonly source: MonitorSource;
  readonly registry = new Registry();
  log = "";

  private constructor(fake: FakeKubernetes) {
    this.fake = fake;
    const client = new KubeClient({
      connection: {
        server: fake.url,
        namespace: "default",
        httpClient: plainHttpClient(),
        credentials: undefined,
      },
      createHttpClient: (config) => createHttpClient(config, { userAgent: "test" }),
    });
    this.source = new MonitorSource(BASE, {
      client,
      prometheus: { namespace: "monitoring", name: "k8s" },
      kubeconfigFile: "",
      holdMs: HOLD_MS,
      clock: QUICK,
      random: seededRandom(1),
      logger: createLogger({
        level: "debug",
        format: "logfmt",
        write: (line) => void (this.log += line),
      }),
      registry: this.registry,
    });
  }

  /** With a Prometheus object of this spec. */
  static async start(
    t: TestContext,
    spec: Record<string, unknown> | undefined,
    prepare: (fake: FakeKubernetes) => void = () => {},
  ): Promise<World> {
    const fake = await FakeKubernetes.start({ types: MONITORING_TYPES });
    const world = new World(fake);
    t.after(async () => {
      await world.source.stop();
      await fake.stop();
    });
    if (spec !== undefined) world.prometheus(spec);
    prepare(fake);
    await world.source.start();
    return world;
  }

  prometheus(spec: Record<string, unknown>): void {
    this.fake.put("prometheuses", { metadata: { namespace: "monitoring", name: "k8s" }, spec });
  }

  get jobs(): string[] {
    return this.source.jobs().flatMap(({ configs }) => configs.map(({ jobName }) => jobName));
  }

  get problems(): string[] {
    return this.source.conditions().map(({ resource, reason }) => `${resource}: ${reason}`);
  }

  metric(kind: string, state: string): string | undefined {
    const line = `shoal_operator_resources{kind="${kind}",state="${state}"} `;
    const text = this.registry.expose();
    return text
      .split("\n")
      .find((one) => one.startsWith(line))
      ?.slice(line.length);
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const endMs = performance.now() + 10_000;
    while (!holds()) {
      assert.ok(
        performance.now() < endMs,
        `not in time: ${what}; ${this.jobs.join()} ${this.problems.join()}`,
      );
      await systemClock.sleep(5);
    }
  }
}

function monitor(fake: FakeKubernetes, name: string, more: Record<string, unknown> = {}): void {
  const { namespace = "shop", labels = {}, ...endpoint } = more;
  fake.put("servicemonitors", {
    metadata: { namespace: namespace as string, name, labels: labels as Record<string, string> },
    spec: { selector: {}, endpoints: [{ port: "http", ...endpoint }] },
  });
}

const ALL = {
  serviceMonitorSelector: {},
  serviceMonitorNamespaceSelector: {},
} as const;
const job = (name: string, namespace = "shop"): string => `serviceMonitor/${namespace}/${name}/0`;

test("resources come, change and go; jobs that did not change stay the same objects", async (t) => {
  const world = await World.start(t, ALL, (fake) => {
    monitor(fake, "a");
    monitor(fake, "b");
  });
  await world.until("both are there", () => world.jobs.join() === `${job("a")},${job("b")}`);
  assert.equal(world.source.knowledge, "known");
  const [a, b] = world.source.jobs();
  monitor(world.fake, "b", { path: "/m" });
  await world.until("b has changed", () => world.source.jobs()[1] !== b);
  assert.equal(world.source.jobs()[0], a);
  assert.equal(world.source.jobs()[1]!.configs[0]!.metricsPath, "/m");
  world.fake.remove("servicemonitors", "a", "shop");
  monitor(world.fake, "c");
  await world.until("a is gone", () => world.jobs.join() === `${job("b")},${job("c")}`);
});

test("only what the Prometheus object selects is taken", async (t) => {
  const world = await World.start(
    t,
    {
      serviceMonitorSelector: { matchLabels: { team: "a" } },
      serviceMonitorNamespaceSelector: {
        matchExpressions: [{ key: "env", operator: "NotIn", values: ["test"] }],
      },
      podMonitorSelector: {},
    },
    (fake) => {
      for (const name of ["shop", "lab", "monitoring"])
        fake.put("namespaces", {
          metadata: { name, labels: { env: name === "lab" ? "test" : "prod" } },
        });
      monitor(fake, "mine", { labels: { team: "a" } });
      monitor(fake, "other", { labels: { team: "b" } });
      monitor(fake, "mine", { labels: { team: "a" }, namespace: "lab" });
      for (const namespace of ["shop", "monitoring"])
        fake.put("podmonitors", {
          metadata: { namespace, name: "pods" },
          spec: { selector: {}, podMetricsEndpoints: [{ port: "http" }] },
        });
      fake.put("probes", {
        metadata: { namespace: "monitoring", name: "unselected" },
        spec: { prober: { url: "blackbox" }, targets: { staticConfig: { static: ["a"] } } },
      });
    },
  );
  const both = [job("mine"), "podMonitor/monitoring/pods/0"];
  await world.until("the selected are there", () => world.jobs.join() === both.join());
  assert.ok(
    !world.fake.accesses.some(({ resource }) => resource === "probes"),
    "probes are asked for",
  );
  // Labels of a resource and of a namespace, and the selectors, take effect as they change.
  monitor(world.fake, "other", { labels: { team: "a" } });
  world.fake.put("namespaces", { metadata: { name: "lab", labels: { env: "prod" } } });
  const all = [job("mine", "lab"), job("mine"), job("other")];
  await world.until("more match", () => world.jobs.join() === [...all, both[1]].join());
  world.prometheus({ ...ALL, serviceMonitorSelector: { matchLabels: { team: "b" } } });
  await world.until("none match", () => world.jobs.length === 0);
});

test("a broken resource is rejected by name and spares the others; one that was good stays as it was", async (t) => {
  const world = await World.start(t, ALL, (fake) => {
    monitor(fake, "good");
    monitor(fake, "bad", { interval: "soon" });
    monitor(fake, "own", {});
  });
  await world.until("the good ones are there", () => world.jobs.length === 2);
  assert.equal(world.source.knowledge, "refused");
  assert.deepEqual(world.problems, [
    'ServiceMonitor shop/bad: not a valid duration string: "soon"',
  ]);
  assert.match(world.log, /cannot use custom resource.*ServiceMonitor shop\/bad.*instead=nothing/);
  assert.equal(world.metric("ServiceMonitor", "selected"), "3");
  assert.equal(world.metric("ServiceMonitor", "rejected"), "1");
  const [good] = world.source.jobs();
  monitor(world.fake, "good", { relabelings: [{ action: "keep", regex: "(" }] });
  await world.until("it is rejected", () => world.metric("ServiceMonitor", "rejected") === "2");
  assert.equal(world.source.jobs()[0], good);
  assert.match(world.log, /ServiceMonitor shop\/good.*its last valid version/);
  monitor(world.fake, "good", { path: "/new" });
  monitor(world.fake, "bad");
  await world.until("all are well", () => world.problems.length === 0);
  assert.equal(world.jobs.length, 3);
  assert.equal(world.source.knowledge, "known");
});

test("a job of prometheus.yml is not taken over", async (t) => {
  const world = await World.start(t, ALL, (fake) => monitor(fake, "a"));
  await world.until("it is there", () => world.jobs.length === 1);
  const base = parseConfig(`scrape_configs: [{job_name: ${job("a")}}]\n`, {
    path: "prometheus.yml",
    baseFolder: "/etc",
  });
  world.source.setConfig(base);
  await world.until("it is rejected", () => world.problems.length === 1);
  assert.match(world.problems[0]!, /prometheus\.yml has a job serviceMonitor\/shop\/a\/0/);
});

test("a new global section changes the jobs", async (t) => {
  const world = await World.start(t, ALL, (fake) => monitor(fake, "a"));
  await world.until("it is there", () => world.jobs.length === 1);
  assert.equal(world.source.jobs()[0]!.configs[0]!.labelLimit, 0);
  world.source.setConfig(
    parseConfig("global: {label_limit: 9}\n", { path: "prometheus.yml", baseFolder: "/etc" }),
  );
  await world.until("it has the limit", () => world.source.jobs()[0]?.configs[0]?.labelLimit === 9);
});

for (const [status, text] of [
  [404, /has no podmonitors\.monitoring\.coreos\.com of that version/],
  [403, /grant the verb "list" on "podmonitors\.monitoring\.coreos\.com" by a ClusterRole/],
] as const)
  test(`a type that is answered with ${status} is named, tried again, and spares the others`, async (t) => {
    const selections = { podMonitorSelector: {}, podMonitorNamespaceSelector: {} };
    const world = await World.start(t, { ...ALL, ...selections }, (fake) => {
      monitor(fake, "a");
      fake.put("podmonitors", {
        metadata: { namespace: "shop", name: "pods" },
        spec: { selector: {}, podMetricsEndpoints: [{ port: "http" }] },
      });
      fake.fail({
        matches: ({ resource }) => resource === "podmonitors",
        times: 1000,
        action: { status },
      });
    });
    await world.until("the others are there", () => world.jobs.join() === job("a"));
    await world.until("it is named", () => world.problems.some((problem) => text.test(problem)));
    await world.until("it is a definite answer", () => world.source.knowledge === "refused");
    world.fake.healFaults();
    await world.until("it is there", () => world.jobs.length === 2);
    assert.deepEqual(world.problems, []);
    assert.equal(world.source.knowledge, "known");
  });

test("an outage takes nothing away, and nothing is known before its end", async (t) => {
  const world = await World.start(t, ALL, (fake) => {
    monitor(fake, "a");
    fake.fail({ times: 100_000, action: "cut" });
  });
  await world.until("there is trouble", () => world.problems.length > 0);
  assert.equal(world.source.knowledge, "unknown");
  world.fake.healFaults();
  await world.until("it is there", () => world.jobs.length === 1);
  world.fake.fail({ times: 100_000, action: "cut" });
  world.fake.dropWatches();
  await world.until("there is trouble again", () => world.problems.length > 0);
  world.fake.remove("servicemonitors", "a", "shop");
  await systemClock.sleep(200);
  assert.equal(world.jobs.length, 1);
  world.fake.healFaults();
  await world.until("it is gone", () => world.jobs.length === 0);
});

test("a Prometheus object that is missing, deleted or broken leaves what was before", async (t) => {
  const world = await World.start(t, undefined, (fake) => monitor(fake, "a"));
  await world.until("it is missed", () => world.source.knowledge === "refused");
  assert.deepEqual(world.problems, ["Prometheus monitoring/k8s: there is no such object"]);
  world.prometheus({ ...ALL, remoteWrite: [{ url: "http://x" }] });
  await world.until("it is there", () => world.jobs.length === 1);
  assert.match(world.log, /fields=remoteWrite/);
  world.prometheus({ ...ALL, version: "newest" });
  await world.until("it is broken", () => world.problems.length === 1);
  assert.match(world.problems[0]!, /a version that is none: newest/);
  world.fake.remove("prometheuses", "k8s", "monitoring");
  await world.until("it is gone", () => /no such object/.test(world.problems[0] ?? ""));
  monitor(world.fake, "b");
  await world.until("the selection still holds", () => world.jobs.length === 2);
});

test("Secrets are read one by one, again as they change, and shown nowhere", async (t) => {
  const authorization = { credentials: { name: "auth", key: "token" } };
  const put = (fake: FakeKubernetes, token: string): void =>
    void fake.put("secrets", {
      metadata: { namespace: "shop", name: "auth" },
      data: { token: Buffer.from(token).toString("base64") },
    });
  const world = await World.start(t, ALL, (fake) => {
    monitor(fake, "a", { authorization });
    monitor(fake, "b");
    fake.put("secrets", { metadata: { namespace: "shop", name: "unused" }, data: {} });
    put(fake, "first-token");
    fake.fail({ matches: ({ resource }) => resource === "secrets", times: 3, action: "cut" });
  });
  await world.until("the other is there", () => world.jobs.join() === job("b"));
  assert.equal(world.source.knowledge, "unknown", "a Secret is not read yet");
  await world.until("both are there", () => world.jobs.length === 2);
  const credentials = (): string | undefined =>
    world.source.jobs()[0]?.configs[0]?.httpClient.authorization?.credentials.reveal();
  assert.equal(credentials(), "first-token");
  const accesses = world.fake.accesses.filter(({ resource }) => resource === "secrets");
  assert.ok(accesses.every(({ verb, name }) => verb === "get" && name === "auth"));
  put(world.fake, "second-token");
  await world.until("it is renewed", () => credentials() === "second-token");
  // An outage and a deletion leave the last value.
  world.fake.remove("secrets", "auth", "shop");
  await world.until("it is missed", () => world.problems.length === 1);
  assert.match(
    world.problems[0]!,
    /ServiceMonitor shop\/a: cannot get secrets "auth" in namespace "shop"/,
  );
  assert.equal(credentials(), "second-token");
  for (const text of [
    world.log,
    world.registry.expose(),
    JSON.stringify(world.source.conditions()),
    ...world.source.jobs().map(({ shownText }) => shownText),
  ])
    assert.doesNotMatch(text, /(first|second)-token/);
});

test("a Secret whose value does not fit is said without its value", async (t) => {
  const world = await World.start(t, ALL, (fake) => {
    fake.put("secrets", {
      metadata: { namespace: "shop", name: "auth" },
      data: { key: Buffer.from("-----BEGIN s3cret").toString("base64") },
    });
    monitor(fake, "a", { tlsConfig: { ca: { secret: { name: "auth", key: "key" } } } });
  });
  await world.until("it is rejected", () => world.problems.length === 1);
  assert.match(world.problems[0]!, /has a ca that is not a certificate in PEM/);
  assert.doesNotMatch(world.log + world.problems.join(), /s3cret/);
});

test("a list that suddenly lacks most resources is not believed for the hold time; deletions are, at once", async (t) => {
  const world = await World.start(t, ALL, (fake) => {
    for (const name of ["a", "b", "c"]) monitor(fake, name);
  });
  await world.until("all are there", () => world.jobs.length === 3);
  // The server loses them and its history, so that nobody is told of a deletion.
  world.fake.fail({ times: 3, matches: ({ verb }) => verb === "watch", action: "cut" });
  world.fake.dropWatches();
  for (const name of ["a", "b"]) world.fake.remove("servicemonitors", name, "shop");
  world.fake.compact();
  await world.until("the list is doubted", () => /lacks most of the objects/.test(world.log));
  const doubtedMs = performance.now();
  assert.equal(world.jobs.length, 3);
  monitor(world.fake, "a", { path: "/again" });
  await world.until(
    "one is there again",
    () => world.source.jobs()[0]?.configs[0]?.metricsPath === "/again",
  );
  assert.equal(world.jobs.length, 3);
  await world.until("the other is given up", () => world.jobs.length === 2);
  assert.ok(performance.now() - doubtedMs > HOLD_MS / 100 - 50, "too early");
  assert.deepEqual(world.jobs, [job("a"), job("c")]);
  const deletedMs = performance.now();
  for (const name of ["a", "c"]) world.fake.remove("servicemonitors", name, "shop");
  await world.until("they are gone", () => world.jobs.length === 0);
  assert.ok(performance.now() - deletedMs < HOLD_MS / 100, "deletions are held");
});

test("additionalScrapeConfigs are jobs as they stand in their Secret", async (t) => {
  const put = (fake: FakeKubernetes, text: string): void =>
    void fake.put("secrets", {
      metadata: { namespace: "monitoring", name: "more" },
      data: { "jobs.yaml": Buffer.from(text).toString("base64") },
    });
  const additionalScrapeConfigs = { name: "more", key: "jobs.yaml" };
  const world = await World.start(t, { additionalScrapeConfigs }, (fake) =>
    put(
      fake,
      `# two
- job_name: x
  basic_auth: {username: u, password: s3cret}
- {job_name: y, static_configs: [{targets: ["a:1"]}]}
`,
    ),
  );
  await world.until("they are there", () => world.jobs.join() === "x,y");
  const [jobs] = world.source.jobs();
  const merged = withJobs(BASE, world.source.jobs());
  assert.equal(jobs!.configs[0]!.httpClient.basicAuth!.password.reveal(), "s3cret");
  assert.doesNotMatch(printConfig(merged), /s3cret/);
  put(world.fake, "- job_name: x\n  scheme: [s3cret]\n");
  await world.until("they are rejected", () => world.problems.length === 1);
  assert.match(world.problems[0]!, /^additionalScrapeConfigs monitoring\/k8s: /);
  assert.doesNotMatch(world.problems[0]!, /s3cret/);
  assert.equal(world.source.jobs()[0], jobs);
  put(world.fake, "job_name: x\n");
  await world.until("they are no list", () => /not a list of jobs/.test(world.problems.join()));
  put(world.fake, "- job_name: own\n");
  await world.until("the name is taken", () => /has a job own/.test(world.problems.join()));
  put(world.fake, "[]");
  await world.until("there are none", () => world.jobs.length === 0);
  world.fake.remove("secrets", "more", "monitoring");
  world.prometheus({ additionalScrapeConfigs: { ...additionalScrapeConfigs, optional: true } });
  await world.until("nothing is wrong", () => world.problems.length === 0);
});

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { parseConfig } from "../config/load.ts";
import type { ConsulDiscovery } from "../config/types.ts";
import { FakeConsul } from "./consul.fixture.ts";
import { createConsul } from "./consul.ts";
import type { Finding } from "./mechanism.ts";
import { addressesOf, TestReports, testContext } from "./test-reports.ts";

function configOf(options: string): ConsulDiscovery {
  const { scrapeConfigs } = parseConfig(
    `scrape_configs: [{job_name: a, consul_sd_configs: [{${options}}]}]`,
    { path: "p.yml", baseFolder: "/" },
  );
  const [config] = scrapeConfigs[0]!.serviceDiscovery;
  assert(config?.kind === "consul");
  return config;
}

async function startConsul(t: TestContext): Promise<FakeConsul> {
  const consul = new FakeConsul();
  await consul.start();
  t.after(() => consul.stop());
  return consul;
}

/** The mechanism at work on `consul`; pauses last 5 ms instead of what they are meant to. */
function discover(
  t: TestContext,
  consul: FakeConsul,
  options = "",
  environment: Record<string, string> = {},
) {
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 5), signal),
  };
  const context = { ...testContext(), clock, environment };
  const config = configOf(`server: "${consul.address}"${options === "" ? "" : `, ${options}`}`);
  return { reports: TestReports.run(t, createConsul(config, context)), context };
}

const isWhole = ({ groups, isPartial }: Finding): boolean => groups !== undefined && !isPartial;

function sizes(groups: Finding["groups"]): string {
  return (groups ?? [])
    .map(({ source, targets }) => `${source}:${targets.length}`)
    .sort()
    .join(" ");
}

const EVERYTHING = {
  service: "web",
  id: "web-1",
  node: "n1",
  nodeAddress: "127.0.1.1",
  nodeMeta: { "rack.id": "r1", größe: "x" },
  taggedAddresses: { lan: "127.0.1.1", wan_ipv4: "127.0.2.1" },
  address: "::1",
  port: 8080,
  tags: ["a", "b"],
  meta: { version: "1.2", "k/v": "" },
  namespace: "team",
  partition: "west",
  checks: [
    { CheckID: "serfHealth", Status: "passing" },
    { CheckID: "service:web-1", Status: "warning" },
  ],
};

test("every label of an instance", async (t) => {
  const consul = await startConsul(t);
  consul.register(EVERYTHING, { service: "db", id: "db-1", nodeAddress: "127.0.1.3" });
  const { reports } = discover(t, consul);
  const { groups, errors } = await reports.next(isWhole);
  assert.deepEqual(errors, []);
  assert.deepEqual(groups, [
    {
      source: "web",
      labels: { __meta_consul_service: "web", __meta_consul_dc: "dc-of-agent" },
      targets: [
        {
          __address__: "[::1]:8080",
          __meta_consul_address: "127.0.1.1",
          __meta_consul_node: "n1",
          __meta_consul_namespace: "team",
          __meta_consul_partition: "west",
          __meta_consul_tags: ",a,b,",
          __meta_consul_service_address: "::1",
          __meta_consul_service_port: "8080",
          __meta_consul_service_id: "web-1",
          __meta_consul_health: "warning",
          __meta_consul_metadata_rack_id: "r1",
          __meta_consul_metadata_gr__e: "x",
          __meta_consul_service_metadata_version: "1.2",
          __meta_consul_service_metadata_k_v: "",
          __meta_consul_tagged_address_lan: "127.0.1.1",
          __meta_consul_tagged_address_wan_ipv4: "127.0.2.1",
        },
      ],
    },
    {
      source: "db",
      labels: { __meta_consul_service: "db", __meta_consul_dc: "dc-of-agent" },
      targets: [
        {
          __address__: "127.0.1.3:0",
          __meta_consul_address: "127.0.1.3",
          __meta_consul_node: "node-1",
          __meta_consul_namespace: "",
          __meta_consul_partition: "",
          __meta_consul_tags: ",,",
          __meta_consul_service_address: "",
          __meta_consul_service_port: "0",
          __meta_consul_service_id: "db-1",
          __meta_consul_health: "passing",
        },
      ],
    },
  ]);
});

test("health is that of the worst check", async (t) => {
  const consul = await startConsul(t);
  const cases: [want: string, checks: string[]][] = [
    ["passing", []],
    ["critical", ["passing", "critical", "warning"]],
    ["maintenance", ["critical", "_node_maintenance"]],
    ["maintenance", ["_service_maintenance:x", "passing"]],
    ["", ["passing", "unheard-of"]],
  ];
  consul.register(
    ...cases.map(([, checks], i) => ({
      service: "s",
      id: String(i),
      checks: checks.map((check) =>
        check.startsWith("_")
          ? { CheckID: check, Status: "critical" }
          : { CheckID: `c-${check}`, Status: check },
      ),
    })),
  );
  const { reports } = discover(t, consul);
  const { groups } = await reports.next(isWhole);
  assert.deepEqual(
    groups![0]!.targets.map((target) => target["__meta_consul_health"]),
    cases.map(([want]) => want),
  );
});

test("Consul is asked as configured", async (t) => {
  const consul = await startConsul(t);
  consul.register({ service: "s/x", id: "1", port: 1, tags: ["t1", "t2"] });
  const { reports } = discover(
    t,
    consul,
    `path_prefix: prefix/, datacenter: d1, namespace: n, partition: p, token: tok, tags: [t1, t2],
     node_meta: {k: v w}, filter: 'F == "f"', health_filter: H, tag_separator: "|", username: u, password: pw`,
  );
  const { groups } = await reports.next(isWhole);
  assert.equal(groups![0]!.targets[0]!["__meta_consul_tags"], "|t1|t2|");
  assert.equal(groups![0]!.labels["__meta_consul_dc"], "d1");
  const common = "dc=d1&ns=n&partition=p&stale=&wait=120000ms";
  const [catalog, health] = consul.requests;
  assert.deepEqual(
    [catalog!.path, catalog!.query.toString()],
    ["/prefix/v1/catalog/services", `${common}&filter=F+%3D%3D+%22f%22&node-meta=k%3Av+w`],
  );
  assert.deepEqual(
    [health!.path, health!.query.toString()],
    ["/prefix/v1/health/service/s%2Fx", `${common}&filter=H&node-meta=k%3Av+w&tag=t1&tag=t2`],
  );
  for (const { headers } of [catalog!, health!]) {
    assert.equal(headers["x-consul-token"], "tok");
    assert.equal(headers["authorization"], `Basic ${btoa("u:pw")}`);
  }
});

test("with allow_stale off, and a token from the environment", async (t) => {
  const consul = await startConsul(t);
  consul.register({ service: "s", id: "1" });
  const { reports } = discover(t, consul, "allow_stale: false", {
    CONSUL_HTTP_TOKEN: "env",
    CONSUL_NAMESPACE: "ens",
    CONSUL_PARTITION: "epa",
  });
  await reports.next(isWhole);
  for (const { path, query, headers } of consul.requests) {
    assert.equal(headers["x-consul-token"], "env");
    assert.equal(query.get("ns"), "ens");
    assert.equal(query.get("partition"), "epa");
    assert.equal(query.has("stale"), false, path);
  }
});

test("the token does not follow a redirect to another host", async (t) => {
  const consul = await startConsul(t);
  const redirecting = createServer((request, response) => {
    response.writeHead(302, { location: `http://${consul.address}${request.url}` }).end();
  });
  await new Promise<void>((resolve) => redirecting.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    redirecting.closeAllConnections();
    redirecting.close();
  });
  const config = configOf(
    `server: "127.0.0.1:${(redirecting.address() as AddressInfo).port}", token: tok, services: [s]`,
  );
  const reports = TestReports.run(t, createConsul(config, testContext()));
  await reports.next(isWhole);
  assert(consul.requests.length > 0);
  for (const { headers } of consul.requests) assert.equal(headers["x-consul-token"], undefined);
});

test("additions, changes and removals come as they happen, without asking in between", async (t) => {
  const consul = await startConsul(t);
  consul.register({ service: "a", id: "a1", port: 1 }, { service: "b", id: "b1", port: 1 });
  const { reports } = discover(t, consul);
  await reports.addresses(["127.0.0.9:1", "127.0.0.9:1"]);
  consul.register({ service: "a", id: "a2", port: 2 });
  await reports.addresses(["127.0.0.9:1", "127.0.0.9:1", "127.0.0.9:2"]);
  consul.register({ service: "c", id: "c1", port: 3 });
  await reports.addresses(["127.0.0.9:1", "127.0.0.9:1", "127.0.0.9:2", "127.0.0.9:3"]);
  consul.register({ service: "c", id: "c1", port: 4 });
  await reports.addresses(["127.0.0.9:1", "127.0.0.9:1", "127.0.0.9:2", "127.0.0.9:4"]);
  consul.deregister("b1", "a1");
  await reports.next(({ groups }) => sizes(groups) === "a:1 c:1");
  const ofA = consul.requests.filter(({ path }) => path.endsWith("/a"));
  // The first question, one for each of its two changes, and the one that waits.
  assert(ofA.length <= 4, `asked ${ofA.length} times`);
  const indexes = ofA.map(({ query }) => Number(query.get("index") ?? 0));
  assert.deepEqual(
    indexes,
    indexes.toSorted((x, y) => x - y),
  );
  assert.equal(indexes[0], 0);
  assert(indexes[1]! > 0);
});

test("a wait that ends without a change is no news", async (t) => {
  const consul = await startConsul(t);
  consul.maxWaitMs = 1;
  consul.register({ service: "a", id: "a1", port: 1 });
  const { reports } = discover(t, consul, "services: [a]");
  const first = await reports.next(isWhole);
  const asked = consul.requests.length;
  while (consul.requests.length < asked + 6) await systemClock.sleep(1);
  consul.register({ service: "a", id: "a1", port: 2 });
  const second = await reports.next();
  assert.equal(first.groups![0]!.targets[0]!["__address__"], "127.0.0.9:1");
  assert.equal(second.groups![0]!.targets[0]!["__address__"], "127.0.0.9:2");
});

test("an index that goes back starts over", async (t) => {
  const consul = await startConsul(t);
  consul.register({ service: "a", id: "a1", port: 1 });
  consul.maxWaitMs = 5;
  const { reports } = discover(t, consul, "services: [a]");
  await reports.addresses(["127.0.0.9:1"]);
  consul.restart();
  consul.register({ service: "a", id: "a1", port: 2 });
  await reports.addresses(["127.0.0.9:2"]);
  const indexes = consul.requests.map(({ query }) => Number(query.get("index") ?? 0));
  assert.equal(indexes.filter((index) => index === 0).length >= 2, true, String(indexes));
});

test("without an index the server is polled", async (t) => {
  const consul = await startConsul(t);
  consul.sendsIndex = false;
  consul.register({ service: "a", id: "a1", port: 1 });
  const { reports } = discover(t, consul);
  await reports.addresses(["127.0.0.9:1"]);
  consul.register({ service: "a", id: "a1", port: 2 });
  await reports.addresses(["127.0.0.9:2"]);
  assert(consul.requests.every(({ query }) => !query.has("index")));
});

test("named services are asked for without the catalog, there or not", async (t) => {
  const consul = await startConsul(t);
  consul.register({ service: "a", id: "a1", port: 1 }, { service: "x", id: "x1", port: 9 });
  const { reports } = discover(t, consul, "services: [a, gone], datacenter: d");
  const { groups } = await reports.next(isWhole);
  assert.equal(sizes(groups), "a:1 gone:0");
  assert.deepEqual(
    new Set(consul.requests.map(({ path }) => path)),
    new Set(["/v1/health/service/a", "/v1/health/service/gone"]),
  );
});

test("with tags only instances that have them all, of the services named", async (t) => {
  const consul = await startConsul(t);
  consul.register(
    { service: "a", id: "a1", port: 1, tags: ["x", "y"] },
    { service: "a", id: "a2", port: 2, tags: ["x"] },
    { service: "b", id: "b1", port: 3, tags: ["x", "y"] },
    { service: "c", id: "c1", port: 4, tags: ["y"] },
  );
  const { reports } = discover(t, consul, "services: [a, c], tags: [x, y]");
  await reports.addresses(["127.0.0.9:1"]);
  // The service stays watched when it loses the tags, and is there when it gets them back.
  consul.register({ service: "a", id: "a1", port: 1, tags: [] });
  await reports.addresses([]);
  consul.register({ service: "a", id: "a1", port: 1, tags: ["y", "x"] });
  await reports.addresses(["127.0.0.9:1"]);
});

test("a failing server loses no targets, and what changed meanwhile is seen after", async (t) => {
  const consul = await startConsul(t);
  consul.register({ service: "a", id: "a1", port: 1 });
  const { reports, context } = discover(t, consul);
  await reports.addresses(["127.0.0.9:1"]);
  consul.refuse = () => 500;
  consul.restart();
  const failed = await reports.next(
    ({ errors }) =>
      errors.filter((error) => error.includes("500 (no cluster leader)")).length === 2,
  );
  assert.equal(failed.groups![0]!.targets[0]!["__address__"], "127.0.0.9:1");
  assert.equal(failed.isPartial, false);
  consul.register({ service: "b", id: "b1", port: 2 });
  consul.refuse = () => undefined;
  // The catalog and each service come back in their own time.
  const both = ["127.0.0.9:1", "127.0.0.9:2"];
  await reports.next(
    (finding) => finding.errors.length === 0 && String(addressesOf(finding)) === String(both),
  );
  const failures = /^prometheus_sd_consul_rpc_failures_total (\d+)$/m.exec(
    context.registry.expose(),
  );
  assert(Number(failures?.[1]) >= 2);
});

test("a service that has not answered yet makes the finding partial", async (t) => {
  const consul = await startConsul(t);
  consul.register({ service: "a", id: "a1", port: 1 }, { service: "b", id: "b1", port: 2 });
  consul.refuse = (path) => (path.endsWith("/b") ? 403 : undefined);
  const { reports } = discover(t, consul);
  const partial = await reports.next(
    ({ groups, errors }) => groups?.length === 1 && errors.length === 1,
  );
  assert.equal(partial.isPartial, true);
  assert.match(
    partial.errors[0]!,
    /^cannot refresh Consul service b: Unexpected response code: 403/,
  );
  consul.refuse = () => undefined;
  const whole = await reports.next(isWhole);
  assert.equal(whole.groups?.length, 2);
});

test("without its datacenter there is no list at all", async (t) => {
  const consul = await startConsul(t);
  consul.refuse = (path) => (path === "/v1/agent/self" ? 503 : undefined);
  consul.register({ service: "a", id: "a1", port: 1 });
  const { reports } = discover(t, consul);
  const failed = await reports.next();
  assert.equal(failed.groups, undefined);
  assert.match(failed.errors[0]!, /^cannot retrieve Consul's datacenter: .*503/);
  consul.refuse = () => undefined;
  assert.deepEqual((await reports.addresses(["127.0.0.9:1"])).errors, []);
});

test("an empty catalog is a list of nothing", async (t) => {
  const consul = await startConsul(t);
  const { reports } = discover(t, consul);
  assert.deepEqual(await reports.next(), { groups: [], isPartial: false, errors: [] });
});

test("the server may be a URL", async (t) => {
  const consul = await startConsul(t);
  const reports = TestReports.run(
    t,
    createConsul(
      configOf(`server: "http://${consul.address}/prefix", services: [s], datacenter: d`),
      testContext(),
    ),
  );
  await reports.next(isWhole);
  assert.equal(consul.requests[0]!.path, "/prefix/v1/health/service/s");
  assert.throws(
    () => createConsul(configOf(`server: "unix:///run/consul.sock"`), testContext()),
    /cannot reach Consul at "unix:\/\/\/run\/consul.sock": it must be host:port/,
  );
});

test("answers that are not Consul's are errors", async (t) => {
  const bodies = ["[", "[]", "{}"];
  let i = 0;
  const server = createServer((_request, response) => {
    response.end(bodies[Math.min(i++, bodies.length - 1)]);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const clock = { ...systemClock, sleep: () => systemClock.sleep(1) };
  const reports = TestReports.run(
    t,
    createConsul(configOf(`server: "127.0.0.1:${port}", datacenter: d`), {
      ...testContext(),
      clock,
    }),
  );
  assert.match((await reports.next()).errors[0]!, /cannot read Consul's answer: /);
  assert.match((await reports.next()).errors[0]!, /cannot read Consul's services: not an object/);
  assert.deepEqual((await reports.next()).groups, []);
});

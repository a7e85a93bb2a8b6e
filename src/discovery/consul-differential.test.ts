import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../../test/support/processes.ts";
import { FakeConsul, type FakeRequest } from "./consul.fixture.ts";
import { comparedConfig, DiscoveryComparison, type LabelMap } from "./prometheus.fixture.ts";

const WEB_1 = {
  service: "web",
  id: "web-1",
  node: "n1",
  nodeAddress: "127.0.1.1",
  nodeMeta: { "rack.id": "r1", "consul-network-segment": "" },
  taggedAddresses: { lan: "127.0.1.1", wan_ipv4: "127.0.2.1" },
  address: "::1",
  port: 8080,
  tags: ["prod", "b"],
  meta: { version: "1.2", "k/v é": "x" },
  namespace: "team",
  partition: "west",
  checks: [
    { CheckID: "serfHealth", Status: "passing" },
    { CheckID: "service:web-1", Status: "warning" },
  ],
};

/** Debian's Prometheus is built without Consul, so the live side needs SHOAL_PROMETHEUS. */
test("Prometheus and we find the same at one Consul", async (t) => {
  const consul = new FakeConsul();
  await consul.start();
  t.after(() => consul.stop());
  consul.register(
    WEB_1,
    { service: "web", id: "web-2", nodeAddress: "127.0.1.2", port: 81, tags: ["prod"] },
    { service: "web", id: "web-untagged", port: 82 },
    { service: "a/b c", id: "odd", port: 83, tags: ["prod"] },
    { service: "untagged", id: "u-1", port: 84 },
    {
      service: "maint",
      id: "m-1",
      port: 85,
      tags: ["prod"],
      checks: [{ CheckID: "_node_maintenance", Status: "critical" }],
    },
  );
  const compared = await DiscoveryComparison.start(t, {
    config: comparedConfig(
      "consul",
      `server: "${consul.address}", tags: [prod], node_meta: {k: v}, filter: F, health_filter: H, refresh_interval: 1s`,
    ),
    golden: "consul.json",
  });
  const isOurs = ({ headers }: FakeRequest): boolean =>
    headers["user-agent"]?.startsWith("Shoal/") === true;
  const ours = (): FakeRequest[] => consul.requests.filter(isOurs);
  const theirs = (): FakeRequest[] => consul.requests.filter((request) => !isOurs(request));
  await compared.same("first list", (found) => ids(found) === "m-1,odd,web-1,web-2");
  if (compared.isLive) assert.deepEqual(parameters(ours()), parameters(theirs()));

  consul.register(
    { service: "web", id: "web-2", nodeAddress: "127.0.1.2", port: 91, tags: ["prod", "new"] },
    { service: "late", id: "late-1", port: 86, tags: ["prod"] },
  );
  consul.deregister("web-1", "odd");
  await compared.same(
    "additions, changes and removals",
    (found) =>
      ids(found) === "late-1,m-1,web-2" &&
      found.some((labels) => labels["__meta_consul_tags"] === ",prod,new,"),
  );
  if (!compared.isLive) return;

  consul.refuse = () => 500;
  const asked = [ours().length, theirs().length];
  consul.disconnect();
  const areRefused = (): boolean => ours().length > asked[0]! && theirs().length > asked[1]!;
  await until("both are refused", async () => areRefused() || undefined);
  await compared.same("errors remove nothing", (found) => ids(found) === "late-1,m-1,web-2");
  consul.refuse = () => undefined;
  consul.register({ service: "late", id: "late-2", port: 87, tags: ["prod"] });
  await compared.same("after errors", (found) => ids(found) === "late-1,late-2,m-1,web-2");
});

function ids(found: readonly LabelMap[]): string {
  return found
    .map((labels) => labels["__meta_consul_service_id"] ?? "")
    .sort()
    .join();
}

/** Each path with the parameters that it was first asked with. */
function parameters(requests: readonly FakeRequest[]): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { path, query } of requests)
    // Prometheus leaves a slash in a service's name as it is; Consul takes both.
    found[decodeURIComponent(path)] ??= [...query]
      .map(([name, value]) => `${name}=${value}`)
      .sort();
  return found;
}

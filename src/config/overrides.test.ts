import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "./load.ts";
import { applyOverrides } from "./overrides.ts";

const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

const CONFIG = parseConfig(
  `scrape_configs:
- job_name: plain
  http_sd_configs: [{url: "http://sd/"}, {url: "http://sd/2", proxy_url: "http://own-sd:1"}]
- job_name: proxied
  proxy_url: http://u:pw@own:1
  proxy_connect_header: {X: [y]}
- job_name: account
  bearer_token_file: ${ACCOUNT}/token
  tls_config: {ca_file: ${ACCOUNT}/ca.crt}
- job_name: elsewhere
  bearer_token_file: /etc/token
- job_name: cluster
  kubernetes_sd_configs:
  - {role: pod}
  - {role: pod, bearer_token_file: ${ACCOUNT}/token, tls_config: {ca_file: /own/ca}, api_server: "https://own"}
  - {role: pod, kubeconfig_file: /k}
`,
  { path: "p.yml", baseFolder: "/" },
);

const NOTHING = { scrapeProxy: "", serviceAccountPath: "" };

test("without overrides a configuration is the same object", () => {
  assert.equal(applyOverrides(CONFIG, NOTHING), CONFIG);
});

test("all scrapes go through one proxy, which learns the job's own", () => {
  const { scrapeConfigs, source } = applyOverrides(CONFIG, {
    ...NOTHING,
    scrapeProxy: "http://p:3",
  });
  assert.equal(source, CONFIG.source);
  assert.deepEqual(
    scrapeConfigs.map(({ httpClient }) => httpClient.proxy.url),
    Array.from({ length: 5 }, () => "http://p:3"),
  );
  const [plain, proxied] = scrapeConfigs;
  assert.deepEqual(plain!.httpClient.headers, {});
  const header = proxied!.httpClient.headers["Origin-Proxy"]!;
  assert.deepEqual(
    header.secrets.map((secret) => secret.reveal()),
    ["http://u:pw@own:1"],
  );
  const { connectHeader } = proxied!.httpClient.proxy;
  assert.deepEqual(Object.keys(connectHeader), ["X", "Origin-Proxy"]);
  assert.equal(JSON.stringify(proxied!.httpClient).includes("pw@"), false, "a secret");
  assert.deepEqual(
    plain!.serviceDiscovery.map((one) => one.kind === "http" && one.httpClient.proxy.url),
    ["http://p:3", "http://own-sd:1"],
  );
});

test("the service account's files are where they are said to be, all others stay", () => {
  const { scrapeConfigs } = applyOverrides(CONFIG, { ...NOTHING, serviceAccountPath: "/sa" });
  const [plain, , account, elsewhere] = scrapeConfigs;
  assert.equal(account!.httpClient.tls.caFile, "/sa/ca.crt");
  assert.equal(account!.httpClient.authorization?.credentialsFile, "/sa/token");
  assert.equal(elsewhere!.httpClient.authorization?.credentialsFile, "/etc/token");
  assert.equal(plain!.httpClient.tls.caFile, "");
});

test("kubernetes_sd_configs without an API server get one", () => {
  const found = (overrides: object) =>
    applyOverrides(CONFIG, { ...NOTHING, ...overrides }).scrapeConfigs[4]!.serviceDiscovery.map(
      (one) => {
        assert(one.kind === "kubernetes");
        const { tls, authorization, proxy } = one.httpClient;
        return [one.apiServer, proxy.url, tls.caFile, authorization?.credentialsFile ?? ""];
      },
    );
  const own = ["https://own", "", "/own/ca", `${ACCOUNT}/token`];
  const file = ["", "", "", ""];
  assert.deepEqual(found({ kubernetesUrl: "https://k" }), [["https://k", "", "", ""], own, file]);
  assert.deepEqual(
    found({
      kubernetesUrl: "https://k",
      kubernetesProxy: "http://p",
      serviceAccountPath: "/sa",
    }),
    [["https://k", "http://p", "/sa/ca.crt", "/sa/token"], own, file],
  );
  // In the cluster itself there is nothing to set.
  assert.deepEqual(found({ kubernetesProxy: "http://p" })[0], ["", "", "", ""]);
});

test("jobs that name no protocols ask for protobuf first", () => {
  const text = `scrape_configs:
- job_name: default
- job_name: as-the-default
  scrape_protocols: [OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4]
- job_name: own
  scrape_protocols: [PrometheusText0.0.4]
`;
  const config = parseConfig(text, { path: "p.yml", baseFolder: "/" });
  const { scrapeConfigs } = applyOverrides(config, { ...NOTHING, protobufFirst: true });
  assert.deepEqual(
    scrapeConfigs.map(({ scrapeProtocols }) => scrapeProtocols[0]),
    ["PrometheusProto", "OpenMetricsText1.0.0", "PrometheusText0.0.4"],
  );
});

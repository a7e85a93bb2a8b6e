import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MECHANISMS } from "./mechanisms.ts";
import { parseConfig } from "./load.ts";
import { ConfigError } from "./config-error.ts";
import type { DiscoveryConfig } from "./types.ts";

const OPTIONS = { path: "p.yml", baseFolder: "/etc" };

function discover(mechanism: string, options: string): DiscoveryConfig {
  const text = `scrape_configs: [{job_name: a, ${mechanism}_sd_configs: [{${options}}]}]`;
  return parseConfig(text, OPTIONS).scrapeConfigs[0]!.serviceDiscovery[0]!;
}

/** The least that each mechanism needs. */
const LEAST: Readonly<Record<string, string>> = {
  azure: "subscription_id: s, tenant_id: t, client_id: c, client_secret: x",
  digitalocean: "role: databases",
  docker: "host: 'unix:///var/run/docker.sock'",
  dockerswarm: "host: 'tcp://h', role: tasks",
  eureka: "server: 'http://e/eureka'",
  gce: "project: p, zone: z",
  hetzner: "role: robot",
  ionos: "datacenter_id: d",
  kuma: "server: 'http://k:5676'",
  lightsail: "region: r",
  linode: "region: r",
  marathon: "servers: ['http://m']",
  nerve: "servers: [s], paths: [/p]",
  nomad: "region: r",
  oci: "region: r, auth: instance_principal",
  openstack: "role: instance, region: r",
  outscale: "access_key: a, secret_key: s",
  ovhcloud: "application_key: a, application_secret: b, consumer_key: c, service: vps",
  puppetdb: "url: 'https://p', query: 'resources { }'",
  scaleway:
    "role: instance, project_id: 11111111-1111-1111-1111-111111111112, access_key: SCWXXXXXXXXXXXXXXXXX, secret_key_file: f",
  serverset: "servers: [s], paths: [/p]",
  stackit: "project: p",
  triton: "account: a, dns_suffix: d, endpoint: e",
  uyuni: "server: 'https://u', username: n, password: p",
  vultr: "authorization: {credentials: c}",
};

test("each mechanism accepts the least it needs and is kept by name", () => {
  assert.deepEqual(Object.keys(LEAST).sort(), Object.keys(MECHANISMS).sort());
  for (const [mechanism, options] of Object.entries(LEAST)) {
    const found = discover(mechanism, options);
    assert(found.kind === "other", mechanism);
    assert.equal(found.mechanism, mechanism);
  }
});

test("kubernetes is read as what discovery runs", () => {
  const found = discover(
    "kubernetes",
    "role: pod, api_server: 'https://k', authorization: {credentials: c}, namespaces: {names: [a, b]}, selectors: [{role: node, label: x}], attach_metadata: {node: true, job: true}",
  );
  assert(found.kind === "kubernetes");
  const { httpClient, ...rest } = found;
  assert.equal(httpClient.authorization?.credentials.reveal(), "c");
  assert.deepEqual(rest, {
    kind: "kubernetes",
    role: "pod",
    apiServer: "https://k",
    kubeconfigFile: "",
    namespaces: { ownNamespace: false, names: ["a", "b"] },
    selectors: [{ role: "node", label: "x", field: "" }],
    attachMetadata: { node: true, namespace: false, deployment: false, job: true, cronjob: false },
  });
  const own = discover("kubernetes", "role: node, kubeconfig_file: k.yml");
  assert(own.kind === "kubernetes");
  assert.equal(own.kubeconfigFile, "/etc/k.yml");
});

describe("each mechanism refuses what Prometheus refuses", () => {
  const f = (mechanism: string, options: string, message: string): void => {
    test(`${mechanism}: ${message}`, () => {
      assert.throws(
        () => discover(mechanism, options),
        (error) => {
          assert(error instanceof ConfigError, String(error));
          assert(error.message.includes(message), error.message);
          return true;
        },
      );
    });
  };
  const others = ["file", "http", "dns", "consul", "ec2", "aws", "kubernetes"];
  for (const mechanism of [...Object.keys(LEAST), ...others])
    f(mechanism, "no_such_key: 1", 'unknown key "no_such_key" in a');
  f("aws", "region: r", 'unknown AWS SD role ""');
  f("aws", "role: s3", 'unknown AWS SD role "s3"');
  f(
    "azure",
    "tenant_id: t, client_id: c, client_secret: x",
    "azure SD configuration requires a subscription_id",
  );
  f("azure", "subscription_id: s, authentication_method: x", 'unknown authentication_type "x"');
  f("consul", "server: ' '", "consul SD configuration requires a server address");
  f(
    "consul",
    "token: t, authorization: {credentials: c}",
    "at most one of consul SD token, authorization, or oauth2 can be configured",
  );
  f(
    "consul",
    "username: u, basic_auth: {username: u}",
    "at most one of consul SD configuration username and password and basic auth can be configured",
  );
  f("digitalocean", "role: x", 'unknown DigitalOcean SD role "x"');
  f("dns", "names: []", "DNS-SD config must contain at least one SRV record name");
  f(
    "dns",
    "names: [a], type: A",
    "a port is required in DNS-SD configs for all record types except SRV",
  );
  f("dns", "names: [a], type: TXT", "invalid DNS-SD records type TXT");
  f("docker", "port: 1", "host missing");
  f("dockerswarm", "host: h, role: x", "invalid role x, expected tasks, services, or nodes");
  f(
    "ec2",
    "filters: [{name: a, values: []}]",
    "EC2 SD configuration filter values cannot be empty",
  );
  f("eureka", "server: e", "eureka_sd: invalid eureka server URL");
  f("eureka", "refresh_interval: 1s", "eureka_sd: empty or null eureka server");
  f("file", "files: []", "file service discovery config must contain at least one path name");
  f("file", "files: [a.txt]", 'path name "a.txt" is not valid for file discovery');
  f("file", "files: ['*/a.yml']", 'path name "*/a.yml" is not valid for file discovery');
  f("gce", "project: p", "GCE SD configuration requires a zone");
  f("hetzner", "role: x", 'unknown role "x"');
  f("http", "refresh_interval: 1s", "URL is missing");
  f("http", "url: 'ftp://a'", "URL scheme must be 'http' or 'https'");
  f("http", "url: 'http://'", "host is missing in URL");
  f("ionos", "port: 1", "datacenter id can't be empty");
  f("kubernetes", "kubeconfig_file: f", "role missing (one of: pod,");
  f("kubernetes", "role: pods", 'unknown Kubernetes SD role "pods"');
  f(
    "kubernetes",
    "role: pod, api_server: 'http://a', kubeconfig_file: f",
    "cannot use 'kubeconfig_file' and 'api_server' simultaneously",
  );
  f(
    "kubernetes",
    "role: pod, kubeconfig_file: f, bearer_token: t",
    "cannot use a custom HTTP client configuration together with 'kubeconfig_file'",
  );
  f(
    "kubernetes",
    "role: pod, proxy_from_environment: true",
    "to use custom HTTP client configuration please provide the 'api_server' URL explicitly",
  );
  f(
    "kubernetes",
    "role: pod, follow_redirects: false",
    "to use custom HTTP client configuration please provide the 'api_server' URL explicitly",
  );
  f(
    "kubernetes",
    "role: pod, selectors: [{role: pod}, {role: pod}]",
    "duplicated selector role: pod",
  );
  f(
    "kubernetes",
    "role: pod, selectors: [{role: service}]",
    "pod role supports only pod, node selectors",
  );
  f(
    "kubernetes",
    "role: pod, selectors: [{role: pod, field: a-b}]",
    "invalid selector: 'a-b'; can't understand 'a-b'",
  );
  f(
    "kubernetes",
    "role: pod, selectors: [{role: pod, label: 'a in b'}]",
    "unable to parse requirement",
  );
  f("kuma", "server: k", "kuma SD server must not be empty and have a scheme: k");
  f(
    "lightsail",
    "bearer_token: t, bearer_token_file: f",
    "at most one of bearer_token & bearer_token_file must be configured",
  );
  f("marathon", "servers: []", "marathon_sd: must contain at least one Marathon server");
  f(
    "marathon",
    "servers: [s], auth_token: t, basic_auth: {username: u}",
    "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured",
  );
  f("nerve", "servers: [s], paths: [p]", "nerve SD config paths must begin with '/': p");
  f("nomad", "server: ' '", "nomad SD configuration requires a server address");
  f("oci", "region: r, auth: x", 'oci_sd: unknown auth method "x"');
  f("oci", "region: r", "oci_sd: api_key auth requires tenancy");
  f("openstack", "role: x", 'unknown OpenStack SD role "x"');
  f(
    "openstack",
    "role: instance, region: r, availability: x",
    "unknown availability x, must be one of admin, internal or public",
  );
  f("outscale", "access_key: a", "one of secret_key & secret_key_file must be configured");
  f("ovhcloud", `${LEAST["ovhcloud"]!.replace("vps", "x")}`, "unknown service: x");
  f("puppetdb", "url: 'http://p'", "query missing");
  f(
    "scaleway",
    `${LEAST["scaleway"]}, secret_key: 11111111-1111-1111-1111-111111111111`,
    "at most one of secret_key & secret_key_file must be configured",
  );
  f("scaleway", LEAST["scaleway"]!.replace("SCW", "ABC"), "invalid access key format");
  f("serverset", "servers: [s]", "serverset SD config must contain at least one path");
  f("stackit", "endpoint: 'http://[a'", "stackit_sd: invalid endpoint");
  f(
    "triton",
    "account: a, dns_suffix: d, endpoint: e, role: x",
    "triton SD configuration requires role to be 'container' or 'cn'",
  );
  f("uyuni", "server: 'https://u', username: n", "Uyuni SD configuration requires a password");
});

test("label selectors of Kubernetes in every form", () => {
  for (const label of [
    "a",
    "!a",
    "a=b",
    "a==b",
    "a!=b",
    "a in (b, c),d",
    "x.y/a notin (b)",
    "a>1",
    "",
  ])
    discover(
      "kubernetes",
      `role: pod, selectors: [{role: pod, label: '${label}', field: 'a.b!=c,d=e'}]`,
    );
});

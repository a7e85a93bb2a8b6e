import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { partPath, skipWithoutParts } from "../../test/support/processes.ts";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { injectConfig } from "./inject-config.ts";
import { targetsFileName } from "./target-files.ts";

const folder = mkdtempSync(join(tmpdir(), "shoal-inject-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function inject(text: string): string {
  return injectConfig(text, {
    path: "prometheus.yml",
    baseFolder: "/base",
    targetsFolder: "/store/targets",
  });
}

/** What stands for a job's discovery and relabelling, as it is indented in a block list. */
function replaced(job: string): string {
  return `    relabel_configs:
      - source_labels:
          - __meta_shoal_absent_job
        regex: absent
        target_label: job
        replacement: ""
        action: replace
      - source_labels:
          - __meta_shoal_absent___metrics_path__
        regex: absent
        target_label: __metrics_path__
        replacement: ""
        action: replace
    file_sd_configs:
      - files:
          - /store/targets/${targetsFileName(job)}
        refresh_interval: 30s
`;
}

describe("injectConfig", () => {
  it("replaces discovery and relabelling and keeps all else as it is written", () => {
    const text = `# who owns this
global:
  scrape_interval: 015s # odd, but legal
  external_labels: {a: yes, b: "no", c: ~, empty: , hex: 0x10}
rule_files:
alerting: null
key_of_a_later_version: {some: [thing, 1.50]}
scrape_configs:
  # the nodes
  - job_name: node
    basic_auth: {username: u, password: "p%s'\\u00e9"}
    kubernetes_sd_configs: [{role: node}]
    sd_of_a_later_version_sd_configs:
      - any: thing
    static_configs:
      - targets: [a:1]
    relabel_configs:
      - {regex: x, action: labeldrop}
    metric_relabel_configs:
      - {regex: y, action: labeldrop}
    sample_limit: 9
    note: |
      several
        lines
    folded: >-
      one two
`;
    assert.equal(
      inject(text),
      `# who owns this
global:
  scrape_interval: 015s # odd, but legal
  external_labels: {a: yes, b: "no", c: ~, empty: null, hex: 0x10}
rule_files:
alerting: null
key_of_a_later_version: {some: [thing, 1.50]}
scrape_configs:
  # the nodes
  - job_name: node
    basic_auth: {username: u, password: "p%s'é"}
    metric_relabel_configs:
      - {regex: y, action: labeldrop}
    sample_limit: 9
    note: |
      several
        lines
    folded: >-
      one two
${replaced("node")}`,
    );
  });

  it("follows aliases and merge keys before it takes anything away", () => {
    const text = `scrape_configs:
  - &first
    job_name: a
    relabel_configs: &rules
      - {regex: x, action: labeldrop}
    static_configs: [{targets: [a:1]}]
    sample_limit: 5
  - <<: *first
    job_name: b
    metric_relabel_configs: *rules
`;
    assert.equal(
      inject(text),
      `scrape_configs:
  - job_name: a
    sample_limit: 5
${replaced("a")}  - job_name: b
    metric_relabel_configs:
      - {regex: x, action: labeldrop}
    sample_limit: 5
${replaced("b")}`,
    );
  });

  it("makes relative paths absolute, but not what only looks like one", () => {
    const text = `global: {query_log_file: q.log, external_labels: {my_file: x}}
rule_files: [rules/*.yml, /abs/*.yml]
scrape_configs:
  - job_name: a
    params: {files: [x]}
    tls_config: {ca_file: ca.crt, cert_file: ""}
    authorization: {credentials_file: ../token}
    http_headers: {X: {files: [h]}}
alerting:
  alertmanagers:
    - file_sd_configs: [{files: [am.json]}]
remote_write:
  - {url: "http://x", headers: {a_file: b}, basic_auth: {password_file: pw}}
`;
    assert.equal(
      inject(text),
      `global: {query_log_file: /base/q.log, external_labels: {my_file: x}}
rule_files: [/base/rules/*.yml, /abs/*.yml]
scrape_configs:
  - job_name: a
    params: {files: [x]}
    tls_config: {ca_file: /base/ca.crt, cert_file: ""}
    authorization: {credentials_file: /token}
    http_headers: {X: {files: [/base/h]}}
${replaced("a")}alerting:
  alertmanagers:
    - file_sd_configs: [{files: [/base/am.json]}]
remote_write:
  - {url: "http://x", headers: {a_file: b}, basic_auth: {password_file: /base/pw}}
`,
    );
  });

  it("takes in the jobs of included files, with the paths they mean", () => {
    mkdirSync(join(folder, "jobs"));
    writeFileSync(
      join(folder, "jobs", "one.yml"),
      "scrape_configs: [{job_name: one, static_configs: [], tls_config: {ca_file: ca}}]\n",
    );
    const options = { path: "p", baseFolder: folder, targetsFolder: "/store/targets" };
    const alone = injectConfig("scrape_config_files: [jobs/*.yml]\n", options);
    assert.ok(!alone.includes("scrape_config_files"));
    assert.ok(alone.includes(`ca_file: ${folder}/jobs/ca`));
    assert.ok(alone.includes(targetsFileName("one")));
    const both = injectConfig(
      "scrape_config_files: [jobs/*.yml]\nscrape_configs: [{job_name: two}]\n",
      options,
    );
    assert.ok(both.includes(targetsFileName("one")) && both.includes(targetsFileName("two")));
  });

  it("does not depend on what it replaces", () => {
    const job = (rest: string): string => inject(`scrape_configs: [{job_name: a${rest}}]\n`);
    assert.equal(
      job(", static_configs: [{targets: [a]}], relabel_configs: [{regex: x, action: keep}]"),
      job(", dns_sd_configs: [{names: [b]}]"),
    );
  });

  it("escapes what is a pattern in a path, and refuses what cannot be", () => {
    const options = { path: "p", baseFolder: "/", targetsFolder: "/a[1]?" };
    assert.ok(injectConfig("scrape_configs:\n- job_name: a", options).includes("/a\\[1\\]\\?/a-"));
    assert.throws(() => injectConfig("", { ...options, targetsFolder: "/a*" }), {
      code: "bad-data",
      message: 'cannot use /a*: its path has a "*"',
    });
  });

  it("refuses what is no configuration, without quoting it", () => {
    assert.equal(inject(""), "{}\n");
    assert.throws(() => inject("[1]"), { code: "bad-data" });
    assert.throws(
      () => inject('password: "s3cret'),
      (error: Error) => {
        assert.match(error.message, /^cannot read prometheus\.yml: it is not valid YAML \(/);
        return !error.message.includes("s3cret");
      },
    );
    assert.throws(() => inject("a: *none"), { code: "bad-data" });
  });

  it("stops at aliases that stand for too much", () => {
    const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
    for (let i = 1; i < 9; i++)
      lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(", ")}]`);
    assert.throws(() => inject(lines.join("\n")), { code: "resource-exhausted" });
  });

  it("sends jobs to the proxy, which alone knows how their targets are reached", () => {
    const secrets = [
      "basic_auth: {username: u, password: hidden}",
      "authorization: {credentials: hidden}",
      "bearer_token: hidden",
      "bearer_token_file: hidden",
      "oauth2: {client_id: i, client_secret: hidden, token_url: t}",
      "tls_config: {key: hidden}",
      "http_headers: {X: {secrets: [hidden]}}",
      "proxy_url: http://hidden:1, no_proxy: hidden",
      "proxy_from_environment: true, scheme: https",
    ];
    for (const secret of secrets) {
      const text = `scrape_configs: [{job_name: a, ${secret}, params: {x: [y]}, sample_limit: 9}]\n`;
      const options = { path: "p", baseFolder: "/b", targetsFolder: "/t" };
      const injected = injectConfig(text, { ...options, proxyUrl: "http://127.0.0.1:8008" });
      assert.match(injected, /proxy_url: http:\/\/127\.0\.0\.1:8008/);
      assert.match(injected, /params: \{x: \[y\]\}, sample_limit: 9/);
      assert.doesNotMatch(injected, /hidden|https|environment|auth/, secret);
      // The agent knows its proxy by itself: what the job says of proxies stays.
      const untouched = injectConfig(text, { ...options, proxyUrl: "" });
      assert.equal(untouched.includes("proxy_url"), text.includes("proxy_url"));
    }
  });

  it("says which replica this is, in place of what the file says", () => {
    const options = { path: "p", baseFolder: "/b", targetsFolder: "/t", replica: "b" };
    for (const text of [
      "",
      "global: {external_labels: {replica: a, x: y}}\n",
      "global:\n  external_labels:\n    replica: a\n",
    ]) {
      const injected = injectConfig(text, options);
      assert.match(injected, /replica: b/);
      assert.doesNotMatch(injected, /replica: a/);
      assert.equal(injected.includes("x: y"), text.includes("x: y"));
    }
  });

  it("moves the service account's files, and no others", () => {
    const account = "/var/run/secrets/kubernetes.io/serviceaccount";
    const injected = injectConfig(
      `scrape_configs:
  - job_name: a
    authorization: {credentials_file: ${account}/token}
    tls_config: {ca_file: ${account}/ca.crt, cert_file: ${account}/other}
  - job_name: b
    bearer_token_file: ${account}/token
    tls_config: {ca_file: /etc/ca.crt}
`,
      { path: "p", baseFolder: "/b", targetsFolder: "/t", serviceAccountPath: "/sa" },
    );
    assert.match(injected, /credentials_file: \/sa\/token/);
    assert.match(injected, /ca_file: \/sa\/ca\.crt, cert_file: \/var\/run\/\S+\/other/);
    assert.match(injected, /bearer_token_file: \/sa\/token/);
    assert.match(injected, /ca_file: \/etc\/ca\.crt/);
  });

  it("sends all scrapes through one proxy when Prometheus asks the targets itself", () => {
    const injected = injectConfig(
      `scrape_configs:
  - {job_name: a, proxy_url: "http://own:1", no_proxy: x, proxy_connect_header: {a: [b]}}
  - {job_name: b, proxy_from_environment: true, scheme: https}
`,
      { path: "p", baseFolder: "/b", targetsFolder: "/t", scrapeProxy: "http://all:2" },
    );
    assert.equal(injected.match(/proxy_url: http:\/\/all:2/g)?.length, 2);
    assert.doesNotMatch(injected, /own|no_proxy|proxy_from_environment|proxy_connect_header/);
    assert.match(injected, /scheme: https/);
  });

  it("lets Prometheus scrape itself, under a name that nobody else has", () => {
    const options = { path: "p.yml", baseFolder: "/b", targetsFolder: "/t", selfMonitor: true };
    const injected = injectConfig("scrape_configs: [{job_name: a}]\n", options);
    assert.match(injected, /job_name: prometheus_shards/);
    assert.match(injected, new RegExp(targetsFileName("prometheus_shards")));
    assert.match(injectConfig("", options), /job_name: prometheus_shards/);
    assert.throws(
      () => injectConfig("scrape_configs: [{job_name: prometheus_shards}]\n", options),
      /cannot add the job prometheus_shards: p\.yml has one/,
    );
  });

  it(
    "gives what the real promtool accepts for every valid example",
    { skip: skipWithoutParts() || skipWithout("prometheus-config") },
    () => {
      const promtool = partPath("promtool")!;
      const check = (path: string): boolean =>
        spawnSync(promtool, ["check", "config", "--syntax-only", path]).status === 0;
      const examples = sharedPath("prometheus-config")!;
      const output = join(folder, "out.yml");
      let count = 0;
      for (const file of readdirSync(examples)) {
        if (!file.endsWith(".good.yml")) continue;
        const path = join(examples, file);
        const text = readFileSync(path, "utf8");
        // The installed version may be older than the example.
        if (!check(path)) continue;
        const options = { path: file, baseFolder: examples, targetsFolder: folder };
        writeFileSync(output, injectConfig(text, options));
        assert.ok(check(output), file);
        const all = { proxyUrl: "http://127.0.0.1:8008", replica: "a", selfMonitor: true };
        writeFileSync(output, injectConfig(text, { ...options, ...all }));
        assert.ok(check(output), `${file} through the proxy`);
        count++;
      }
      assert.ok(count > 20, `${count} examples`);
    },
  );
});

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { partPath, skipWithoutParts } from "../../test/support/processes.ts";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { comparableConfig, injectConfig } from "./inject-config.ts";
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
          - __shoal_absent_job
        regex: absent
        target_label: job
        replacement: ""
        action: replace
      - source_labels:
          - __shoal_absent___metrics_path__
        regex: absent
        target_label: __metrics_path__
        replacement: ""
        action: replace
      - regex: __shoal_.+
        action: labeldrop
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
        count++;
      }
      assert.ok(count > 20, `${count} examples`);
    },
  );
});

describe("comparableConfig", () => {
  it("is the same for texts that differ in layout and external labels only", () => {
    const same = (a: string, b: string): boolean =>
      comparableConfig(a, "a") === comparableConfig(b, "b");
    assert.ok(
      same(
        "global: {external_labels: {replica: a}, scrape_interval: 1m}\nrule_files: [x]\n",
        "rule_files:\n- x\nglobal:\n  scrape_interval: 1m # c\n  external_labels: {replica: b}\n",
      ),
    );
    assert.ok(!same("rule_files: [x]", "rule_files: [y]"));
    assert.ok(!same("a: [x]", "a: {x: }"));
  });
});

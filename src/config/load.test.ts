import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { AppError } from "../base/errors.ts";
import { ConfigError } from "./config-error.ts";
import { loadConfig, parseConfig, type ParseOptions } from "./load.ts";
import type { Config, ScrapeConfig } from "./types.ts";

const OPTIONS: ParseOptions = { path: "p.yml", baseFolder: "/etc/prometheus" };

function parse(text: string, options: Partial<ParseOptions> = {}): Config {
  return parseConfig(text, { ...OPTIONS, ...options });
}

function job(lines: string, globals = ""): ScrapeConfig {
  const indented = lines.replaceAll("\n", "\n  ");
  return parse(`${globals}scrape_configs:\n- job_name: j\n  ${indented}\n`).scrapeConfigs[0]!;
}

function refuse(text: string, options: Partial<ParseOptions> = {}): ConfigError {
  try {
    parse(text, options);
  } catch (error) {
    assert(error instanceof ConfigError, `a ConfigError, not ${String(error)}`);
    assert.equal(error.code, "bad-data");
    return error;
  }
  assert.fail(`accepted:\n${text}`);
}

describe("defaults", () => {
  test("an empty file is a configuration without jobs", () => {
    for (const text of ["", "# nothing\n", "~", "global:\n", "{}"]) {
      const config = parse(text);
      assert.deepEqual(config.scrapeConfigs, []);
      assert.deepEqual(
        [config.global.scrapeIntervalMs, config.global.scrapeTimeoutMs],
        [60_000, 10_000],
      );
      assert.equal(config.global.evaluationIntervalMs, 60_000);
    }
  });

  test("a job takes what it does not say from global", () => {
    const globals =
      "global: {scrape_interval: 5s, sample_limit: 7, scrape_native_histograms: true}\n";
    const { scrapeConfigs } = parse(
      `${globals}scrape_configs: [{job_name: a}, {job_name: b, scrape_interval: 1m, sample_limit: 9}]`,
    );
    const [a, b] = scrapeConfigs;
    assert.deepEqual([a!.scrapeIntervalMs, a!.scrapeTimeoutMs, a!.sampleLimit], [5000, 5000, 7]);
    assert.deepEqual([b!.scrapeIntervalMs, b!.scrapeTimeoutMs, b!.sampleLimit], [60_000, 5000, 9]);
    assert.equal(a!.scrapeProtocols[0], "PrometheusProto");
  });

  test("a null is the zero value, not the default", () => {
    const found = job("honor_timestamps:\nmetrics_path: ~\nscrape_interval: null");
    assert.deepEqual(
      [found.honorTimestamps, found.metricsPath, found.scrapeIntervalMs],
      [false, "", 60_000],
    );
  });

  test("names: a legacy job in a UTF-8 file must choose an escaping", () => {
    const scheme = "metric_name_validation_scheme";
    const legacy = job("", `global: {${scheme}: legacy}\n`);
    assert.deepEqual(
      [legacy.metricNameValidationScheme, legacy.metricNameEscapingScheme],
      ["legacy", "underscores"],
    );
    assert.equal(
      job(`${scheme}: utf8`, `global: {${scheme}: legacy}\n`).metricNameEscapingScheme,
      "allow-utf-8",
    );
    assert.match(
      refuse(`scrape_configs: [{job_name: a, ${scheme}: legacy}]`).message,
      /utf8 metric names requested but validation scheme is not set to UTF8/,
    );
  });
});

describe("scalars", () => {
  test("text keeps what is written", () => {
    const found = job(
      "params: {a: [010, yes, 1e3, 0x1F, 2001-01-01, ~, 'null']}\nstatic_configs: [{targets: [1:2], labels: {on: off}}]",
    );
    assert.deepEqual(found.params["a"], ["010", "yes", "1e3", "0x1F", "2001-01-01", "", "null"]);
    const [discovery] = found.serviceDiscovery;
    assert(discovery?.kind === "static");
    assert.deepEqual(discovery.groups[0]!.targets, ["1:2"]);
    assert.deepEqual({ ...discovery.groups[0]!.labels }, { on: "off" });
  });

  test("booleans are YAML 1.1's and unquoted", () => {
    for (const word of ["y", "Yes", "on", "TRUE"])
      assert.equal(job(`honor_labels: ${word}`).honorLabels, true);
    for (const word of ["n", "NO", "Off", "false"])
      assert.equal(job(`honor_timestamps: ${word}`).honorTimestamps, false);
    assert.match(
      refuse('scrape_configs:\n- job_name: a\n  honor_labels: "true"\n').message,
      /^p\.yml:3:17: "true" is not a boolean/,
    );
  });

  test("numbers", () => {
    for (const [written, value] of [
      ["1_000", 1000],
      ["0x10", 16],
      ["010", 8],
      ["0b11", 3],
      ["1e3", 1000],
      ["2.7", 2],
    ] as const)
      assert.equal(job(`sample_limit: ${written}`).sampleLimit, value);
    for (const written of ["-1", "a", '"1"', ".inf"])
      refuse(`scrape_configs: [{job_name: a, sample_limit: ${written}}]`);
  });

  test("sizes and durations", () => {
    assert.equal(job("body_size_limit: 15MB").bodySizeLimit, 15 * 1024 ** 2);
    assert.equal(job("body_size_limit: 1GiB512MiB").bodySizeLimit, 1.5 * 1024 ** 3);
    assert.match(
      refuse("scrape_configs: [{job_name: a, body_size_limit: 100}]").message,
      /^p\.yml:1:49: units: unknown unit {2}in 100\n/,
    );
    assert.match(
      refuse("global:\n  scrape_interval: 15\n").message,
      /^p\.yml:2:20: not a valid duration string: "15"\n/,
    );
  });

  test("!!binary is decoded, and must be base64 and UTF-8 where it is a label", () => {
    const { externalLabels } = parse('global: {external_labels: {a: !!binary "aGk="}}').global;
    assert.equal(externalLabels["a"], "hi");
    refuse('global: {external_labels: {a: !!binary "/w=="}}');
    assert.match(
      refuse('global: {external_labels: {a: !!binary "/w="}}').message,
      /invalid base64/,
    );
  });

  test("any text is a key of a map", () => {
    const { externalLabels } = parse(
      "global: {external_labels: {__proto__: a, constructor: b}}",
    ).global;
    assert.deepEqual(Object.entries(externalLabels), [
      ["__proto__", "a"],
      ["constructor", "b"],
    ]);
  });

  test("anchors and merges", () => {
    const { scrapeConfigs } = parse(
      "scrape_configs:\n- &a {job_name: a, scrape_interval: 30s, metrics_path: /x}\n- {<<: *a, job_name: b, metrics_path: /y}\n",
    );
    const b = scrapeConfigs[1]!;
    assert.deepEqual([b.jobName, b.scrapeIntervalMs, b.metricsPath], ["b", 30_000, "/y"]);
  });
});

test("environment variables are expanded in external labels only", () => {
  const config = parse(
    'global: {external_labels: {a: "x${V}y", b: $V, c: $$V, d: "${NONE}"}, query_log_file: $V}\nscrape_configs: [{job_name: $V}]',
    { environment: { V: "v" } },
  );
  assert.deepEqual({ ...config.global.externalLabels }, { a: "xvy", b: "v", c: "$V", d: "" });
  assert.equal(config.global.queryLogFile, "/etc/prometheus/$V");
  assert.equal(config.scrapeConfigs[0]!.jobName, "$V");
});

test("relative paths start at the file's folder", () => {
  const found = job(
    "file_sd_configs: [{files: [a/*.yml, /b.json]}]\nauthorization: {credentials_file: t}\ntls_config: {ca_file: ../ca}",
  );
  const [discovery] = found.serviceDiscovery;
  assert(discovery?.kind === "file");
  assert.deepEqual(discovery.files, ["/etc/prometheus/a/*.yml", "/b.json"]);
  assert.deepEqual(
    [found.httpClient.authorization?.type, found.httpClient.authorization?.credentialsFile],
    ["Bearer", "/etc/prometheus/t"],
  );
  assert.equal(found.httpClient.tls.caFile, "/etc/ca");
  assert.deepEqual(parse("rule_files: [r/*.yml]").ruleFiles, ["/etc/prometheus/r/*.yml"]);
});

test("bearer_token is the old spelling of authorization", () => {
  const { authorization } = job("bearer_token: t").httpClient;
  assert.deepEqual([authorization?.type, authorization?.credentials.reveal()], ["Bearer", "t"]);
});

describe("errors", () => {
  test("show the place, the line, a caret and what to do", () => {
    assert.equal(
      refuse("scrape_configs:\n  - job_name: a\n    scrape_intervall: 5s\n").message,
      [
        'p.yml:3:5: unknown key "scrape_intervall" in a scrape config',
        "    3 |     scrape_intervall: 5s",
        "      |     ^^^^^^^^^^^^^^^^",
        '      = did you mean "scrape_interval"?',
      ].join("\n"),
    );
  });

  test("tell all problems at once, in order, and count the rest", () => {
    const { message, problems } = refuse(
      "global: {scrape_interval: x}\nscrape_configs:\n- job_name: a\n  foo: 1\n  sample_limit: b\n",
    );
    assert.deepEqual(
      problems.map(({ line, column }) => [line, column]),
      [
        [1, 27],
        [4, 3],
        [5, 17],
      ],
    );
    assert.equal(message.match(/^p\.yml:/gm)?.length, 3);
    const many = refuse(`scrape_configs:\n${"- {job_nam: a}\n".repeat(30)}`);
    assert.match(many.message, /… and \d+ more problems$/);
  });

  const f = (name: string, text: string, want: RegExp): void => {
    test(name, () => assert.match(refuse(text).message, want));
  };
  f("tab", "scrape_configs:\n\t- job_name: a\n", /^p\.yml:2:1: a tab is used for indentation/);
  f(
    "duplicate job",
    "scrape_configs:\n- job_name: a\n- job_name: a\n",
    /^p\.yml:3:13: found multiple scrape configs with job name "a"/,
  );
  f("duplicate key", "global: {}\nglobal: {}\n", /^p\.yml:2:1: the key "global" is already set/);
  f(
    "bad regex",
    "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - regex: a(\n    action: drop\n",
    /^p\.yml:4:12: cannot use regex "a\(": /,
  );
  f(
    "bad action",
    "scrape_configs: [{job_name: a, relabel_configs: [{action: dropp}]}]",
    /unknown relabel action "dropp"; did you mean "drop"\?/,
  );
  f("not a map", "scrape_configs: {a: b}", /^p\.yml:1:17: expected a list, got a map/);
  f(
    "not a list element",
    "scrape_configs: [a]",
    /^p\.yml:1:18: expected a scrape config, which is a map/,
  );
  f("unclosed quote", 'global:\n  query_log_file: "abc\n', /^p\.yml:2:22: this is not valid YAML/);
  f("prototype names", "constructor: 1", /unknown key "constructor"/);
  f("unknown anchor", "global: *g", /^p\.yml:1:9: unknown anchor "g"/);
  f(
    "URL as target",
    "scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: [b:1]\n  - targets: ['http://b']\n",
    /^p\.yml:5:5: "http:\/\/b" is not a valid hostname/,
  );
  f(
    "timeout",
    "scrape_configs: [{job_name: a, scrape_interval: 5s, scrape_timeout: 6s}]",
    /^p\.yml:1:69: scrape timeout greater than scrape interval for scrape config with job name "a"/,
  );
  f("no job name", "scrape_configs: [{scrape_interval: 5s}]", /job_name is empty/);
  f("null job", "scrape_configs:\n-\n", /empty or null scrape config section/);

  test("never show a secret", () => {
    for (const text of [
      "scrape_configs: [{job_name: a, basic_auth: {password: hunter2, foo: 1}}]",
      'scrape_configs: [{job_name: a, basic_auth: {pasword: "hunter2 x", foo: 1}}]',
      "scrape_configs: [{job_name: a, bearer_token: hunter2, bearer_token_file: x}]",
      "scrape_configs: [{job_name: a, http_headers: {a: {secrets: [hunter2, x], foo: 1}}}]",
      "remote_write: [{url: 'http://u:hunter2@a:b/'}]",
      "scrape_configs: [{job_name: a, basic_auth: {password: [hunter2]}}]",
      "scrape_configs:\n- job_name: a\n  basic_auth:\n    password:\n    - hunter2\n",
      "scrape_configs:\n- job_name: a\n  http_headers:\n    x:\n      secrets:\n        hunter2\n",
    ])
      assert.doesNotMatch(refuse(text).message, /hunter2/);
    assert.doesNotMatch(JSON.stringify(job("bearer_token: hunter2")), /hunter2/);
  });

  test("the caret stays right behind a masked secret", () => {
    const [problem] = refuse(
      "scrape_configs: [{job_name: a, bearer_token: hunter2-long-one, foo: 1}]",
    ).problems;
    const { excerpt } = problem!;
    assert.equal(excerpt!.text.slice(excerpt!.column - 1, excerpt!.column + 2), "foo");
  });
});

describe("limits", () => {
  test("size", () => {
    assert.match(refuse("global: {}", { limits: { maxConfigSize: 5 } }).message, /the limit is 5/);
    parse("{}", { limits: { maxConfigSize: 2 } });
  });

  test("tokens", () => {
    const { message } = refuse("rule_files:\n- a\n- b\n- c\n", { limits: { maxTokens: 10 } });
    assert.match(message, /^p\.yml:3:\d+: the file has more than 10 tokens/);
    parse("rule_files: [a, b]", { limits: { maxTokens: 20 } });
  });

  test("nesting", () => {
    for (const text of ["[".repeat(5000), "- ".repeat(5000), "{".repeat(5000)])
      assert.match(refuse(text).message, /nested more than 100 deep/);
    assert.match(refuse("a: [[[1]]]", { limits: { maxNesting: 3 } }).message, /more than 3 deep/);
  });

  test("alias bombs and loops", () => {
    const claims = (text: string): string =>
      `remote_write: [{url: a, oauth2: {client_id: a, token_url: b, claims: {${text}}}}]`;
    let bomb = `a0: &a0 [${"x, ".repeat(10)}]`;
    for (let i = 1; i < 10; i++) bomb += `, a${i}: &a${i} [${`*a${i - 1}, `.repeat(10)}]`;
    assert.match(refuse(claims(bomb)).message, /excessive aliasing/);
    assert.match(refuse(claims("a: &a [*a]")).message, /contains itself/);
    assert.match(refuse("global: &g {<<: *g}").message, /contains itself/);
  });

  test("control characters", () => {
    assert.match(refuse("global: {query_log_file: \x01}").message, /^p\.yml:1:26: .*U\+0001/);
  });
});

describe("files", () => {
  let folder = "";
  const write = (name: string, content: string | Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "config-"));
    mkdirSync(join(folder, "more"));
  });
  after(() => rmSync(folder, { recursive: true }));

  test("scrape_config_files are read in order, with paths of their own folder", async () => {
    write("more/b.yml", "scrape_configs: [{job_name: b, file_sd_configs: [{files: [t.yml]}]}]");
    write("more/a.yml", "scrape_configs: [{job_name: a}]");
    const path = write(
      "main.yml",
      "global: {scrape_interval: 5s}\nscrape_config_files: [more/*.yml]\nscrape_configs: [{job_name: m}]",
    );
    const config = await loadConfig(path);
    assert.deepEqual(
      config.scrapeConfigs.map((one) => one.jobName),
      ["m", "a", "b"],
    );
    assert.equal(config.scrapeConfigs[1]!.scrapeIntervalMs, 5000);
    const [discovery] = config.scrapeConfigs[2]!.serviceDiscovery;
    assert(discovery?.kind === "file");
    assert.deepEqual(discovery.files, [join(folder, "more/t.yml")]);
    assert.equal(config.baseFolder, folder);
  });

  test("an error in such a file is placed in that file", async () => {
    write("dup.yml", "scrape_configs:\n- job_name: m\n");
    const path = write(
      "main2.yml",
      "scrape_config_files: [dup.yml]\nscrape_configs: [{job_name: m}]",
    );
    await assert.rejects(loadConfig(path), (error) => {
      assert(error instanceof ConfigError);
      assert(
        error.message.startsWith(`${join(folder, "dup.yml")}:2:13: found multiple scrape configs`),
      );
      assert(error.message.includes(`first found in ${path}`));
      return true;
    });
  });

  test("a byte-order mark is skipped; other encodings are refused", async () => {
    await loadConfig(write("bom.yml", "\ufeffglobal: {scrape_interval: 5s}"));
    await assert.rejects(
      loadConfig(write("latin.yml", Uint8Array.from([0x23, 0x0a, 0x23, 0xe4]))),
      /latin\.yml:2:2: the file is not UTF-8 text/,
    );
  });

  test("a missing file is named", async () => {
    await assert.rejects(loadConfig(join(folder, "none.yml")), (error) => {
      assert(error instanceof AppError);
      assert.match(error.message, /^cannot read ".*none\.yml": it does not exist$/);
      return true;
    });
  });
});

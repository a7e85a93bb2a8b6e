import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "./load.ts";
import { printConfig } from "./print.ts";

function print(text: string): string {
  return printConfig(parseConfig(text, { path: "p.yml", baseFolder: "/etc", environment: {} }));
}

test("an empty configuration prints its defaults", () => {
  assert.equal(
    print(""),
    `global:
  scrape_interval: 1m
  scrape_timeout: 10s
  evaluation_interval: 1m
  metric_name_validation_scheme: utf8
  metric_name_escaping_scheme: allow-utf-8
  scrape_native_histograms: false
  extra_scrape_metrics: false
runtime:
  gogc: 75
storage:
  tsdb:
    outofordertimewindow: 0
    retention:
      time: 15d
otlp:
  translation_strategy: UnderscoreEscapingWithSuffixes
  label_name_underscore_sanitization: true
  label_name_preserve_multiple_underscores: true
`,
  );
});

test("a job prints with everything it takes from global", () => {
  const printed = print(`global: {scrape_interval: 5s, body_size_limit: 1536KB}
scrape_configs:
- job_name: "0123"
  bearer_token: hunter2
  proxy_url: http://user:hunter2@proxy/
  params: {"match[]": ['{a="b"}', b]}
  static_configs: [{targets: [a:1], labels: {b: "yes", a: "x: y"}}]
  relabel_configs:
  - {source_labels: [__address__, "a b", "1"], target_label: a, separator: "", replacement: ""}
  - {regex: "(.*)", action: labeldrop}
  - {regex: , action: labelkeep}
  dns_sd_configs: [{names: [a]}]
`);
  assert.equal(
    printed.slice(printed.indexOf("scrape_configs:"), printed.indexOf("storage:")),
    `scrape_configs:
- job_name: "0123"
  honor_timestamps: true
  track_timestamps_staleness: false
  params:
    match[]:
    - '{a="b"}'
    - b
  scrape_interval: 5s
  scrape_timeout: 5s
  scrape_protocols:
  - OpenMetricsText1.0.0
  - OpenMetricsText0.0.1
  - PrometheusText1.0.0
  - PrometheusText0.0.4
  scrape_native_histograms: false
  always_scrape_classic_histograms: false
  convert_classic_histograms_to_nhcb: false
  metrics_path: /metrics
  scheme: http
  enable_compression: true
  body_size_limit: 1MiB512KiB
  metric_name_validation_scheme: utf8
  metric_name_escaping_scheme: allow-utf-8
  extra_scrape_metrics: false
  authorization:
    type: Bearer
    credentials: <secret>
  follow_redirects: true
  enable_http2: true
  proxy_url: http://user:xxxxx@proxy/
  relabel_configs:
  - source_labels: [__address__, a b, "1"]
    separator: ""
    target_label: a
    replacement: ""
    action: replace
  - separator: ;
    regex: (.*)
    replacement: $1
    action: labeldrop
  - separator: ;
    regex: ""
    replacement: $1
    action: labelkeep
  dns_sd_configs:
  - names:
    - a
    refresh_interval: 30s
    type: SRV
    port: 0
  static_configs:
  - targets:
    - a:1
    labels:
      a: 'x: y'
      b: "yes"
`,
  );
});

test("text is quoted, escaped and folded as Prometheus's YAML library does", () => {
  const f = (value: string, want: string): void => {
    const printed = print(`global: {external_labels: {a: ${JSON.stringify(value)}}}`);
    const start = printed.indexOf("    a:");
    assert.equal(printed.slice(start, printed.indexOf("\n  metric_name")), `    a: ${want}`);
  };
  f("plain", "plain");
  f("", '""');
  f("010", '"010"');
  f("1e3", '"1e3"');
  f("off", '"off"');
  f("2001-01-01", '"2001-01-01"');
  f("a #b", "'a #b'");
  f("it's", "it's");
  f("'q", "'''q'");
  f("- x", "'- x'");
  f(" lead", "' lead'");
  f("é中", "é中");
  f("😀", '"\\U0001F600"');
  f("tab\there", '"tab\\there"');
  f("two\nlines", "|-\n      two\n      lines");
  f("two\nlines\n", "|\n      two\n      lines");
  const words = "a very long text that goes on and on beyond the eighty columns where go-yaml";
  f(`${words} folds text`, `${words}\n      folds text`);
});

test("labels are ordered as people count", () => {
  const printed = print("global: {external_labels: {a10: x, a9: x, B: x, a: x}}");
  assert.deepEqual(printed.match(/\b\w+(?=: x)/g), ["B", "a", "a9", "a10"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { skipWithoutParts, startPrometheus } from "../../test/support/processes.ts";
import { parseConfig } from "./load.ts";
import { printConfig } from "./print.ts";

/** What Prometheus 3.5, the one to compare with, does not print yet. */
const NEWER =
  /^ *(?:scrape_native_histograms|extra_scrape_metrics|label_name_underscore_sanitization|label_name_preserve_multiple_underscores): .*\n|^ {4}retention:\n {6}time: 15d\n/gm;

const CONFIG = `global:
  scrape_interval: 7s
  scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]
  metric_name_validation_scheme: utf8
  metric_name_escaping_scheme: allow-utf-8
  external_labels:
    {a: "yes", b: "010", c: "x: y", d: "a #b", e: "multi\\nline", f: "- x", g: "~", h: " lead", i: "é中", j: "😀",
     k: "tab\\there", l: 'it''s "q"', m: "*a", n: "1e3", o: "2001-01-01", a10: x, a9: y, Z: z, "a.b": q, p: "0x1F",
     q: "@x", r: "-", s: "a:", t: "--- x", u: "1:30", v: "1_000", w: "<<", x: "=", y: "?", "null": "!x", aa: "end\\n",
     z: "a very long text that goes on and on beyond the eighty columns where go-yaml folds text into more lines",
     zz: "a very long: text that goes on and on beyond the eighty columns where go-yaml folds text into more lines"}
scrape_configs:
- job_name: "0123"
  params: {module: [http_2xx], "match[]": ['{job="a"}', b], x: []}
  body_size_limit: 1536KB
  native_histogram_min_bucket_factor: 1.1
  sample_limit: 1e6
  proxy_url: http://user:pass@127.0.0.1:1/
  bearer_token: t
  static_configs: [{targets: [], labels: {b: c, a: d}}, {targets: ["127.0.0.1:1"]}]
  relabel_configs:
  - {source_labels: [__address__, "a b", "1"], target_label: a, regex: "a|b"}
  - {source_labels: [a_long_label_name_1, a_long_label_name_2, a_long_label_name_3, a_long_label_name_4], target_label: b}
  - {regex: x.*, action: LabelDrop}
  - {source_labels: [a], modulus: 3, target_label: c, action: hashmod}
- job_name: x
  honor_timestamps:
  metrics_path: /a?b
  scrape_interval: 1h30m
  http_headers: {X-A: {values: [a], secrets: [b]}}
  file_sd_configs: [{files: [/none/*.yml]}]
  dns_sd_configs: [{names: [localhost], type: A, port: 1}]
alerting:
  alert_relabel_configs: [{action: drop, regex: a, source_labels: [b]}]
  alertmanagers: [{static_configs: [{targets: ["127.0.0.1:1"]}], basic_auth: {username: u, password: p}}]
remote_write: [{url: "http://a:b@127.0.0.1:1/d?e=f", queue_config: {max_shards: 3}, name: n}]
remote_read: [{url: "http://127.0.0.1:1", required_matchers: {a: b}, filter_external_labels: false}]
storage: {tsdb: {out_of_order_time_window: 30m}, exemplars: {max_exemplars: 5}}
otlp: {promote_resource_attributes: [a]}
`;

test("the real Prometheus prints the same", { skip: skipWithoutParts() }, async () => {
  const prometheus = await startPrometheus({ config: CONFIG });
  assert(prometheus !== undefined);
  try {
    const response = await fetch(`${prometheus.url}/api/v1/status/config`);
    const { data } = (await response.json()) as { data: { yaml: string } };
    const config = parseConfig(CONFIG, { path: "p.yml", baseFolder: "/etc", environment: {} });
    assert.equal(printConfig(config).replaceAll(NEWER, ""), data.yaml);
  } finally {
    await prometheus.stop();
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConfigError } from "./config-error.ts";
import { parseConfig } from "./load.ts";
import { printConfig } from "./print.ts";
import { root } from "./root.ts";

/** Whatever the text, it is either a configuration, which prints as one, or refused by a ConfigError with a place. */
function parseOrRefuse(text: string): void {
  let config;
  try {
    config = parseConfig(text, { path: "f.yml", baseFolder: "/etc", environment: {} });
  } catch (error) {
    assert(error instanceof ConfigError, String(error instanceof Error ? error.stack : error));
    for (const { line, column } of error.problems) assert(line >= 1 && column >= 1);
    return;
  }
  // Not necessarily the same again: a null set to zero prints as nothing and comes back as its default.
  parseConfig(printConfig(config), { path: "printed.yml", baseFolder: "/etc", environment: {} });
}

const SAMPLE = `global:
  scrape_interval: 15s
  external_labels: {a: b}
scrape_configs:
  - &x
    job_name: a
    static_configs: [{targets: ["h:1"], labels: {c: "d"}}]
    relabel_configs:
      - source_labels: [__address__]
        regex: (.*)
        target_label: e
  - job_name: b
    <<: *x
    basic_auth: {username: u, password: p}
    http_sd_configs: [{url: "http://h/"}]
    kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: a=b}]}]
remote_write: [{url: "http://r/", queue_config: {max_shards: 2}}]
`;

const token = fc.constantFrom(
  ..."&x,*x,<<: *x,[,],{,},:,- ,? ,!!binary ,!!str ,#,|,>,',\",\t,\n,\r\n,---,%YAML,~,null,\0,\u2028,$,${A},-1,1e400,.nan".split(
    ",",
  ),
  ...Object.keys(root.fields),
);

test("mangled configurations never crash the reader", () => {
  const edit = fc.record({
    at: fc.nat(SAMPLE.length),
    remove: fc.nat(12),
    insert: fc.oneof(token, fc.string({ maxLength: 4, unit: "binary" })),
  });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let text = SAMPLE;
      for (const { at, remove, insert } of edits)
        text = text.slice(0, at) + insert + text.slice(at + remove);
      parseOrRefuse(text);
    }),
    { numRuns: 400 },
  );
});

test("any value under any key never crashes the reader", () => {
  const keys = Object.keys(root.fields);
  const value = fc.jsonValue({ maxDepth: 3 });
  fc.assert(
    fc.property(fc.constantFrom(...keys), value, (key, one) =>
      parseOrRefuse(`${key}: ${JSON.stringify(one)}\n`),
    ),
    { numRuns: 400 },
  );
});

test("a value under any key of a job never crashes the reader", () => {
  const keys = [
    "relabel_configs",
    "static_configs",
    "http_sd_configs",
    "ec2_sd_configs",
    "params",
    "oauth2",
  ];
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.jsonValue({ maxDepth: 4 }), (key, one) =>
      parseOrRefuse(`scrape_configs: [{job_name: a, ${key}: ${JSON.stringify(one)}}]\n`),
    ),
    { numRuns: 300 },
  );
});

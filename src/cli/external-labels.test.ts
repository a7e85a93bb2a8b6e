import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../config/load.ts";
import type { Config } from "../config/types.ts";
import { shardExternalLabels } from "./external-labels.ts";

test("a shard's external labels are its configuration's and its replica", () => {
  let config: Config | undefined;
  const labels = shardExternalLabels({ config: () => config, replica: "b" });
  const shown = (): string => labels().toString();
  assert.equal(shown(), '{replica="b"}');
  config = configOf('{zone: "z", cluster: "eu", replica: "mine"}');
  assert.equal(shown(), '{cluster="eu", replica="b", zone="z"}');
  assert.equal(labels(), labels(), "they are put together once");
  config = configOf('{cluster: "us"}');
  assert.equal(shown(), '{cluster="us", replica="b"}');
});

test("a shard without a replica keeps the label of its configuration", () => {
  const config = configOf('{replica: "mine"}');
  const labels = shardExternalLabels({ config: () => config, replica: "" });
  assert.equal(labels().toString(), '{replica="mine"}');
});

function configOf(externalLabels: string): Config {
  return parseConfig(`global: {external_labels: ${externalLabels}}`, {
    path: "prometheus.yml",
    baseFolder: "/",
  });
}

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Labels } from "../model/labels.ts";
import type { Target } from "../model/target.ts";
import { printTargets, targetsFileName } from "./target-files.ts";

function target(hash: string, labels: Record<string, string>): Target {
  const allLabels = Labels.fromPairs(Object.entries(labels));
  return {
    hash,
    job: "j",
    allLabels,
    labels: allLabels,
    discoveredLabels: Labels.EMPTY,
    url: "http://a:1/metrics",
    intervalMs: 1000,
    timeoutMs: 1000,
  };
}

describe("printTargets", () => {
  it("writes a group for each target, with its labels and what it must stay without", () => {
    const one = target("12", {
      __address__: "a:1",
      __metrics_path__: "/m",
      __param_x: "1",
      ["__proto__"]: "p",
      job: "j",
    });
    const two = target("11", { __address__: "b:1" });
    const text = printTargets([one, two]);
    assert.equal(
      text,
      `[
{"targets":["b:1"],"labels":{"__meta_shoal_absent_job":"absent","__meta_shoal_absent___metrics_path__":"absent","__meta_shoal_hash":"11"}},
{"targets":["a:1"],"labels":{"__metrics_path__":"/m","__param_x":"1","__proto__":"p","job":"j","__meta_shoal_hash":"12"}}
]
`,
    );
    assert.equal(printTargets([two, one]), text, "the order is the hashes'");
    assert.equal(printTargets([]), "[]\n");
  });
});

describe("printTargets for the proxy", () => {
  it("adds what the proxy tells targets apart by, and makes the request plain", () => {
    const secure = {
      ...target("12", { __address__: "a:1", __scheme__: "https", __param_module: "m", job: "j" }),
      url: "https://a:1/metrics?module=m",
    };
    const [group] = JSON.parse(printTargets([secure], "proxy")) as {
      labels: Record<string, string>;
    }[];
    const { labels } = group!;
    assert.equal(labels["__scheme__"], "http");
    assert.equal(labels["__param_module"], "m");
    assert.equal(labels["__param__hash"], "12");
    assert.equal(labels["__param__jobName"], "j");
    assert.equal(labels["__param__scheme"], "https");
  });
});

describe("targetsFileName", () => {
  it("is a plain file name, different for different jobs", () => {
    const names = ["a/b", "a_b", "a*b", "..", "", "x".repeat(500), "ü"].map(targetsFileName);
    for (const name of names) assert.match(name, /^[a-zA-Z0-9_.-]{1,80}-?[0-9a-f]{12}\.json$/);
    assert.equal(new Set(names).size, names.length);
  });
});

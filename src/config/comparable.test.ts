import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { comparableConfig } from "./comparable.ts";

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

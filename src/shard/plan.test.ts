import assert from "node:assert/strict";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { plan } from "./plan.ts";
import { printPlan } from "./plan-text.ts";
import { parsePlanState } from "./testdata/plan-state-text.ts";

/*
 * Text-driven: each file in testdata/ holds cases of the form
 *
 *     # what the case shows
 *     <the observed state, one thing a line: see testdata/plan-state-text.ts>
 *     ----
 *     <the printed plan>
 *
 * separated by empty lines. SHOAL_REWRITE=1 writes what the planner says now into the files: read the difference.
 */
const rewrite = process.env["SHOAL_REWRITE"] === "1";

for (const file of globSync(join(import.meta.dirname, "testdata", "*.txt")).sort()) {
  const cases = readFileSync(file, "utf8").trimEnd().split(/\n\n+/);
  const rewritten: string[] = [];
  for (const text of cases) {
    const [input = "", expected = ""] = text.split(/\n----(?:\n|$)/);
    const title = /^# (.*)$/m.exec(input)?.[1] ?? input;
    test(`${basename(file)}: ${title}`, () => {
      const { observed, options, nowMs } = parsePlanState(input);
      const printed = printPlan(plan(observed, options, nowMs)).trimEnd();
      rewritten.push(`${input}\n----\n${printed}`);
      if (rewrite) writeFileSync(file, `${rewritten.join("\n\n")}\n`);
      else assert.equal(printed, expected.trimEnd());
    });
  }
}

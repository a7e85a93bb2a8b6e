import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { Engine } from "./engine.ts";
import { MemoryStorage } from "./testing/memory-storage.ts";
import { runScript, SCRIPT_ENGINE_OPTIONS } from "./testing/run-script.ts";

/** Prometheus's own scripts, and how many of each need native histograms, which the engine does not have yet. */
const SCRIPTS: Readonly<Record<string, number>> = {
  "aggregators.test": 31,
  "at_modifier.test": 0,
  "collision.test": 0,
  "duration_expression.test": 0,
  "extended_vectors.test": 39,
  "fill-modifier.test": 0,
  "functions.test": 68,
  "histograms.test": 65,
  "info.test": 0,
  "limit.test": 23,
  "literals.test": 0,
  "name_label_dropping.test": 0,
  "operators.test": 50,
  "range_queries.test": 0,
  "selectors.test": 0,
  "staleness.test": 0,
  "subquery.test": 2,
  "trig_functions.test": 0,
  "type_and_unit.test": 0,
};

describe("conformance scripts", { skip: skipWithout("promqltest") }, () => {
  for (const [file, histogramCount] of Object.entries(SCRIPTS)) {
    test(file, async () => {
      const text = readFileSync(join(sharedPath("promqltest")!, file), "utf8");
      const outcomes = await runScript(text, file, {
        engine: new Engine(SCRIPT_ENGINE_OPTIONS),
        openStorage: () => new MemoryStorage(),
      });
      const failed = outcomes.filter(({ failure }) => failure !== undefined);
      const needHistograms = failed.filter(({ failure }) =>
        failure!.some((line) => line.includes("native histograms are needed")),
      );
      const wrong = failed
        .filter((outcome) => !needHistograms.includes(outcome))
        .map(
          ({ line, text: query, failure }) =>
            `${file}:${line}: ${query}\n  ${failure!.join("\n  ")}`,
        );
      assert.equal(wrong.length, 0, wrong.join("\n"));
      assert.equal(needHistograms.length, histogramCount, "evals that need native histograms");
    });
  }
});

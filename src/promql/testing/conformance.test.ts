import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { sharedPath, skipWithout } from "../../../test/shared-data.ts";
import { Engine } from "../engine.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { runScript, SCRIPT_ENGINE_OPTIONS } from "./run-script.ts";

/** Prometheus's own scripts, and how many evals each has. */
const SCRIPTS: Readonly<Record<string, number>> = {
  "aggregators.test": 98,
  "at_modifier.test": 42,
  "collision.test": 2,
  "duration_expression.test": 38,
  "extended_vectors.test": 108,
  "fill-modifier.test": 25,
  "functions.test": 291,
  "histograms.test": 121,
  "info.test": 33,
  "limit.test": 24,
  "literals.test": 14,
  "name_label_dropping.test": 16,
  "native_histograms.test": 318,
  "operators.test": 138,
  "range_queries.test": 8,
  "selectors.test": 19,
  "staleness.test": 10,
  "start_timestamps.test": 17,
  "subquery.test": 21,
  "trig_functions.test": 17,
  "type_and_unit.test": 36,
};

describe("conformance scripts", { skip: skipWithout("promqltest") }, () => {
  for (const [file, evalCount] of Object.entries(SCRIPTS)) {
    test(file, async () => {
      const text = readFileSync(join(sharedPath("promqltest")!, file), "utf8");
      const outcomes = await runScript(text, file, {
        engine: new Engine(SCRIPT_ENGINE_OPTIONS),
        openStorage: () => new MemoryStorage(),
      });
      const wrong = outcomes
        .filter(({ failure }) => failure !== undefined)
        .map(
          ({ line, text: query, failure }) =>
            `${file}:${line}: ${query}\n  ${failure!.join("\n  ")}`,
        );
      assert.equal(wrong.length, 0, wrong.join("\n"));
      assert.equal(outcomes.length, evalCount, "evals");
    });
  }
});

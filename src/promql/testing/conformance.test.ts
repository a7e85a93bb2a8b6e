import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { sharedPath, skipWithout } from "../../../test/shared-data.ts";
import { Engine } from "../engine.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { runScript, SCRIPT_ENGINE_OPTIONS } from "./run-script.ts";

/**
 * Prometheus's own scripts: how many evals pass, and the lines of those that cannot yet because their selectors meet
 * native histograms, which the engine does not evaluate.
 */
const SCRIPTS: readonly {
  readonly file: string;
  readonly passed: number;
  readonly native: readonly number[];
}[] = [
  { file: "literals.test", passed: 14, native: [] },
  { file: "selectors.test", passed: 19, native: [] },
  { file: "staleness.test", passed: 10, native: [] },
  {
    file: "operators.test",
    passed: 88,
    native: [
      147, 151, 154, 157, 322, 326, 330, 333, 340, 351, 354, 357, 360, 371, 374, 377, 380, 391, 398,
      401, 404, 407, 438, 441, 444, 447, 450, 453, 456, 459, 462, 465, 468, 471, 474, 477, 480, 483,
      486, 489, 492, 495, 542, 545, 548, 551, 554, 557, 560, 563,
    ],
  },
  {
    file: "aggregators.test",
    passed: 67,
    native: [
      126, 130, 137, 141, 213, 216, 220, 224, 228, 234, 237, 240, 265, 271, 277, 284, 290, 296, 329,
      336, 378, 514, 518, 522, 525, 528, 533, 545, 549, 553, 558,
    ],
  },
  {
    file: "functions.test",
    passed: 223,
    native: [
      43, 48, 82, 84, 89, 175, 179, 183, 186, 190, 194, 197, 201, 237, 241, 245, 248, 252, 256, 259,
      262, 329, 332, 335, 338, 341, 344, 393, 396, 399, 413, 435, 447, 717, 720, 872, 874, 878, 881,
      925, 928, 946, 949, 1017, 1021, 1067, 1069, 1071, 1073, 1117, 1128, 1139, 1150, 1219, 1221,
      1224, 1229, 1237, 1310, 1326, 1342, 1350, 1358, 1374, 1396, 1405, 1408, 1411,
    ],
  },
  { file: "subquery.test", passed: 19, native: [87, 90] },
  { file: "at_modifier.test", passed: 42, native: [] },
  { file: "range_queries.test", passed: 8, native: [] },
  { file: "collision.test", passed: 2, native: [] },
  { file: "duration_expression.test", passed: 38, native: [] },
  { file: "fill-modifier.test", passed: 25, native: [] },
  { file: "info.test", passed: 33, native: [] },
  { file: "name_label_dropping.test", passed: 16, native: [] },
  { file: "trig_functions.test", passed: 17, native: [] },
  { file: "type_and_unit.test", passed: 36, native: [] },
];

for (const { file, passed, native } of SCRIPTS) {
  const name = `promqltest/${file}`;
  void test(`${file} passes`, { skip: skipWithout(name) }, async () => {
    const outcomes = await runScript(readFileSync(sharedPath(name)!, "utf8"), file, {
      engine: new Engine(SCRIPT_ENGINE_OPTIONS),
      openStorage: () => new MemoryStorage(),
    });
    const failures = outcomes.filter(({ failure }) => failure !== undefined);
    const others = failures.filter(
      ({ failure }) => !failure![0]!.startsWith("native histograms are needed"),
    );
    assert.deepEqual(others, [], `${file}: evals without native histograms fail`);
    assert.deepEqual(
      failures.map(({ line }) => line),
      native,
    );
    assert.equal(outcomes.length - failures.length, passed);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { Labels } from "../model/labels.ts";
import { packLabels, unpackLabels } from "./wire-labels.ts";

test("label sets come through, each text once", () => {
  const sets = [
    Labels.EMPTY,
    Labels.fromObject({ __name__: "up", job: "a" }),
    Labels.fromObject({ __name__: "up", job: "b", up: "job" }),
  ];
  const wire = packLabels(sets.map((labels) => ({ labels })));
  assert.deepEqual(wire.texts, ["__name__", "up", "job", "a", "b"]);
  assert.deepEqual(unpackLabels(structuredClone(wire)).map(String), sets.map(String));
  assert.deepEqual(unpackLabels(packLabels([])), []);
});

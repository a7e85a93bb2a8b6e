import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueryAnalysis } from "../api.ts";
import { indentOf, partsOf } from "./explain-parts.ts";

function node(name: string, ms: number, children: QueryAnalysis[] = []): QueryAnalysis {
  return { name, position: [0, 1], executionTime: `${ms}ms`, series: 1, totalSamples: 1, children };
}

test("the parts stand in the order of the tree, each with its own time", () => {
  const root = node("sum", 10, [node("-", 7, [node("a", 2), node("b", 1)]), node("c", 1)]);
  assert.deepEqual(
    partsOf(root).map(({ node: { name }, depth, ownSeconds }) => [
      name,
      depth,
      Math.round(ownSeconds * 1e6),
    ]),
    [
      ["sum", 0, 2000],
      ["-", 1, 4000],
      ["a", 2, 2000],
      ["b", 2, 1000],
      ["c", 1, 1000],
    ],
  );
  assert.deepEqual(
    partsOf(node("or", 3, [node("a", 2), node("b", 2)])).map(({ ownSeconds }) => ownSeconds),
    [0, 0.002, 0.002],
    "no time is less than none",
  );
});

test("every level is set in by more than the one above, however deep, and all by little", () => {
  for (let depth = 1; depth <= 1000; depth++)
    assert.ok(indentOf(depth) > indentOf(depth - 1), `level ${depth}`);
  assert.deepEqual([0, 1, 6].map(indentOf), [0, 22, 132]);
  assert.ok(indentOf(7) - indentOf(6) > 10);
  assert.ok(indentOf(1000) < 240);
});

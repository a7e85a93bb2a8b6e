import assert from "node:assert/strict";
import { test } from "node:test";
import { compareLabels, formatSeries, Labels } from "./labels.ts";

test("labels are sorted, unique and never empty", () => {
  const labels = Labels.fromPairs([
    ["b", "2"],
    ["a", "1"],
    ["c", ""],
    ["b", "3"],
  ]);
  assert.equal(labels.toString(), '{a="1", b="3"}');
  assert.equal(labels.count, 2);
  assert.equal(labels.get("c"), "");
  assert.equal(Labels.fromPairs([["x", ""]]), Labels.EMPTY);
});

test("names that are magic in JavaScript are ordinary labels", () => {
  const labels = Labels.fromPairs([
    ["__proto__", "p"],
    ["constructor", "c"],
    ["toString", "t"],
  ]);
  assert.equal(JSON.stringify(labels), '{"__proto__":"p","constructor":"c","toString":"t"}');
  assert.equal(labels.get("hasOwnProperty"), "");
});

test("keys tell apart what naive joining would confuse", () => {
  const f = (a: [string, string][], b: [string, string][]): void =>
    assert.notEqual(Labels.fromPairs(a).key(), Labels.fromPairs(b).key());
  f(
    [["a", "b1:c"]],
    [
      ["a", "b"],
      ["c", "x"],
    ],
  );
  f([["ab", "c"]], [["a", "bc"]]);
});

test("order is pair by pair, shorter first", () => {
  const f = (a: Record<string, string>, b: Record<string, string>, want: number): void =>
    assert.equal(Math.sign(compareLabels(Labels.fromObject(a), Labels.fromObject(b))), want);
  f({ a: "1" }, { a: "1", b: "2" }, -1);
  f({ a: "2" }, { a: "1", b: "2" }, 1);
  f({ a: "1" }, { a: "1" }, 0);
  f({ a: "1" }, { b: "0" }, -1);
});

test("series print as Prometheus prints them", () => {
  assert.equal(formatSeries(Labels.fromObject({ __name__: "up", job: "x" })), 'up{job="x"}');
  assert.equal(formatSeries(Labels.fromObject({ __name__: "up" })), "up");
  assert.equal(
    formatSeries(Labels.fromObject({ __name__: "a.b", "x.y": "z" })),
    '{"a.b", "x.y"="z"}',
  );
});

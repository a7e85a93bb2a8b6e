import assert from "node:assert/strict";
import { test } from "node:test";
import type { TargetGroup } from "../model/target.ts";
import { reuseGroups } from "./reuse.ts";

function group(source: string, addresses: readonly string[], labels = { a: "b" }): TargetGroup {
  return { source, labels, targets: addresses.map((address) => ({ __address__: address })) };
}

test("an equal list is the very same list", () => {
  const before = [group("1", ["h:1", "h:2"]), group("2", ["h:3"])];
  assert.equal(reuseGroups(before, structuredClone(before)), before);
  assert.deepEqual(reuseGroups(before, []), []);
});

test("what is equal in a changed list is the same object", () => {
  const before = [group("1", ["h:1", "h:2", "h:3"]), group("2", ["h:4"])];
  const after = [group("1", ["h:2", "h:3", "h:9"]), group("2", ["h:4"]), group("3", ["h:5"])];
  const reused = reuseGroups(before, structuredClone(after));
  assert.deepEqual(reused, after);
  assert.equal(reused[1], before[1]);
  assert.equal(reused[0]!.labels, before[0]!.labels);
  assert.equal(reused[0]!.targets[0], before[0]!.targets[1]);
  assert.equal(reused[0]!.targets[1], before[0]!.targets[2]);
});

test("other labels are other objects", () => {
  const before = [group("1", ["h:1"])];
  const [changed] = reuseGroups(before, [group("1", ["h:1"], { a: "c" })]);
  assert.deepEqual(changed!.labels, { a: "c" });
  assert.equal(changed!.targets, before[0]!.targets);
  const magic = [{ source: "1", labels: {}, targets: [{ toString: "x", __address__: "h" }] }];
  const plain = [{ source: "1", labels: {}, targets: [{ other: "x", __address__: "h" }] }];
  assert.deepEqual(reuseGroups(plain, magic), magic);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { TargetGroup } from "../model/target.ts";
import { GroupSet } from "./group-set.ts";

function group(source: string, ...addresses: string[]): TargetGroup {
  return { source, labels: {}, targets: addresses.map((address) => ({ __address__: address })) };
}

const sources = (set: GroupSet): string[] => (set.groups ?? []).map(({ source }) => source);

test("there is no list until there is one, be it empty", () => {
  const set = new GroupSet();
  assert.equal(set.groups, undefined);
  assert.equal(set.replace([]), true);
  assert.deepEqual(set.groups, []);
  assert.equal(set.replace([]), false);
});

test("groups change one by one, and one without targets is gone", () => {
  const set = new GroupSet();
  set.replace([group("a", "a:1"), group("b", "b:1")]);
  const [a] = set.groups!;
  assert.equal(set.change([group("b", "b:2"), group("c", "c:1")]), true);
  assert.deepEqual(sources(set), ["a", "b", "c"]);
  assert.equal(set.groups![0], a, "what did not change is the same object");
  assert.equal(set.change([group("a")]), true);
  assert.deepEqual(sources(set), ["b", "c"]);
  assert.equal(set.replace([group("d", "d:1")]), true);
  assert.deepEqual(sources(set), ["d"]);
});

test("changes that say nothing new are none", () => {
  const set = new GroupSet();
  set.replace([group("a", "a:1", "a:2")]);
  const before = set.groups;
  assert.equal(set.change([group("a", "a:1", "a:2"), group("unknown")]), false);
  assert.equal(set.groups, before);
  assert.equal(set.change([group("a", "a:1", "a:3")]), true);
  assert.equal(set.groups![0]!.targets[0], before![0]!.targets[0], "nor is the target that stayed");
});

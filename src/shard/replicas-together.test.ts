import assert from "node:assert/strict";
import { test } from "node:test";
import type { ShardInstance } from "./driver.ts";
import { replicasTogether } from "./replicas-together.ts";
import { fakeJob, fakeTarget, FakeWorld } from "./testdata/fake-shards.ts";

test("replicas that share a node, or a zone, are told", async () => {
  const at = (group: string, ordinal: number, node: string, zone = ""): ShardInstance => ({
    id: `${group}-${ordinal}`,
    ordinal,
    url: undefined,
    restarts: 0,
    node,
    zone,
  });
  const f = (a: ShardInstance[], b: ShardInstance[], want: string[]): void =>
    assert.deepEqual(
      replicasTogether([a, b]).map(({ ids, place, name }) => `${ids.join("+")} ${place} ${name}`),
      want,
    );
  f([at("a", 0, "n1")], [at("b", 0, "n2")], []);
  f([at("a", 0, "n1"), at("a", 1, "n2")], [at("b", 0, "n2"), at("b", 1, "n1")], []);
  f([at("a", 0, "n1")], [at("b", 0, "n1")], ["a-0+b-0 node n1"]);
  f([at("a", 0, "")], [at("b", 0, "")], []);
  // One zone is all there is: nothing to choose.
  f([at("a", 0, "n1", "z1")], [at("b", 0, "n2", "z1")], []);
  f(
    [at("a", 0, "n1", "z1"), at("a", 1, "n3", "z2")],
    [at("b", 0, "n2", "z1"), at("b", 1, "n4", "z1")],
    ["a-0+b-0 zone z1"],
  );
  f(
    [at("a", 0, "n1", "z1"), at("a", 1, "n3", "z2")],
    [at("b", 0, "n1", "z1")],
    ["a-0+b-0 node n1"],
  );
});

test("it is a condition and a metric for as long as it is so", async () => {
  const world = new FakeWorld(2, ["a", "b"]);
  world.jobs = [fakeJob("m", [fakeTarget("t")])];
  const [a, b] = world.groups;
  for (const [group, node] of [
    [a!, "n1"],
    [b!, "n2"],
  ] as const)
    for (const shard of group.shards) shard.node = node;
  const coordinator = world.coordinator();
  const gauge = (): string =>
    /replicas_together\{place="node"\} (\d+)/.exec(world.registry.expose())?.[1] ?? "none";
  await world.turn(coordinator, 1);
  assert.deepEqual(coordinator.view().standing, []);
  assert.equal(gauge(), "0");
  b!.shards[1]!.node = "n1";
  await world.turn(coordinator, 1);
  assert.deepEqual(coordinator.view().standing, [
    {
      kind: "together",
      from: "shard-a-1, shard-b-1",
      reason: "they are replicas of each other on one node (n1): one failure takes them together",
    },
  ]);
  assert.equal(gauge(), "1");
  a!.shards[1]!.node = "n2";
  await world.turn(coordinator, 1);
  assert.deepEqual(coordinator.view().standing, []);
  assert.equal(gauge(), "0");
});

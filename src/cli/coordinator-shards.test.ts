import assert from "node:assert/strict";
import { test } from "node:test";
import { readShards } from "./coordinator-shards.ts";

const shard = (ordinal: number, replica: string | undefined, more: object = {}): object => ({
  id: `${replica ?? "shard"}-${ordinal}`,
  ordinal,
  ...(replica !== undefined && { replica }),
  state: "ready",
  grpc: `10.0.0.${ordinal}:10901`,
  ...more,
});

test("shards become endpoints, and members of replica groups know their siblings", () => {
  assert.deepEqual(
    readShards({
      shards: [shard(0, undefined), shard(1, undefined, { grpc: "" })],
      externalLabels: { a: "b" },
      configHash: "7f",
    }),
    {
      endpoints: [{ address: "10.0.0.0:10901", strict: true }],
      writeTargets: [{ id: "shard-0", http: "" }],
      hasReplicas: false,
      areSeen: true,
      externalLabels: Object.assign(Object.create(null), { a: "b" }),
      configHash: "7f",
    },
  );
  const { endpoints, hasReplicas, areSeen } = readShards({
    shards: [shard(1, "a"), shard(1, "b", { grpc: "10.0.1.1:10901", state: "starting" })],
  });
  assert.deepEqual(endpoints, [
    { address: "10.0.0.1:10901", strict: true, shard: "shard-1", replica: "a" },
    { address: "10.0.1.1:10901", strict: true, shard: "shard-1", replica: "b" },
  ]);
  assert.deepEqual([hasReplicas, areSeen], [true, false]);
  assert.deepEqual(readShards("nonsense").endpoints, []);
  assert.equal(readShards("nonsense").configHash, "");
});

test("the first shard of each replica group gets what is written", () => {
  const { writeTargets } = readShards({
    shards: [
      shard(1, "a", { http: "10.0.0.1:8080" }),
      shard(0, "a", { http: "10.0.0.0:8080" }),
      shard(2, "b", { http: "10.0.1.2:8080" }),
      shard(1, "b", { http: undefined }),
    ],
  });
  assert.deepEqual(writeTargets, [
    { id: "a-0", http: "10.0.0.0:8080" },
    { id: "b-1", http: "" },
  ]);
  assert.deepEqual(readShards({ shards: [{}] }).writeTargets, []);
});

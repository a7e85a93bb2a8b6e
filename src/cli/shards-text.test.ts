import assert from "node:assert/strict";
import { test } from "node:test";
import { shardsText } from "./shards-text.ts";

const shard = (id: string, rest: object = {}): object => ({
  id,
  state: "ready",
  targets: 2,
  headSeries: 20,
  processSeries: 30,
  limits: { maxHeadSeries: 100, maxProcessSeries: 1000, maxSamplesPerSecond: 0 },
  utilisation: 0.2,
  error: "",
  ...rest,
});

test("shards are rows; replicas that stand together are said below", () => {
  const shards = [shard("a-0"), shard("b-0", { state: "lost", error: "no answer within 5 s" })];
  assert.equal(
    shardsText({ shards, together: [{ shards: "a-0, b-0", reason: "they are on one node (n1)" }] }),
    `shard  state  targets  head series  before relabelling  full
a-0    ready  2        20 of 100    30 of 1000          20 %
b-0    lost   2        20 of 100    30 of 1000          20 %  no answer within 5 s

a-0, b-0: they are on one node (n1)
`,
  );
  assert.match(shardsText({ shards }), /no answer within 5 s\n$/);
  const stopped = [shard("a-0", { stopReason: "too much" })];
  assert.match(shardsText({ shards: stopped }), /20 % {2}scrapes nothing: too much\n$/);
  assert.equal(shardsText({}), "no shards\n");
});

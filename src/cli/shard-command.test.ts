import assert from "node:assert/strict";
import { test } from "node:test";
import { QUERY_ROLE_FLAGS, UP_FLAGS } from "./commands.ts";
import { FEATURE_FLAGS, featuresFor } from "./feature-flags.ts";
import { defaultsOf } from "./flags.ts";
import { runQuery } from "./query.ts";
import { shardCommandOf } from "./shard-command.ts";

const PLACE = { id: "shard-0", folder: "data/0", replica: "" };

test("the shards of up take what is written when it does", async () => {
  const off = (await shardCommandOf(defaultsOf(UP_FLAGS)))(PLACE);
  assert.ok(!off.args.some((arg) => /--web\.(?:enable|remote)/.test(arg)));
  const on = await shardCommandOf({
    ...defaultsOf(UP_FLAGS),
    enableWriteReceiver: true,
    enableOtlpReceiver: true,
    writeMaxSeries: 7,
    features: ["metadata-wal-records", "created-timestamp-zero-ingestion"],
  });
  const { args } = on(PLACE);
  for (const flag of [
    "--web.enable-remote-write-receiver",
    "--web.enable-otlp-receiver",
    "--web.remote-write-receiver.max-series=7",
    "--enable-feature=metadata-wal-records,created-timestamp-zero-ingestion",
  ])
    assert.ok(args.includes(flag), flag);
});

test("what cannot take what is written says so at once", async () => {
  for (const receiver of [{ enableWriteReceiver: true }, { enableOtlpReceiver: true }]) {
    const up = { ...defaultsOf(UP_FLAGS), ...receiver, shardEngine: "prometheus" as const };
    await assert.rejects(shardCommandOf(up), /cannot take .* with --shard\.engine=prometheus/);
    const query = { ...defaultsOf(QUERY_ROLE_FLAGS), ...receiver };
    await assert.rejects(runQuery(query), /cannot take .* without a coordinator/);
  }
});

test("features are known, and each part gets its own", async () => {
  const { features } = FEATURE_FLAGS;
  assert.deepEqual(features.parse(" metadata-wal-records,, created-timestamp-zero-ingestion"), [
    "metadata-wal-records",
    "created-timestamp-zero-ingestion",
  ]);
  assert.throws(() => features.parse("metadata-wal-records,agent"), /agent is not one of created-/);
  const all = features.parse(
    "metadata-wal-records,promql-experimental-functions,native-histograms,use-start-timestamps",
  );
  assert.deepEqual(featuresFor("shard", all), [all[0], all[1], all[3]]);
  assert.deepEqual(featuresFor("query", all), [all[1], all[3]]);
  const up = { ...defaultsOf(UP_FLAGS), features: all, shardEngine: "prometheus" as const };
  await assert.rejects(
    shardCommandOf(up),
    /write --prometheus\.args=--enable-feature=metadata-wal-records,native-histograms instead/,
  );
});

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { after, test } from "node:test";
import fastify from "fastify";
import { CoordinatorClient } from "./coordinator-client.ts";
import { blocksStatus, replayStatus, tsdbStatus } from "./tsdb-status.ts";

const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

async function serve(answer: (path: string) => unknown): Promise<string> {
  const server = createServer((request, response) => {
    const data = answer(request.url ?? "");
    response.end(JSON.stringify({ status: "success", data }));
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  return `127.0.0.1:${address.port}`;
}

const head = (series: number): unknown => ({
  headStats: { numSeries: series, numLabelPairs: 1, chunkCount: 2, minTime: 1, maxTime: 2 },
  seriesCountByMetricName: [{ name: "up", value: series }],
  labelValueCountByLabelName: [{ name: "job", value: 3 }],
  memoryInBytesByLabelName: [],
  seriesCountByLabelValuePair: [],
});

interface FakeShard {
  readonly id: string;
  readonly ordinal: number;
  readonly replica: string;
  /** In its head; undefined while it is down. */
  readonly series: number | undefined;
}

async function ask(
  shards: readonly FakeShard[],
): Promise<{ series: number; ups: number; warnings: readonly string[] }> {
  const listed = await Promise.all(
    shards.map(async ({ series, ...shard }) => ({
      ...shard,
      http: series === undefined ? "" : await serve(() => head(series)),
    })),
  );
  const client = new CoordinatorClient(`http://${await serve(() => ({ shards: listed }))}`);
  const app = fastify();
  app.get("/status", async (request, reply) => tsdbStatus(request, reply, client));
  const response = await app.inject("/status");
  await client.close();
  await app.close();
  const { data, warnings = [] } = response.json<{
    data: {
      headStats: { numSeries: number };
      seriesCountByMetricName: { value: number }[];
    };
    warnings?: string[];
  }>();
  return {
    series: data.headStats.numSeries,
    ups: data.seriesCountByMetricName[0]!.value,
    warnings,
  };
}

const shard = (replica: string, ordinal: number, series: number | undefined): FakeShard => ({
  id: `${replica}-${ordinal}`,
  ordinal,
  replica,
  series,
});

test("the shards of one group add up", async () => {
  const { series, ups, warnings } = await ask([shard("", 0, 100), shard("", 1, 20)]);
  assert.deepEqual([series, ups, warnings], [120, 120, []]);
});

test("a replica group counts once", async () => {
  const groups = ["a", "b"].flatMap((name) => [shard(name, 0, 100), shard(name, 1, 20)]);
  const { series, ups, warnings } = await ask(groups);
  assert.deepEqual([series, ups, warnings], [120, 120, []]);
});

test("the fuller group counts; what no replica of a shard tells is said to be missing", async () => {
  const a = [shard("a", 0, undefined), shard("a", 1, 20), shard("a", 2, undefined)];
  const b = [shard("b", 0, 101), shard("b", 1, 21), shard("b", 2, undefined)];
  const { series, warnings } = await ask([...a, ...b]);
  assert.equal(series, 122);
  assert.deepEqual(warnings.toSorted(), [
    "no answer from shard a-2: it is down",
    "no answer from shard b-2: it is down",
  ]);
});

test("a shard's replica stands in for it", async () => {
  const a = [shard("a", 0, 100), shard("a", 1, undefined)];
  const b = [shard("b", 0, undefined), shard("b", 1, 21)];
  const { series, warnings } = await ask([...a, ...b]);
  assert.deepEqual([series, warnings], [121, []]);
});

test("blocks say whose they are, and the logs' segments add up; a shard that is down is named", async () => {
  const answers = new Map<string, unknown>([
    ["/api/v1/status/tsdb/blocks", { blocks: [{ ulid: "x" }, { ulid: "y" }] }],
    ["/api/v1/status/walreplay", { min: 0, max: 7, current: 3 }],
  ]);
  const http = await serve((path) => answers.get(path));
  const shards = [0, 1, 2].map((ordinal) => ({
    id: `s${ordinal}`,
    ordinal,
    ...(ordinal < 2 && { http }),
  }));
  const client = new CoordinatorClient(`http://${await serve(() => ({ shards }))}`);
  const app = fastify();
  app.get("/blocks", async (request, reply) => blocksStatus(request, reply, client));
  app.get("/replay", async (request, reply) => replayStatus(request, reply, client));
  const warnings = ["no answer from shard s2: it is down"];
  assert.deepEqual((await app.inject("/blocks")).json(), {
    status: "success",
    data: {
      blocks: ["s0", "s1"].flatMap((id) => ["x", "y"].map((ulid) => ({ ulid, shard: id }))),
    },
    warnings,
  });
  assert.deepEqual((await app.inject("/replay")).json(), {
    status: "success",
    data: { min: 0, max: 14, current: 6 },
    warnings,
  });
  await client.close();
  await app.close();
});

import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Labels } from "../src/model/labels.ts";
import { remoteWrite } from "../src/promql/testing/remote-write.fixture.ts";
import {
  freePort,
  type RunningProcess,
  runTool,
  skipWithoutParts,
  startPrometheus,
  startShoal,
  temporaryFolder,
} from "./support/processes.ts";
import { labelText } from "./support/queries.ts";

/**
 * The TSDB admin API of a shard and of a real Prometheus with the same blocks and the same samples in the head: the same
 * calls get the same answers, and the same queries after them find the same.
 */
const MINUTE_MS = 60_000;
const RANGE_MS = 120 * MINUTE_MS;
/** The blocks end here, the head's samples begin. */
const HEAD_MS = Math.floor((Date.now() - 30 * MINUTE_MS) / MINUTE_MS) * MINUTE_MS;
const START_MS = Math.floor(HEAD_MS / RANGE_MS) * RANGE_MS - 3 * RANGE_MS;
const END_MS = HEAD_MS + 30 * MINUTE_MS;

const valueAt = (i: number, timeMs: number): number => ((timeMs / MINUTE_MS) % 1000) + i / 10;

/** A folder with blocks that the real promtool made. */
function makeBlocks(folder: string): void {
  let text = "# TYPE m gauge\n";
  for (let i = 0; i < 6; i++)
    for (let t = START_MS; t < HEAD_MS; t += MINUTE_MS)
      text += `m{i="${i}",job="${i % 2}"} ${valueAt(i, t)} ${t / 1000}\n`;
  const input = `${folder}.txt`;
  writeFileSync(input, `${text}# EOF\n`);
  mkdirSync(folder, { recursive: true });
  runTool("promtool", ["tsdb", "create-blocks-from", "openmetrics", input, folder]);
}

async function fillHead(url: string, { from, to }: { from: number; to: number }): Promise<void> {
  await remoteWrite(
    url,
    [0, 1, 2, 3, 4, 5, 6].map((i) => ({
      labels: Labels.fromObject({ __name__: "m", i: String(i), job: String(i % 2) }),
      samples: Array.from({ length: (to - from) / MINUTE_MS }, (_, k) => {
        const timeMs = from + k * MINUTE_MS;
        return { timeMs, value: valueAt(i, timeMs) };
      }),
    })),
  );
}

interface Server {
  readonly admin: string;
  readonly query: string;
  readonly stop: () => Promise<void>;
}

async function shoalOn(folder: string): Promise<Server> {
  const running: RunningProcess[] = [];
  const grpc = `127.0.0.1:${await freePort()}`;
  for (const args of [
    [
      "shard",
      "--shard.id=shard-0",
      `--storage.tsdb.path=${folder}`,
      `--grpc.address=${grpc}`,
      "--web.enable-remote-write-receiver",
      "--web.enable-admin-api",
    ],
    ["query", `--endpoint=${grpc}`],
  ])
    running.push(await startShoal({ args }));
  return {
    admin: running[0]!.url,
    query: running[1]!.url,
    async stop() {
      for (const one of running.reverse()) await one.stop();
    },
  };
}

async function prometheusOn(folder: string): Promise<Server> {
  const running = await startPrometheus({
    dataFolder: folder,
    flags: ["--web.enable-remote-write-receiver", "--web.enable-admin-api"],
  });
  return { admin: running!.url, query: running!.url, stop: running!.stop };
}

/** All samples and label values, as the HTTP API tells them. */
async function contentOf({ query }: Server): Promise<unknown> {
  const matrix = async (expression: string): Promise<unknown> => {
    const parameters = new URLSearchParams({ query: expression, time: String(END_MS / 1000) });
    const response = await fetch(`${query}/api/v1/query?${parameters.toString()}`);
    const { data } = (await response.json()) as {
      data: { result: { metric: Record<string, string>; values?: unknown; value?: unknown }[] };
    };
    return data.result
      .map(({ metric, values, value }) => [labelText(metric), values ?? value] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
  };
  return {
    samples: await matrix(`m[${(END_MS - START_MS) / 1000 + 60}s]`),
    counts: await matrix("count_over_time(m[1h])"),
    sum: await matrix("sum by (job) (m offset 10m)"),
  };
}

async function call(
  { admin }: Server,
  path: string,
  options: RequestInit = { method: "POST" },
): Promise<{ status: number; type: string | null; body: unknown }> {
  const response = await fetch(`${admin}/api/v1/admin/tsdb/${path}`, options);
  const text = (await response.text()).replace(/\d{8}T\d{6}Z-[0-9a-f]{16}/, "<name>");
  const type = response.headers.get("content-type");
  const isJson = type?.startsWith("application/json") === true;
  return {
    status: response.status,
    type: isJson ? "application/json" : type,
    body: isJson ? JSON.parse(text) : text,
  };
}

test(
  "delete_series, clean_tombstones and snapshot as a real Prometheus does them",
  { skip: skipWithoutParts() },
  async () => {
    const root = temporaryFolder("admin-api");
    const [ours, theirs] = [join(root, "ours"), join(root, "theirs")];
    makeBlocks(ours);
    cpSync(ours, theirs, { recursive: true });
    let servers: readonly Server[] = [];
    const start = async (): Promise<void> => {
      servers = [await shoalOn(ours), await prometheusOn(theirs)];
    };
    const stop = async (): Promise<void> => {
      for (const server of servers) await server.stop();
      servers = [];
    };
    const compare = async (what: string): Promise<void> => {
      const [our, their] = await Promise.all(servers.map(contentOf));
      assert.deepEqual(our, their, what);
      assert.ok(JSON.stringify(their).length > 5000, "there is nothing to compare");
    };
    const both = async (path: string, options?: RequestInit): Promise<number> => {
      const [our, their] = await Promise.all(servers.map((server) => call(server, path, options)));
      assert.deepEqual(our, their, path);
      return our!.status;
    };
    const seconds = (minutes: number): string => String(START_MS / 1000 + minutes * 60);
    try {
      await start();
      for (const { admin } of servers)
        await fillHead(admin, { from: HEAD_MS, to: HEAD_MS + 20 * MINUTE_MS });
      await compare("equal data");
      const [ourStatus, theirStatus] = await Promise.all(servers.map(statusOf));
      assert.deepEqual(ourStatus, theirStatus);
      for (const path of [
        "delete_series",
        "delete_series?match[]=m&start=x",
        "delete_series?match[]=m&end=x",
        "delete_series?match[]=sum(m)",
        "delete_series?match[]={",
        "snapshot?skip_head=x",
      ])
        assert.equal(await both(path), 400, path);
      assert.equal(await both("delete_series?match[]=m", { method: "GET" }), 405);
      assert.equal(await both("snapshot", { method: "DELETE" }), 405);
      const deletions = [
        `match[]=m{i="0"}&start=${seconds(30)}&end=${seconds(200)}`,
        // Blocks and head, and what does not exist yet.
        `match[]=m{i="1"}&match[]={i=~"4|nobody"}&start=${seconds(100)}&end=${END_MS / 1000 + 86400}`,
        // In the head only.
        `match[]={job="0",i!="0"}&start=${HEAD_MS / 1000 + 300}&end=${HEAD_MS / 1000 + 600.5}`,
        `match[]=m{i="6"}`,
        `match[]=m&start=5&end=1`,
        // Nothing, and what the other selector names.
        `match[]={}`,
        `match[]={}&match[]={i="2"}&start=${seconds(40)}&end=${seconds(50)}`,
        // All that has no such label, or any value of it.
        `match[]={none=""}&start=${seconds(60)}&end=${seconds(62)}`,
        `match[]={job=~".*"}&start=${seconds(64)}&end=${seconds(66)}`,
        `match[]={job!~".*"}&start=${seconds(68)}&end=${seconds(70)}`,
      ];
      for (const [i, deletion] of deletions.entries()) {
        const isForm = i % 2 === 1;
        const status = isForm
          ? await both("delete_series", { method: "PUT", body: new URLSearchParams(deletion) })
          : await both(`delete_series?${deletion.replaceAll("+", "%2B")}`);
        assert.equal(status, 204);
        await compare(deletion);
      }
      await stop();
      await start();
      await compare("after a restart");
      for (const { admin } of servers)
        await fillHead(admin, { from: HEAD_MS + 20 * MINUTE_MS, to: HEAD_MS + 25 * MINUTE_MS });
      await compare("later samples of deleted series");
      // The oldest block becomes empty and goes.
      assert.equal(
        await both(`delete_series?match[]=m&start=${seconds(0)}&end=${seconds(119.9)}`),
        204,
      );
      assert.equal(await both("clean_tombstones"), 204);
      await compare("cleaned");
      const metas = [ours, theirs].map(blockMetas);
      assert.deepEqual(metas[0], metas[1]);
      assert.equal(await both("snapshot"), 200);
      assert.equal(await both("snapshot?skip_head=true"), 200);
      const before = await contentOf(servers[0]!);
      await stop();
      // Each starts on the other's snapshot with the head.
      const [ourSnapshot, theirSnapshot] = [ours, theirs].map(fullSnapshot);
      servers = [await shoalOn(theirSnapshot!), await prometheusOn(ourSnapshot!)];
      await compare("from snapshots");
      assert.deepEqual(await contentOf(servers[0]!), before);
      await stop();
      // And on the other's log with deletions.
      for (const one of [ours, theirs])
        rmSync(join(one, "snapshots"), { recursive: true, force: true });
      rmSync(join(ours, "shard"), { recursive: true, force: true });
      servers = [await shoalOn(theirs), await prometheusOn(ours)];
      await compare("from the other's data folder");
      assert.deepEqual(await contentOf(servers[0]!), before);
    } finally {
      await stop();
      rmSync(root, { recursive: true, force: true });
      rmSync(`${ours}.txt`, { force: true });
    }
  },
);

/** What the heads say of themselves; entries of the same size have no order of their own. */
async function statusOf({ admin }: Server): Promise<unknown> {
  const response = await fetch(`${admin}/api/v1/status/tsdb?limit=1000`);
  const { data } = (await response.json()) as {
    data: Record<string, unknown> & { headStats: Record<string, number> };
  };
  const { headStats, ...lists } = data;
  return {
    numSeries: headStats["numSeries"],
    numLabelPairs: headStats["numLabelPairs"],
    lists: Object.entries(lists).map(([name, entries]) => [
      name,
      (entries as { name: string; value: number }[])
        .map((entry) => `${entry.value} ${entry.name}`)
        .sort(),
    ]),
  };
}

/** What the metas of the blocks in a folder say, names left out. */
function blockMetas(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.length === 26)
    .map((name) => {
      const text = readFileSync(join(folder, name, "meta.json"), "utf8");
      const meta = JSON.parse(text) as {
        minTime: number;
        maxTime: number;
        stats: { numSamples: number; numSeries: number; numTombstones?: number };
        compaction: { level: number; sources: string[]; parents?: { minTime: number }[] };
      };
      const { level, sources, parents } = meta.compaction;
      return JSON.stringify([
        meta.minTime,
        meta.maxTime,
        meta.stats.numSamples,
        meta.stats.numSeries,
        meta.stats.numTombstones,
        level,
        sources.length,
        parents?.map(({ minTime }) => minTime),
      ]);
    })
    .sort();
}

/** The snapshot that has the head's block, too. */
function fullSnapshot(folder: string): string {
  const parent = join(folder, "snapshots");
  const blocks = (name: string): number => readdirSync(join(parent, name)).length;
  const names = readdirSync(parent).sort((a, b) => blocks(b) - blocks(a));
  assert.equal(names.length, 2);
  assert.equal(blocks(names[0]!), blocks(names[1]!) + 1);
  return join(parent, names[0]!);
}

/**
 * Beside a real Thanos (`npm run test:thanos`, a command of its own because building Thanos takes minutes): its query over
 * our shards, our sidecars and our query gives our answers; its sidecar works in front of our sidecar's façade.
 */
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  apiData,
  freePort,
  type RunningProcess,
  startChild,
  startShoal,
  stopProcess,
  temporaryFolder,
  until,
  untilReady,
} from "./support/processes.ts";
import {
  replicaConfig,
  type ReplicaShard,
  startExporter,
  startReplicaGroups,
  TARGET_SERIES,
} from "./support/replica-groups.ts";
import { instant, labelText } from "./support/queries.ts";
import { startShard, value } from "./support/sidecar-shards.ts";

const TARGETS = 3;
const SIZE = TARGETS * TARGET_SERIES;
const COUNT = 'count({__name__=~"work_total|level"})';

/** What all counters grow by a second. */
const RATE = (TARGETS * (TARGET_SERIES / 2) * (TARGET_SERIES / 2 + 1)) / 2;

/** Values that do not depend on which replica's sample was chosen. */
const EXACT: readonly string[] = [
  "level",
  'level{i="1"}',
  'level{replica="b"}',
  'level{cluster="eu",i=~"1|2"}',
  'level{cluster!="eu"}',
  'level{nothing=""}',
  "sum(level)",
  "sum by (i) (level)",
  "sum by (replica) (level)",
  "count by (cluster, job) (level)",
  COUNT,
  "avg without (instance) (level)",
  "max(level) - min(level)",
  "topk(2, sum by (i) (level))",
  "quantile(0.5, level)",
  "level > 1",
  'level and on (i) work_total{i="3"}',
  "level * on (instance, i) group_left (job) (work_total > bool 0)",
  "count(up)",
  "min(up)",
  "absent(nothing)",
  'label_replace(level{i="1"}, "x", "$1", "instance", "(.*):.*")',
  "changes(level[30s])",
  "max_over_time(level[20s])",
  "last_over_time(level[20s])",
  "stddev_over_time(level[20s])",
  "sum(sum_over_time(level[10s])) > bool 0",
  "resets(work_total[20s])",
  "count(rate(work_total[20s]))",
  "count(irate(work_total[20s]))",
  "histogram_quantile(0.9, level)",
  "vector(1) + scalar(sum(level))",
];

/** Rates: within a part, because windows may begin with another sample. */
const CLOSE: readonly string[] = [
  "sum(rate(work_total[20s]))",
  "sum by (i) (increase(work_total[20s]))",
];
const TOLERANCE = 0.1;

async function startThanos(
  args: readonly string[],
  more: { ready?: boolean } = {},
): Promise<RunningProcess & { grpc: string }> {
  const [httpPort, grpcPort] = [await freePort(), await freePort()];
  const program = process.env["SHOAL_THANOS"];
  assert.ok(program !== undefined, "run this by npm run test:thanos");
  const grpc = `127.0.0.1:${grpcPort}`;
  const child = startChild(program, [
    ...args,
    `--http-address=127.0.0.1:${httpPort}`,
    `--grpc-address=${grpc}`,
  ]);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => (output += data.toString()));
  const url = `http://127.0.0.1:${httpPort}`;
  const stop = (): Promise<void> => stopProcess(child);
  try {
    if (more.ready !== false) await untilReady(`${url}/-/ready`, child);
  } catch (error) {
    await stop();
    throw new Error(`cannot start thanos ${args.join(" ")}: ${output}`, { cause: error });
  }
  return { url, grpc, pid: child.pid!, child, output: () => output, stop };
}

function thanosQuery(endpoints: readonly string[]): Promise<RunningProcess & { grpc: string }> {
  return startThanos([
    "query",
    "--query.replica-label=replica",
    ...endpoints.map((address) => `--endpoint=${address}`),
  ]);
}

function shoalQuery(endpoints: readonly string[], grpc?: string): Promise<RunningProcess> {
  return startShoal({
    args: [
      "query",
      "--query.replica-label=replica",
      ...endpoints.map((address) => `--endpoint=${address}`),
      ...(grpc === undefined ? [] : [`--grpc-address=${grpc}`]),
    ],
  });
}

/** Both answer the same now, with and without deduplication. */
async function assertSame(theirs: string, ours: string): Promise<void> {
  for (const url of [theirs, ours])
    await until(`${url} sees all`, async () =>
      (await value(url, COUNT)) === SIZE ? true : undefined,
    );
  const rate = "sum(rate(work_total[20s]))";
  await until("there are samples for a whole window", async () =>
    Math.abs((await value(ours, rate)) / RATE - 1) < 0.02 ? true : undefined,
  );
  const time = Date.now() / 1000 - 2;
  for (const query of EXACT)
    assert.deepEqual(await instant(ours, query, time), await instant(theirs, query, time), query);
  for (const query of CLOSE) {
    const [a, b] = [await instant(ours, query, time), await instant(theirs, query, time)];
    assert.deepEqual(
      a.map(({ series }) => series),
      b.map(({ series }) => series),
      query,
    );
    for (const [i, { value: found }] of a.entries())
      assert.ok(
        Math.abs(found / b[i]!.value - 1) < TOLERANCE,
        `${query}: ${found}, ${b[i]!.value}`,
      );
  }
  const range = `start=${time - 15}&end=${time}&step=5`;
  for (const path of [
    `query?query=level&time=${time}&dedup=false`,
    `query?query=level&time=${time}&replicaLabels[]=cluster&replicaLabels[]=replica`,
    `query?query=count(level)&time=${time}&dedup=false`,
    `query_range?query=sum(level)&${range}`,
    `query_range?query=level&${range}&dedup=false`,
    `series?match[]=level&start=${time - 60}&end=${time}`,
    `series?match[]=level&start=${time - 60}&end=${time}&dedup=false`,
    `labels?match[]=level&start=${time - 60}&end=${time}`,
    `label/replica/values?start=${time - 60}&end=${time}`,
    `label/i/values?match[]=work_total&start=${time - 60}&end=${time}`,
  ])
    assert.deepEqual(await comparable(ours, path), await comparable(theirs, path), path);
}

async function comparable(url: string, path: string): Promise<unknown> {
  const data = await apiData<unknown>(`${url}/api/v1/${path}`);
  const list = Array.isArray(data) ? data : (data as { result: unknown[] }).result;
  return list.map((entry: unknown) => JSON.stringify(sortedKeys(entry))).sort();
}

function sortedKeys(entry: unknown): unknown {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) return entry;
  if (!("metric" in entry)) return labelText(entry as Record<string, string>);
  return { ...entry, metric: labelText(entry.metric as Record<string, string>) };
}

describe("beside a real Thanos", () => {
  const folder = temporaryFolder("thanos");
  const running: { readonly stop: () => Promise<void> }[] = [];
  let exporters: Awaited<ReturnType<typeof startExporter>>[] = [];
  let shards: readonly ReplicaShard[] = [];
  let config = "";

  before(async () => {
    exporters = await Promise.all(Array.from({ length: TARGETS }, startExporter));
    config = replicaConfig(exporters.map(({ address }) => address));
    const started: RunningProcess[] = [];
    ({ shards } = await startReplicaGroups({ folder, config, shardsEach: 2, running: started }));
    running.push(...started);
  });

  after(async () => {
    for (const { stop } of running.toReversed()) await stop();
    for (const { server } of exporters) server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("its query reads our shards as ours does", async () => {
    const endpoints = shards.map(({ grpc }) => grpc);
    const [theirs, ours] = [await thanosQuery(endpoints), await shoalQuery(endpoints)];
    running.push(theirs, ours);
    await assertSame(theirs.url, ours.url);
    const stores = await apiData<Record<string, { labelSets: object[]; lastError: unknown }[]>>(
      `${theirs.url}/api/v1/stores`,
    );
    assert.deepEqual(
      stores["sidecar"]
        ?.map(({ labelSets, lastError }) => JSON.stringify([labelSets[0], lastError]))
        .sort(),
      ["a", "a", "b", "b"].map((replica) => JSON.stringify([{ cluster: "eu", replica }, null])),
    );
  });

  test("queries stack both ways", async () => {
    const endpoints = shards.map(({ grpc }) => grpc);
    const grpc = `127.0.0.1:${await freePort()}`;
    const lower = await shoalQuery(endpoints, grpc);
    const [theirs, theirLower] = [await thanosQuery([grpc]), await thanosQuery(endpoints)];
    const ours = await shoalQuery([theirLower.grpc]);
    running.push(lower, theirs, theirLower, ours);
    await assertSame(theirs.url, ours.url);
    assert.deepEqual(Object.keys(await apiData<object>(`${theirs.url}/api/v1/stores`)), ["query"]);
  });

  test("its query reads our sidecars, and its sidecar works in front of one", async () => {
    const base = join(folder, "sidecars");
    mkdirSync(base);
    const started: RunningProcess[] = [];
    const pair = await Promise.all(
      [0, 1].map((i) => startShard(base, i, started, [`--shard.replica=${"ab"[i]}`])),
    );
    running.push(...started);
    const list = pair
      .map(
        ({ port }, i) =>
          `  - {name: ${"ab"[i]}, shards: [{id: s-${i}, url: "http://127.0.0.1:${port}"}]}\n`,
      )
      .join("");
    writeFileSync(join(base, "shards.yml"), `replicas:\n${list}`);
    writeFileSync(join(base, "prometheus.yml"), config);
    running.push(
      await startShoal({
        args: [
          "coordinator",
          `--config.file=${join(base, "prometheus.yml")}`,
          `--shard.static-file=${join(base, "shards.yml")}`,
          "--coordinator.interval=1s",
        ],
      }),
    );
    const endpoints = pair.map(({ grpc }) => grpc);
    const [theirs, ours] = [await thanosQuery(endpoints), await shoalQuery(endpoints)];
    running.push(theirs, ours);
    await assertSame(theirs.url, ours.url);

    const sidecar = await startThanos([
      "sidecar",
      `--prometheus.url=http://127.0.0.1:${pair[0]!.port}`,
      `--tsdb.path=${base}`,
    ]);
    running.push(sidecar);
    const through = await shoalQuery([sidecar.grpc]);
    running.push(through);
    await until("the Thanos sidecar gives all series", async () =>
      (await value(through.url, COUNT)) === SIZE ? true : undefined,
    );
    const [first] = await instant(through.url, 'level{i="1"}', Date.now() / 1000);
    assert.match(first?.series ?? "", /"cluster","eu"/);
  });
});

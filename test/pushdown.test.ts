import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createFloatData, START_MS } from "../src/promql/testing/float-data.ts";
import { remoteWrite } from "../src/promql/testing/remote-write.fixture.ts";
import {
  freePort,
  type RunningProcess,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";

/**
 * The same queries to a query process that lets three real shards aggregate their series and to one that reads them: the
 * answers must be equal byte for byte. Each series is on one shard; those of a job, a metric or an instance are on all.
 */
const SHARDS = 3;
const MINUTE = 60_000;
const END_MS = START_MS + 60 * MINUTE;

/** What shards can compute; the answer to each has series. */
const PUSHABLE = [
  "sum(size_bytes)",
  "sum by (job) (size_bytes)",
  "sum without (instance) (size_bytes)",
  "sum by (job) (latency_seconds_count) / 3",
  "sum(latency_seconds_bucket > 20)",
  "sum(sgn(temperature))",
  "sum by (code) (ceil(rate(requests_total[5m])))",
  "sum by (job, le) (resets(latency_seconds_bucket[10m]))",
  "sum(changes(size_bytes[7m]))",
  "sum(count_over_time(requests_total[3m] offset 2m))",
  "sum by (nothing) (size_bytes @ 1700001800)",
  "sum by (le) (round(increase(latency_seconds_bucket[5m])))",
  "histogram_quantile(0.9, sum by (le) (round(increase(latency_seconds_bucket[5m]))))",
  "avg(line)",
  'avg by (instance) (build_info{instance=~"a.*|b.*"})',
  "min(temperature)",
  "min by (job) (rate(requests_total[5m]))",
  "min by (code) (delta(requests_total[4m]))",
  "min(deriv(temperature[5m]))",
  "max by (instance) (avg_over_time(temperature[5m]))",
  "max without (code, instance) (irate(requests_total[2m]))",
  "max(-errors_total)",
  "max by (__name__) (errors_total)",
  "max by (job) (clamp_max(temperature, 300)) * 2",
  "max(timestamp(requests_total))",
  "max(quantile_over_time(0.7, errors_total[5m]))",
  "count(errors_total)",
  "count by (job) (requests_total > 500)",
  "count by (code, job) (requests_total offset 7m)",
  'count({__name__=~"size_bytes|huge"})',
  'count by (le) (latency_seconds_bucket{le!="1.0"} != 0)',
  "group by (version) (build_info)",
  "group(requests_total)",
  "topk(3, requests_total)",
  "topk by (job) (2, rate(requests_total[5m]))",
  "topk(1, max_over_time(requests_total[10m]))",
  "bottomk(2, errors_total)",
  "bottomk by (instance) (1, rate(errors_total[5m]))",
  "sum(size_bytes) + on () group_left () max(errors_total)",
  "absent(sum(size_bytes))",
  "max(min by (job) (requests_total))",
  "label_replace(count by (job) (requests_total), 'team', '$1', 'job', '(.).*')",
];

/** What they cannot, by its form or for the answer's last bit. */
const OTHERS = [
  "requests_total",
  "rate(requests_total[5m])",
  "sum by (job) (rate(requests_total[5m]))",
  "avg(temperature)",
  "quantile(0.5, requests_total)",
  "stddev by (job) (size_bytes)",
  "sum(size_bytes) / count(size_bytes)",
  "topk(2, build_info)",
  "sum(huge)",
  "sum(sum_over_time(size_bytes[5m:1m]))",
  "count_values('v', size_bytes)",
];

const seconds = (ms: number): string => String(ms / 1000);
const WAYS = {
  instant: { path: "query", time: seconds(END_MS) },
  range: {
    path: "query_range",
    start: seconds(START_MS - MINUTE),
    end: seconds(END_MS + 7 * MINUTE),
    step: "97",
  },
};
type Way = keyof typeof WAYS;

async function ask({ url }: RunningProcess, way: Way, query: string): Promise<string> {
  const { path, ...parameters } = WAYS[way];
  const response = await fetch(`${url}/api/v1/${path}`, {
    method: "POST",
    body: new URLSearchParams({ query, ...parameters }),
  });
  return response.text();
}

/** Aggregations that a query process had its shards compute so far, by what came of it. */
async function outcomes({ url }: RunningProcess): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return new Map(
    Array.from(
      text.matchAll(/^shoal_query_pushdown_total\{outcome="(\w+)"\} (\d+)$/gm),
      ([, outcome, count]) => [outcome!, Number(count)],
    ),
  );
}

describe("aggregations over three shards", { timeout: 180_000 }, () => {
  const folder = temporaryFolder("pushdown");
  const running: RunningProcess[] = [];
  let pushing: RunningProcess;
  let reading: RunningProcess;

  before(async () => {
    const data = createFloatData().map(({ labels, times, values }) => ({
      labels,
      samples: times.map((timeMs, k) => ({ timeMs, value: values[k]! })),
    }));
    const endpoints: string[] = [];
    for (let i = 0; i < SHARDS; i++) {
      const grpc = `127.0.0.1:${await freePort()}`;
      const shard = await startShoal({
        args: [
          "shard",
          `--shard.id=shard-${i}`,
          `--storage.tsdb.path=${join(folder, String(i))}`,
          `--grpc.address=${grpc}`,
          "--web.enable-remote-write-receiver",
          "--storage.tsdb.retention.time=100y",
        ],
      });
      running.push(shard);
      endpoints.push(`--endpoint=${grpc}`);
      await remoteWrite(
        shard.url,
        data.filter((_, index) => index % SHARDS === i),
      );
    }
    pushing = await startShoal({ args: ["query", ...endpoints, "--query.pushdown"] });
    running.push(pushing);
    reading = await startShoal({ args: ["query", ...endpoints, "--no-query.pushdown"] });
    running.push(reading);
    const recent = data.filter(({ samples }) => samples.at(-1)!.timeMs > END_MS - 5 * MINUTE);
    for (const one of [pushing, reading])
      await until("all series are there", async () => {
        const answer = await ask(one, "instant", 'count({__name__=~".+"})');
        return answer.includes(`"${recent.length}"`) ? true : undefined;
      });
  });
  after(async () => {
    for (const one of running.reverse()) await one.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const way of ["instant", "range"] as const)
    it(`are to the byte what reading gives: ${way} queries`, async () => {
      const before = await outcomes(pushing);
      for (const query of PUSHABLE) {
        const pushed = (await outcomes(pushing)).get("pushed")!;
        const answer = await ask(pushing, way, query);
        assert.equal(answer, await ask(reading, way, query), query);
        assert.match(answer, /^\{"status":"success"/, query);
        assert.ok(answer.includes('"value') || query.startsWith("absent"), `${query}: ${answer}`);
        assert.ok((await outcomes(pushing)).get("pushed")! > pushed, `${query} was not pushed`);
      }
      const counts = await outcomes(pushing);
      assert.ok(counts.get("pushed")! >= before.get("pushed")! + PUSHABLE.length);
      assert.equal(counts.get("declined"), undefined);
      for (const query of OTHERS)
        assert.equal(await ask(pushing, way, query), await ask(reading, way, query), query);
      assert.equal((await outcomes(reading)).size, 0);
    });
});

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Labels } from "../src/model/labels.ts";
import { remoteWrite } from "../src/promql/testing/remote-write.fixture.ts";
import {
  freePort,
  type RunningProcess,
  startPrometheus,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";

/**
 * `--enable-feature` over HTTP: a shard, queries over it and, where it is there, a real Prometheus, each with the features of
 * PromQL and without.
 */

/** What Prometheus 3.5 has, and what came later. */
const OLD_FEATURES = "promql-experimental-functions,promql-delayed-name-removal";
const NEW_FEATURES = "promql-extended-range-selectors,promql-binop-fill-modifiers";

const START_SECONDS = 1_700_000_000;
const SAMPLES = 40;
const TIME = String(START_SECONDS + SAMPLES * 15);

/** Refused without the features. */
const EXPERIMENTAL = [
  "limitk(2, requests_total)",
  "limitk by (code) (1, requests_total)",
  "limit_ratio(0.5, requests_total)",
  "limit_ratio(-0.5, requests_total)",
  'sort_by_label(requests_total, "instance", "code")',
  'sort_by_label_desc(requests_total, "code")',
  "mad_over_time(requests_total[5m])",
  "max by (code) (mad_over_time(requests_total[5m]))",
  "double_exponential_smoothing(temperature[5m], 0.5, 0.3)",
  "ts_of_max_over_time(temperature[5m])",
  "info(requests_total)",
];

/** Answered in another way. */
const DELAYED = [
  'sum by (__name__) (rate({__name__=~"requests_total|errors_total"}[5m]))',
  'max by (__name__) (changes({__name__=~"requests_total|errors_total"}[5m]))',
];

/** Refused without those that Prometheus 3.5 does not have; and what 3.14 says then and answers with them. */
const LATER = [
  {
    query: 'increase(requests_total{code="200"}[1m] anchored)',
    problem: "1:10: parse error: anchored modifier is experimental and not enabled",
    values: { a: "40", b: "80" },
  },
  {
    query: 'max(increase(requests_total{code="200"}[1m] smoothed))',
    problem: "1:14: parse error: smoothed modifier is experimental and not enabled",
    values: { "": "80" },
  },
  {
    query: 'requests_total{code="200"} + on (instance) fill (1) errors_total',
    problem: "1:1: parse error: binop fill modifiers are experimental and not enabled",
    values: { a: "440", b: "801" },
  },
] as const;

function data(): { labels: Labels; samples: { timeMs: number; value: number }[] }[] {
  const series = (
    labels: Record<string, string>,
    value: (i: number) => number,
  ): { labels: Labels; samples: { timeMs: number; value: number }[] } => ({
    labels: Labels.fromObject(labels),
    samples: Array.from({ length: SAMPLES + 1 }, (_, i) => ({
      timeMs: (START_SECONDS + i * 15) * 1000,
      value: value(i),
    })),
  });
  return [
    series({ __name__: "errors_total", instance: "a", job: "j" }, (i) => i),
    ...["200", "500"].flatMap((code, l) =>
      ["a", "b"].map((instance, k) =>
        series(
          { __name__: "requests_total", code, instance, job: "j" },
          (i) => (k + 1) * (10 * i + 7 * l * (i % 5)),
        ),
      ),
    ),
    series({ __name__: "target_info", instance: "a", job: "j", version: "1.2" }, () => 1),
    series({ __name__: "temperature", instance: "a", job: "j" }, (i) => 20 + ((i * 7) % 11)),
  ];
}

async function ask(
  { url }: RunningProcess,
  path: string,
  parameters: Record<string, string>,
): Promise<unknown> {
  const response = await fetch(`${url}/api/v1/${path}`, {
    method: "POST",
    body: new URLSearchParams(parameters),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

/** Prometheus gives the series of `info` in an order of chance. */
function inOrder(answer: unknown, query: string): unknown {
  const result: unknown = Reflect.get(Object(Reflect.get(Object(answer), "data")), "result");
  return Array.isArray(result) && !query.startsWith("sort_")
    ? result.map((one) => JSON.stringify(one)).sort()
    : answer;
}

const instant = (from: RunningProcess, query: string): Promise<unknown> =>
  ask(from, "query", { query, time: TIME });

describe("features of PromQL", { timeout: 120_000 }, () => {
  const folder = temporaryFolder("features");
  const running: RunningProcess[] = [];
  let shard: RunningProcess;
  let queries: readonly RunningProcess[];
  let plainQuery: RunningProcess;
  let real: { featured: RunningProcess; plain: RunningProcess } | undefined;

  const started = async <T extends RunningProcess | undefined>(one: Promise<T>): Promise<T> => {
    const process = await one;
    if (process !== undefined) running.push(process);
    return process;
  };

  before(async () => {
    const grpc = `127.0.0.1:${await freePort()}`;
    const features = [`--enable-feature=${OLD_FEATURES}`, `--enable-feature=${NEW_FEATURES}`];
    shard = await started(
      startShoal({
        args: [
          "shard",
          `--storage.tsdb.path=${folder}`,
          `--grpc.address=${grpc}`,
          "--web.enable-remote-write-receiver",
          "--storage.tsdb.retention.time=100y",
          "--enable-feature=native-histograms",
          ...features,
        ],
      }),
    );
    await remoteWrite(shard.url, data());
    const query = (...flags: string[]): Promise<RunningProcess> =>
      started(startShoal({ args: ["query", `--endpoint=${grpc}`, ...flags] }));
    queries = await Promise.all([
      query("--query.threads=0", "--no-query.pushdown", ...features),
      query("--query.threads=0", ...features),
      query("--query.threads=2", ...features),
    ]);
    plainQuery = await query();
    for (const one of [...queries, plainQuery])
      await until("it sees the shard", async () =>
        JSON.stringify(await instant(one, "count(requests_total)")).includes('"4"')
          ? true
          : undefined,
      );
    const prometheus = (flags: readonly string[]): Promise<RunningProcess | undefined> =>
      started(
        startPrometheus({
          flags: [
            "--web.enable-remote-write-receiver",
            "--storage.tsdb.retention.time=100y",
            ...flags,
          ],
        }),
      );
    const featured = await prometheus([`--enable-feature=${OLD_FEATURES}`]);
    const plain = await prometheus([]);
    if (featured === undefined || plain === undefined) return;
    for (const one of [featured, plain]) await remoteWrite(one.url, data());
    real = { featured, plain };
  });
  after(async () => {
    for (const one of running.reverse()) await one.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("what is experimental is refused without them and computed with them, as by Prometheus", async () => {
    for (const query of EXPERIMENTAL) {
      const refusal = await instant(plainQuery, query);
      assert.equal(Reflect.get(Object(refusal), "status"), "error", query);
      const answer = await instant(shard, query);
      assert.equal(Reflect.get(Object(answer), "status"), "success", `${query}: ${String(answer)}`);
      for (const one of queries) assert.deepEqual(await instant(one, query), answer, query);
      if (real === undefined) continue;
      assert.deepEqual(refusal, await instant(real.plain, query));
      assert.deepEqual(inOrder(answer, query), inOrder(await instant(real.featured, query), query));
    }
  });

  test("names go at the end with promql-delayed-name-removal", async () => {
    for (const query of DELAYED) {
      const answer = await instant(shard, query);
      for (const one of queries) assert.deepEqual(await instant(one, query), answer, query);
      const plain = await instant(plainQuery, query);
      assert.notDeepEqual(plain, answer, query);
      if (real === undefined) continue;
      assert.deepEqual(answer, await instant(real.featured, query));
      assert.deepEqual(plain, await instant(real.plain, query));
    }
  });

  test("anchored, smoothed and fill, as Prometheus 3.14 has them", async () => {
    for (const { query, problem, values } of LATER) {
      assert.deepEqual(await instant(plainQuery, query), {
        status: "error",
        errorType: "bad_data",
        error: `invalid parameter "query": ${problem}`,
      });
      for (const one of [shard, ...queries]) {
        const { data: found } = Object(await instant(one, query)) as {
          data: { result: { metric: { instance?: string }; value: [number, string] }[] };
        };
        assert.deepEqual(
          Object.fromEntries(
            found.result.map(({ metric, value }) => [metric.instance ?? "", value[1]]),
          ),
          values,
          query,
        );
      }
    }
  });

  test("the parser of the other answers takes them, too", async () => {
    const query = "mad_over_time(a[5m]) + fill(1) b";
    for (const path of ["format_query", "parse_query"]) {
      for (const one of [shard, ...queries])
        assert.equal(Reflect.get(Object(await ask(one, path, { query })), "status"), "success");
      assert.match(JSON.stringify(await ask(plainQuery, path, { query })), /is not enabled/);
    }
    const exemplars = { query: "mad_over_time(requests_total[5m])", start: "0", end: TIME };
    for (const one of [shard, ...queries])
      assert.deepEqual(await ask(one, "query_exemplars", exemplars), {
        status: "success",
        data: [],
      });
    assert.match(
      JSON.stringify(await ask(plainQuery, "query_exemplars", exemplars)),
      /is not enabled/,
    );
  });

  test("a feature that needs no flag is said to", () => {
    assert.match(shard.output(), /does nothing here.*feature=native-histograms/);
  });
});

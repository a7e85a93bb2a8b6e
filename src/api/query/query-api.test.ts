/**
 * The HTTP API v1 in process, over fixed series; and, where the real Prometheus is there, the same requests to both, whose
 * answers must be equal as JSON, errors included.
 */
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import {
  type RunningProcess,
  runTool,
  skipWithoutParts,
  startPrometheus,
  temporaryFolder,
} from "../../../test/support/processes.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLogger } from "../../base/logger.ts";
import { Registry } from "../../base/metrics.ts";
import { encodeXor } from "../../chunk/xor-encode.ts";
import { Labels } from "../../model/labels.ts";
import { Engine } from "../../promql/engine.ts";
import { queryExemplars } from "../../query/exemplars.ts";
import { MemoryQueryable } from "../../storage/memory-queryable.ts";
import { ENCODING_XOR, type Series } from "../../storage/queryable.ts";
import { createHttpServer, type HttpServer } from "../server.ts";
import type { EndpointStatus } from "../../query/endpoint-set.ts";
import type { ReadOptions } from "./dependencies.ts";
import { formatMatcher } from "../../model/matcher.ts";
import { registerQueryApi } from "./query-api.ts";
import { QueryBook } from "./query-book.ts";

const START_SECONDS = 1_700_000_000;
const STEP_SECONDS = 15;
const SAMPLES = 40;

const ENDPOINTS: readonly EndpointStatus[] = [
  {
    address: "10.0.0.1:10901",
    strict: false,
    health: "healthy",
    lastError: "",
    lastCheckMs: START_SECONDS * 1000,
    componentType: "sidecar",
    labelSets: [Labels.fromObject({ cluster: "eu", replica: "a" })],
    minTimeMs: START_SECONDS * 1000,
    maxTimeMs: 2 ** 63,
  },
  {
    address: "10.0.0.2:10901",
    strict: true,
    health: "unhealthy",
    lastError: 'it is "down"',
    lastCheckMs: 0,
    componentType: "",
    labelSets: [],
    minTimeMs: -(2 ** 63),
    maxTimeMs: 2 ** 63,
  },
];

/** name, labels, value at index. */
const DATA: readonly (readonly [string, Record<string, string>, (i: number) => number])[] = [
  ["requests_total", { job: "a", instance: "x:1", code: "200" }, (i) => i * 3],
  ["requests_total", { job: "a", instance: "x:1", code: "500" }, (i) => i * 0.1],
  ["requests_total", { job: "b", instance: "y:1", code: "200" }, (i) => i ** 3],
  ["temperature", { job: "b", instance: "y:1" }, (i) => Math.sin(i) * 1e-7],
  ["huge", { job: "b" }, () => 1.5e22],
  ["special", { job: "b", kind: "inf" }, () => -Infinity],
  ["special", { job: "b", kind: "nan" }, () => NaN],
];

function fixedSeries(): Series[] {
  const times = Float64Array.from(
    { length: SAMPLES },
    (_, i) => (START_SECONDS + i * STEP_SECONDS) * 1000,
  );
  return DATA.map(([name, labels, valueAt]) => {
    const values = Float64Array.from({ length: SAMPLES }, (_, i) => valueAt(i));
    const chunk = {
      encoding: ENCODING_XOR,
      minTimeMs: times[0]!,
      maxTimeMs: times.at(-1)!,
      data: encodeXor(times, values, { start: 0, end: SAMPLES }),
    } as const;
    return { labels: Labels.fromObject({ __name__: name, ...labels }), chunks: [chunk] };
  });
}

function openMetrics(): string {
  let text = "";
  let family = "";
  for (const [name, labels, valueAt] of DATA) {
    const base = name.replace(/_total$/, "");
    if (base !== family)
      text += `# TYPE ${(family = base)} ${name === base ? "gauge" : "counter"}\n`;
    const pairs = Object.entries(labels)
      .map(([key, value]) => `${key}="${value}"`)
      .join(",");
    for (let i = 0; i < SAMPLES; i++) {
      const value = valueAt(i);
      text += `${name}{${pairs}} ${value === -Infinity ? "-Inf" : value} ${START_SECONDS + i * STEP_SECONDS}\n`;
    }
  }
  return `${text}# EOF\n`;
}

const EXEMPLARS = [
  {
    labels: Labels.fromObject({ __name__: "latency", le: "0.5" }),
    exemplars: [
      { labels: Labels.fromObject({ trace_id: "a" }), value: 0.25, timeMs: 1_700_000_000_123 },
      { labels: Labels.EMPTY, value: Infinity, timeMs: 1_700_000_001_000 },
    ],
  },
];

test("exemplars are shown as Prometheus shows them", async () => {
  const { body } = await get(url, "query_exemplars?query=latency");
  assert.deepEqual(body, {
    status: "success",
    data: [
      {
        seriesLabels: { __name__: "latency", le: "0.5" },
        exemplars: [
          { labels: { trace_id: "a" }, value: "0.25", timestamp: 1_700_000_000.123 },
          { labels: {}, value: "+Inf", timestamp: 1_700_000_001 },
        ],
      },
    ],
  });
  const wrong = await get(url, "query_exemplars?query=latency&start=2&end=1");
  assert.equal(wrong.status, 400);
});

let server: HttpServer;
let url: string;
const source = new MemoryQueryable(fixedSeries());
let lastOptions: ReadOptions | undefined;
let prometheus: RunningProcess | undefined;
const folder = temporaryFolder("api");

before(
  async () => {
    server = createHttpServer({
      listen: "127.0.0.1:0",
      logger: silentLogger,
      registry: new Registry(),
      ready: () => true,
    });
    registerQueryApi(server.app, {
      maxAnswerBytes: 1e9,
      engine: new Engine(),
      parser: {},
      queryable: (options) => {
        lastOptions = options;
        return source;
      },
      exemplars: async ({ query, selectors }, { replicaLabels = [] }) => {
        const asked = { query, selectors, startMs: 0, endMs: 1 };
        const options = { endpoints: [], replicaLabels, partialResponse: "warn" } as const;
        const none = await queryExemplars(asked, options);
        return query === "latency" ? { ...none, series: EXEMPLARS } : none;
      },
      queries: new QueryBook({ clock: systemClock, slowMs: 5_000, log: undefined }),
      clock: { ...systemClock, now: () => (START_SECONDS + SAMPLES * STEP_SECONDS) * 1000 },
      logger: silentLogger,
      coordinator: undefined,
      endpoints: () => ENDPOINTS,
      flags: {},
      lookbackMs: 300_000,
      externalLabels: () => ({ region: "eu" }),
      pageFolder: undefined,
      startTimeMs: 0,
      adminApi: false,
    });
    await server.start();
    url = `http://127.0.0.1:${server.address().port}`;
    if (skipWithoutParts() !== false) return;
    mkdirSync(join(folder, "blocks"));
    writeFileSync(join(folder, "data.om"), openMetrics());
    runTool("promtool", [
      "tsdb",
      "create-blocks-from",
      "openmetrics",
      join(folder, "data.om"),
      join(folder, "blocks"),
    ]);
    prometheus = await startPrometheus({
      config: "{}",
      dataFolder: join(folder, "blocks"),
      flags: ["--storage.tsdb.retention.time=100y"],
    });
  },
  { timeout: 90_000 },
);

after(async () => {
  await server.stop();
  await prometheus?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const END_SECONDS = START_SECONDS + (SAMPLES - 1) * STEP_SECONDS;
const RANGE = `start=${START_SECONDS}&end=${END_SECONDS}&step=30`;

/** Requests whose answers must equal Prometheus's: path, then the parameters. */
const SAME: readonly string[] = [
  `query?query=1%2B1&time=2`,
  `query?query=1e100&time=2`,
  `query?query=-1e-9&time=2.5`,
  `query?query=%22text%22&time=2`,
  `query?query=requests_total&time=${END_SECONDS}`,
  `query?query=temperature&time=${END_SECONDS}.123`,
  `query?query=huge&time=${END_SECONDS}`,
  `query?query=special&time=${END_SECONDS}`,
  `query?query=requests_total[1m]&time=${END_SECONDS}`,
  `query?query=nothing&time=${END_SECONDS}`,
  `query?query=rate(temperature[1m])&time=${END_SECONDS}`,
  `query?query=requests_total&time=${END_SECONDS}&limit=2`,
  `query?query=sort_desc(requests_total)&time=2023-11-14T22:23:00Z`,
  `query?query=&time=1`,
  `query?query=sum(&time=1`,
  `query?query=foo{&time=1`,
  `query?query=rate(requests_total)&time=1`,
  `query?query=1&time=x`,
  `query?query=1&time=1&timeout=x`,
  `query?query=1&time=1&limit=-1`,
  `query?query=1&time=1&limit=x`,
  `query_range?query=requests_total&${RANGE}`,
  `query_range?query=rate(requests_total[1m])&${RANGE}`,
  `query_range?query=sum by (job) (requests_total)&${RANGE}`,
  `query_range?query=temperature&${RANGE}`,
  `query_range?query=special&${RANGE}`,
  `query_range?query=time()&start=1.5&end=3&step=0.5`,
  `query_range?query=requests_total[1m]&${RANGE}`,
  `query_range?query=%22x%22&${RANGE}`,
  `query_range?query=1&start=0&end=11000&step=1`,
  `query_range?query=1&start=0&end=11001&step=1`,
  `query_range?query=1&start=5&end=1&step=1`,
  `query_range?query=1&start=1&end=2&step=0`,
  `query_range?query=1&start=1&end=2&step=-1`,
  `query_range?query=1&start=1&end=2&step=x`,
  `query_range?query=1&end=2&step=1`,
  `query_range?query=1&start=1&step=1`,
  `query_range?query=1&start=1&end=2`,
  `series?match[]=requests_total`,
  `series?match[]={job="b"}&match[]=requests_total`,
  `series?match[]=requests_total&limit=1`,
  `series?match[]=requests_total&start=1&end=2`,
  `series`,
  `series?match[]={}`,
  `series?match[]=sum(x)`,
  `series?match[]=x&start=y`,
  `labels`,
  `labels?match[]=temperature`,
  `labels?limit=2`,
  `labels?match[]={x=""}`,
  `label/job/values`,
  `label/__name__/values`,
  `label/code/values?match[]={job="a"}`,
  `label/nothing/values`,
  `label/job/values?limit=1`,
  `label/U__job/values`,
  `format_query?query=sum(rate(foo[5m]))by(job)`,
  `format_query?query=sum(`,
  `query_exemplars?query=test&start=1700000000000&end=1700000001000`,
];

async function get(base: string, request: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${base}/api/v1/${request}`);
  const text = await response.text();
  return { status: response.status, body: text === "" ? "" : JSON.parse(text) };
}

for (const request of SAME) {
  test(`the answer to ${request} is Prometheus's`, { skip: skipWithoutParts() }, async () => {
    const [ours, theirs] = [await get(url, request), await get(prometheus!.url, request)];
    // Instant vectors have no order unless sorted, and Prometheus lists series of several selectors by storage order.
    assert.deepEqual(sorted(ours), sorted(theirs));
  });
}

function sorted(answer: { status: number; body: unknown }): unknown {
  const { body } = answer;
  if (typeof body !== "object" || body === null || !("data" in body)) return answer;
  const { data } = body;
  const list = Array.isArray(data)
    ? data
    : typeof data === "object" &&
        data !== null &&
        "result" in data &&
        Array.isArray(data.result) &&
        typeof data.result[0] === "object"
      ? data.result
      : undefined;
  list?.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return answer;
}

test("a form body is equal to URL parameters", async () => {
  const query = { query: "sum(requests_total)", time: String(END_SECONDS) };
  const posted = await fetch(`${url}/api/v1/query`, {
    method: "POST",
    body: new URLSearchParams(query),
  });
  const got = await fetch(`${url}/api/v1/query?${new URLSearchParams(query).toString()}`);
  assert.deepEqual(await posted.json(), await got.json());
});

test("an analysed query tells what its parts took, in Thanos's form", async () => {
  const query = encodeURIComponent("sum(requests_total)");
  const ask = async (more: string): Promise<unknown> => {
    const { body } = await get(url, `query?query=${query}&time=${END_SECONDS}${more}`);
    return (body as { data: { analysis?: unknown } }).data.analysis;
  };
  assert.equal(await ask(""), undefined);
  const text = JSON.stringify(await ask("&analyze=true"));
  assert.match(
    text,
    /^{"name":"sum","position":\[0,19\],"executionTime":"[\d.]+ms","series":1,"totalSamples":1,"children":\[{"name":"selector","position":\[4,18\],"executionTime":"[\d.]+ms","series":\d+,"totalSamples":\d+}\]}$/,
  );
});

test("answers are gzipped for clients that take it", async () => {
  const { request } = await import("undici");
  const response = await request(`${url}/api/v1/query_range?query=requests_total&${RANGE}`, {
    headers: { "accept-encoding": "gzip" },
  });
  assert.equal(response.headers["content-encoding"], "gzip");
  const body: unknown = JSON.parse(
    gunzipSync(Buffer.from(await response.body.arrayBuffer())).toString("utf8"),
  );
  assert.deepEqual(body, (await get(url, `query_range?query=requests_total&${RANGE}`)).body);
});

test("federation gives the newest samples, an instance and the external labels", async () => {
  const response = await fetch(
    `${url}/federate?match[]=${encodeURIComponent('{__name__=~"requests_total|huge"}')}`,
  );
  assert.equal(
    response.headers.get("content-type"),
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
  );
  const time = END_SECONDS * 1000;
  assert.equal(
    await response.text(),
    `# TYPE huge untyped
huge{job="b",instance="",region="eu"} 1.5e+22 ${time}
# TYPE requests_total untyped
requests_total{code="200",instance="x:1",job="a",region="eu"} 117 ${time}
requests_total{code="200",instance="y:1",job="b",region="eu"} 59319 ${time}
requests_total{code="500",instance="x:1",job="a",region="eu"} 3.9000000000000004 ${time}
`,
  );
  const nothing = await fetch(`${url}/federate`);
  assert.deepEqual([nothing.status, await nothing.text()], [200, ""]);
  const wrong = await fetch(`${url}/federate?match[]={`);
  assert.equal(wrong.status, 400);
});

test("replicas and silent stores are treated as the request says, in Thanos's words", async () => {
  const f = async (request: string, want: ReadOptions): Promise<void> => {
    lastOptions = undefined;
    assert.equal((await get(url, request)).status, 200, request);
    assert.deepEqual(lastOptions, want, request);
  };
  const paths = [
    "query?query=huge",
    `query_range?query=huge&${RANGE}`,
    "series?match[]=huge",
    "labels?match[]=huge",
    "label/job/values?match[]=huge",
  ];
  for (const path of paths) {
    await f(path, {});
    await f(`${path}&dedup=false`, { dedup: false });
    await f(`${path}&dedup=1&partial_response=F&replicaLabels[]=a&replicaLabels[]=b`, {
      dedup: true,
      partialResponse: false,
      replicaLabels: ["a", "b"],
    });
    assert.deepEqual(await get(url, `${path}&dedup=yes`), {
      status: 400,
      body: {
        status: "error",
        errorType: "bad_data",
        error: `invalid parameter "dedup": strconv.ParseBool: parsing "yes": invalid syntax`,
      },
    });
  }
});

test("storeMatch[] chooses stores, in Thanos's form; a wrong one is refused", async () => {
  for (const path of [
    "query?query=huge",
    `query_range?query=huge&${RANGE}`,
    "labels?match[]=huge",
  ]) {
    lastOptions = undefined;
    const chosen = `storeMatch[]=${encodeURIComponent('{__address__=~"10.*", cluster="eu"}')}`;
    assert.equal((await get(url, `${path}&${chosen}&storeMatch[]={__address__="b"}`)).status, 200);
    assert.deepEqual(
      lastOptions!.storeMatchers?.map((matchers) => matchers.map(formatMatcher).join()),
      ['__address__=~"10.*",cluster="eu"', '__address__="b"'],
    );
    const { status, body } = await get(url, `${path}&storeMatch[]={`);
    assert.equal(status, 400);
    const { errorType, error } = body as { errorType: string; error: string };
    assert.equal(errorType, "bad_data");
    assert.match(error, /^invalid parameter "storeMatch\[\]": 1:2: parse error: /);
  }
});

test("stores are listed as in Thanos", async () => {
  const text = await (await fetch(`${url}/api/v1/stores`)).text();
  assert.equal(
    text,
    `{"status":"success","data":{"sidecar":[{"name":"10.0.0.1:10901","lastCheck":"2023-11-14T22:13:20.000Z","lastError":null,"labelSets":[{"cluster":"eu","replica":"a"}],"minTime":1700000000000,"maxTime":9223372036854775807}],"unknown-store-api":[{"name":"10.0.0.2:10901","lastCheck":"1970-01-01T00:00:00.000Z","lastError":"it is \\"down\\"","labelSets":[],"minTime":-9223372036854775808,"maxTime":9223372036854775807}]}}`,
  );
});

test("statistics tell the samples looked at, of each step when all is asked for", async () => {
  const range = `start=${START_SECONDS}&end=${START_SECONDS + 30}&step=15`;
  const samplesOf = async (stats: string): Promise<Record<string, unknown> | undefined> => {
    const { body } = await get(url, `query_range?query=requests_total&${range}${stats}`);
    type Answer = { data: { stats?: { samples: Record<string, unknown> } } };
    return (body as Answer).data.stats?.samples;
  };
  assert.equal(await samplesOf(""), undefined);
  const some = await samplesOf("&stats=1");
  assert.equal(some?.["totalQueryableSamples"], 9);
  assert.deepEqual(Object.keys(some), ["totalQueryableSamples", "samplesRead", "peakSamples"]);
  const all = await samplesOf("&stats=all");
  assert.equal(all?.["totalQueryableSamples"], 9);
  const steps = [0, 15, 30].map((seconds) => [START_SECONDS + seconds, 3]);
  assert.deepEqual(all["totalQueryableSamplesPerStep"], steps);
  assert.equal(all["samplesRead"], 9);
  assert.deepEqual(all["samplesReadPerStep"], steps);
});

test("management endpoints answer as Prometheus's", async () => {
  const f = async (method: string, path: string, status: number, body: string): Promise<void> => {
    const response = await fetch(`${url}${path}`, { method });
    assert.deepEqual([response.status, await response.text()], [status, body], `${method} ${path}`);
  };
  await f("GET", "/-/healthy", 200, "Prometheus Server is Healthy.\n");
  await f("GET", "/-/ready", 200, "Prometheus Server is Ready.\n");
  await f("GET", "/-/reload", 405, "Only POST or PUT requests allowed");
  await f("POST", "/-/reload", 403, "Lifecycle API is not enabled.");
  await f("GET", "/nowhere", 404, "404 page not found\n");
  await f("HEAD", "/-/healthy", 200, "");
  await f("DELETE", "/-/healthy", 405, "Method Not Allowed\n");
});

test("a method that a path does not answer is told those that it does", async () => {
  const response = await fetch(`${url}/api/v1/label/job/values`, { method: "POST" });
  assert.deepEqual([response.status, response.headers.get("allow")], [405, "GET, OPTIONS"]);
});

test("a body above the limit is refused, and the server goes on", async () => {
  const response = await fetch(`${url}/api/v1/query`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: `query=${"x".repeat(11 * 1024 * 1024)}`,
  });
  assert.equal(response.status, 413);
  assert.equal((await get(url, "query?query=1")).status, 200);
});

test("without a coordinator, its endpoints say how to get one", async () => {
  const { status, body } = await get(url, "targets");
  assert.equal(status, 404);
  assert.match(JSON.stringify(body), /--coordinator\.url/);
});

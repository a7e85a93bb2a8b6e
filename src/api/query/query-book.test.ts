import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, renameSync, rmSync, existsSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import {
  skipWithoutParts,
  startPrometheus,
  temporaryFolder,
  until,
} from "../../../test/support/processes.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLogger } from "../../base/logger.ts";
import { Registry } from "../../base/metrics.ts";
import { Engine } from "../../promql/engine.ts";
import { MemoryQueryable } from "../../storage/memory-queryable.ts";
import type { Queryable } from "../../storage/queryable.ts";
import { createHttpServer } from "../server.ts";
import { registerQueryApi } from "./query-api.ts";
import { QueryBook } from "./query-book.ts";
import { QueryLog } from "./query-log.ts";

const folder = temporaryFolder("query-book");
after(() => rmSync(folder, { recursive: true, force: true }));

interface Listed {
  readonly active: readonly { id: number; query: string; path: string; clientIP: string }[];
  readonly slow: readonly { query: string; durationSeconds: number; error?: string }[];
  readonly canCancel: boolean;
}

/** A query API whose `slow` series come when the test says so. */
async function start(
  context: TestContext,
  {
    adminApi = true,
    slowMs = 1e9,
    logFile = "",
    maxConcurrency = 20,
    monotonic = (): number => systemClock.monotonic(),
  } = {},
): Promise<{
  url: string;
  release: () => void;
  list: () => Promise<Listed>;
  post: (path: string, headers?: Record<string, string>) => Promise<Response>;
}> {
  const clock = systemClock;
  const memory = new MemoryQueryable([]);
  const gate = Promise.withResolvers<void>();
  const source: Queryable = {
    async *select(request) {
      if (request.matchers.some(({ value }) => value === "slow")) {
        const left = new Promise<void>((resolve) => {
          request.signal?.addEventListener("abort", () => resolve());
        });
        await Promise.race([gate.promise, left]);
      }
      yield* memory.select(request);
    },
    labelNames: (request) => memory.labelNames(request),
    labelValues: (name, request) => memory.labelValues(name, request),
  };
  const log =
    logFile === ""
      ? undefined
      : await QueryLog.open({ path: logFile, clock, logger: silentLogger });
  const server = createHttpServer({
    listen: "127.0.0.1:0",
    logger: silentLogger,
    registry: new Registry(),
    ready: () => true,
  });
  registerQueryApi(server.app, {
    maxAnswerBytes: 1e9,
    engine: new Engine({ maxConcurrency }),
    parser: {},
    queryable: () => source,
    exemplars: async () => ({ series: [], warnings: [], infos: [] }),
    queries: new QueryBook({ clock: { ...clock, monotonic }, slowMs, log }),
    clock,
    logger: silentLogger,
    coordinator: undefined,
    endpoints: () => [],
    flags: {},
    lookbackMs: 300_000,
    externalLabels: () => ({}),
    pageFolder: undefined,
    startTimeMs: 0,
    adminApi,
  });
  await server.start();
  context.after(async () => {
    gate.resolve();
    await server.stop();
    await log?.close();
  });
  const url = `http://127.0.0.1:${server.address().port}/api/v1`;
  return {
    url,
    release: gate.resolve,
    async list() {
      const response = await fetch(`${url}/status/active_queries`);
      return ((await response.json()) as { data: Listed }).data;
    },
    post: (path, headers = {}) => fetch(`${url}/${path}`, { method: "POST", headers }),
  };
}

test("a running query is listed, and ends when it is canceled", async (context) => {
  const { url, list, post } = await start(context);
  const running = fetch(`${url}/query_range?query=slow&start=0&end=60&step=15`);
  const [active] = await until("it is listed", async () => {
    const { active: found } = await list();
    return found.length > 0 ? found : undefined;
  });
  assert.ok(active !== undefined);
  const { query, path, clientIP } = active;
  assert.deepEqual([query, path, clientIP], ["slow", "/api/v1/query_range", "127.0.0.1"]);
  const cancel = `status/active_queries/cancel?id=${active.id}`;
  const foreign = await post(cancel, { origin: "http://elsewhere.example" });
  assert.equal(foreign.status, 403);
  assert.equal((await post("status/active_queries/cancel?id=x")).status, 400);
  assert.equal((await post("status/active_queries/cancel?id=99")).status, 404);
  assert.equal((await post(cancel)).status, 200);
  const answer = await running;
  assert.equal(answer.status, 499);
  const body = (await answer.json()) as { errorType: string; error: string };
  assert.equal(body.errorType, "canceled");
  assert.match(body.error, /^query was canceled/);
  assert.deepEqual((await list()).active, []);
});

test("a query ends when its client leaves", async (context) => {
  const { url, list } = await start(context);
  const leaving = new AbortController();
  const running = fetch(`${url}/query?query=slow`, { signal: leaving.signal });
  await until("it is listed", async () => ((await list()).active.length > 0 ? true : undefined));
  leaving.abort();
  await assert.rejects(running);
  await until("it is over", async () => ((await list()).active.length === 0 ? true : undefined));
});

test("clients whose queries wait take turns", async (context) => {
  const { url, list, release } = await start(context, { maxConcurrency: 1 });
  const answered: string[] = [];
  const asked = async (localAddress: string, name: string): Promise<void> => {
    const request = get(`${url}/query?query=${name}`, { localAddress, agent: false });
    const [response] = (await once(request, "response")) as [NodeJS.ReadableStream];
    answered.push(name);
    await once(response.resume(), "end");
  };
  const all: Promise<void>[] = [];
  for (const [address, name] of [
    ["127.0.0.1", "slow"],
    ["127.0.0.1", "a1"],
    ["127.0.0.1", "a2"],
    ["127.0.0.2", "b1"],
  ] as const) {
    all.push(asked(address, name));
    await until(`${name} is listed`, async () =>
      (await list()).active.length === all.length ? true : undefined,
    );
  }
  release();
  await Promise.all(all);
  assert.deepEqual(answered, ["slow", "a1", "b1", "a2"]);
});

test("nobody cancels where the admin API is off", async (context) => {
  const { url, list, post, release } = await start(context, { adminApi: false });
  const running = fetch(`${url}/query?query=slow`);
  await until("it is listed", async () => ((await list()).active.length > 0 ? true : undefined));
  assert.equal((await list()).canCancel, false);
  assert.equal((await post("status/active_queries/cancel?id=1")).status, 403);
  release();
  assert.equal((await running).status, 200);
});

test("the last slow queries are remembered, the slowest first", async (context) => {
  let nowMs = 0;
  const { url, list, release } = await start(context, { slowMs: 30, monotonic: () => nowMs });
  const running = fetch(`${url}/query?query=slow`);
  await until("it is listed", async () => ((await list()).active.length > 0 ? true : undefined));
  nowMs = 50;
  release();
  await running;
  await fetch(`${url}/query?query=1`);
  await fetch(`${url}/query?query=sum(`);
  const { slow } = await list();
  assert.deepEqual(
    slow.map(({ query }) => query),
    ["slow"],
  );
  assert.equal(slow[0]!.durationSeconds, 0.05);
});

type Line = Record<string, unknown>;

/** All keys, those of objects within with a dot; without values. */
function keysOf(value: unknown, prefix = ""): string[] {
  if (typeof value !== "object" || value === null) return [prefix];
  return Object.entries(value).flatMap(([name, inner]) =>
    keysOf(inner, prefix === "" ? name : `${prefix}.${name}`),
  );
}

function readLines(path: string): Line[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

const LOGGED = [
  "query?query=up&time=1700000000",
  "query_range?query=rate(up[1m])&start=1700000000&end=1700000060&step=15",
  "query?query=sum(",
  'query?query=label_replace(vector(1),"a","b","c","(")&time=1700000000.5',
  "query?query=1&time=9e15",
  "query?query=1&time=-1e11",
  "query_range?query=1&start=-9e15&end=-9e15&step=1",
  "query?query=1&time=-292273086-05-16T16:47:06Z",
  "query?query=1&time=292277025-08-18T07:12:54.999999999Z",
];

test("the query log has Prometheus's lines", { skip: skipWithoutParts() }, async (context) => {
  const ours = join(folder, "ours.log");
  const theirs = join(folder, "theirs.log");
  const { url } = await start(context, { logFile: ours });
  const prometheus = await startPrometheus({ config: `global: {query_log_file: ${theirs}}` });
  assert.ok(prometheus !== undefined);
  context.after(() => prometheus.stop());
  for (const path of LOGGED) {
    const ownAnswer = await fetch(`${url}/${path}`);
    assert.equal(ownAnswer.status, (await fetch(`${prometheus.url}/api/v1/${path}`)).status, path);
  }
  const found = await until("all are written", async () => {
    const both = [ours, theirs].map(readLines);
    return both.every(({ length }) => length === LOGGED.length - 1) ? both : undefined;
  });
  const comparable = (line: Line): unknown => ({
    params: line["params"],
    error: line["error"],
    msg: line["msg"],
    level: line["level"],
    request: line["httpRequest"],
  });
  assert.deepEqual(found[0]!.map(comparable), found[1]!.map(comparable));
  // Theirs also has the span of a trace, and not yet what 3.12 brought.
  const others = ["spanID", "stats.samples.samplesRead"];
  const keys = found.map((lines) =>
    lines.map((line) =>
      keysOf(line)
        .filter((key) => !others.includes(key))
        .sort(),
    ),
  );
  assert.deepEqual(keys[0], keys[1]);
});

test("a query log that was renamed is begun anew, and one that cannot be opened is an error", async (context) => {
  const path = join(folder, "rotated.log");
  let nowMs = 0;
  const clock = { ...systemClock, monotonic: () => nowMs };
  const log = await QueryLog.open({ path, clock, logger: silentLogger });
  context.after(() => log.close());
  const query = {
    query: "up",
    startMs: 0,
    endMs: 0,
    stepMs: 0,
    client: "::1",
    method: "GET",
    path: "/api/v1/query",
  };
  log.write(query, {});
  await until("it is there", async () => (readLines(path).length === 1 ? true : undefined));
  renameSync(path, `${path}.1`);
  nowMs += 10_000;
  log.write(query, {});
  await until("a new one is there", async () =>
    existsSync(path) && readLines(path).length === 1 ? true : undefined,
  );
  assert.equal(readLines(`${path}.1`).length, 1);
  await assert.rejects(
    QueryLog.open({ path: join(folder, "none", "q.log"), clock, logger: silentLogger }),
    /cannot open the query log .*ENOENT/,
  );
});

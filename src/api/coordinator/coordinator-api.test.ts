import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { FastifyInstance } from "fastify";
import { parseConfig } from "../../config/load.ts";
import { silentLogger } from "../../base/logger.ts";
import { Registry } from "../../base/metrics.ts";
import { Labels } from "../../model/labels.ts";
import { fakeJob, fakeTarget, FakeWorld } from "../../shard/testdata/fake-shards.ts";
import { NO_LOAD } from "../../shard/load.ts";
import type { PlanOptions } from "../../shard/plan-types.ts";
import type { CoordinatorApiOptions } from "./dependencies.ts";
import { registerCoordinatorApi } from "./coordinator-api.ts";
import { createHttpServer } from "../server.ts";

let app: FastifyInstance;

const config = parseConfig(
  `global: { external_labels: { cluster: x } }
scrape_configs:
  - job_name: node
    relabel_configs:
      - { target_label: seen, replacement: "yes" }
      - { action: drop, source_labels: [__address__, seen], regex: "x:.*" }
  - job_name: other
`,
  { path: "prometheus.yml", baseFolder: "/" },
);

before(async () => {
  const world = new FakeWorld(1);
  const targets = ["a", "b"].map((name) => fakeTarget(name, "node"));
  world.loads.set(targets[0]!.url, {
    ...NO_LOAD,
    series: 10,
    rawSeries: 20,
    samplesPerSecond: 1.5,
  });
  const dropped = { job: "node", discoveredLabels: Labels.fromObject({ __address__: "x:1" }) };
  world.jobs = [
    fakeJob("node", targets, { dropped: () => [dropped], droppedCount: 3 }),
    fakeJob("other", [fakeTarget("c", "other")]),
  ];
  app = await serve(world, 4);
});

/** The API of a coordinator that has had `turns` cycles in `world`. */
async function serve(
  world: FakeWorld,
  turns: number,
  planOptions: Partial<PlanOptions> = {},
  options: Partial<CoordinatorApiOptions> = {},
): Promise<FastifyInstance> {
  const coordinator = world.coordinator(planOptions);
  await world.turn(coordinator, turns);
  const registry = new Registry();
  const server = createHttpServer({
    listen: "127.0.0.1:0",
    logger: silentLogger,
    registry,
    ready: () => true,
  });
  registerCoordinatorApi(server.app, {
    coordinator,
    config: () => config,
    flags: { "config.file": "prometheus.yml" },
    externalHost: "me",
    registry,
    adminApi: false,
    ...options,
  });
  return server.app;
}

interface Data {
  readonly activeTargets: Readonly<Record<string, unknown>>[];
  readonly activeStatistics?: unknown;
  readonly droppedTargets: unknown[];
  readonly droppedTargetCounts: unknown;
}

async function get(path: string, from = app): Promise<Data & Readonly<Record<string, unknown>>> {
  const response = await from.inject(path);
  const body: { status: string; data: Data & Record<string, unknown> } = response.json();
  assert.equal(body.status, "success", response.body);
  return body.data;
}

test("targets are Prometheus's, with their shard and series", async () => {
  const { activeTargets, droppedTargets, droppedTargetCounts } = await get("/api/v1/targets");
  assert.equal(activeTargets.length, 3);
  const { lastScrape, hash, ...a } = activeTargets[0]!;
  assert.match(String(lastScrape), /^\d{4}-/);
  assert.match(String(hash), /^\d+$/);
  assert.deepEqual(a, {
    discoveredLabels: { instance: "a", job: "node" },
    labels: { instance: "a", job: "node" },
    scrapePool: "node",
    scrapeUrl: "http://a/metrics",
    globalUrl: "http://a/metrics",
    lastError: "",
    lastScrapeDuration: 0.001,
    health: "up",
    scrapeInterval: "10s",
    scrapeTimeout: "10s",
    shard: "shard-0",
    shards: ["shard-0"],
    series: 10,
    totalSeries: 20,
    samplesPerSecond: 1.5,
    bodyBytesPerSecond: 0,
    newSeriesPerHour: 0,
  });
  assert.deepEqual(droppedTargets, [
    { discoveredLabels: { __address__: "x:1" }, scrapePool: "node" },
  ]);
  assert.deepEqual(droppedTargetCounts, { node: 3, other: 0 });
});

test("Prometheus's and Kvass's filters", async () => {
  const urls = async (query: string): Promise<unknown[]> =>
    (await get(`/api/v1/targets?${query}`)).activeTargets.map((target) => target["scrapeUrl"]);
  assert.deepEqual(await urls("scrapePool=other"), ["http://c/metrics"]);
  assert.deepEqual(await urls("health=up"), ["http://a/metrics"]);
  assert.deepEqual(await urls("job=od"), ["http://a/metrics", "http://b/metrics"]);
  assert.deepEqual(await urls("job=%5Eo"), ["http://c/metrics"]);
  assert.deepEqual(await urls("state=dropped"), []);
  assert.deepEqual(await urls("state=nonsense"), []);
  const active = await get("/api/v1/targets?state=active");
  assert.deepEqual([active.droppedTargets, active.droppedTargetCounts], [[], null]);
  const only = await get("/api/v1/targets?statistics=only");
  assert.deepEqual(only.activeTargets, []);
  assert.deepEqual(only.activeStatistics, [
    { JobName: "node", Total: 2, Health: { up: 1, down: 1 } },
    { JobName: "other", Total: 1, Health: { down: 1 } },
  ]);
});

test("shards, plan, decisions and totals", async () => {
  const { shards, externalLabels } = await get("/api/v1/shards");
  assert.deepEqual(externalLabels, { cluster: "x" });
  assert.ok(Array.isArray(shards));
  assert.equal(shards.length, 1);
  const { decisions } = await get("/api/v1/decisions?limit=2");
  assert.ok(Array.isArray(decisions));
  assert.equal(decisions.length, 2);
  const lastId: unknown = Reflect.get(decisions[1] as object, "id");
  assert.deepEqual((await get(`/api/v1/decisions?after=${String(lastId)}`))["decisions"], []);
  const text = await app.inject("/api/v1/plan?format=text");
  assert.match(text.body, /^scale 1\nshard-0: 3 targets/);
  assert.equal((await get("/api/v1/runtimeinfo"))["ConfigHash"], "config-1");
});

test("shards carry their history, their use of the limits, and the moves under way", async () => {
  const data = await get("/api/v1/shards?history=1h&points=2");
  assert.deepEqual([data["moves"], data["movesTotal"]], [[], 0]);
  const [shard] = data["shards"] as Readonly<Record<string, unknown>>[];
  const { timesMs, headSeries, maxProcessSeries } = shard!["history"] as Record<string, number[]>;
  assert.equal(timesMs!.length, 2);
  assert.equal(headSeries!.at(-1), 45, "10 series each by measure or median, and 5 of the report");
  assert.deepEqual(maxProcessSeries, [1_000_000, 1_000_000]);
  assert.equal(shard!["utilisation"], 60 / 1_000_000);
  assert.equal((await get("/api/v1/shards"))["shards"] instanceof Array, true);
  assert.equal("history" in ((await get("/api/v1/shards"))["shards"] as object[])[0]!, false);
});

test("replicas on one node are a condition, and told with the shards", async () => {
  const world = new FakeWorld(1, ["a", "b"]);
  for (const { shards } of world.groups) shards[0]!.node = "n1";
  world.jobs = [fakeJob("node", [fakeTarget("a", "node")])];
  const twins = await serve(world, 2);
  const reason =
    "they are replicas of each other on one node (n1): one failure takes them together";
  const shards = "shard-a-0, shard-b-0";
  assert.deepEqual(await get("/api/v1/conditions", twins), {
    counts: { together: 1 },
    conditions: [{ replica: "", kind: "together", from: shards, reason }],
  });
  const { together } = await get("/api/v1/shards", twins);
  assert.deepEqual(together, [{ shards, reason }]);
});

test("conditions are counted by kind", async () => {
  assert.deepEqual(await get("/api/v1/conditions"), { counts: {}, conditions: [] });
  const world = new FakeWorld(1);
  const targets = ["a", "b", "c"].map((name) => fakeTarget(name));
  for (const { url } of targets) world.loads.set(url, { ...NO_LOAD, series: 50, rawSeries: 50 });
  world.jobs = [fakeJob("m", targets)];
  const limits = { maxHeadSeries: 40, maxProcessSeries: 1000, maxSamplesPerSecond: 0 };
  const crowded = await serve(world, 4, { limits, maxShards: 1 });
  const { counts, conditions } = await get("/api/v1/conditions?limit=1", crowded);
  assert.deepEqual(counts, { unassigned: 2, "too-big": 3 });
  assert.ok(Array.isArray(conditions));
  assert.equal(conditions.length, 2, "one of each kind");
  const only = await get("/api/v1/conditions?kind=unassigned", crowded);
  assert.deepEqual(only["counts"], { unassigned: 2 });
});

test("conditions of custom resources stand beside the planner's", async () => {
  const world = new FakeWorld(1);
  const rejected = { kind: "rejected-resource", resource: "Probe a/b", reason: "no url" };
  const served = await serve(world, 1, {}, { conditions: () => [rejected] });
  assert.deepEqual(await get("/api/v1/conditions", served), {
    counts: { "rejected-resource": 1 },
    conditions: [{ replica: "", ...rejected }],
  });
});

test("samples are rates by job, and by metric when asked for; every configured job is there", async () => {
  assert.deepEqual(await get("/api/v1/samples"), {
    node: { scrapedTotal: 10 / 60, total: 20 / 60, metricsTotal: {} },
    other: { scrapedTotal: 0, total: 0, metricsTotal: {} },
  });
  assert.deepEqual(await get("/api/v1/samples?job=od&with_metrics_detail=true"), {
    node: {
      scrapedTotal: 10 / 60,
      total: 20 / 60,
      metricsTotal: { exposed: { total: 20 / 60, scraped: 10 / 60 } },
    },
  });
});

test("what cannot be read is refused as bad data", async () => {
  for (const path of [
    "/api/v1/targets?statistics=some",
    "/api/v1/targets?job=(",
    "/api/v1/decisions?limit=x",
    "/api/v1/why",
    "/api/v1/shards?history=yesterday",
    "/api/v1/shards?points=0",
    "/api/v1/why?target={",
  ]) {
    const response = await app.inject(path);
    assert.equal(response.statusCode, 400, path);
    assert.equal(response.json<{ errorType: string }>().errorType, "bad_data");
  }
});

interface Why {
  readonly situation: string;
  readonly summary: string;
  readonly shard: string;
  readonly decisions: readonly { readonly kind: string; readonly time: string }[];
  readonly candidates: readonly Readonly<Record<string, unknown>>[];
  readonly scrapers: readonly Readonly<Record<string, unknown>>[];
  readonly rule: Readonly<Record<string, unknown>>;
}

async function why(target: string): Promise<Why> {
  const data = await get(`/api/v1/why?target=${encodeURIComponent(target)}`);
  assert.equal(data["total"], 1, target);
  return data["why"] as Why;
}

test("why: an active target with its decisions, scrapers and candidates", async () => {
  const answer = await why("http://a/metrics");
  assert.equal(answer.situation, "scraped");
  assert.match(answer.summary, /^shard-0 scrapes it: 15 series/);
  assert.equal(answer.shard, "shard-0");
  assert.deepEqual(
    answer.decisions.map(({ kind }) => kind),
    ["assign"],
  );
  assert.match(answer.decisions[0]!.time, /^\d{4}-\d\d-\d\dT/);
  const [candidate] = answer.candidates;
  assert.deepEqual(
    [candidate?.["shard"], candidate?.["owner"], candidate?.["fits"], candidate?.["verdict"]],
    ["shard-0", true, true, "has it"],
  );
  assert.equal(answer.scrapers[0]?.["goodScrapes"], 2);
  const same = [fakeTarget("a", "node").hash, "a", "node/a", '{instance="a",job=~"no.*"}'];
  for (const text of same) assert.equal((await why(text)).situation, "scraped", text);
});

test("why: a dropped target with the rule that dropped it", async () => {
  const answer = await why("x:1");
  assert.equal(answer.situation, "dropped");
  assert.equal(
    answer.summary,
    'Relabelling dropped it: relabel_configs[1] (action drop): __address__;seen is "x:1;yes", which matches "x:.*".',
  );
  assert.deepEqual(answer.rule, {
    index: 1,
    action: "drop",
    sourceLabels: ["__address__", "seen"],
    regex: "x:.*",
    labels: { __address__: "x:1", seen: "yes" },
  });
});

test("why: several matches are listed, and an unknown target names near ones", async () => {
  const { total, matches } = await get("/api/v1/why?target=node");
  assert.equal(total, 3);
  assert.ok(Array.isArray(matches));
  assert.deepEqual(Object.keys(matches[0] as object), ["hash", "job", "url"]);
  const response = await app.inject("/api/v1/why?target=http%3A%2F%2Fa%2Fmetric");
  assert.equal(response.statusCode, 404);
  const body: { errorType: string; error: string; data: { near: string[] } } = response.json();
  assert.equal(body.errorType, "not_found");
  assert.deepEqual(body.data.near, ["http://a/metrics"]);
  assert.match(body.error, /did you mean http:\/\/a\/metrics\?/);
  assert.match(body.error, /relabelling dropped 2 more that are not kept/);
});

test("Kvass's histogram of requests has the route, not the path that was asked", async () => {
  await app.inject("/api/v1/shards?history=1h");
  const text = (await app.inject("/metrics")).body;
  assert.match(
    text,
    /kvass_coordinator_http_request_duration_seconds_count\{path="\/api\/v1\/shards",code="200"\} [1-9]/,
  );
});

test("draining: off by default, for known shards, and not from a page of another site", async () => {
  const path = "/api/v1/shards/drain?shard=shard-0&drain=true";
  const refused = await app.inject({ method: "POST", url: path });
  assert.equal(refused.statusCode, 403);
  assert.match(refused.body, /--web\.enable-admin-api/);
  assert.equal((await get("/api/v1/shards/drain"))["enabled"], false);
  const world = new FakeWorld(2);
  const open = await serve(world, 2, {}, { adminApi: true });
  const post = async (url: string, headers = {}): Promise<number> =>
    (await open.inject({ method: "POST", url, headers: { host: "me:1", ...headers } })).statusCode;
  assert.equal(await post(path, { origin: "http://evil.example" }), 403);
  assert.equal(await post(path, { origin: "http://me:1", "sec-fetch-site": "cross-site" }), 403);
  assert.equal(await post("/api/v1/shards/drain?shard=nobody&drain=true"), 404);
  assert.equal(await post("/api/v1/shards/drain?shard=shard-0&drain=maybe"), 400);
  assert.deepEqual((await get("/api/v1/shards/drain", open))["shards"], []);
  assert.equal(await post(path, { origin: "http://me:1", "sec-fetch-site": "same-origin" }), 200);
  assert.deepEqual((await get("/api/v1/shards/drain", open))["shards"], ["shard-0"]);
  const [first] = (await get("/api/v1/shards", open))["shards"] as { draining: boolean }[];
  assert.equal(first?.draining, true);
  assert.equal(await post("/api/v1/shards/drain?shard=shard-0&drain=false"), 200);
  assert.deepEqual((await get("/api/v1/shards/drain", open))["shards"], []);
});

test("stopping all scrapes: guarded as draining is, in Kvass's words, and told of", async () => {
  const path = "/api/v1/status/extra_config";
  const refused = await app.inject({ method: "POST", url: path, body: {} });
  assert.equal(refused.statusCode, 403);
  assert.match(refused.body, /--web\.enable-admin-api/);
  const world = new FakeWorld(2);
  const open = await serve(world, 2, {}, { adminApi: true });
  const post = async (body: string, type = "application/json", headers = {}): Promise<number> =>
    (
      await open.inject({
        method: "POST",
        url: path,
        body,
        headers: { host: "me:1", "content-type": type, ...headers },
      })
    ).statusCode;
  const said = '{"stopScrapeReason":"too much"}';
  assert.equal(await post(said, undefined, { origin: "http://evil.example" }), 403);
  assert.equal(await post('{"stopScrapeReason":7}'), 400);
  assert.equal(await post(JSON.stringify({ stopScrapeReason: "x".repeat(1001) })), 400);
  assert.equal(await post("{"), 400);
  assert.equal(await post(said, "application/x-www-form-urlencoded"), 400, "curl -d");
  assert.deepEqual(
    world.shards.map(({ stopOrder }) => stopOrder),
    [undefined, undefined],
  );
  assert.equal(await post(said), 200);
  const state = await get(path, open);
  assert.equal(state["json"], said);
  assert.deepEqual(state["pending"], []);
  const { counts } = await get("/api/v1/conditions", open);
  assert.deepEqual(counts, { stop: 1 });
  assert.deepEqual(
    world.shards.map(({ stopOrder }) => stopOrder?.reason),
    ["too much", "too much"],
  );
  assert.equal(await post("stopScrapeReason=", "application/x-www-form-urlencoded"), 200);
  assert.equal((await get(path, open))["json"], '{"stopScrapeReason":""}');
});

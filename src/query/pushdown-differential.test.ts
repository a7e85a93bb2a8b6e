import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { MemorySource } from "../../bench/promql/memory-source.ts";
import { systemClock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { pick, type Random, randomInt, seededRandom } from "../base/random.ts";
import { Engine, type EngineOptions, type QueryEngine } from "../promql/engine.ts";
import type { QueryResult } from "../promql/result.ts";
import { createFloatData, INTERVAL_MS, START_MS } from "../promql/testing/float-data.ts";
import { QUERIES, QueryGenerator } from "../promql/testing/float-queries.ts";
import { WorkerEngine } from "../promql/worker-engine.ts";
import type { Queryable } from "../storage/queryable.ts";
import { FanoutQueryable, type FanoutOptions } from "./fanout.ts";
import { startShards, type TestShards } from "../../test/support/aggregating-shards.ts";
import { Pushdown } from "./pushdown.ts";

/**
 * The same series on three shards and on none, the same queries to both, and to the shards with and without pushdown: three
 * answers equal to the last bit, in order, errors, warnings and figures.
 */

const SHARDS = 3;
const AT = { timeMs: START_MS + 120 * INTERVAL_MS };
const RANGE = { startMs: START_MS - 60_000, endMs: START_MS + 70 * 60_000, stepMs: 97_000 };

interface System extends TestShards {
  readonly whole: MemorySource;
}

/** `copies` of a hundred series are on a second shard too. */
async function start(copies: number, externalLabels: Record<string, string> = {}): Promise<System> {
  const random = seededRandom(7);
  const whole = new MemorySource({ batchSize: 7 });
  const shards = Array.from({ length: SHARDS }, () => new MemorySource({ batchSize: 5 }));
  for (const { labels, times, values } of createFloatData()) {
    const columns = [Float64Array.from(times), Float64Array.from(values)] as const;
    whole.add(labels, ...columns);
    const shard = randomInt(random, SHARDS);
    shards[shard]!.add(labels, ...columns);
    if (random.next() * 100 < copies) shards[(shard + 1) % SHARDS]!.add(labels, ...columns);
  }
  const started = await startShards(shards.map((queryable) => ({ queryable, externalLabels })));
  return { ...started, whole };
}

/** A result as text that is equal only when every bit is, and what was read for it. */
async function shown(run: () => Promise<QueryResult>): Promise<{ answer: string; read: string }> {
  try {
    const { value, warnings, infos, stats } = await run();
    const { samplesRead, seriesRead, chunksRead, bytesRead } = stats;
    return {
      answer: JSON.stringify([bits(value), warnings, infos]),
      read: JSON.stringify({ samplesRead, seriesRead, chunksRead, bytesRead }),
    };
  } catch (thrown) {
    const { code, message } = AppError.from(thrown);
    return { answer: `${code}: ${message}`, read: "" };
  }
}

function bits(value: QueryResult["value"]): unknown {
  switch (value.kind) {
    case "scalar":
    case "string":
      return [value.kind, hex(Number(value.value))];
    case "vector":
      return value.samples.map(({ labels, value: v }) => [labels.toString(), hex(v)]);
    case "matrix":
      return value.series.map(({ labels, times, values }) => [
        labels.toString(),
        Array.from(values, (v, i) => `${times[i]}=${hex(v)}`),
      ]);
  }
}

/** All bits of a number; NaN has many, of which no API shows any. */
function hex(value: number): string {
  return Number.isNaN(value) ? "NaN" : Buffer.from(Float64Array.of(value).buffer).toString("hex");
}

const EXTENDED = [
  "sum(rate(requests_total[5m] anchored))",
  "sum by (job) (increase(requests_total[5m] smoothed))",
  "max(size_bytes smoothed)",
  "count(mad_over_time(size_bytes[5m]))",
];

const SUBQUERIES = [
  "max by (job) (max_over_time(rate(requests_total[5m])[10m:1m]))",
  "count(avg_over_time((size_bytes > 10)[20m:]))",
  "group by (code) (increase(requests_total[10m:30s] offset 3m))",
  "min(min_over_time(last_over_time(size_bytes[10m:2m])[30m:3m] @ 1700001234))",
];

const AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "topk", "bottomk"];
const GROUPINGS = ["", "by (job)", "by (code, instance)", "without (instance)", "by (__name__)"];
const SELECTORS = [
  "requests_total",
  "temperature",
  "size_bytes",
  'latency_seconds_bucket{le!="1.0"}',
  "latency_seconds_sum",
  '{__name__=~"errors_total|size_bytes"}',
  "huge",
  'requests_total{job="web"}',
];
const TIMES = ["", "", " offset 7m", " @ 1700001234", " @ end() offset -30s"];
const FUNCTIONS = ["rate", "increase", "delta", "deriv", "max_over_time", "avg_over_time", "irate"];
const ELEMENTWISE = ["-", "abs", "ceil", "2 * ", "1 / ", "sgn", "10 > "];

/** Aggregations of the kind that may be pushed, some of them below others. */
function aggregation(random: Random): string {
  const operator = pick(random, AGGREGATIONS);
  const count = operator.endsWith("k") ? `${randomInt(random, 4) + 1}, ` : "";
  const selector = pick(random, SELECTORS);
  const time = pick(random, TIMES);
  let inner =
    random.next() < 0.5
      ? `${selector}${time}`
      : `${pick(random, FUNCTIONS)}(${selector}[${pick(random, ["1m", "5m"])}]${time})`;
  if (random.next() < 0.2) {
    const steps = pick(random, ["5m:1m", "10m:", "4m:37s"]);
    inner = `${pick(random, FUNCTIONS)}((${inner})[${steps}]${pick(random, TIMES)})`;
  }
  if (random.next() < 0.3) inner = `${pick(random, ELEMENTWISE)}(${inner})`;
  if (random.next() < 0.2) inner += ` ${pick(random, ["> 3", "* 0.1", "!= 0", "- 2"])}`;
  const one = `${operator} ${pick(random, GROUPINGS)} (${count}${inner})`;
  const dice = random.next();
  if (dice < 0.1) return `sum(${one}) / 2`;
  if (dice < 0.2) return `${one} + on (job) group_left () sum by (job) (errors_total)`;
  if (dice < 0.25)
    return `histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[5m]))) + ${one}`;
  return one;
}

function queries(seed: number, count: number): string[] {
  const random = seededRandom(seed);
  const generator = new QueryGenerator(seededRandom(seed));
  return Array.from({ length: count }, (_, i) =>
    i % 2 === 0 ? aggregation(random) : generator.vector(3),
  );
}

/** Asks all of `list` in all ways, at one moment and over a range. */
async function compare(
  system: System,
  list: readonly string[],
  options: {
    engine?: EngineOptions;
    dedup?: NonNullable<FanoutOptions["dedup"]>;
    asks?: QueryEngine;
  } = {},
): Promise<void> {
  const engine = new Engine({ parser: PARSER, ...options.engine });
  const { asks = engine, dedup } = options;
  const common = { endpoints: system.endpoints, ...(dedup && { dedup }) };
  const plain = new FanoutQueryable(common);
  const wrong: string[] = [];
  for (const query of list) {
    // A memory of its own: what could not be pushed once is tried again.
    const pushdown = new Pushdown({ clock: systemClock, registry: system.registry });
    const pushed = new FanoutQueryable({ ...common, pushdown });
    for (const [what, ask] of WAYS) {
      const whole = await shown(() => ask(engine, system.whole, query));
      const read = await shown(() => ask(engine, plain, query));
      const ours = await shown(() => ask(asks, pushed, query));
      const isSame =
        ours.answer === whole.answer && ours.answer === read.answer && ours.read === read.read;
      if (!isSame)
        wrong.push(
          [`${what} ${query}`, ...[ours, read, whole].map((one) => JSON.stringify(one))]
            .map((line) => line.slice(0, 900))
            .join("\n"),
        );
    }
  }
  assert.equal(wrong.length, 0, `${wrong.length} differences\n${wrong.slice(0, 5).join("\n")}`);
}

const PARSER = { experimentalFunctions: true, extendedRangeSelectors: true };

type Ask = (engine: QueryEngine, queryable: Queryable, query: string) => Promise<QueryResult>;
const WAYS: readonly (readonly [string, Ask])[] = [
  ["instant", (engine, queryable, query) => engine.instant(queryable, { query, ...AT })],
  ["range", (engine, queryable, query) => engine.range(queryable, { query, ...RANGE })],
];

/** Asserts that more was pushed than not, of what could be by its form. */
function assertMostPushed(system: System, least: number): void {
  const { pushed = 0, ...others } = system.outcomes();
  const fellBack = Object.values(others).reduce((sum, count) => sum + count, 0);
  const figures = `${pushed} pushed, others ${JSON.stringify(others)}`;
  assert.ok(pushed >= least && pushed > 2 * fellBack, figures);
  assert.equal(others["declined"] ?? 0, 0, figures);
}

describe("pushed aggregations", () => {
  const systems: System[] = [];
  const started = async (...options: Parameters<typeof start>): Promise<System> => {
    const system = await start(...options);
    systems.push(system);
    return system;
  };
  after(() => Promise.all(systems.map((system) => system.stop())));

  it("are equal to the last bit where each series is on one shard", async () => {
    const system = await started(0);
    const list = [...QUERIES["aggregations"]!, ...QUERIES["histograms"]!, ...queries(1, 400)];
    await compare(system, [...list, ...EXTENDED]);
    assertMostPushed(system, 400);
  });

  it("take subqueries in", async () => {
    const system = await started(0);
    await compare(system, SUBQUERIES);
    const { pushed, ...others } = system.outcomes();
    assert.deepEqual([pushed, others], [SUBQUERIES.length * WAYS.length, {}]);
  });

  it("fall back where series are on two shards", async () => {
    const system = await started(20);
    await compare(system, queries(2, 60));
    const { duplicates = 0, pushed = 0 } = system.outcomes();
    // Some metrics are on one shard each all the same.
    assert.ok(duplicates > 10 && pushed > 10, JSON.stringify(system.outcomes()));
  });

  it("see external labels, and not those of a replica", async () => {
    const system = await started(0, { replica: "a" });
    const dedup = { replicaLabels: ["replica"], func: "gapless" } as const;
    await compare(system, queries(3, 60), { dedup });
    assertMostPushed(system, 30);
    const stores = new FanoutQueryable({
      endpoints: system.endpoints,
      pushdown: new Pushdown({ clock: systemClock, registry: system.registry }),
    });
    const query = 'count by (replica) (size_bytes{replica="a"})';
    const { value } = await new Engine().instant(stores, { query, ...AT });
    assert.ok(value.kind === "vector");
    assert.deepEqual(
      value.samples.map((sample) => [sample.labels.toString(), sample.value]),
      [['{replica="a"}', 6]],
    );
  });

  it("drop names at the end where that is switched on", async () => {
    const system = await started(0);
    await compare(system, queries(4, 60), { engine: { delayedNameRemoval: true } });
    assertMostPushed(system, 30);
  });

  it("are asked for by evaluation threads too", async () => {
    const system = await started(0);
    const threads = new WorkerEngine({ workerCount: 1, parser: PARSER });
    try {
      await compare(system, queries(5, 60), { asks: threads });
    } finally {
      await threads[Symbol.asyncDispose]();
    }
    assertMostPushed(system, 30);
  });
});

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import {
  type RunningProcess,
  skipWithoutParts,
  startPrometheus,
  temporaryFolder,
} from "../../test/support/processes.ts";
import { renderQueryResult } from "../api/query/render.ts";
import { AppError } from "../base/errors.ts";
import { STALE_NAN_HIGH, STALE_NAN_LOW } from "../base/float.ts";
import { type Random, randomInt, seededRandom } from "../base/random.ts";
import {
  CUSTOM_BUCKETS_SCHEMA,
  type FloatHistogram,
  isStaleHistogram,
  newHistogram,
} from "../model/histogram.ts";
import { Labels } from "../model/labels.ts";
import { Engine } from "./engine.ts";
import type { QueryResult } from "./result.ts";
import { MemoryStorage } from "./testing/memory-storage.ts";
import { remoteWrite, type WrittenSeries } from "./testing/remote-write.fixture.ts";

/**
 * The same native histograms in a real Prometheus and in memory, the same queries to both, the answers compared as the
 * API's JSON. What Prometheus 3.5 does not know yet (trimming, bounds reconciled, compensated sums) is not asked, or
 * allowed for.
 */
const START_MS = 1_700_000_000_000;
const SAMPLES = 200;
const INTERVAL_MS = 15_000;
/** Counters start with so many observations that no rate reaches back to zero, which 3.5 does not think of. */
const BASE = 80;

/** After so many samples a changing series changes its kind. */
const PHASE = 25;
const MIDDLE_MS = START_MS + 120 * INTERVAL_MS;

/** Compensated sums differ from plain ones in their last digits. */
const TOLERANCE = 1e-9;

const staleScratch = new Float64Array(1);
new Uint32Array(staleScratch.buffer).set([STALE_NAN_LOW, STALE_NAN_HIGH]);
const STALE = newHistogram({ sum: staleScratch[0]! });

/** A histogram with `count` observations, at random in the buckets of the layout, all added to those before. */
class Observer {
  readonly #random: Random;
  readonly #positive = new Map<number, number>();
  readonly #negative = new Map<number, number>();
  #zeroCount = 0;
  #sum = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  reset(): void {
    this.#positive.clear();
    this.#negative.clear();
    this.#zeroCount = 0;
    this.#sum = 0;
  }

  observe(options: { count: number; negative: boolean; lowest: number; highest: number }): void {
    const { count, negative, lowest, highest } = options;
    for (let i = 0; i < count; i++) {
      const index = lowest + randomInt(this.#random, highest - lowest + 1);
      const kind = this.#random.next();
      if (kind < 0.1) this.#zeroCount++;
      else {
        const side = negative && kind < 0.4 ? this.#negative : this.#positive;
        side.set(index, (side.get(index) ?? 0) + 1);
        this.#sum += (side === this.#negative ? -1 : 1) * 2 ** (index / 8) * this.#random.next();
      }
    }
  }

  /** `indexOf` says which bucket of the layout an observation of bucket i falls into. */
  read(
    layout: Partial<FloatHistogram>,
    indexOf: (index: number) => number = (index) => index,
  ): FloatHistogram {
    const positive = toSide(this.#positive, indexOf);
    const negative = toSide(this.#negative, indexOf);
    const total = (buckets: Float64Array): number => buckets.reduce((a, b) => a + b, 0);
    return newHistogram({
      zeroCount: this.#zeroCount,
      count: this.#zeroCount + total(positive.buckets) + total(negative.buckets),
      sum: this.#sum,
      positiveSpans: positive.spans,
      positiveBuckets: positive.buckets,
      negativeSpans: negative.spans,
      negativeBuckets: negative.buckets,
      ...layout,
    });
  }
}

function toSide(
  counts: ReadonlyMap<number, number>,
  indexOf: (index: number) => number,
): { spans: Int32Array; buckets: Float64Array } {
  const merged = new Map<number, number>();
  for (const [index, count] of counts)
    merged.set(indexOf(index), (merged.get(indexOf(index)) ?? 0) + count);
  const indexes = [...merged.keys()].sort((a, b) => a - b);
  const spans: number[] = [];
  for (const [i, index] of indexes.entries()) {
    const before = indexes[i - 1];
    if (before === undefined) spans.push(index, 1);
    else if (index === before + 1) spans[spans.length - 1]!++;
    else spans.push(index - before - 1, 1);
  }
  return {
    spans: Int32Array.from(spans),
    buckets: Float64Array.from(indexes, (index) => merged.get(index)!),
  };
}

function createData(): WrittenSeries[] {
  const random = seededRandom(7);
  const all: WrittenSeries[] = [];
  const add = (
    pairs: Record<string, string>,
    valueAt: (k: number) => number | FloatHistogram | undefined,
  ): void => {
    const samples = Array.from({ length: SAMPLES }, (_, k) => {
      const value = valueAt(k);
      return value === undefined ? [] : [{ timeMs: START_MS + k * INTERVAL_MS, value }];
    }).flat();
    all.push({ labels: Labels.fromObject(pairs), samples });
  };
  const coarser = (index: number): number => Math.ceil(index / 2);
  for (const job of ["api", "web"])
    for (const instance of ["a", "b", "c"]) {
      const observer = new Observer(random);
      const layouts = {
        a: () => observer.read({ schema: 3, zeroThreshold: 0.001 }),
        // The resolution falls and rises again.
        b: (k: number) =>
          k > 60 && k < 140
            ? observer.read({ schema: 2, zeroThreshold: 0.001 }, coarser)
            : observer.read({ schema: 3, zeroThreshold: 0.001 }),
        c: (k: number) => observer.read({ schema: 3, zeroThreshold: k < 90 ? 0.001 : 0.0078125 }),
      };
      let gap = 0;
      add({ __name__: "latency", job, instance }, (k) => {
        const isReset = k === 0 || random.next() < 0.03;
        if (isReset) observer.reset();
        observer.observe({
          count: isReset ? BASE : 5,
          negative: instance === "a",
          lowest: -20,
          highest: 30,
        });
        if (gap > 0) gap--;
        else if (random.next() < 0.02) gap = randomInt(random, 30);
        if (gap > 0) return undefined;
        return layouts[instance as "a" | "b" | "c"](k);
      });
      const gauge = new Observer(random);
      add({ __name__: "queue_depth", job, instance }, () => {
        gauge.reset();
        gauge.observe({ count: 8, negative: true, lowest: -5, highest: 9 });
        return gauge.read({ schema: 0, zeroThreshold: 0.5, counterResetHint: "gauge" });
      });
      const custom = new Observer(random);
      add({ __name__: "size", job, instance }, (k) => {
        const isReset = k === 0 || random.next() < 0.02;
        if (isReset) custom.reset();
        custom.observe({ count: isReset ? BASE : 4, negative: false, lowest: 0, highest: 4 });
        const { zeroCount, count, ...rest } = custom.read({
          schema: CUSTOM_BUCKETS_SCHEMA,
          customValues: Float64Array.of(-1, 0.5, 2, 10),
        });
        return { ...rest, zeroCount: 0, count: count - zeroCount };
      });
      const phases = new Observer(random);
      let total = 0;
      add({ __name__: "changing", job, instance }, (k) => {
        phases.observe({ count: k === 0 ? BASE : 3, negative: false, lowest: 0, highest: 6 });
        total += randomInt(random, 9);
        if (k % 50 === PHASE - 1) return STALE;
        return Math.floor(k / PHASE) % 2 === 0 ? phases.read({ schema: 1 }) : total;
      });
      add({ __name__: "requests_total", job, instance }, () => (total += randomInt(random, 9)));
    }
  const nan = new Observer(random);
  add({ __name__: "doubtful", job: "api" }, (k) => {
    nan.observe({ count: 4, negative: true, lowest: 0, highest: 5 });
    const histogram = nan.read({ schema: 0 });
    return { ...histogram, count: histogram.count + 3 * k, sum: NaN };
  });
  return all;
}

const SOURCES = ["latency", "queue_depth", "size", "changing", "doubtful", "requests_total"];
const RANGE_FUNCTIONS = [
  "rate",
  "increase",
  "irate",
  "delta",
  "idelta",
  "changes",
  "resets",
  "sum_over_time",
  "avg_over_time",
  "min_over_time",
  "max_over_time",
  "count_over_time",
  "last_over_time",
  "present_over_time",
  "absent_over_time",
  "stddev_over_time",
  "deriv",
  "mad_over_time",
  "ts_of_last_over_time",
  "ts_of_max_over_time",
];
const ELEMENT_FUNCTIONS = [
  "histogram_count",
  "histogram_sum",
  "histogram_avg",
  "histogram_stddev",
  "histogram_stdvar",
  "abs",
  "timestamp",
  "absent",
  "sort",
  "sort_desc",
  "-",
];
const AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const OPERATORS = ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">=", "and", "or", "unless"];
const NAMED = '{__name__=~"latency|size|changing|requests_total"}';

/** In a mean of histograms with other buckets, 3.5 takes those that come later as they are. */
function isMeanOfGauges(query: string): boolean {
  return /\bavg(?:_over_time| by).*(?:queue_depth|changing)/.test(query);
}

const QUERIES: Readonly<Record<string, readonly string[]>> = {
  selectors: [
    ...SOURCES,
    ...SOURCES.map((source) => `${source}[1m]`),
    ...SOURCES.map((source) => `${source} offset 7m`),
    "changing[15m:1m]",
    "latency @ 1700000900",
    NAMED,
    `scalar(changing{job="api", instance="a"})`,
  ],
  "range functions": RANGE_FUNCTIONS.flatMap((func) => [
    ...SOURCES.map((source) => `${func}(${source}[5m])`),
    `${func}(latency[17m])`,
    `${func}(changing[1m])`,
    `${func}(latency[20s])`,
    `${func}(size[10m:1m])`,
  ]).filter((query) => !isMeanOfGauges(query)),
  "element functions": ELEMENT_FUNCTIONS.flatMap((func) =>
    SOURCES.map((source) => `${func}(${source})`),
  ),
  quantiles: [-1, 0, 0.01, 0.3, 0.5, 0.9, 0.999, 1, 2, "NaN"].flatMap((phi) =>
    SOURCES.map((source) => `histogram_quantile(${phi}, ${source})`),
  ),
  "quantiles of rates": [
    "histogram_quantile(0.9, sum by (job)(rate(latency[5m])))",
    "histogram_quantile(0.5, rate(size[5m]))",
    "histogram_fraction(0, 0.5, rate(latency[5m]))",
    "histogram_avg(rate(latency[5m]))",
    "histogram_count(increase(latency[10m]))",
    "histogram_sum(sum(rate(latency[5m])))",
    "histogram_count(sum_over_time(latency[5m]))",
    "histogram_stddev(sum(queue_depth))",
  ],
  fractions: ["-Inf, +Inf", "0, 1", "-0.2, 3.3", "1, 1", "2, 1", "NaN, 1", "0.0005, 7"].flatMap(
    (bounds) => SOURCES.map((source) => `histogram_fraction(${bounds}, ${source})`),
  ),
  aggregations: [
    ...AGGREGATIONS.flatMap((operator) => [
      ...SOURCES.map((source) => `${operator} by (job)(${source})`),
      `${operator}(rate(latency[5m]))`,
    ]).filter((query) => !isMeanOfGauges(query)),
    ...AGGREGATIONS.slice(2).map((operator) => `${operator}(${NAMED})`),
    "quantile(0.5, changing)",
    "topk(2, changing)",
    "bottomk(2, changing)",
    'count_values("value", queue_depth{instance="a"})',
  ],
  "binary operators": OPERATORS.flatMap((operator) => [
    `latency ${operator} latency`,
    `latency ${operator} ignoring (instance) group_left doubtful`,
    `latency ${operator} on (job, instance) size`,
    `latency ${operator} on (job, instance) requests_total`,
    `requests_total ${operator} on (job, instance) latency`,
    `changing ${operator} on (job, instance) requests_total`,
    ...(OPERATORS.indexOf(operator) < 10
      ? [`latency ${operator} 2`, `3 ${operator} queue_depth`, `changing ${operator} 2`]
      : []),
  ]),
  "labels and names": [
    'label_replace(latency, "x", "$1", "job", "(.).*")',
    'label_join(latency, "x", "-", "job", "instance")',
    'rate({__name__=~"latency|size", job="api"}[5m])',
    '-{__name__=~"latency|size", job="api", instance="a"}',
    "absent(latency)",
    "absent_over_time(nothing[5m])",
    'sort_by_label(latency, "instance")',
    "limit_ratio(0.5, latency)",
  ],
};

/** Queries of several levels, whose parts may well not fit together. */
class QueryGenerator {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  vector(depth: number): string {
    if (depth === 0) return this.#selector();
    const inner = (): string => this.vector(depth - 1);
    switch (randomInt(this.#random, 7)) {
      case 0:
        return `${this.#one(RANGE_FUNCTIONS)}(${this.#selector()}[${this.#one(["1m", "4m", "13m"])}])`;
      case 1:
        // Resets between the steps of a subquery are newer, and so is the way back to zero in rates.
        return `${this.#one(RANGE_FUNCTIONS.slice(4))}((${inner()})[8m:1m])`;
      case 2:
        // Only newer versions take a negated counter for a gauge.
        return `${this.#one(ELEMENT_FUNCTIONS.filter((func) => func !== "-"))}(${inner()})`;
      case 3:
        return `histogram_quantile(${this.#one(["0.1", "0.5", "0.99"])}, ${inner()})`;
      case 4:
        return `histogram_fraction(${this.#one(["-Inf, 1", "0, 2", "0.3, +Inf"])}, ${inner()})`;
      case 5:
        return `${this.#one(AGGREGATIONS)} by (${this.#one(["job", "instance", "job, instance"])})(${inner()})`;
      default:
        return `(${inner()} ${this.#one(OPERATORS)} ${inner()})`;
    }
  }

  #selector(): string {
    const matchers = this.#one(["", "", '{job="api"}', '{instance=~"a|b"}']);
    return `${this.#one(SOURCES)}${matchers}`;
  }

  #one<T>(choices: readonly T[]): T {
    return choices[randomInt(this.#random, choices.length)]!;
  }
}

/** What only newer versions say. */
const NEWER_NOTES = /conflicting counter resets|mismatched custom buckets|sort is ineffective/;

/** Whether messages name the metric, and where they point, has changed since. */
function withoutPlace(note: string): string {
  return note.replace(/(?: for metric name "[^"]*")? \(\d+:\d+\)$/, "");
}

interface Answer {
  status: string;
  errorType?: string;
  error?: string;
  data?: { resultType: string; result: unknown };
  warnings?: string[];
  infos?: string[];
}

/** Series in order of their labels; notes in order, without those that only newer versions know. */
function normalize(answer: Answer): unknown[] {
  const told = [...(answer.warnings ?? []), ...(answer.infos ?? [])]
    .filter((note) => !NEWER_NOTES.test(note))
    .map(withoutPlace);
  const notes = [...new Set(told)].sort();
  if (answer.status !== "success")
    return [answer.errorType, answer.error?.replace('invalid parameter "query": ', "")];
  const { resultType, result } = answer.data!;
  if (resultType !== "vector" && resultType !== "matrix") return [resultType, result, notes];
  const series = (result as { metric: Record<string, string> }[]).map((one) => ({
    key: Labels.fromObject(one.metric).toString(),
    ...one,
  }));
  series.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return [resultType, series, notes];
}

/** The first place where two answers differ by more than rounding; undefined when there is none. */
function differenceOf(ours: unknown, theirs: unknown, path = ""): string | undefined {
  if (Array.isArray(ours) && Array.isArray(theirs) && ours.length === theirs.length) {
    for (const [i, one] of ours.entries()) {
      const found = differenceOf(one, theirs[i], `${path}/${i}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (isObject(ours) && isObject(theirs)) {
    for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
      const [one, other] = [ours[key], theirs[key]].map(key === "buckets" ? withoutEmpty : same);
      const found = differenceOf(one, other, `${path}/${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (ours === theirs || isNear(ours, theirs)) return undefined;
  const show = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 500);
  return `${path}\n    Shoal:      ${show(ours)}\n    Prometheus: ${show(theirs)}`;
}

const same = (value: unknown): unknown => value;

/** A bucket that should be empty may hold what rounding left in it. */
function withoutEmpty(buckets: unknown): unknown {
  if (!Array.isArray(buckets)) return buckets;
  return buckets.filter((bucket: unknown[]) => !isNear(bucket[3], "0"));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNear(ours: unknown, theirs: unknown): boolean {
  if (typeof ours !== "string" || typeof theirs !== "string") return false;
  const a = Number(ours);
  const b = Number(theirs);
  return Math.abs(a - b) <= TOLERANCE * Math.max(Math.abs(a), Math.abs(b), 1e-3);
}

async function answerOf(evaluate: () => Promise<QueryResult>): Promise<Answer> {
  try {
    const pieces = renderQueryResult(await evaluate(), { limit: 0, stats: false });
    return JSON.parse(Buffer.concat([...pieces]).toString()) as Answer;
  } catch (thrown) {
    const { code, message } = AppError.from(thrown);
    const errorType = code === "bad-data" ? "bad_data" : code;
    return { status: "error", errorType, error: message };
  }
}

describe("native histograms against a real Prometheus", { skip: skipWithoutParts() }, () => {
  const storage = new MemoryStorage();
  const engine = new Engine({ parser: { experimentalFunctions: true } });
  let prometheus: RunningProcess | undefined;
  let folder = "";

  before(async () => {
    const data = createData();
    for (const { labels, samples } of data)
      for (const { timeMs, value } of samples)
        if (typeof value === "number") storage.append(labels, timeMs, value);
        else if (isStaleHistogram(value)) storage.appendStale(labels, timeMs);
        else storage.appendHistogram(labels, timeMs, value);
    folder = temporaryFolder("histogram-differential");
    prometheus = await start();
    // Prometheus takes the floats of a request before its histograms: no series may have both.
    for (
      let from = START_MS;
      from < START_MS + SAMPLES * INTERVAL_MS;
      from += PHASE * INTERVAL_MS
    ) {
      const to = from + PHASE * INTERVAL_MS;
      await remoteWrite(
        prometheus!.url,
        data.map(({ labels, samples }) => ({
          labels,
          samples: samples.filter(({ timeMs }) => timeMs >= from && timeMs < to),
        })),
      );
    }
  });
  after(async () => {
    await prometheus?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function ask(path: string, parameters: Record<string, string>): Promise<Answer> {
    const body = new URLSearchParams(parameters);
    const response = await fetch(`${prometheus!.url}/api/v1/${path}`, { method: "POST", body });
    return (await response.json()) as Answer;
  }

  async function differences(query: string): Promise<string[]> {
    const wrong: string[] = [];
    const check = (what: string, ours: Answer, theirs: Answer): void => {
      const found = differenceOf(normalize(ours), normalize(theirs));
      if (found !== undefined) wrong.push(`${what} ${query} ${found}`);
    };
    const at = { query, timeMs: MIDDLE_MS };
    const ours = await answerOf(() => engine.instant(storage.queryable, at));
    check("instant", ours, await ask("query", { query, time: String(MIDDLE_MS / 1000) }));
    const range = { startMs: START_MS - 60_000, endMs: START_MS + 60 * 60_000, stepMs: 67_000 };
    const ourRange = await answerOf(() => engine.range(storage.queryable, { query, ...range }));
    const theirRange = await ask("query_range", {
      query,
      start: String(range.startMs / 1000),
      end: String(range.endMs / 1000),
      step: String(range.stepMs / 1000),
    });
    check("range", ourRange, theirRange);
    return wrong;
  }

  /**
   * 3.5 hands out histograms that it goes on to write into for other queries, so now and then an answer is wrong: what
   * counts is a difference that a fresh process still shows.
   */
  async function lastingDifferences(query: string): Promise<string[]> {
    if ((await differences(query)).length === 0) return [];
    await prometheus!.stop();
    prometheus = await start();
    return differences(query);
  }

  function start(): Promise<RunningProcess | undefined> {
    return startPrometheus({
      config: "global: {evaluation_interval: 1m}\n",
      dataFolder: folder,
      flags: [
        "--storage.tsdb.retention.time=100y",
        "--web.enable-remote-write-receiver",
        "--enable-feature=promql-experimental-functions,native-histograms",
      ],
    });
  }

  test("generated queries", async () => {
    const seed = Number(process.env["SHOAL_FUZZ_SEED"] ?? 1);
    const count = Number(process.env["SHOAL_FUZZ_QUERIES"] ?? 400);
    const generator = new QueryGenerator(seededRandom(seed));
    const wrong: string[] = [];
    for (let i = 0; i < count; i++) {
      const query = generator.vector(3);
      if (!isMeanOfGauges(query)) wrong.push(...(await lastingDifferences(query)));
    }
    assert.equal(wrong.length, 0, `seed ${seed}: ${wrong.length} differences\n${wrong.join("\n")}`);
  });

  for (const [group, queries] of Object.entries(QUERIES)) {
    test(group, async () => {
      const wrong: string[] = [];
      for (const query of queries) wrong.push(...(await lastingDifferences(query)));
      assert.equal(wrong.length, 0, `${wrong.length} differences\n${wrong.join("\n")}`);
    });
  }
});

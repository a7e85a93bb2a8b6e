import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  apiData,
  type RunningProcess,
  skipWithoutParts,
  startPrometheus,
} from "../../test/support/processes.ts";
import { renderQueryResult } from "../api/query/render.ts";
import { writeStale } from "../base/float.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { seededRandom } from "../base/random.ts";
import type { FloatHistogram } from "../model/histogram.ts";
import { Engine } from "../promql/engine.ts";
import { remoteWrite, type WrittenSample } from "../promql/testing/remote-write.fixture.ts";
import { type Database, openDatabase } from "./database.ts";
import { openHead } from "./open-head.ts";
import { columns, labels, stoppedClock } from "./testing/head-fixture.ts";
import {
  histogramColumns,
  type HistogramRow,
  HistogramSource,
  staleHistogramSample,
} from "./testing/histogram-fixture.ts";

/** A real Prometheus reads the histograms of our log and blocks, and we read those of its log and head chunks. */
const HOUR = 3_600_000;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (18 * HOUR));
const STEP_MS = 30_000;
const END = START + 5 * HOUR;
const root = await mkdtemp(join(tmpdir(), "real-histograms-test-"));
after(() => rm(root, { recursive: true, force: true }));
const skip = skipWithoutParts();

type Step = readonly { readonly i: number; readonly sample: WrittenSample }[];

/** Of each kind of series a few; some change between floats and histograms, all go stale now and then. */
function makeSteps(): Step[] {
  const random = seededRandom(11);
  const kinds = ["exponential", "custom", "gauge"] as const;
  const sources = Array.from({ length: 12 }, (_, i) => ({
    isFloat: i % 2 === 1,
    source: new HistogramSource(random, { kind: kinds[i % 3]!, isFloat: i % 2 === 1 }),
  }));
  const steps: Step[] = [];
  for (let timeMs = START; timeMs < END; timeMs += STEP_MS)
    steps.push(
      sources.map(({ source, isFloat }, i) => {
        const histogram: FloatHistogram = source.next();
        const isChanging = i >= 9 && Math.floor((timeMs - START) / (40 * STEP_MS)) % 2 === 1;
        if (isChanging) return { i, sample: { timeMs, value: histogram.count } };
        if (random.next() < 0.01)
          return { i, sample: { timeMs, value: staleHistogramSample(), isInteger: !isFloat } };
        return { i, sample: { timeMs, value: histogram, isInteger: !isFloat } };
      }),
    );
  return steps;
}

const seriesOf = (i: number): Record<string, string> => ({ __name__: "h", i: String(i) });

async function open(folder: string, nowMs: number): Promise<Database> {
  return openDatabase({
    folder,
    logger: silentLogger,
    clock: stoppedClock(nowMs),
    registry: new Registry(),
    retentionMs: 1e12,
  });
}

async function append(db: Database, step: Step): Promise<void> {
  const floats: [number, number, number][] = [];
  const rows: HistogramRow[] = [];
  for (const { i, sample } of step) {
    const ref = db.resolve(labels(seriesOf(i)));
    const { timeMs, value, isInteger } = sample;
    if (typeof value === "number") floats.push([ref, timeMs, value]);
    else rows.push({ ref, timeMs, histogram: value, isFloat: isInteger !== true });
  }
  const result = await db.append({
    ...columns(floats),
    histograms: histogramColumns(rows),
    listRefused: true,
  });
  assert.deepEqual(result.refused, []);
  assert.deepEqual([result.appended, result.appendedHistograms], [floats.length, rows.length]);
}

/** Not rates: 3.5 extrapolates those of histograms differently. */
const QUERIES = [
  "h[6h]",
  "h[6h] offset 1h",
  "resets(h[5h])",
  "changes(h[5h])",
  "histogram_count(h)",
];

async function ours(db: Database, query: string): Promise<unknown> {
  const result = await new Engine().instant(db, { query, timeMs: END });
  const body = Buffer.concat([...renderQueryResult(result, { limit: 0, stats: false })]);
  return sorted((JSON.parse(body.toString()) as { data: Answer }).data);
}

async function theirs(server: RunningProcess, query: string): Promise<unknown> {
  const text = new URLSearchParams({ query, time: String(END / 1000) }).toString();
  return sorted(await apiData<Answer>(`${server.url}/api/v1/query?${text}`));
}

interface Answer {
  readonly resultType: string;
  readonly result: { metric: Record<string, string> }[];
}

/** Series in order of their labels, and floats cut where compensated sums differ from plain ones. */
function sorted({ result }: Answer): unknown {
  const rounded = JSON.parse(JSON.stringify(result), (key, value: unknown) =>
    typeof value === "string" && key !== "i" && /\d{5}/.test(value)
      ? Number(value).toPrecision(12)
      : value,
  ) as Answer["result"];
  return rounded.sort((a, b) => Number(a.metric["i"]) - Number(b.metric["i"]));
}

function start(dataFolder: string): Promise<RunningProcess | undefined> {
  return startPrometheus({
    config: "",
    dataFolder,
    flags: [
      "--storage.tsdb.retention.time=100y",
      "--web.enable-remote-write-receiver",
      "--enable-feature=native-histograms",
    ],
  });
}

test("Prometheus reads histograms from our log and blocks", { skip }, async () => {
  const folder = join(root, "ours");
  let db = await open(folder, END);
  const steps = makeSteps();
  for (const [k, step] of steps.entries()) {
    await append(db, step);
    if (k % 50 === 0) await db.maintain();
  }
  const before = await Promise.all(QUERIES.map((query) => ours(db, query)));
  assert.equal(db.blocks().length, 1);
  assert.ok((db.blocks()[0]!.stats.numHistogramSamples ?? 0) > 2000);
  await db.close();
  const copy = join(root, "copy");
  await cp(folder, copy, { recursive: true });
  const server = (await start(copy))!;
  let chunkCount: number;
  try {
    for (const [k, query] of QUERIES.entries())
      assert.deepEqual(before[k], await theirs(server, query), query);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    chunkCount = Number(/^prometheus_tsdb_head_chunks (\S+)$/m.exec(metrics)?.[1]);
  } finally {
    await server.stop();
  }
  db = await open(folder, END);
  for (const [k, query] of QUERIES.entries()) assert.deepEqual(await ours(db, query), before[k]);
  assert.equal(db.head.stats().chunkCount, chunkCount, "as many chunks as Prometheus cuts");
  await db.close();
});

test("we read histograms from Prometheus's log", { skip }, async () => {
  const folder = join(root, "theirs");
  const server = (await start(folder))!;
  const answers: unknown[] = [];
  try {
    for (const step of makeSteps())
      await remoteWrite(
        server.url,
        step.map(({ i, sample }) => ({ labels: labels(seriesOf(i)), samples: [sample] })),
      );
    for (const query of QUERIES) answers.push(await theirs(server, query));
  } finally {
    await server.stop();
  }
  const db = await open(folder, END);
  for (const [k, query] of QUERIES.entries())
    assert.deepEqual(await ours(db, query), answers[k], query);
  await db.close();
});

test("a staleness marker for a series of histograms is a stale histogram", async () => {
  const folder = join(root, "stale");
  let db = await open(folder, END);
  const ref = db.resolve(labels(seriesOf(0)));
  const source = new HistogramSource(seededRandom(1), { kind: "exponential", isFloat: false });
  const histogram = source.next();
  await db.append({
    ...columns([]),
    histograms: histogramColumns([{ ref, timeMs: START, histogram, isFloat: false }]),
  });
  const marker = columns([[ref, START + 1, 0]]);
  writeStale(marker.values, 0);
  for (let times = 0; times < 2; times++) {
    const result = await db.append(marker);
    assert.deepEqual([result.appended, result.duplicate], [1, 0]);
  }
  const count = async (): Promise<unknown> => {
    const at = { query: "histogram_count(h)", timeMs: START + 60_000 };
    const { value } = await new Engine().instant(db, at);
    return value.kind === "vector" ? value.samples.length : undefined;
  };
  assert.equal(db.head.stats().chunkCount, 1);
  assert.equal(await count(), 0);
  await db.close();
  db = await open(folder, END);
  assert.equal(db.head.stats().sampleCount, 2);
  assert.equal(await count(), 0);
  await db.close();
});

test("a checkpoint keeps the histograms that are young enough", async () => {
  const settings = {
    folder: join(root, "checkpoint"),
    logger: silentLogger,
    clock: stoppedClock(START + 2 * HOUR),
    registry: new Registry(),
    retentionMs: HOUR,
    walSegmentBytes: 32 * 1024,
  };
  let head = await openHead(settings);
  const source = new HistogramSource(seededRandom(5), { kind: "custom", isFloat: false });
  let rows: HistogramRow[] = [];
  for (let timeMs = START; timeMs <= START + 2 * HOUR; timeMs += STEP_MS) {
    const ref = head.resolve(labels(seriesOf(timeMs === START ? 1 : 0)));
    rows.push({ ref, timeMs, histogram: source.next(), isFloat: false });
    settings.clock.nowMs = timeMs;
    await head.append({ ...columns([]), histograms: histogramColumns(rows) });
    rows = [];
    // Every truncation starts a segment.
    if ((timeMs - START) % (20 * 60_000) === 0) await head.truncate();
  }
  const files = await readdir(join(settings.folder, "wal"));
  assert.ok(files.some((name) => name.startsWith("checkpoint.")));
  const show = async (): Promise<unknown> => {
    const at = { query: "h[59m]", timeMs: START + 2 * HOUR };
    const { value } = await new Engine().instant(head, at);
    return value.kind === "matrix" ? value.series.map((one) => one.histograms) : undefined;
  };
  const before = await show();
  await head.close();
  head = await openHead(settings);
  assert.equal(head.stats().seriesCount, 1);
  assert.ok(head.stats().sampleCount >= 120);
  assert.deepEqual(await show(), before);
  await head.close();
});

test("histograms that break the rules, repeat or come late are refused by name", async () => {
  const db = await open(join(root, "refused"), END);
  const ref = db.resolve(labels(seriesOf(0)));
  const other = db.resolve(labels(seriesOf(1)));
  const source = new HistogramSource(seededRandom(1), { kind: "exponential", isFloat: false });
  const [first, second] = [source.next(), source.next()];
  const row = (
    timeMs: number,
    histogram: FloatHistogram,
    changes: Partial<HistogramRow> = {},
  ): HistogramRow => ({ ref, timeMs, histogram, isFloat: false, ...changes });
  await db.append({
    ...columns([[other, START, 1]]),
    histograms: histogramColumns([row(START, first)]),
  });
  const rows = [
    row(START, first), // the same again
    row(START, second),
    row(START, first, { isFloat: true }),
    row(START - 1, second),
    row(START + 1, { ...second, count: second.count + 1 }),
    row(START + 1, { ...second, zeroCount: second.zeroCount + 0.5, count: second.count + 0.5 }),
    row(START + 1, { ...second, schema: 77 }),
    row(START + 1, second, { ref: 4711 }),
    row(START, first, { ref: other }), // a float is there
    row(START + 1, second),
  ];
  const batch = { ...columns([]), histograms: histogramColumns(rows), listRefused: true };
  const reasons = async (isWhole: boolean): Promise<unknown[]> => {
    const result = await db.append({ ...batch, isWhole });
    assert.equal(result.appendedHistograms, isWhole ? 0 : 2);
    return result.refused.map(({ index, reason }) => [index, reason]);
  };
  const want = [
    [1, "duplicate"],
    [2, "duplicate"],
    [3, "out-of-order"],
    [4, "invalid"],
    [5, "invalid"],
    [6, "invalid"],
    [7, "unknown-ref"],
    [8, "duplicate"],
  ];
  assert.deepEqual(await reasons(true), want);
  assert.equal(db.head.stats().sampleCount, 2);
  assert.deepEqual(await reasons(false), want);
  assert.equal(db.head.stats().sampleCount, 3);
  await db.close();
});

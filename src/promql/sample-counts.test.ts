import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import {
  type RunningProcess,
  skipWithoutParts,
  startPrometheus,
  temporaryFolder,
} from "../../test/support/processes.ts";
import { newHistogram } from "../model/histogram.ts";
import { Labels } from "../model/labels.ts";
import { Engine } from "./engine.ts";
import type { QueryableSamples } from "./sample-counts.ts";
import { MemoryStorage } from "./testing/memory-storage.ts";
import { remoteWrite, type WrittenSeries } from "./testing/remote-write.fixture.ts";

/** The samples that queries look at, in all and at each step, as a real Prometheus counts them. */
const START_MS = 1_700_000_000_000;
const INTERVAL_MS = 15_000;
const SAMPLES = 240;

function createSeries(): WrittenSeries[] {
  const series: WrittenSeries[] = [];
  for (let i = 0; i < 4; i++) {
    const labels = { job: i < 2 ? "a" : "b", i: String(i) };
    const times = Array.from({ length: SAMPLES }, (_, k) => START_MS + k * INTERVAL_MS);
    // Each series has a gap of its own.
    const kept = times.filter((_, k) => k % 50 < 30 + 5 * i || i === 0);
    series.push({
      labels: Labels.fromObject({ __name__: "c", ...labels }),
      samples: kept.map((timeMs, k) => ({ timeMs, value: k * (i + 1) })),
    });
    series.push({
      labels: Labels.fromObject({ __name__: "h", ...labels }),
      samples: kept.map((timeMs, k) => ({
        timeMs,
        value: newHistogram({
          count: 3 * k,
          sum: k,
          positiveSpans: Int32Array.of(0, 2 + i),
          positiveBuckets: new Float64Array(2 + i).fill((3 * k) / (2 + i)),
        }),
      })),
    });
  }
  return series;
}

function storageOf(series: readonly WrittenSeries[]): MemoryStorage {
  const storage = new MemoryStorage();
  for (const { labels, samples } of series)
    for (const { timeMs, value } of samples)
      if (typeof value === "number") storage.append(labels, timeMs, value);
      else storage.appendHistogram(labels, timeMs, value);
  return storage;
}

const QUERIES = [
  "1",
  "time()",
  '"text"',
  "c",
  "nothing",
  "h",
  "c offset 10m",
  "c @ 1700001000",
  "c + c @ 1700001000",
  "-c",
  "c > 100",
  "c + on (job, i) c",
  "c and c",
  "c or h",
  "c unless on (i) h",
  "sum(c)",
  "sum by (job) (c)",
  "topk(2, c)",
  "quantile(0.5, c)",
  "count_values('v', c)",
  "scalar(c{i='0'})",
  "topk(scalar(vector(2)), c)",
  "timestamp(c)",
  "timestamp(h)",
  "timestamp(-c)",
  "absent(nothing)",
  "absent_over_time(c[5m])",
  "rate(c[5m])",
  "rate(h[5m])",
  "sum(rate(c[1m]))",
  "sum(rate(c[5m])) / sum(rate(h[5m]))",
  "last_over_time(c[2m])",
  "quantile_over_time(0.9, c[10m])",
  "rate(c[5m] offset 7m)",
  "rate(c[5m] @ 1700001000)",
  "histogram_quantile(0.9, sum(rate(h[5m])))",
  "histogram_count(h)",
  "label_replace(c, 'x', '$1', 'job', '(.*)')",
  "max_over_time(c[10m:1m])",
  "max_over_time(sum(c)[10m:1m])",
  "max_over_time(rate(c[2m])[10m:30s])",
  "sum_over_time(h[10m:1m])",
  "max_over_time(c[10m:1m] @ 1700001000)",
  "max_over_time((c @ 1700001000)[10m:1m])",
  "max_over_time(max_over_time(c[5m:1m])[10m:2m])",
  "clamp(c, scalar(c{i='1'}), 100)",
  "sort(c)",
];
/** Range vectors have a value at one moment only. */
const INSTANT_QUERIES = [
  "c[5m]",
  "h[5m]",
  "c[10m:1m]",
  "rate(c[5m])[10m:1m]",
  "c[5m] @ 1700001000",
];

interface Samples {
  readonly totalQueryableSamples: number;
  readonly totalQueryableSamplesPerStep?: readonly (readonly [number, number])[];
  readonly samplesRead?: number;
  readonly samplesReadPerStep?: readonly (readonly [number, number])[];
}

/** Over five minutes from 1700000300 on; Prometheus 3.14 reads as much, and 3.5 does not tell. */
const READS: Readonly<Record<string, readonly number[]>> = {
  "c{i='0'}": [1, 1, 1, 1, 1, 1],
  "rate(c{i='0'}[5m])": [20, 4, 4, 4, 4, 4],
  "rate(c{i='0'}[30s])": [2, 2, 2, 2, 2, 2],
  "predict_linear(c{i='0'}[2m] @ 1700000400, time())": [8, 0, 0, 0, 0, 0],
  "c{i='0'} @ 1700000400": [1, 0, 0, 0, 0, 0],
  "max_over_time(c{i='0'}[3m:30s])": [6, 2, 2, 2, 2, 2],
  "max_over_time(rate(c{i='0'}[1m])[30s:10s] offset 1m)": [6, 2, 2, 2, 2, 2],
};

test("what is read for the first time", async () => {
  const storage = storageOf(createSeries());
  const range = { startMs: START_MS + 300_000, endMs: START_MS + 600_000, stepMs: 60_000 };
  for (const [query, reads] of Object.entries(READS)) {
    const counted = { query, ...range, countSamples: true };
    const { stats } = await new Engine().range(storage.queryable, counted);
    const { read, readPerStep } = stats.queryableSamples!;
    assert.deepEqual([...readPerStep], reads, query);
    assert.equal(
      read,
      reads.reduce((sum, count) => sum + count, 0),
      query,
    );
  }
});

describe(
  "samples that queries look at, against a real Prometheus",
  { skip: skipWithoutParts() },
  () => {
    const series = createSeries();
    const storage = storageOf(series);
    const engine = new Engine();
    const folder = temporaryFolder("sample-counts");
    let prometheus: RunningProcess | undefined;

    before(async () => {
      prometheus = await startPrometheus({
        config: "global: {evaluation_interval: 1m}\n",
        dataFolder: folder,
        flags: [
          "--storage.tsdb.retention.time=100y",
          "--web.enable-remote-write-receiver",
          "--enable-feature=native-histograms,promql-per-step-stats",
        ],
      });
      await remoteWrite(prometheus!.url, series);
    });
    after(async () => {
      await prometheus?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    async function theirs(path: string, parameters: Record<string, string>): Promise<number[]> {
      const body = new URLSearchParams({ ...parameters, stats: "all" });
      const response = await fetch(`${prometheus!.url}/api/v1/${path}`, { method: "POST", body });
      const { data } = (await response.json()) as { data: { stats: { samples: Samples } } };
      const { totalQueryableSamples, totalQueryableSamplesPerStep = [] } = data.stats.samples;
      const counts = totalQueryableSamplesPerStep.map(([, count]) => count);
      const { samplesRead, samplesReadPerStep = [] } = data.stats.samples;
      if (samplesRead === undefined) return [totalQueryableSamples, ...counts];
      const reads = samplesReadPerStep.map(([, count]) => count);
      return [totalQueryableSamples, ...counts, samplesRead, ...reads];
    }

    /** As `theirs`, with what is read where `length` says that they tell it: 3.5 does not. */
    function ours(counts: QueryableSamples, length: number): number[] {
      const { total, perStep, read, readPerStep } = counts;
      return [total, ...perStep, read, ...readPerStep].slice(0, length);
    }

    test("at one moment", async () => {
      const timeMs = START_MS + 35 * 60_000;
      const wrong: unknown[] = [];
      for (const query of [...QUERIES, ...INSTANT_QUERIES]) {
        const { stats } = await engine.instant(storage.queryable, {
          query,
          timeMs,
          countSamples: true,
        });
        const wanted = await theirs("query", { query, time: String(timeMs / 1000) });
        const found = ours(stats.queryableSamples!, wanted.length);
        if (String(found) !== String(wanted)) wrong.push([query, found, wanted]);
      }
      assert.deepEqual(wrong, []);
    });

    test("over a range", async () => {
      const range = { startMs: START_MS - 60_000, endMs: START_MS + 55 * 60_000, stepMs: 97_000 };
      const wrong: unknown[] = [];
      for (const query of QUERIES) {
        if (query === '"text"') continue;
        const { stats } = await engine.range(storage.queryable, {
          query,
          ...range,
          countSamples: true,
        });
        const wanted = await theirs("query_range", {
          query,
          start: String(range.startMs / 1000),
          end: String(range.endMs / 1000),
          step: String(range.stepMs / 1000),
        });
        const found = ours(stats.queryableSamples!, wanted.length);
        if (String(found) !== String(wanted)) wrong.push([query, found, wanted]);
      }
      assert.deepEqual(wrong, []);
    });
  },
);

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
}

describe(
  "samples that queries look at, against a real Prometheus",
  { skip: skipWithoutParts() },
  () => {
    const storage = new MemoryStorage();
    const engine = new Engine();
    const folder = temporaryFolder("sample-counts");
    let prometheus: RunningProcess | undefined;

    before(async () => {
      const series = createSeries();
      for (const { labels, samples } of series)
        for (const { timeMs, value } of samples)
          if (typeof value === "number") storage.append(labels, timeMs, value);
          else storage.appendHistogram(labels, timeMs, value);
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
      return [totalQueryableSamples, ...totalQueryableSamplesPerStep.map(([, count]) => count)];
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
        const { total, perStep } = stats.queryableSamples!;
        const wanted = await theirs("query", { query, time: String(timeMs / 1000) });
        if (String([total, ...perStep]) !== String(wanted)) wrong.push([query, total, wanted[0]]);
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
        const { total, perStep } = stats.queryableSamples!;
        const wanted = await theirs("query_range", {
          query,
          start: String(range.startMs / 1000),
          end: String(range.endMs / 1000),
          step: String(range.stepMs / 1000),
        });
        if (String([total, ...perStep]) !== String(wanted))
          wrong.push([
            query,
            total,
            wanted[0],
            perStep.slice(0, 9).join(),
            wanted.slice(1, 10).join(),
          ]);
      }
      assert.deepEqual(wrong, []);
    });
  },
);

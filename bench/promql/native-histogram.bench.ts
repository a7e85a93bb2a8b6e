import { rmSync } from "node:fs";
import { startPrometheus, temporaryFolder } from "../../test/support/processes.ts";
import { seededRandom } from "../../src/base/random.ts";
import { type FloatHistogram, newHistogram } from "../../src/model/histogram.ts";
import { Labels } from "../../src/model/labels.ts";
import { Engine } from "../../src/promql/engine.ts";
import { MemoryStorage } from "../../src/promql/testing/memory-storage.ts";
import {
  remoteWrite,
  type WrittenSample,
  type WrittenSeries,
} from "../../src/promql/testing/remote-write.fixture.ts";

/**
 * Range queries over 500 native histograms × 240 samples (15 s apart) of 40 buckets, 120 steps of 15 s: here in process
 * on one thread, chunks decoded each time, and beside it a real Prometheus over HTTP, where there is one. Medians of
 * the rounds, ms; for Prometheus what it says the query took by itself.
 */
const SERIES = 500;
const SAMPLES = 240;
const BUCKETS = 40;
const STEP_MS = 15_000;
const STEPS = 120;
const ROUNDS = 7;
const START_MS = 1_700_000_000_000;

const QUERIES = [
  "histogram_quantile(0.9, sum by (job)(rate(latency[5m])))",
  "histogram_quantile(0.9, rate(latency[5m]))",
  "sum(rate(latency[5m]))",
  "sum(latency)",
  "histogram_count(sum(rate(latency[5m])))",
  "histogram_fraction(0, 1, sum(latency))",
  "sum(sum_over_time(latency[5m]))",
  "sum(avg_over_time(latency[5m]))",
];

function createData(): WrittenSeries[] {
  const random = seededRandom(1);
  return Array.from({ length: SERIES }, (_, i) => {
    const labels = { __name__: "latency", job: `job-${i % 10}`, instance: `host-${i}` };
    const counts = new Float64Array(BUCKETS);
    const samples: WrittenSample[] = [];
    let sum = 0;
    for (let k = 0; k < SAMPLES; k++) {
      for (let j = 0; j < 20; j++) counts[Math.floor(random.next() * BUCKETS)]!++;
      sum += random.next() * 20;
      const value: FloatHistogram = newHistogram({
        schema: 3,
        zeroThreshold: 0.001,
        count: counts.reduce((a, b) => a + b, 0),
        sum,
        positiveSpans: Int32Array.of(-20, BUCKETS),
        positiveBuckets: counts.slice(),
      });
      samples.push({ timeMs: START_MS + k * STEP_MS, value });
    }
    return { labels: Labels.fromObject(labels), samples };
  });
}

function median(rounds: number[]): string {
  return rounds
    .sort((a, b) => a - b)
    [rounds.length >> 1]!.toFixed(1)
    .padStart(8);
}

const data = createData();
const storage = new MemoryStorage();
for (const { labels, samples } of data)
  for (const { timeMs, value } of samples)
    if (typeof value !== "number") storage.appendHistogram(labels, timeMs, value);
const folder = temporaryFolder("native-histogram");
const prometheus = await startPrometheus({
  config: "",
  dataFolder: folder,
  flags: [
    "--storage.tsdb.retention.time=100y",
    "--web.enable-remote-write-receiver",
    "--enable-feature=native-histograms",
  ],
});
if (prometheus !== undefined)
  for (let from = 0; from < SAMPLES; from += 20)
    await remoteWrite(
      prometheus.url,
      data.map(({ labels, samples }) => ({ labels, samples: samples.slice(from, from + 20) })),
    );

const engine = new Engine();
const startMs = START_MS + (SAMPLES - STEPS) * STEP_MS;
const endMs = START_MS + (SAMPLES - 1) * STEP_MS;
for (const query of QUERIES) {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { stats } = await engine.range(storage.queryable, {
      query,
      startMs,
      endMs,
      stepMs: STEP_MS,
    });
    ours.push(stats.evaluationMs);
    if (prometheus !== undefined) theirs.push(await askPrometheus(prometheus.url, query));
  }
  const beside = theirs.length === 0 ? "" : `   Prometheus ${median(theirs)} ms`;
  console.log(`${query.padEnd(58)} ${median(ours)} ms${beside}`);
}
await prometheus?.stop();
rmSync(folder, { recursive: true, force: true });

async function askPrometheus(url: string, query: string): Promise<number> {
  const body = new URLSearchParams({
    query,
    start: String(startMs / 1000),
    end: String(endMs / 1000),
    step: String(STEP_MS / 1000),
    stats: "all",
  });
  const response = await fetch(`${url}/api/v1/query_range`, { method: "POST", body });
  const answer = (await response.json()) as {
    data: { stats: { timings: { innerEvalTime: number } } };
  };
  return answer.data.stats.timings.innerEvalTime * 1000;
}

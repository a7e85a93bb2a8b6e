import { Engine } from "../../src/promql/engine.ts";
import type { QueryResult } from "../../src/promql/result.ts";
import { WorkerEngine } from "../../src/promql/worker-engine.ts";
import { median, report } from "../support/report.ts";
import { requestsSource, SOURCE_STEP_MS as STEP_MS } from "./requests-source.ts";

/**
 * Range queries over 10,000 series × 480 samples (15 s apart), 240 steps of 15 s, evaluated in this process on one
 * thread, chunks decoded each time, and instant queries over 100,000 series. Reports the median CPU time of the rounds
 * (which a busy machine disturbs less than it does wall time) in ms. Arguments: a part of the names to run.
 */
const SERIES = 10_000;
const SAMPLES = 480;
const STEPS = 240;
const ROUNDS = 9;

const QUERIES: readonly (readonly [name: string, query: string])[] = [
  ["sum by (job)(rate[5m])", "sum by (job)(rate(requests_total[5m]))"],
  ["sum(rate[5m])", "sum(rate(requests_total[5m]))"],
  ["sum by (job)(rate[1h])", "sum by (job)(rate(requests_total[1h]))"],
  ["max_over_time[5m]", "max by (job)(max_over_time(requests_total[5m]))"],
  ["avg_over_time[5m]", "avg by (job)(avg_over_time(requests_total[5m]))"],
  ["selector, sum", "sum by (job)(requests_total)"],
  ["without", "sum without (instance)(requests_total)"],
  ["binary, 2 × 10k", "requests_total / requests_total"],
  ["topk(10)", "topk(10, requests_total)"],
  ["quantile", "quantile by (job)(0.9, requests_total)"],
  ["subquery", "sum(max_over_time(rate(requests_total[5m])[10m:1m]))"],
];

const INSTANT_SERIES = 100_000;
const INSTANT_QUERIES: readonly (readonly [name: string, query: string])[] = [
  ["sum by (job), instant", "sum by (job)(requests_total)"],
  ["sum without, instant", "sum without (instance)(requests_total)"],
  ["topk(10), instant", "topk(10, requests_total)"],
  ["quantile, instant", "quantile by (job)(0.9, requests_total)"],
  ["binary, instant", "requests_total / requests_total"],
];

const wanted = process.argv[2] ?? "";
const endMs = SAMPLES * STEP_MS;
const here = new Engine();
const range = {
  startMs: endMs - STEPS * STEP_MS,
  endMs: endMs - STEP_MS,
  stepMs: STEP_MS,
};
const source = requestsSource({ seriesCount: SERIES, sampleCount: SAMPLES });
for (const [name, query] of QUERIES)
  if (name.includes(wanted))
    await measure(`${name}, 10k series × ${STEPS} steps`, () =>
      here.range(source, { ...range, query }),
    );
const [threadName, threadQuery] = QUERIES[0]!;
if ("in a thread".includes(wanted)) {
  const threads = new WorkerEngine({ workerCount: 1 });
  await measure(`${threadName} in a thread, 10k series × ${STEPS} steps`, () =>
    threads.range(source, { ...range, query: threadQuery }),
  );
  await threads[Symbol.asyncDispose]();
}
const many = requestsSource({ seriesCount: INSTANT_SERIES, sampleCount: 20 });
for (const [name, query] of INSTANT_QUERIES)
  if (name.includes(wanted))
    await measure(`${name}, 100k series`, () =>
      here.instant(many, { query, timeMs: 20 * STEP_MS }),
    );

async function measure(name: string, run: () => Promise<QueryResult>): Promise<void> {
  const cpuRounds: number[] = [];
  const wallRounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now();
    const before = process.cpuUsage();
    const { value } = await run();
    const cpu = process.cpuUsage(before);
    wallRounds.push(performance.now() - startedMs);
    cpuRounds.push((cpu.user + cpu.system) / 1000);
    const count =
      value.kind === "matrix"
        ? value.series.length
        : value.kind === "vector"
          ? value.samples.length
          : 0;
    if (count === 0) throw new Error(`${name}: no result`);
  }
  report({ name: `engine: ${name}, CPU`, unit: "ms", ours: median(cpuRounds), better: "less" });
  console.log(`  wall: median ${median(wallRounds).toFixed(1)} ms`);
}

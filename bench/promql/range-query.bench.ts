import { Labels } from "../../src/model/labels.ts";
import { Engine } from "../../src/promql/engine.ts";
import type { QueryEngine } from "../../src/promql/engine.ts";
import { WorkerEngine } from "../../src/promql/worker-engine.ts";
import { MemorySource } from "./memory-source.ts";

/**
 * Range queries over 10,000 series × 480 samples (15 s apart), 240 steps of 15 s, evaluated in this process on one
 * thread, chunks decoded each time. Prints the median and the best of the rounds and the median
 * CPU time (which a busy machine disturbs less), in ms. Arguments: a part of the names to run.
 */
const SERIES = 10_000;
const SAMPLES = 480;
const STEP_MS = 15_000;
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

function fill(): MemorySource {
  const source = new MemorySource();
  const times = new Float64Array(SAMPLES);
  const values = new Float64Array(SAMPLES);
  let state = 1;
  const random = (): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
  for (let i = 0; i < SERIES; i++) {
    let total = Math.floor(random() * 1e6);
    // Each target is scraped at a place of its own within the interval, a few ms off.
    const offset = Math.floor(random() * STEP_MS);
    for (let k = 0; k < SAMPLES; k++) {
      times[k] = k * STEP_MS + offset + Math.floor(random() * 5);
      total = random() < 0.001 ? 0 : total + Math.floor(random() * 100);
      values[k] = total;
    }
    const labels = Labels.fromPairs([
      ["__name__", "requests_total"],
      ["job", `job-${i % 20}`],
      ["instance", `10.0.${i >> 8}.${i & 255}:9100`],
      ["code", String(200 + (i % 3))],
    ]);
    source.add(labels, times, values);
  }
  return source;
}

const source = fill();
const here = new Engine();
const threads = new WorkerEngine({ workerCount: 1 });
const wanted = process.argv[2] ?? "";
const endMs = SAMPLES * STEP_MS;
for (const [name, query] of QUERIES) {
  if (!name.includes(wanted)) continue;
  await measure(name, query, here);
}
if (wanted === "" || "in a thread".includes(wanted)) {
  const [name, query] = QUERIES[0]!;
  await measure(`${name} in a thread`, query, threads);
}
await threads[Symbol.asyncDispose]();

async function measure(name: string, query: string, engine: QueryEngine): Promise<void> {
  const rounds: number[] = [];
  const cpuRounds: number[] = [];
  let checksum = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now();
    const cpuBefore = process.cpuUsage();
    const result = await engine.range(source, {
      query,
      startMs: endMs - STEPS * STEP_MS,
      endMs: endMs - STEP_MS,
      stepMs: STEP_MS,
    });
    rounds.push(performance.now() - startedMs);
    const cpu = process.cpuUsage(cpuBefore);
    cpuRounds.push((cpu.user + cpu.system) / 1000);
    if (result.value.kind === "matrix")
      for (const series of result.value.series) checksum += series.values[0]!;
  }
  rounds.sort((a, b) => a - b);
  cpuRounds.sort((a, b) => a - b);
  const cpuMedian = cpuRounds[ROUNDS >> 1]!.toFixed(1);
  const median = rounds[ROUNDS >> 1]!.toFixed(1);
  console.log(
    `${name.padEnd(34)} median ${median.padStart(8)} ms   best ${rounds[0]!.toFixed(1).padStart(8)} ms   CPU ${cpuMedian.padStart(8)} ms   (first value ${checksum})`,
  );
}

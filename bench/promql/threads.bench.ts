/**
 * What evaluation threads add: queries answered a second by `--query.threads` 1 to n with as many queries at a time, beside as
 * many processes that have nothing to do with each other, which is all that the machine can give: its cores are often two
 * threads of one. Run: node bench/promql/threads.bench.ts
 */
import { spawn } from "node:child_process";
import { cpus } from "node:os";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { Engine, type QueryEngine } from "../../src/promql/engine.ts";
import { WorkerEngine } from "../../src/promql/worker-engine.ts";
import { report } from "../support/report.ts";
import { requestsSource, SOURCE_STEP_MS } from "./requests-source.ts";

const SERIES = 10_000;
const SAMPLES = 480;
const STEPS = 240;
const WARM_UP_MS = 3_000;
const MEASURED_MS = 5_000;

interface Figures {
  readonly perSecond: number;
  readonly cpuMsPerQuery: number;
}

/** Answers of `engine` to `concurrency` queries at a time. */
async function measure(engine: QueryEngine, concurrency: number): Promise<Figures> {
  const source = requestsSource({ seriesCount: SERIES, sampleCount: SAMPLES });
  const endMs = SAMPLES * SOURCE_STEP_MS;
  const startedMs = performance.now() + WARM_UP_MS;
  const stopMs = startedMs + MEASURED_MS;
  let count = 0;
  let cpu = process.cpuUsage();
  let isWarm = false;
  const ask = async (): Promise<void> => {
    while (performance.now() < stopMs) {
      await engine.range(source, {
        query: "sum by (job) (rate(requests_total[5m]))",
        startMs: endMs - STEPS * SOURCE_STEP_MS,
        endMs: endMs - SOURCE_STEP_MS,
        stepMs: SOURCE_STEP_MS,
      });
      if (performance.now() < startedMs) continue;
      if (!isWarm) cpu = process.cpuUsage();
      else count++;
      isWarm = true;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, ask));
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: (count * 1000) / (performance.now() - startedMs),
    cpuMsPerQuery: (user + system) / 1000 / count,
  };
}

/** The sum of `count` processes that evaluate beside each other. */
async function processes(count: number): Promise<Figures> {
  const all = await Promise.all(
    Array.from({ length: count }, async () => {
      const path = fileURLToPath(import.meta.url);
      const args = ["--disable-warning=ExperimentalWarning", path, "alone"];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      return JSON.parse(await text(child.stdout)) as Figures;
    }),
  );
  return {
    perSecond: all.reduce((sum, one) => sum + one.perSecond, 0),
    cpuMsPerQuery: all.reduce((sum, one) => sum + one.cpuMsPerQuery, 0) / count,
  };
}

if (process.argv[2] === "alone") console.log(JSON.stringify(await measure(new Engine(), 1)));
else {
  const ones = { threads: 0, processes: 0 };
  for (let count = 1; count <= Math.max(2, cpus().length); count *= 2) {
    const engine = new WorkerEngine({ workerCount: count });
    const threads = await measure(engine, count);
    await engine[Symbol.asyncDispose]();
    const apart = await processes(count);
    if (count === 1) {
      ones.threads = threads.perSecond;
      ones.processes = apart.perSecond;
    }
    report({
      name: `queries a second of ${count} evaluation threads, beside ${count} processes`,
      unit: "1/s",
      ours: threads.perSecond,
      peer: apart.perSecond,
      peerName: "processes",
      better: "more",
    });
    report({
      name: `CPU of a query on ${count} evaluation threads, beside ${count} processes`,
      unit: "ms",
      ours: threads.cpuMsPerQuery,
      peer: apart.cpuMsPerQuery,
      peerName: "processes",
      better: "less",
    });
    if (count === 1) continue;
    report({
      name: `${count} threads beside one`,
      unit: "×",
      ours: threads.perSecond / ones.threads,
      peer: apart.perSecond / ones.processes,
      peerName: "processes",
      better: "more",
      gate: "≥ 0.8 × the number of cores",
    });
  }
}

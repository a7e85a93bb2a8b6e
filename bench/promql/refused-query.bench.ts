import { messageOf } from "../../src/base/errors.ts";
import { Labels } from "../../src/model/labels.ts";
import { Engine } from "../../src/promql/engine.ts";
import { pushXorChunks } from "../../src/storage/xor-chunks.ts";
import { median, report } from "../support/report.ts";
import { MemorySource } from "./memory-source.ts";

/**
 * Queries of a billion points, 100,000 series × 10,000 steps of 1 s, which `--query.max-samples` refuses: the median CPU
 * time of the rounds in ms, and by how much the process grew. Samples are 15 s apart.
 */
const SERIES = 100_000;
const STEPS = 10_000;
const STEP_MS = 1000;
const INTERVAL_MS = 15_000;
const ROUNDS = 5;

const source = new MemorySource({ batchSize: 512 });
const times = Float64Array.from(
  { length: Math.ceil((STEPS * STEP_MS) / INTERVAL_MS) },
  (_, k) => k * INTERVAL_MS,
);
const chunks = pushXorChunks([], { times, values: times.map((timeMs) => timeMs / 5000) });
for (let i = 0; i < SERIES; i++)
  source.addChunks(Labels.fromObject({ __name__: "x", i: String(i) }), chunks);
const engine = new Engine();
const range = { startMs: 0, endMs: (STEPS - 1) * STEP_MS, stepMs: STEP_MS };
for (const query of ["x", "rate(x[5m])"]) {
  const cpuRounds: number[] = [];
  const bytesBefore = process.memoryUsage().rss;
  let grownBytes = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    const outcome = await engine.range(source, { ...range, query }).then(
      () => "answered",
      (error: unknown) => messageOf(error),
    );
    if (!outcome.includes("too many samples")) throw new Error(`${query}: ${outcome}`);
    const { user, system } = process.cpuUsage(before);
    cpuRounds.push((user + system) / 1000);
    grownBytes = Math.max(grownBytes, process.memoryUsage().rss - bytesBefore);
  }
  const name = `engine: ${query} of a billion points refused`;
  report({ name: `${name}, CPU`, unit: "ms", ours: median(cpuRounds), better: "less" });
  report({ name: `${name}, memory`, unit: "MB", ours: grownBytes / 1e6, better: "less" });
}

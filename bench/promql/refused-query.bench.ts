import { messageOf } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { Labels } from "../../src/model/labels.ts";
import { Engine, type RangeQuery } from "../../src/promql/engine.ts";
import { pushXorChunks } from "../../src/storage/xor-chunks.ts";
import { median, report } from "../support/report.ts";
import { MemorySource } from "./memory-source.ts";

/**
 * Queries of a billion points, 100,000 series × 10,000 steps, which `--query.max-samples` refuses: the median CPU time of the
 * rounds in ms, and by how much the process grew. Samples are 15 s apart, or a few ms more or less; steps 1 s, or 15 s as well.
 */
const SERIES = 100_000;
const STEPS = 10_000;
const INTERVAL_MS = 15_000;
const ROUNDS = 5;
/** So many series are made, and then copied. */
const DIFFERENT = 64;

const engine = new Engine();
for (const { stepMs, what } of [
  { stepMs: 1000, what: "a billion points" },
  { stepMs: INTERVAL_MS, what: "a billion samples" },
]) {
  const source = sourceOf(Math.ceil((STEPS * stepMs) / INTERVAL_MS));
  const range = { startMs: 0, endMs: (STEPS - 1) * stepMs, stepMs };
  for (const query of ["x", "rate(x[5m])"]) await measure(source, { query, ...range, what });
}

/** Counters of `count` samples, a few bytes each. */
function sourceOf(count: number): MemorySource {
  const random = seededRandom(count);
  const source = new MemorySource({ batchSize: 512, samples: true });
  const lists = Array.from({ length: DIFFERENT }, () => {
    const values = new Float64Array(count);
    for (let k = 0, value = random.next() * 1e6; k < count; k++)
      values[k] = value += Math.floor(random.next() * 100);
    const times = Float64Array.from(
      { length: count },
      (_, k) => k * INTERVAL_MS + (random.next() < 0.2 ? Math.floor(random.next() * 10) : 0),
    );
    return pushXorChunks([], { times, values });
  });
  for (let i = 0; i < SERIES; i++)
    source.addChunks(Labels.fromObject({ __name__: "x", i: String(i) }), lists[i % DIFFERENT]!);
  return source;
}

async function measure(
  source: MemorySource,
  { what, ...query }: RangeQuery & { query: string; what: string },
): Promise<void> {
  const cpuRounds: number[] = [];
  const bytesBefore = process.memoryUsage().rss;
  let grownBytes = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    const outcome = await engine.range(source, query).then(
      () => "answered",
      (error: unknown) => messageOf(error),
    );
    if (!outcome.includes("too many samples")) throw new Error(`${query.query}: ${outcome}`);
    const { user, system } = process.cpuUsage(before);
    cpuRounds.push((user + system) / 1000);
    grownBytes = Math.max(grownBytes, process.memoryUsage().rss - bytesBefore);
  }
  const name = `engine: ${query.query} of ${what} refused`;
  report({ name: `${name}, CPU`, unit: "ms", ours: median(cpuRounds), better: "less" });
  report({ name: `${name}, memory`, unit: "MB", ours: grownBytes / 1e6, better: "less" });
}

/**
 * The first query of a process, of a billion points, 100,000 series × 10,000 steps, or half of that over ten blocks of 50,000
 * series, which `--query.max-samples` refuses: asked over HTTP of a shard with all of it in its head, of one with blocks, and of
 * a query process that reads four shards. Medians of the rounds: how long it took, CPU time of all of the processes, and by how
 * much the one that answers grew at most.
 */
import { readFileSync, readdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type RunningProcess, sleep, startShoal } from "../../test/support/processes.ts";
import { firstValues, growth, labelsOf, SCRAPE_SAMPLES } from "../support/head-load.ts";
import { median, report } from "../support/report.ts";
import { openTimedDatabase } from "../support/timed-database.ts";

const ROUNDS = 3;
const HOUR = 3_600_000;
/** Within the lookback: each series has a point at each step. */
const INTERVAL_MS = 120_000;
/** Whatever a start leaves to be done is done by then. */
const QUIET_MS = 3000;
const SHARDS = 4;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (2 * HOUR));

interface Range {
  readonly startMs: number;
  readonly stepMs: number;
  readonly steps: number;
}

const headRange = { startMs: START + INTERVAL_MS, stepMs: 1000, steps: 10_000 };
const blockRange = { startMs: START + INTERVAL_MS, stepMs: 7000, steps: 11_000 };

const folder = mkdtempSync(join(tmpdir(), "shoal-bench-refused-"));
try {
  const head = await fill("head", { count: 100_000, endMs: endOf(headRange) });
  const blocks = await fill("blocks", { count: 50_000, endMs: endOf(blockRange) });
  const parts: string[] = [];
  for (let i = 0; i < SHARDS; i++)
    parts.push(
      await fill(`part-${i}`, { first: i * 25_000, count: 25_000, endMs: endOf(headRange) }),
    );
  for (const query of ["x", "rate(x[5m])", "x / x offset 5m", "max_over_time(rate(x[5m])[5m:1m])"])
    await measure(`a head, ${query}`, { query, ...headRange }, () => startShards([head]));
  await measure("ten blocks, x", { query: "x", ...blockRange }, () => startShards([blocks]));
  for (const query of ["x", "rate(x[5m])"])
    await measure(`four shards, ${query}`, { query, ...headRange }, () => startQuery(parts));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function endOf({ startMs, stepMs, steps }: Range): number {
  return startMs + (steps - 1) * stepMs;
}

/** A data folder with samples up to `endMs`: two hours in the head, and older ones in blocks. */
async function fill(
  name: string,
  { first = 0, count, endMs }: { first?: number; count: number; endMs: number },
): Promise<string> {
  let nowMs = START;
  const path = join(folder, name);
  const db = await openTimedDatabase(path, () => nowMs);
  const refs = Int32Array.from({ length: count }, (_, i) =>
    db.resolve(
      labelsOf(first + i)
        .with("__name__", "x")
        .with("id", String(first + i)),
    ),
  );
  const values = firstValues(count);
  for (let k = 0; nowMs <= endMs; k++, nowMs += INTERVAL_MS) {
    for (let from = 0; from < count; from += SCRAPE_SAMPLES) {
      const size = Math.min(SCRAPE_SAMPLES, count - from);
      for (let i = from; i < from + size; i++) values[i] = values[i]! + growth(i, k);
      const times = new Float64Array(size).fill(nowMs);
      const columns = { times, values: values.slice(from, from + size), count: size };
      await db.append({ refs: refs.subarray(from, from + size), ...columns });
    }
    if ((nowMs - START) % HOUR === 0) await db.maintain();
  }
  await db.close();
  return path;
}

/** The processes of one round; the first one is asked. */
async function startShards(
  paths: readonly string[],
  grpc = paths.map(() => "127.0.0.1:0"),
): Promise<RunningProcess[]> {
  return Promise.all(
    paths.map((path, i) =>
      startShoal({
        args: [
          "shard",
          `--shard.id=shard-${i}`,
          `--storage.tsdb.path=${path}`,
          "--storage.tsdb.retention.time=100y",
          `--grpc.address=${grpc[i]!}`,
          "--log.level=error",
        ],
      }),
    ),
  );
}

async function startQuery(paths: readonly string[]): Promise<RunningProcess[]> {
  const grpc = await Promise.all(paths.map(async () => `127.0.0.1:${await freePort()}`));
  const shards = await startShards(paths, grpc);
  const endpoints = grpc.map((address) => `--endpoint=${address}`);
  return [await startShoal({ args: ["query", ...endpoints, "--log.level=error"] }), ...shards];
}

async function measure(
  what: string,
  { query, startMs, stepMs, steps }: Range & { query: string },
  start: () => Promise<RunningProcess[]>,
): Promise<void> {
  const [wall, cpu, grown]: [number[], number[], number[]] = [[], [], []];
  const body = new URLSearchParams({
    query,
    start: String(startMs / 1000),
    end: String((startMs + (steps - 1) * stepMs) / 1000),
    step: String(stepMs / 1000),
  });
  for (let round = 0; round < ROUNDS; round++) {
    const processes = await start();
    const { url, pid } = processes[0]!;
    await sleep(QUIET_MS);
    const cpuMs = (): number => processes.reduce((sum, one) => sum + cpuMsOf(one.pid), 0);
    forgetPeak(pid);
    const [rss, before, startedMs] = [memoryMb(pid, "VmRSS"), cpuMs(), performance.now()];
    const response = await fetch(`${url}/api/v1/query_range`, { method: "POST", body });
    const text = await response.text();
    wall.push(performance.now() - startedMs);
    cpu.push(cpuMs() - before);
    grown.push(memoryMb(pid, "VmHWM") - rss);
    for (const one of processes) await one.stop();
    if (response.status !== 422 || !text.includes("too many samples"))
      throw new Error(`${what}: ${response.status} ${text}`);
    if (round === 0) console.log(`  ${(JSON.parse(text) as { error: string }).error}`);
  }
  const name = `first query, ${what}: refused`;
  report({
    name,
    unit: "ms",
    ours: median(wall),
    better: "less",
    gate: "≤ 200 ms, goal 120 ms",
  });
  report({ name: `${name}, CPU`, unit: "ms", ours: median(cpu), better: "less" });
  report({
    name: `${name}, memory`,
    unit: "MB",
    ours: Math.max(...grown),
    better: "less",
    gate: "≤ 50 MB",
  });
}

/** CPU time of all threads of a process that run. */
function cpuMsOf(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`))
    ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  return ns / 1e6;
}

function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

function memoryMb(pid: number, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return (Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024) / 1e6;
}

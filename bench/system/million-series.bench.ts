/**
 * An instant aggregation over a million series, time and peak RSS, beside a real Prometheus on the same block: a shard itself,
 * and a query process over this shard whose RSS counts with the shard's. Each has one core, and this client the other.
 * SHOAL_BENCH_SERIES: how many series. Default 1,000,000.
 */
import { once } from "node:events";
import { cpSync, createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import {
  freePort,
  type RunningProcess,
  runTool,
  startPrometheus,
  startShoal,
} from "../../test/support/processes.ts";
import { pin } from "../support/pin.ts";
import { median, report } from "../support/report.ts";

const SERIES = Number(process.env["SHOAL_BENCH_SERIES"] ?? 1_000_000);
/** Within a block: where one starts, both programs would have to merge two. */
const END_S = 1_700_006_385;
const QUERY = "sum by (job) (wide)";
const ROUNDS = 5;
/** Not counted: both programs get warm. */
const WARM_UPS = 2;
const MEGABYTE = 1e6;

const folder = mkdtempSync(join(tmpdir(), "shoal-bench-million-"));
const running: RunningProcess[] = [];
try {
  await writeOpenMetrics(join(folder, "data.om"));
  const source = join(folder, "data.om");
  runTool("promtool", [
    "tsdb",
    "create-blocks-from",
    "openmetrics",
    source,
    join(folder, "blocks"),
  ]);
  rmSync(source);
  cpSync(join(folder, "blocks"), join(folder, "shard"), { recursive: true });
  const prometheus = await measurePrometheus();
  const grpc = `127.0.0.1:${await freePort()}`;
  const shard = await start([
    "shard",
    "--shard.id=shard-0",
    `--storage.tsdb.path=${join(folder, "shard")}`,
    "--storage.tsdb.retention.time=100y",
    `--grpc.address=${grpc}`,
  ]);
  tell("a shard itself", await measure(shard.url, [shard]), prometheus);
  const query = await start(["query", `--endpoint=${grpc}`]);
  tell("a query over a shard", await measure(query.url, [query, shard]), prometheus);
} finally {
  for (const one of running.reverse()) await one.stop();
  rmSync(folder, { recursive: true, force: true });
}

interface Figures {
  readonly ms: number;
  readonly peakBytes: number;
  readonly answer: string;
}

async function start(args: readonly string[]): Promise<RunningProcess> {
  const started = await startShoal({ args: [...args, "--log.level=error"] });
  running.push(started);
  return started;
}

async function measurePrometheus(): Promise<Figures | undefined> {
  process.env["GOMAXPROCS"] = "1";
  const prometheus = await startPrometheus({
    config: "{}",
    dataFolder: join(folder, "blocks"),
    flags: ["--storage.tsdb.retention.time=100y"],
  });
  if (prometheus === undefined) return undefined;
  try {
    return await measure(prometheus.url, [prometheus]);
  } finally {
    await prometheus.stop();
  }
}

async function measure(url: string, processes: readonly RunningProcess[]): Promise<Figures> {
  const last = cpus().length - 1;
  for (const { pid } of processes) pin(pid, "0");
  pin(process.pid, String(last));
  const times: number[] = [];
  let answer = "";
  for (let round = -WARM_UPS; round < ROUNDS; round++) {
    const startedMs = performance.now();
    const body = new URLSearchParams({ query: QUERY, time: String(END_S) });
    const response = await fetch(`${url}/api/v1/query`, { method: "POST", body });
    answer = await response.text();
    if (!response.ok) throw new Error(`${url}: ${answer}`);
    if (round >= 0) times.push(performance.now() - startedMs);
  }
  const peakBytes = processes.reduce((total, { pid }) => total + peakRssBytes(pid), 0);
  return { ms: median(times), peakBytes, answer: sorted(answer) };
}

/** The series of an answer, whose order PromQL leaves open. */
function sorted(text: string): string {
  const { data }: { data: { result: unknown[] } } = JSON.parse(text);
  return data.result
    .map((series) => JSON.stringify(series))
    .sort()
    .join();
}

function tell(what: string, ours: Figures, theirs: Figures | undefined): void {
  if (theirs !== undefined && ours.answer !== theirs.answer)
    throw new Error(`${what} says ${ours.answer}, Prometheus ${theirs.answer}`);
  const name = `\`${QUERY}\`, instant, ${SERIES.toLocaleString("en")} series, one core, ${what}`;
  report({
    name,
    unit: "ms",
    ours: ours.ms,
    ...(theirs && { peer: theirs.ms }),
    better: "less",
    gate: "≥ 5×",
  });
  report({
    name: `${name}: peak RSS`,
    unit: "MB",
    ours: ours.peakBytes / MEGABYTE,
    ...(theirs && { peer: theirs.peakBytes / MEGABYTE }),
    better: "less",
    gate: "≥ 3×",
  });
}

function peakRssBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

/** Two samples a series, the newest at `END_S`. */
async function writeOpenMetrics(path: string): Promise<void> {
  const out = createWriteStream(path);
  for (let i = 0; i < SERIES; i++) {
    const pod = `app-${i % 499}-${(i * 7919) % 1_000_003}`;
    const labels = `cluster="c${i % 3}",container="main",instance="10.${i % 7}.${i % 251}.${i % 241}:9100",job="job-${i % 20}",namespace="team-${i % 97}",pod="${pod}"`;
    const line = `wide{${labels}} ${i % 1000} ${END_S - 15}\nwide{${labels}} ${(i % 1000) + 0.5} ${END_S}\n`;
    if (!out.write(line)) await once(out, "drain");
  }
  out.end("# EOF\n");
  await once(out, "finish");
}

/**
 * Range queries over HTTP beside a real Prometheus on the same data: 10,000 series × 480 samples, 240 steps of 15 s. Prometheus
 * reads a block that its own promtool made; Shoal's query process asks a shard process over gRPC. Rounds alternate.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runTool, startPrometheus, startShoal, stopProcess } from "../../test/support/processes.ts";
import { median, report } from "../support/report.ts";
import { SAMPLES, SERIES, START_MS, STEP_MS, seriesLabels, sampleValue } from "./range-data.ts";

/** Rounds that count, after those that warm both programs up: caches here and there, the JIT here. */
const ROUNDS = 15;
const WARM_UP_ROUNDS = 6;
const STEPS = 240;

const QUERIES = [
  { query: "sum by (job) (rate(bench_total[5m]))", gate: "≥ 3×" },
  { query: "sum by (job) (rate(bench_total[1h]))", gate: undefined },
  { query: "sum(bench_total)", gate: undefined },
  { query: 'rate(bench_total{job="job-3"}[5m])', gate: undefined },
] as const;

const folder = mkdtempSync(join(tmpdir(), "shoal-bench-range-"));
const stops: (() => Promise<void>)[] = [];
try {
  await writeOpenMetrics(join(folder, "data.om"));
  runTool("promtool", [
    "tsdb",
    "create-blocks-from",
    "openmetrics",
    "--max-block-duration=24h",
    join(folder, "data.om"),
    join(folder, "blocks"),
  ]);
  const prometheus = await startPrometheus({
    config: "{}",
    dataFolder: join(folder, "blocks"),
    flags: ["--storage.tsdb.retention.time=100y"],
  });

  if (prometheus !== undefined) stops.push(prometheus.stop);

  const shard = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      fileURLToPath(new URL("range-shard.ts", import.meta.url)),
      join(folder, "shard"),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  stops.push(() => stopProcess(shard));
  const [line] = (await once(shard.stdout, "data")) as [Buffer];
  const query = await startShoal({
    args: ["query", `--endpoint=${line.toString().trim()}`, "--log.level=error"],
  });
  stops.push(query.stop);
  const url = query.url;

  const endMs = START_MS + (SAMPLES - 1) * STEP_MS;
  const startMs = endMs - (STEPS - 1) * STEP_MS;
  for (const { query: text, gate } of QUERIES) {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
      const mine = await ask(url, text, { startMs, endMs });
      if (round >= 0) ours.push(mine.ms);
      if (prometheus === undefined) continue;
      const real = await ask(prometheus.url, text, { startMs, endMs });
      if (round >= 0) theirs.push(real.ms);
      if (round === -WARM_UP_ROUNDS) compare(text, mine.result, real.result);
    }
    report({
      name: `${text}, 10k series × ${STEPS} steps, HTTP`,
      unit: "ms",
      ours: median(ours),
      ...(theirs.length > 0 && { peer: median(theirs) }),
      better: "less",
      ...(gate !== undefined && { gate }),
    });
  }
} finally {
  for (const stop of stops.reverse()) await stop();
  rmSync(folder, { recursive: true, force: true });
}

async function ask(
  url: string,
  query: string,
  range: { startMs: number; endMs: number },
): Promise<{ ms: number; result: Map<string, unknown> }> {
  const body = new URLSearchParams({
    query,
    start: String(range.startMs / 1000),
    end: String(range.endMs / 1000),
    step: String(STEP_MS / 1000),
  });
  const startedMs = performance.now();
  const response = await fetch(`${url}/api/v1/query_range`, { method: "POST", body });
  const text = await response.text();
  const ms = performance.now() - startedMs;
  if (!response.ok) throw new Error(`${url}: ${text}`);
  const parsed: { data: { result: { metric: unknown; values: unknown }[] } } = JSON.parse(text);
  return {
    ms,
    result: new Map(
      parsed.data.result.map(({ metric, values }) => [JSON.stringify(metric), values]),
    ),
  };
}

/** The same series with the same numbers, bit for bit as text; a benchmark of a wrong answer is worth nothing. */
function compare(query: string, ours: Map<string, unknown>, theirs: Map<string, unknown>): void {
  if (ours.size !== theirs.size || ours.size === 0)
    throw new Error(`${query}: ${ours.size} series, Prometheus has ${theirs.size}`);
  for (const [metric, values] of theirs)
    if (JSON.stringify(ours.get(metric)) !== JSON.stringify(values))
      throw new Error(`${query}: ${metric} differs from Prometheus's`);
}

async function writeOpenMetrics(path: string): Promise<void> {
  const out = createWriteStream(path);
  out.write("# TYPE bench counter\n");
  for (let series = 0; series < SERIES; series++) {
    const labels = [...seriesLabels(series)]
      .filter(([name]) => name !== "__name__")
      .map(([name, value]) => `${name}="${value}"`)
      .join(",");
    let lines = "";
    for (let i = 0; i < SAMPLES; i++)
      lines += `bench_total{${labels}} ${sampleValue(series, i)} ${(START_MS + i * STEP_MS) / 1000}\n`;
    if (!out.write(lines)) await once(out, "drain");
  }
  out.end("# EOF\n");
  await once(out, "finish");
}

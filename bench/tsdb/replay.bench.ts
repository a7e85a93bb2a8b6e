/**
 * A start after a crash, beside a real Prometheus that starts on a copy of the same folder: a process fills a head, is killed
 * -9, and another one opens it. Samples a second by CPU time of all threads; memory beside what it was before the crash.
 * Run: node bench/tsdb/replay.bench.ts [series, default 300000]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { createLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import type { Head } from "../../src/tsdb/head.ts";
import { openHead } from "../../src/tsdb/open-head.ts";
import { cpuSeconds, rssBytes, startPrometheus } from "../../test/support/processes.ts";
import { firstValues, growth, labelsOf, SCRAPE_SAMPLES, STEP_MS } from "../support/head-load.ts";
import { report } from "../support/report.ts";

const SAMPLES = 120;

/** What a child says when it is done and waits to be killed. */
interface Done {
  readonly sampleCount: number;
}

function open(folder: string): Promise<Head> {
  return openHead({
    folder,
    logger: createLogger({ level: "error" }),
    clock: systemClock,
    registry: new Registry(),
    retentionMs: 86_400_000,
  });
}

/** The process that crashes. */
async function fill(folder: string, seriesCount: number): Promise<void> {
  const head = await open(folder);
  const refs = Int32Array.from({ length: seriesCount }, (_, i) => head.resolve(labelsOf(i)));
  const current = firstValues(seriesCount);
  const times = new Float64Array(SCRAPE_SAMPLES);
  const values = new Float64Array(SCRAPE_SAMPLES);
  const startMs = systemClock.now() - SAMPLES * STEP_MS;
  for (let k = 0; k < SAMPLES; k++)
    for (let from = 0; from < seriesCount; from += SCRAPE_SAMPLES) {
      const count = Math.min(SCRAPE_SAMPLES, seriesCount - from);
      times.fill(startMs + k * STEP_MS);
      for (let i = 0; i < count; i++)
        values[i] = current[from + i] = current[from + i]! + growth(from + i, k);
      await head.append({ refs: refs.subarray(from, from + count), times, values, count });
    }
  waitWith(head);
}

function waitWith(head: Head): void {
  const done: Done = { sampleCount: head.stats().sampleCount };
  console.log(JSON.stringify(done));
  setInterval(() => {}, 1e9);
}

/** Runs this file as another process until it is done; its CPU time and memory then. It is killed. */
async function run(
  ...args: readonly string[]
): Promise<Done & { cpuSeconds: number; rssBytes: number }> {
  const flags = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=16"];
  const child: ChildProcess = spawn(
    process.execPath,
    [...flags, fileURLToPath(import.meta.url), ...args],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const pid = child.pid!;
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  const done = JSON.parse(line.toString()) as Done;
  const figures = { ...done, cpuSeconds: cpuSeconds(pid), rssBytes: rssBytes(pid) };
  child.kill("SIGKILL");
  await once(child, "exit");
  return figures;
}

async function main(seriesCount: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "shoal-bench-replay-"));
  const [ours, theirs] = [join(folder, "ours"), join(folder, "theirs")];
  try {
    const before = await run("fill", ours, String(seriesCount));
    cpSync(ours, theirs, { recursive: true });
    rmSync(join(theirs, "lock"), { force: true });
    const after = await run("open", ours);
    if (after.sampleCount !== before.sampleCount || after.sampleCount !== seriesCount * SAMPLES)
      throw new Error(`${before.sampleCount} samples before, ${after.sampleCount} after`);
    const server = await startPrometheus({ dataFolder: theirs, readyTimeoutMs: 300_000 });
    let peer: { cpuSeconds: number; rssBytes: number } | undefined;
    if (server !== undefined) {
      peer = { cpuSeconds: cpuSeconds(server.pid), rssBytes: rssBytes(server.pid) };
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      const found = Number(/^prometheus_tsdb_head_series (\d+)/m.exec(metrics)?.[1]);
      if (found !== seriesCount) throw new Error(`Prometheus has ${found} series`);
      server.child.kill("SIGKILL");
      await server.stop();
    }
    const rate = (seconds: number): number => (seriesCount * SAMPLES) / seconds / 1e6;
    report({
      name: `replay of ${seriesCount} series × ${SAMPLES} samples, per core`,
      unit: "M samples/s",
      ours: rate(after.cpuSeconds),
      ...(peer === undefined ? {} : { peer: rate(peer.cpuSeconds) }),
      better: "more",
      gate: "≥ 1 M/s",
    });
    report({
      name: "RSS after replay, per series",
      unit: "B",
      ours: after.rssBytes / seriesCount,
      ...(peer === undefined ? {} : { peer: peer.rssBytes / seriesCount }),
      better: "less",
    });
    report({
      name: "RSS after replay, beside what it was before the crash",
      unit: "×",
      ours: after.rssBytes / before.rssBytes,
      better: "less",
      gate: "≤ 1.2×",
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [task, folder, count] = process.argv.slice(2);
if (task === "fill") await fill(folder!, Number(count));
else if (task === "open") waitWith(await open(folder!));
else await main(Number(task ?? 300_000));

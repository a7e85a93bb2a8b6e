import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Clock } from "../base/clock.ts";
import { createLogger, silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { decodeXor } from "../chunk/xor.ts";
import { Labels } from "../model/labels.ts";
import { createMatcher } from "../model/matcher.ts";
import type { Head } from "./head.ts";
import { openHead } from "./open-head.ts";

/**
 * kill -9 under load: this file is also the program that is killed. It appends scrapes, several at once, prints each
 * that was acknowledged, and is killed when the parent has seen a random number of them. Segments, retention and
 * checkpoints are small enough to be hit by many of the kills.
 */
const KILLS = Number(process.env["SHOAL_KILLS"] ?? 50);
const LANES = 2;
const TARGETS = 3;
const SERIES_PER_TARGET = 40;
const START = 1_700_000_000_000;
const STEP_MS = 1000;
const RETENTION_MS = 400 * STEP_MS;

function open(folder: string, now: () => number): Promise<Head> {
  const clock: Clock = {
    now,
    monotonic: () => performance.now(),
    after: () => () => {},
    sleep: () => Promise.resolve(),
  };
  return openHead({
    folder,
    clock,
    logger: process.argv[2] === "write" ? createLogger({ level: "error" }) : silentLogger,
    registry: new Registry(),
    retentionMs: RETENTION_MS,
    walSegmentBytes: 64 * 1024,
  });
}

function seriesOf(target: number, i: number): Labels {
  return Labels.fromObject({ __name__: "m", target: String(target), i: String(i) });
}

/** The program that gets killed: prints `target step` for each acknowledged scrape. */
async function write(folder: string, firstStep: number): Promise<void> {
  let step = firstStep;
  const head = await open(folder, () => START + step * STEP_MS);
  const refs = Array.from({ length: TARGETS }, (_, target) =>
    Int32Array.from({ length: SERIES_PER_TARGET }, (_, i) => head.resolve(seriesOf(target, i))),
  );
  const values = new Float64Array(SERIES_PER_TARGET);
  const times = new Float64Array(SERIES_PER_TARGET);
  for (; ; step++) {
    times.fill(START + step * STEP_MS);
    values.fill(step);
    await Promise.all(
      refs.map(async (column, target) => {
        const result = await head.append({ refs: column, times, values, count: column.length });
        if (result.appended === column.length) process.stdout.write(`${target} ${step}\n`);
        else throw new Error(`a scrape was refused: ${JSON.stringify(result)}`);
      }),
    );
    if (step % 50 === 0) void head.truncate();
  }
}

/** Runs the program until `ackLimit` scrapes were acknowledged, kills it, and notes the last one of each target. */
async function runAndKill(
  folder: string,
  task: { firstStep: number; ackLimit: number; acked: number[] },
): Promise<void> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(import.meta.url), "write", folder, String(task.firstStep)],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let errors = "";
  let rest = "";
  let count = 0;
  child.stderr.on("data", (bytes: Buffer) => (errors += bytes.toString()));
  child.stdout.on("data", (bytes: Buffer) => {
    const lines = (rest + bytes.toString()).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const [target, step] = line.split(" ").map(Number) as [number, number];
      task.acked[target] = step;
      count++;
    }
    if (count >= task.ackLimit) child.kill("SIGKILL");
  });
  const signal = await new Promise((resolve) => {
    child.on("close", (_code, name) => resolve(name));
  });
  assert.equal(signal, "SIGKILL", `the writer died by itself: ${errors}`);
  assert.equal(errors, "");
}

/** Checks that the folder holds each acknowledged scrape once and whole; returns the first step not in use. */
async function verify(folder: string, acked: readonly number[]): Promise<number> {
  const newest = Math.max(...acked);
  const head = await open(folder, () => START + newest * STEP_MS);
  const lastSteps = new Set<string>();
  const into = { times: new Float64Array(300), values: new Float64Array(300), offset: 0 };
  let next = newest + 1;
  let seriesCount = 0;
  const request = { minTimeMs: 0, maxTimeMs: Infinity };
  const matchers = [createMatcher("__name__", "=", "m")];
  for await (const batch of head.select({ matchers, ...request }))
    for (const series of batch.series) {
      const target = Number(series.labels.get("target"));
      let step = -1;
      let first = -1;
      for (const chunk of series.chunks) {
        const count = decodeXor(chunk.data, into);
        for (let i = 0; i < count; i++) {
          const now = (into.times[i]! - START) / STEP_MS;
          assert.equal(into.values[i], now);
          // Steps before a kill may be missing when they were not acknowledged, never inside a run.
          if (step >= 0) assert.equal(now, step + 1, "a sample is lost or twice there");
          else first = now;
          step = now;
        }
      }
      // The writer may have been further than it could tell, so its last step says what retention had to leave.
      const oldest = Math.max(0, step + 1 - RETENTION_MS / STEP_MS);
      assert.ok(first <= oldest, `${first} to ${step}; acknowledged was ${acked[target]}`);
      assert.ok(step >= acked[target]!, `target ${target}: ${step} < ${acked[target]}`);
      lastSteps.add(`${target} ${step}`);
      next = Math.max(next, step + 1);
      seriesCount++;
    }
  assert.equal(seriesCount, TARGETS * SERIES_PER_TARGET);
  assert.equal(lastSteps.size, TARGETS, "a scrape is there in part");
  await head.close();
  return next;
}

async function lane(seed: number): Promise<{ steps: number; checkpoints: number }> {
  const random = seededRandom(seed);
  const folder = await mkdtemp(join(tmpdir(), "head-crash-"));
  let firstStep = 0;
  try {
    const acked = Array.from({ length: TARGETS }, () => 0);
    for (let kill = 0; kill < KILLS / LANES; kill++) {
      await runAndKill(folder, { firstStep, ackLimit: 1 + randomInt(random, 300), acked });
      firstStep = await verify(folder, acked);
      // The targets are at most one step apart: let those behind catch up, so that steps stay without gaps.
      firstStep = await catchUp(folder, firstStep);
      acked.fill(firstStep - 1);
    }
    const names = await readdir(join(folder, "wal"));
    return {
      steps: firstStep,
      checkpoints: names.filter((name) => name.startsWith("checkpoint.")).length,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Appends the last step to the targets that were killed before it; a repeat of what is there changes nothing. */
async function catchUp(folder: string, next: number): Promise<number> {
  const head = await open(folder, () => START + next * STEP_MS);
  for (let target = 0; target < TARGETS; target++) {
    const refs = Int32Array.from({ length: SERIES_PER_TARGET }, (_, i) =>
      head.resolve(seriesOf(target, i)),
    );
    const times = new Float64Array(refs.length).fill(START + (next - 1) * STEP_MS);
    const values = new Float64Array(refs.length).fill(next - 1);
    const result = await head.append({ refs, times, values, count: refs.length });
    assert.equal(result.appended, refs.length);
  }
  await head.close();
  return next;
}

if (process.argv[2] === "write") await write(process.argv[3]!, Number(process.argv[4]));
else
  test(`${KILLS} kills under load lose nothing that was acknowledged`, async () => {
    const lanes = await Promise.all(Array.from({ length: LANES }, (_, i) => lane(i + 1)));
    for (const { steps, checkpoints } of lanes) {
      assert.ok(steps > (2 * RETENTION_MS) / STEP_MS, `only ${steps} steps`);
      assert.equal(checkpoints, 1);
    }
  });

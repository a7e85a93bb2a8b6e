import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createLogger, silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { FAILPOINTS } from "../block/writer.ts";
import { verifyBlock } from "../block/verify.ts";
import { createMatcher } from "../model/matcher.ts";
import { type Database, openDatabase } from "./database.ts";
import type { DatabaseStep } from "./database-maintenance.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";

/**
 * kill -9 at each step of cutting the head and merging blocks: this file is also the program that is killed. It appends
 * a sample a minute to some series, prints each minute that was acknowledged, maintains its blocks meanwhile, and kills
 * itself when maintenance gets to the step it was given for the n-th time.
 */
const ROUNDS = Number(process.env["SHOAL_CUT_ROUNDS"] ?? 1);
const STEPS: readonly DatabaseStep[] = [
  ...FAILPOINTS,
  "block-loaded",
  "before-truncation",
  "after-truncation",
  "parents-deleted",
];
const MINUTE = 60_000;
const RANGE_MS = 20 * MINUTE;
const START = 1_700_000_400_000 - (1_700_000_400_000 % (81 * RANGE_MS));
const SERIES = 12;

function open(
  folder: string,
  options: { clock: ReturnType<typeof stoppedClock>; onStep?: (step: DatabaseStep) => void },
): Promise<Database> {
  return openDatabase({
    folder,
    logger: process.argv[2] === "write" ? createLogger({ level: "error" }) : silentLogger,
    registry: new Registry(),
    retentionMs: 1e12,
    maxBlockMs: 9 * RANGE_MS,
    chunkRangeMs: RANGE_MS,
    walSegmentBytes: 64 * 1024,
    ...options,
  });
}

/** The program that kills itself. */
async function write(
  folder: string,
  task: { step: string; count: number; from: number },
): Promise<void> {
  const clock = stoppedClock(START);
  let left = task.count;
  const db = await open(folder, {
    clock,
    onStep(step) {
      if (step === task.step && --left === 0) process.kill(process.pid, "SIGKILL");
    },
  });
  for (let minute = task.from; minute < task.from + 100_000; minute++) {
    clock.nowMs = START + minute * MINUTE;
    const rows = Array.from({ length: SERIES }, (_, i) => {
      // Some series come and go.
      const name = i < 8 ? `m${i}` : `m${i}-${Math.floor(minute / 50)}`;
      return [db.resolve(labels({ __name__: name, i: String(i) })), clock.nowMs, minute] as const;
    });
    const result = await db.append(columns(rows));
    if (result.appended !== SERIES) throw new Error(`refused: ${JSON.stringify(result)}`);
    process.stdout.write(`${minute}\n`);
    if (minute % 7 === 0) void db.maintain();
    if (minute % 40 === 0) await db.maintain();
  }
}

/** Runs the program until it kills itself; the last minute it acknowledged. */
async function runUntilKilled(
  folder: string,
  task: { step: string; count: number; from: number },
): Promise<number> {
  const args = ["write", folder, task.step, String(task.count), String(task.from)];
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (errors += bytes.toString()));
  const timer = setTimeout(() => child.kill("SIGTERM"), 60_000);
  const signal = await new Promise((resolve) => {
    child.on("close", (_code, name) => resolve(name));
  });
  clearTimeout(timer);
  assert.equal(signal, "SIGKILL", `${task.step}: the writer ended otherwise: ${errors}`);
  assert.equal(errors, "");
  return Number(output.slice(0, output.lastIndexOf("\n")).split("\n").at(-1));
}

/** Checks that each acknowledged minute is there once, whole, in sound blocks; the first minute not in use. */
async function verify(folder: string, acked: number): Promise<number> {
  const db = await open(folder, { clock: stoppedClock(START + acked * MINUTE) });
  try {
    const perMinute = new Map<number, number>();
    for (const series of await read(db, [createMatcher("__name__", "=~", ".+")])) {
      let previous = -1;
      for (const [t, v] of samples(series)) {
        const minute = (t - START) / MINUTE;
        assert.equal(v, minute);
        assert.ok(minute > previous, "a sample is there twice");
        previous = minute;
        perMinute.set(minute, (perMinute.get(minute) ?? 0) + 1);
      }
    }
    const minutes = Math.max(...perMinute.keys()) + 1;
    assert.ok(minutes > acked, `${minutes} minutes are there, acknowledged was ${acked}`);
    for (let minute = 0; minute < minutes; minute++)
      assert.equal(perMinute.get(minute), SERIES, `minute ${minute} of ${minutes}`);
    const names = await readdir(folder);
    assert.deepEqual(
      names.filter((name) => name.includes(".tmp") || name === "quarantine"),
      [],
    );
    const blocks = db.blocks();
    for (let i = 1; i < blocks.length; i++)
      assert.ok(blocks[i - 1]!.maxTime <= blocks[i]!.minTime, "blocks overlap");
    for (const { ulid } of blocks)
      assert.deepEqual((await verifyBlock(join(folder, ulid))).problems, []);
    return minutes;
  } finally {
    await db.close();
  }
}

if (process.argv[2] === "write")
  await write(process.argv[3]!, {
    step: process.argv[4]!,
    count: Number(process.argv[5]),
    from: Number(process.argv[6]),
  });
else
  test(`a kill at each of ${STEPS.length} steps of cutting and merging loses and doubles nothing`, async () => {
    const random = seededRandom(20);
    let kills = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const folder = await mkdtemp(join(tmpdir(), "cut-crash-"));
      let from = 0;
      for (const step of STEPS) {
        // Only merges delete parents.
        const count = step === "parents-deleted" ? 1 : 1 + randomInt(random, 5);
        const acked = await runUntilKilled(folder, { step, count, from });
        from = await verify(folder, acked);
        kills++;
      }
      await rm(folder, { recursive: true });
    }
    assert.equal(kills, STEPS.length * ROUNDS);
  });

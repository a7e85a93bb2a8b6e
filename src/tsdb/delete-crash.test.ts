import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createLogger, silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { createMatcher } from "../model/matcher.ts";
import { type Database, openDatabase } from "./database.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";

/**
 * kill -9 while samples are deleted: this file is also the program that is killed. It appends a sample a minute to some
 * series, deletes stretches of them, cleans tombstones and maintains its blocks, and prints each step before and after
 * it is done. What was acknowledged is there, what was deleted is not, and nothing else is missing.
 */
const KILLS = Number(process.env["SHOAL_KILLS"] ?? 5);
const MINUTE = 60_000;
const RANGE_MS = 20 * MINUTE;
const START = 1_700_000_400_000 - (1_700_000_400_000 % (81 * RANGE_MS));
const SERIES = 5;

function open(folder: string, clock: ReturnType<typeof stoppedClock>): Promise<Database> {
  return openDatabase({
    folder,
    clock,
    logger: process.argv[2] === "write" ? createLogger({ level: "error" }) : silentLogger,
    registry: new Registry(),
    retentionMs: 1e12,
    maxBlockMs: 9 * RANGE_MS,
    chunkRangeMs: RANGE_MS,
    walSegmentBytes: 32 * 1024,
  });
}

/** The program that gets killed. */
async function write(
  folder: string,
  { from, seed }: { from: number; seed: number },
): Promise<void> {
  const random = seededRandom(seed);
  const clock = stoppedClock(START + from * MINUTE);
  const db = await open(folder, clock);
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  for (let minute = from; ; minute++) {
    clock.nowMs = START + minute * MINUTE;
    const rows = Array.from({ length: SERIES }, (_, i) => {
      const ref = db.resolve(labels({ __name__: "m", i: String(i) }));
      return [ref, clock.nowMs, minute] as const;
    });
    const result = await db.append(columns(rows));
    if (result.appended !== SERIES) throw new Error(`refused: ${JSON.stringify(result)}`);
    say(`minute ${minute}`);
    if (minute % 9 === 0) {
      const i = randomInt(random, SERIES);
      const first = randomInt(random, minute);
      const last = Math.min(minute, first + randomInt(random, 60));
      const range = `${i} ${first} ${last}`;
      say(`deleting ${range}`);
      await db.deleteSeries({
        matchers: [createMatcher("i", "=", String(i))],
        minTimeMs: START + first * MINUTE,
        maxTimeMs: START + last * MINUTE,
      });
      say(`deleted ${range}`);
    }
    if (minute % 40 === 0) await db.maintain();
    if (minute % 110 === 0) await db.cleanTombstones();
  }
}

interface Said {
  minute: number;
  /** `series minute` of each sample whose deletion was acknowledged. */
  readonly deleted: Set<string>;
  /** Told of, not yet acknowledged. */
  deleting: string | undefined;
}

async function runAndKill(
  folder: string,
  task: { from: number; seed: number; lines: number },
  said: Said,
): Promise<void> {
  const args = ["write", folder, String(task.from), String(task.seed)];
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [errors, rest, count] = ["", "", 0];
  child.stderr.on("data", (bytes: Buffer) => (errors += bytes.toString()));
  child.stdout.on("data", (bytes: Buffer) => {
    const lines = (rest + bytes.toString()).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const at = line.indexOf(" ");
      const [what, text] = [line.slice(0, at), line.slice(at + 1)];
      if (what === "minute") said.minute = Number(text);
      else if (what === "deleting") said.deleting = text;
      else {
        for (const sample of samplesOf(text)) said.deleted.add(sample);
        said.deleting = undefined;
      }
      if (++count === task.lines) child.kill("SIGKILL");
    }
  });
  const signal = await new Promise((resolve) => {
    child.on("close", (_code, name) => resolve(name));
  });
  assert.equal(signal, "SIGKILL", `the writer died by itself: ${errors}`);
  assert.equal(errors, "");
}

/** The samples, as `series minute`, of what was said as `series first last`. */
function samplesOf(text: string): string[] {
  const [i, first, last] = text.split(" ").map(Number) as [number, number, number];
  return Array.from({ length: last - first + 1 }, (_, k) => `${i} ${first + k}`);
}

/** Checks what is there; the first minute not in use. */
async function verify(folder: string, said: Said): Promise<number> {
  const db = await open(folder, stoppedClock(START + said.minute * MINUTE));
  try {
    const found = new Set<string>();
    let newest = said.minute;
    for (const series of await read(db, [createMatcher("__name__", "=", "m")]))
      for (const [t, v] of samples(series)) {
        const minute = (t - START) / MINUTE;
        assert.equal(v, minute);
        found.add(`${series.labels.get("i")} ${minute}`);
        newest = Math.max(newest, minute);
      }
    const doubtful = new Set(said.deleting === undefined ? [] : samplesOf(said.deleting));
    for (let i = 0; i < SERIES; i++)
      for (let minute = 0; minute <= said.minute; minute++) {
        const sample = `${i} ${minute}`;
        if (said.deleted.has(sample)) assert.ok(!found.has(sample), `${sample} is back`);
        else assert.ok(found.has(sample) || doubtful.has(sample), `${sample} is lost`);
      }
    // It may have been done, or not, or in part: from now on it is.
    if (said.deleting !== undefined) {
      const [i, first, last] = said.deleting.split(" ") as [string, string, string];
      await db.deleteSeries({
        matchers: [createMatcher("i", "=", i)],
        minTimeMs: START + Number(first) * MINUTE,
        maxTimeMs: START + Number(last) * MINUTE,
      });
      for (const sample of doubtful) said.deleted.add(sample);
      said.deleting = undefined;
    }
    // More may have been done than could be told; the next run goes on after it.
    for (let minute = said.minute + 1; minute <= newest; minute++)
      for (let i = 0; i < SERIES; i++) assert.ok(found.has(`${i} ${minute}`));
    said.minute = newest;
    return newest + 1;
  } finally {
    await db.close();
  }
}

if (process.argv[2] === "write")
  await write(process.argv[3]!, { from: Number(process.argv[4]), seed: Number(process.argv[5]) });
else
  test(`${KILLS} kills while deleting lose nothing and bring nothing back`, async () => {
    const random = seededRandom(31);
    const folder = await mkdtemp(join(tmpdir(), "delete-crash-"));
    const said: Said = { minute: -1, deleted: new Set(), deleting: undefined };
    let from = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const lines = 20 + randomInt(random, 200);
      await runAndKill(folder, { from, seed: kill, lines }, said);
      from = await verify(folder, said);
    }
    assert.ok(said.deleted.size >= KILLS);
    await rm(folder, { recursive: true });
  });

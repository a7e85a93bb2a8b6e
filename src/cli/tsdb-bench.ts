import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../base/clock.ts";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { createLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { Labels } from "../model/labels.ts";
import { openDatabase } from "../tsdb/database.ts";
import { blockFolders } from "../tsdb/read-only.ts";
import { ProgressBar } from "./progress-bar.ts";

export interface BenchWriteFlags {
  readonly out: string;
  readonly metrics: number;
  readonly scrapes: number;
  readonly json?: boolean;
}

interface BenchFigures {
  readonly series: number;
  readonly scrapes: number;
  readonly samples: number;
  readonly samplesPerSecond: number;
  readonly readSeconds: number;
  readonly ingestSeconds: number;
  readonly stopSeconds: number;
  /** Of all threads, while samples were taken. */
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  readonly blocks: number;
}

/** As promtool's: a scrape every 30 s from time 0 on, and so many series in one append. */
const SCRAPE_INTERVAL_MS = 30_000;
const BATCH_SERIES = 1000;
const FIRST_VALUE = 123_456_789;
const VALUE_STEP = 1000;
/** After so many scrapes, 50 minutes, the values begin anew, and blocks are cut if they are due. */
const ROUND_SCRAPES = 100;
const RETENTION_MS = 15 * 86_400_000;

/** `tsdb bench write`: how fast a database takes samples of the series in a file, or of made-up ones. */
export async function benchWrite(file: string | undefined, flags: BenchWriteFlags): Promise<void> {
  const { metrics, scrapes } = flags;
  const folder = join(flags.out, "storage");
  await checkEmpty(folder);
  const say = (line: string): void => {
    if (flags.json !== true) console.log(line);
  };
  const timed = async <T>(stage: string, act: () => Promise<T>): Promise<[T, number]> => {
    say(`>> start stage=${stage}`);
    const started = systemClock.monotonic();
    const result = await act();
    const seconds = (systemClock.monotonic() - started) / 1000;
    say(`>> completed stage=${stage} duration=${seconds.toFixed(3)}s`);
    return [result, seconds];
  };
  const [series, readSeconds] = await timed("readData", () => readSeries(file, metrics));
  let timeMs = 0;
  // The time is that of the samples.
  const clock: Clock = {
    now: () => timeMs,
    monotonic: () => systemClock.monotonic(),
    after: (delayMs, act) => systemClock.after(delayMs, act),
    sleep: (delayMs, signal) => systemClock.sleep(delayMs, signal),
  };
  const database = await openDatabase({
    folder,
    clock,
    logger: createLogger({ level: "error" }),
    registry: new Registry(),
    retentionMs: RETENTION_MS,
  });
  const progress = new ProgressBar(process.stderr);
  const cpuBefore = process.cpuUsage();
  const ingest = async (): Promise<number> => {
    const batches = batchesOf(series.map((labels) => database.resolve(labels)));
    let samples = 0;
    try {
      for (let scrape = 1; scrape <= scrapes; scrape++) {
        timeMs = scrape * SCRAPE_INTERVAL_MS;
        const results = batches.map(({ refs, times, values }) => {
          times.fill(timeMs);
          values.fill(FIRST_VALUE + (((scrape - 1) % ROUND_SCRAPES) + 1) * VALUE_STEP);
          return database.append({ refs, times, values, count: refs.length });
        });
        for (const { appended } of await Promise.all(results)) samples += appended;
        progress.show(scrape / scrapes);
        // On the side, as in a shard; errors are logged.
        if (scrape % ROUND_SCRAPES === 0) void database.maintain();
      }
    } finally {
      progress.clear();
    }
    return samples;
  };
  try {
    const [samples, ingestSeconds] = await timed("ingestScrapes", ingest);
    const cpu = process.cpuUsage(cpuBefore);
    const rssBytes = process.memoryUsage.rss();
    say(` > total samples: ${samples}`);
    say(` > samples/sec: ${Math.round(samples / ingestSeconds)}`);
    const [, stopSeconds] = await timed("stopStorage", () => database.close());
    const figures: BenchFigures = {
      series: series.length,
      scrapes,
      samples,
      samplesPerSecond: Math.round(samples / ingestSeconds),
      readSeconds,
      ingestSeconds,
      stopSeconds,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      rssBytes,
      blocks: (await blockFolders(folder)).length,
    };
    if (flags.json === true) console.log(JSON.stringify(figures));
    if (samples !== series.length * scrapes)
      throw new AppError(
        "internal",
        `cannot vouch for the figures: ${series.length * scrapes - samples} samples were refused`,
      );
  } finally {
    await database.close();
  }
}

async function checkEmpty(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return [];
    throw new AppError("unavailable", `cannot read ${folder}: ${messageOf(error)}`);
  });
  if (names.length > 0)
    throw new AppError(
      "already-exists",
      `cannot run the benchmark: ${folder} is not empty; delete it or choose another --out`,
    );
}

/** The first `count` series of a file with one JSON object of labels a line; without a file, as many made-up ones. */
async function readSeries(file: string | undefined, count: number): Promise<readonly Labels[]> {
  if (file === undefined)
    return Array.from({ length: count }, (_, i) =>
      Labels.fromObject({
        __name__: `bench_${i % 100}_total`,
        instance: `10.0.${Math.floor(i / 25_600)}.${Math.floor(i / 100) % 256}:9100`,
        job: "bench",
        series: String(i),
      }),
    );
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new AppError("not-found", `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  });
  const found = new Map<string, Labels>();
  for (const [i, line] of text.split("\n").entries()) {
    if (found.size === count) break;
    if (line.trim() === "") continue;
    const labels = labelsOf(line);
    if (labels === undefined)
      throw new AppError(
        "bad-data",
        `cannot read ${file}:${i + 1}: it is no JSON object of labels, like {"__name__":"up","job":"a"}`,
      );
    found.set(labels.toString(), labels);
  }
  if (found.size === 0) throw new AppError("bad-data", `cannot read ${file}: it has no series`);
  return [...found.values()];
}

function labelsOf(line: string): Labels | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
    const pairs = Object.entries(parsed);
    if (pairs.length === 0) return undefined;
    const texts = pairs.filter((pair): pair is [string, string] => typeof pair[1] === "string");
    return texts.length < pairs.length ? undefined : Labels.fromPairs(texts);
  } catch {
    return undefined;
  }
}

function batchesOf(refs: readonly number[]): {
  refs: Int32Array;
  times: Float64Array;
  values: Float64Array;
}[] {
  const batches = [];
  for (let from = 0; from < refs.length; from += BATCH_SERIES) {
    const part = Int32Array.from(refs.slice(from, from + BATCH_SERIES));
    const [times, values] = [new Float64Array(part.length), new Float64Array(part.length)];
    batches.push({ refs: part, times, values });
  }
  return batches;
}

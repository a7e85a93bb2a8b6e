/**
 * One data folder, two programs: what Shoal has written a real Prometheus answers from, log and blocks, floats and native histograms,
 * and the other way round. Generated queries, the answers of the API compared.
 */
import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import {
  type RunningProcess,
  skipWithoutParts,
  startPrometheus,
  temporaryFolder,
} from "../../test/support/processes.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { seededRandom } from "../base/random.ts";
import { Engine } from "../promql/engine.ts";
import { answerOf, type ApiAnswer, differenceOf, normalize } from "../api/query/answers.fixture.ts";
import { INTERVAL_MS, START_MS } from "../promql/testing/float-data.ts";
import { QueryGenerator } from "../promql/testing/float-queries.ts";
import { PHASE, SAMPLES } from "../promql/testing/histogram-data.ts";
import { HistogramQueryGenerator, isMeanOfGauges } from "../promql/testing/histogram-queries.ts";
import { appendAll, createMixedData } from "../promql/testing/mixed-data.fixture.ts";
import { remoteWrite } from "../promql/testing/remote-write.fixture.ts";
import { type Database, openDatabase } from "./database.ts";
import { stoppedClock } from "./testing/head-fixture.ts";

const SEED = Number(process.env["SHOAL_FUZZ_SEED"] ?? 1);
/** Of floats and of histograms each. */
const QUERIES = 100;
const HOUR_MS = 3_600_000;
const AT_MS = START_MS + 120 * INTERVAL_MS;
const RANGE = { startMs: START_MS - 60_000, endMs: START_MS + HOUR_MS, stepMs: 97_000 };
const root = temporaryFolder("real-queries");
after(() => rmSync(root, { recursive: true, force: true }));

/** Which of equals these choose depends in Prometheus on the order of a Go map. */
const CHOICES = /topk|bottomk|limitk/;

function queries(): string[] {
  const floats = new QueryGenerator(seededRandom(SEED));
  const histograms = new HistogramQueryGenerator(seededRandom(SEED));
  const some = (next: () => string, fits: (query: string) => boolean): string[] => {
    const found: string[] = [];
    while (found.length < QUERIES) {
      const query = next();
      if (fits(query)) found.push(query);
    }
    return found;
  };
  return [
    ...some(
      () => floats.vector(2),
      (query) => !CHOICES.test(query),
    ),
    ...some(
      () => histograms.vector(2),
      (query) => !CHOICES.test(query) && !isMeanOfGauges(query),
    ),
  ];
}

function open(folder: string): Promise<Database> {
  return openDatabase({
    folder,
    logger: silentLogger,
    clock: stoppedClock(START_MS + 2 * HOUR_MS),
    registry: new Registry(),
    retentionMs: 1e12,
    chunkRangeMs: HOUR_MS / 4,
  });
}

function startOn(dataFolder: string): Promise<RunningProcess | undefined> {
  return startPrometheus({
    config: "global: {evaluation_interval: 1m}\n",
    dataFolder,
    flags: [
      "--storage.tsdb.retention.time=100y",
      "--web.enable-remote-write-receiver",
      "--enable-feature=promql-experimental-functions,native-histograms",
    ],
  });
}

type Answers = Map<string, [instant: ApiAnswer, range: ApiAnswer]>;

async function ours(folder: string): Promise<Answers> {
  const db = await open(folder);
  const engine = new Engine({ parser: { experimentalFunctions: true } });
  const answers: Answers = new Map();
  for (const query of queries())
    answers.set(query, [
      await answerOf(() => engine.instant(db, { query, timeMs: AT_MS })),
      await answerOf(() => engine.range(db, { query, ...RANGE })),
    ]);
  await db.close();
  return answers;
}

async function theirs(url: string, asked: readonly string[]): Promise<Answers> {
  const ask = async (path: string, parameters: Record<string, string>): Promise<ApiAnswer> => {
    const body = new URLSearchParams(parameters);
    const response = await fetch(`${url}/api/v1/${path}`, { method: "POST", body });
    return (await response.json()) as ApiAnswer;
  };
  const seconds = (ms: number): string => String(ms / 1000);
  const [start, end, step] = [RANGE.startMs, RANGE.endMs, RANGE.stepMs].map(seconds);
  const answers: Answers = new Map();
  for (const query of asked)
    answers.set(query, [
      await ask("query", { query, time: seconds(AT_MS) }),
      await ask("query_range", { query, start: start!, end: end!, step: step! }),
    ]);
  return answers;
}

/** By query, where answers differ. */
function differences(own: Answers, other: Answers): Map<string, string> {
  const wrong = new Map<string, string>();
  for (const [query, answers] of other)
    for (const [i, answer] of answers.entries()) {
      const found = differenceOf(normalize(own.get(query)![i]!), normalize(answer));
      if (found !== undefined)
        wrong.set(query, `${i === 0 ? "instant" : "range"} ${query} ${found}`);
    }
  return wrong;
}

/**
 * 3.5 hands out histograms that it goes on to write into for other queries, so now and then an answer is wrong: what counts is a
 * difference that a fresh process on `folder` still shows.
 */
async function compare(own: Answers, other: Answers, folder: string): Promise<void> {
  const lasting: string[] = [];
  for (const query of differences(own, other).keys()) {
    const prometheus = (await startOn(folder))!;
    try {
      lasting.push(...differences(own, await theirs(prometheus.url, [query])).values());
    } finally {
      await prometheus.stop();
    }
  }
  assert.equal(own.size, other.size);
  const filled = [...own.values()].filter((answers) =>
    JSON.stringify(answers).includes('"metric"'),
  );
  assert.ok(filled.length > QUERIES, `only ${filled.length} answers have series`);
  assert.equal(lasting.length, 0, `${lasting.length} differences\n${lasting.join("\n")}`);
}

describe(`${2 * QUERIES} queries of one data folder`, { skip: skipWithoutParts() }, () => {
  test("that Shoal has written, blocks and log", async () => {
    const folder = join(root, "ours");
    const db = await open(folder);
    await appendAll(db, createMixedData());
    await db.maintain();
    assert.ok(db.blocks().length > 0);
    await db.close();
    const copy = join(root, "copy");
    cpSync(folder, copy, { recursive: true });
    rmSync(join(copy, "lock"), { force: true });
    const prometheus = (await startOn(copy))!;
    const found = await theirs(prometheus.url, queries());
    await prometheus.stop();
    await compare(await ours(folder), found, copy);
  });

  test("that Prometheus has written", async () => {
    const folder = join(root, "theirs");
    const data = createMixedData();
    const prometheus = (await startOn(folder))!;
    // It takes the floats of a request before its histograms: no series may have both.
    for (let phase = 0; phase < SAMPLES / PHASE; phase++) {
      const fromMs = START_MS + phase * PHASE * INTERVAL_MS;
      const toMs = phase + 1 < SAMPLES / PHASE ? fromMs + PHASE * INTERVAL_MS : Infinity;
      await remoteWrite(
        prometheus.url,
        data.map(({ labels, samples }) => ({
          labels,
          samples: samples.filter(({ timeMs }) => timeMs >= fromMs && timeMs < toMs),
        })),
      );
    }
    const found = await theirs(prometheus.url, queries());
    await prometheus.stop();
    const copy = join(root, "their copy");
    cpSync(folder, copy, { recursive: true });
    await compare(await ours(folder), found, copy);
  });
});

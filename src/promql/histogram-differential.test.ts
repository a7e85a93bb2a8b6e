import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import {
  type RunningProcess,
  skipWithoutParts,
  startPrometheus,
  temporaryFolder,
} from "../../test/support/processes.ts";
import { renderQueryResult } from "../api/query/render.ts";
import { AppError } from "../base/errors.ts";
import { seededRandom } from "../base/random.ts";
import { isStaleHistogram } from "../model/histogram.ts";
import { Labels } from "../model/labels.ts";
import { Engine } from "./engine.ts";
import type { QueryResult } from "./result.ts";
import {
  createHistogramData,
  INTERVAL_MS,
  PHASE,
  SAMPLES,
  START_MS,
} from "./testing/histogram-data.ts";
import {
  HISTOGRAM_QUERIES,
  HistogramQueryGenerator,
  isMeanOfGauges,
} from "./testing/histogram-queries.ts";
import { MemoryStorage } from "./testing/memory-storage.ts";
import { remoteWrite } from "./testing/remote-write.fixture.ts";

/**
 * The same native histograms in a real Prometheus and in memory, the same queries to both, the answers compared as the
 * API's JSON. What Prometheus 3.5 does not know yet (trimming, bounds reconciled, compensated sums) is not asked, or
 * allowed for.
 */
const MIDDLE_MS = START_MS + 120 * INTERVAL_MS;

/** Compensated sums differ from plain ones in their last digits. */
const TOLERANCE = 1e-9;

/** What only newer versions say. */
const NEWER_NOTES = /conflicting counter resets|mismatched custom buckets|sort is ineffective/;

/** Whether messages name the metric, and where they point, has changed since. */
function withoutPlace(note: string): string {
  return note.replace(/(?: for metric name "[^"]*")? \(\d+:\d+\)$/, "");
}

interface Answer {
  status: string;
  errorType?: string;
  error?: string;
  data?: { resultType: string; result: unknown };
  warnings?: string[];
  infos?: string[];
}

/** Series in order of their labels; notes in order, without those that only newer versions know. */
function normalize(answer: Answer): unknown[] {
  const told = [...(answer.warnings ?? []), ...(answer.infos ?? [])]
    .filter((note) => !NEWER_NOTES.test(note))
    .map(withoutPlace);
  const notes = [...new Set(told)].sort();
  if (answer.status !== "success")
    return [answer.errorType, answer.error?.replace('invalid parameter "query": ', "")];
  const { resultType, result } = answer.data!;
  if (resultType !== "vector" && resultType !== "matrix") return [resultType, result, notes];
  const series = (result as { metric: Record<string, string> }[]).map((one) => ({
    key: Labels.fromObject(one.metric).toString(),
    ...one,
  }));
  series.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return [resultType, series, notes];
}

/** The first place where two answers differ by more than rounding; undefined when there is none. */
function differenceOf(ours: unknown, theirs: unknown, path = ""): string | undefined {
  if (Array.isArray(ours) && Array.isArray(theirs) && ours.length === theirs.length) {
    for (const [i, one] of ours.entries()) {
      const found = differenceOf(one, theirs[i], `${path}/${i}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (isObject(ours) && isObject(theirs)) {
    for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
      const [one, other] = [ours[key], theirs[key]].map(key === "buckets" ? withoutEmpty : same);
      const found = differenceOf(one, other, `${path}/${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (ours === theirs || isNear(ours, theirs)) return undefined;
  const show = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 500);
  return `${path}\n    Shoal:      ${show(ours)}\n    Prometheus: ${show(theirs)}`;
}

const same = (value: unknown): unknown => value;

/** A bucket that should be empty may hold what rounding left in it. */
function withoutEmpty(buckets: unknown): unknown {
  if (!Array.isArray(buckets)) return buckets;
  return buckets.filter((bucket: unknown[]) => !isNear(bucket[3], "0"));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNear(ours: unknown, theirs: unknown): boolean {
  if (typeof ours !== "string" || typeof theirs !== "string") return false;
  const a = Number(ours);
  const b = Number(theirs);
  return Math.abs(a - b) <= TOLERANCE * Math.max(Math.abs(a), Math.abs(b), 1e-3);
}

async function answerOf(evaluate: () => Promise<QueryResult>): Promise<Answer> {
  try {
    const pieces = renderQueryResult(await evaluate(), { limit: 0, stats: false });
    return JSON.parse(Buffer.concat([...pieces]).toString()) as Answer;
  } catch (thrown) {
    const { code, message } = AppError.from(thrown);
    const errorType = code === "bad-data" ? "bad_data" : code;
    return { status: "error", errorType, error: message };
  }
}

describe("native histograms against a real Prometheus", { skip: skipWithoutParts() }, () => {
  const storage = new MemoryStorage();
  const engine = new Engine({ parser: { experimentalFunctions: true } });
  let prometheus: RunningProcess | undefined;
  let folder = "";

  before(async () => {
    const data = createHistogramData();
    for (const { labels, samples } of data)
      for (const { timeMs, value } of samples)
        if (typeof value === "number") storage.append(labels, timeMs, value);
        else if (isStaleHistogram(value)) storage.appendStale(labels, timeMs);
        else storage.appendHistogram(labels, timeMs, value);
    folder = temporaryFolder("histogram-differential");
    prometheus = await start();
    // Prometheus takes the floats of a request before its histograms: no series may have both.
    for (
      let from = START_MS;
      from < START_MS + SAMPLES * INTERVAL_MS;
      from += PHASE * INTERVAL_MS
    ) {
      const to = from + PHASE * INTERVAL_MS;
      await remoteWrite(
        prometheus!.url,
        data.map(({ labels, samples }) => ({
          labels,
          samples: samples.filter(({ timeMs }) => timeMs >= from && timeMs < to),
        })),
      );
    }
  });
  after(async () => {
    await prometheus?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function ask(path: string, parameters: Record<string, string>): Promise<Answer> {
    const body = new URLSearchParams(parameters);
    const response = await fetch(`${prometheus!.url}/api/v1/${path}`, { method: "POST", body });
    return (await response.json()) as Answer;
  }

  async function differences(query: string): Promise<string[]> {
    const wrong: string[] = [];
    const check = (what: string, ours: Answer, theirs: Answer): void => {
      const found = differenceOf(normalize(ours), normalize(theirs));
      if (found !== undefined) wrong.push(`${what} ${query} ${found}`);
    };
    const at = { query, timeMs: MIDDLE_MS };
    const ours = await answerOf(() => engine.instant(storage.queryable, at));
    check("instant", ours, await ask("query", { query, time: String(MIDDLE_MS / 1000) }));
    const range = { startMs: START_MS - 60_000, endMs: START_MS + 60 * 60_000, stepMs: 67_000 };
    const ourRange = await answerOf(() => engine.range(storage.queryable, { query, ...range }));
    const theirRange = await ask("query_range", {
      query,
      start: String(range.startMs / 1000),
      end: String(range.endMs / 1000),
      step: String(range.stepMs / 1000),
    });
    check("range", ourRange, theirRange);
    return wrong;
  }

  /**
   * 3.5 hands out histograms that it goes on to write into for other queries, so now and then an answer is wrong: what
   * counts is a difference that a fresh process still shows.
   */
  async function lastingDifferences(query: string): Promise<string[]> {
    if ((await differences(query)).length === 0) return [];
    await prometheus!.stop();
    prometheus = await start();
    return differences(query);
  }

  function start(): Promise<RunningProcess | undefined> {
    return startPrometheus({
      config: "global: {evaluation_interval: 1m}\n",
      dataFolder: folder,
      flags: [
        "--storage.tsdb.retention.time=100y",
        "--web.enable-remote-write-receiver",
        "--enable-feature=promql-experimental-functions,native-histograms",
      ],
    });
  }

  test("generated queries", async () => {
    const seed = Number(process.env["SHOAL_FUZZ_SEED"] ?? 1);
    const count = Number(process.env["SHOAL_FUZZ_QUERIES"] ?? 400);
    const generator = new HistogramQueryGenerator(seededRandom(seed));
    const wrong: string[] = [];
    for (let i = 0; i < count; i++) {
      const query = generator.vector(3);
      if (!isMeanOfGauges(query)) wrong.push(...(await lastingDifferences(query)));
    }
    assert.equal(wrong.length, 0, `seed ${seed}: ${wrong.length} differences\n${wrong.join("\n")}`);
  });

  for (const [group, queries] of Object.entries(HISTOGRAM_QUERIES)) {
    test(group, async () => {
      const wrong: string[] = [];
      for (const query of queries) wrong.push(...(await lastingDifferences(query)));
      assert.equal(wrong.length, 0, `${wrong.length} differences\n${wrong.join("\n")}`);
    });
  }
});

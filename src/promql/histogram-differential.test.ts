import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import {
  type RunningProcess,
  skipWithoutParts,
  startPrometheus,
  temporaryFolder,
} from "../../test/support/processes.ts";
import { seededRandom } from "../base/random.ts";
import { isStaleHistogram } from "../model/histogram.ts";
import { Engine } from "./engine.ts";
import { answerOf, type ApiAnswer, differenceOf, normalize } from "../api/query/answers.fixture.ts";
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

  async function ask(path: string, parameters: Record<string, string>): Promise<ApiAnswer> {
    const body = new URLSearchParams(parameters);
    const response = await fetch(`${prometheus!.url}/api/v1/${path}`, { method: "POST", body });
    return (await response.json()) as ApiAnswer;
  }

  async function differences(query: string): Promise<string[]> {
    const wrong: string[] = [];
    const check = (what: string, ours: ApiAnswer, theirs: ApiAnswer): void => {
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

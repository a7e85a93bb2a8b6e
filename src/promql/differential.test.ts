import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { MemorySource } from "../../bench/promql/memory-source.ts";
import {
  type RunningProcess,
  runTool,
  skipWithoutParts,
  startPrometheus,
  temporaryFolder,
} from "../../test/support/processes.ts";
import { AppError } from "../base/errors.ts";
import { formatFixed, formatSampleValue } from "../base/float.ts";
import { seededRandom } from "../base/random.ts";
import { Labels } from "../model/labels.ts";
import { Engine } from "./engine.ts";
import { comparable } from "../api/query/answers.fixture.ts";
import { QUERIES, QueryGenerator } from "./testing/float-queries.ts";
import type { QueryResult } from "./result.ts";
import { createFloatData, INTERVAL_MS, START_MS, type TestSeries } from "./testing/float-data.ts";

/**
 * The same samples in a real Prometheus and in memory, the same queries to both: values equal to the last bit, the
 * same errors, the same annotations. What Prometheus 3.5 does not know or does differently is not asked here.
 */

/** OpenMetrics text with timestamps, families together, as promtool wants it. */
function openMetrics(data: readonly TestSeries[]): string {
  const lines: string[] = [];
  let family = "";
  const byFamily = [...data].sort((a, b) =>
    a.labels.get("__name__") < b.labels.get("__name__") ? -1 : 1,
  );
  for (const { labels, times, values } of byFamily) {
    const name = labels.get("__name__");
    if (name !== family) lines.push(`# TYPE ${name} unknown`);
    family = name;
    const rest = labels.without(["__name__"]).toString().replaceAll(", ", ",");
    for (const [i, time] of times.entries())
      lines.push(`${name}${rest} ${formatSampleValue(values[i]!)} ${(time / 1000).toFixed(3)}`);
  }
  return `${lines.join("\n")}\n# EOF\n`;
}

interface ApiAnswer {
  status: "success" | "error";
  data?: { resultType: string; result: unknown };
  errorType?: string;
  error?: string;
  warnings?: string[];
  infos?: string[];
}

type ApiSeries = {
  metric: Record<string, string>;
  value?: [number, string];
  values?: [number, string][];
};

/** Prometheus 3.5 looks for several matches of one element only among those a comparison keeps; newer ones do not. */
const NEWER_ERROR = "multiple matches for labels";

/**
 * Whether two lines differ only in the last digits of some numbers. Sums over the results of functions come out so,
 * because Prometheus adds them up in random order.
 */
function isNear(a: string, b: string, tolerance: number): boolean {
  const left = a.split(/[ =]/);
  const right = b.split(/[ =]/);
  return (
    left.length === right.length &&
    left.every((text, i) => {
      const other = right[i]!;
      if (text === other) return true;
      const x = Number(text);
      const y = Number(other);
      return Math.abs(x - y) <= tolerance * Math.max(Math.abs(x), Math.abs(y), 1e-3);
    })
  );
}

/** Both sides in one comparable form: a line per series, values as shortest decimal text, so equal text is equal bits. */
function fromApi(answer: ApiAnswer): string[] {
  if (answer.status === "error")
    return [`error ${answer.errorType}: ${comparable(answer.error ?? "")}`];
  const { resultType, result } = answer.data!;
  const notes = [...(answer.warnings ?? []), ...(answer.infos ?? [])].sort();
  if (resultType === "scalar" || resultType === "string") {
    const [time, value] = result as [number, string];
    return [`${resultType} ${time * 1000} ${value}`, ...notes];
  }
  const lines = (result as ApiSeries[]).map(({ metric, value, values }) => {
    const points = values ?? [value!];
    return `${Labels.fromObject(metric).toString()} ${points.map(([t, v]) => `${Math.round(t * 1000)}=${v}`).join(" ")}`;
  });
  return [resultType, ...lines.sort(), ...notes];
}

function fromEngine(result: QueryResult): string[] {
  const { value } = result;
  const notes = [...result.warnings, ...result.infos].sort();
  switch (value.kind) {
    case "scalar":
      return [`scalar ${value.timeMs} ${formatFixed(value.value)}`, ...notes];
    case "string":
      return [`string ${value.timeMs} ${value.value}`, ...notes];
    case "vector": {
      const lines = value.samples.map(
        (sample) =>
          `${sample.labels.toString()} ${value.timeMs}=${formatSampleValue(sample.value)}`,
      );
      return ["vector", ...lines.sort(), ...notes];
    }
    case "matrix": {
      const lines = value.series.map(({ labels, times, values }) => {
        const points = Array.from(times, (t, i) => `${t}=${formatSampleValue(values[i]!)}`);
        return `${labels.toString()} ${points.join(" ")}`;
      });
      return ["matrix", ...lines.sort(), ...notes];
    }
  }
}

async function ourAnswer(evaluate: () => Promise<QueryResult>): Promise<string[]> {
  try {
    return fromEngine(await evaluate());
  } catch (thrown) {
    const error = AppError.from(thrown);
    const type = error.code === "bad-data" ? "bad_data" : error.code;
    return [`error ${type}: ${comparable(error.message)}`];
  }
}

const SEED = Number(process.env["SHOAL_FUZZ_SEED"] ?? 1);

/** With two equals to choose from, a wrong "different" every one in 2^16 queries that have them. */
const CHOICE_ATTEMPTS = 16;

describe("engine against a real Prometheus", { skip: skipWithoutParts() }, () => {
  const source = new MemorySource({ batchSize: 7 });
  const engine = new Engine({
    parser: { experimentalFunctions: true },
  });
  let prometheus: RunningProcess | undefined;
  let folder = "";

  before(async () => {
    const data = createFloatData();
    for (const { labels, times, values } of data)
      source.add(labels, Float64Array.from(times), Float64Array.from(values));
    folder = temporaryFolder("differential");
    const text = join(folder, "samples.txt");
    const dataFolder = join(folder, "data");
    mkdirSync(dataFolder);
    writeFileSync(text, openMetrics(data));
    runTool("promtool", ["tsdb", "create-blocks-from", "openmetrics", text, dataFolder]);
    prometheus = await startPrometheus({
      config: "global: {evaluation_interval: 1m}\n",
      dataFolder,
      flags: [
        "--storage.tsdb.retention.time=100y",
        "--enable-feature=promql-experimental-functions",
      ],
    });
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

  const middleMs = START_MS + 120 * INTERVAL_MS;

  /** Where the answers to `query` differ, at one moment and over a range; empty when they do not. */
  async function differences(query: string, tolerance = 0): Promise<string[]> {
    const wrong: string[] = [];
    const check = (what: string, ours: string[], theirs: string[]): void => {
      const isSame = (line: string, i: number): boolean =>
        line === theirs[i] || (tolerance > 0 && isNear(line, theirs[i] ?? "", tolerance));
      if (ours.length === theirs.length && ours.every(isSame)) return;
      const index = ours.findIndex((line, i) => !isSame(line, i));
      const at = index < 0 ? ours.length : index;
      wrong.push(
        `${what}\n    Shoal:      ${(ours[at] ?? "(nothing)").slice(0, 600)}\n    Prometheus: ${(theirs[at] ?? "(nothing)").slice(0, 600)}`,
      );
    };
    const ours = await ourAnswer(() => engine.instant(source, { query, timeMs: middleMs }));
    const theirs = await ask("query", { query, time: String(middleMs / 1000) });
    check(`instant ${query}`, ours, fromApi(theirs));
    const range = { startMs: START_MS - 60_000, endMs: START_MS + 70 * 60_000, stepMs: 97_000 };
    const ourRange = await ourAnswer(() => engine.range(source, { query, ...range }));
    const theirRange = await ask("query_range", {
      query,
      start: String(range.startMs / 1000),
      end: String(range.endMs / 1000),
      step: String(range.stepMs / 1000),
    });
    check(`range ${query}`, ourRange, fromApi(theirRange));
    return wrong;
  }

  /**
   * Which of equals topk, bottomk and limitk choose depends in Prometheus on the order of a Go map, so its answer changes
   * from call to call: such a query differs only when none of several answers is ours.
   */
  async function lastingDifferences(query: string): Promise<string[]> {
    const attempts = /topk|bottomk|limitk/.test(query) ? CHOICE_ATTEMPTS : 1;
    // Deviations of values as large as timestamps have lost half of their digits before.
    const tolerance = /stddev|stdvar/.test(query) ? 1e-6 : 1e-9;
    let wrong: string[] = [];
    for (let i = 0; i < attempts; i++) {
      const found = await differences(query, tolerance);
      wrong = found.filter((difference) => !difference.includes(NEWER_ERROR));
      if (wrong.length === 0) break;
    }
    return wrong;
  }

  test("generated queries", async () => {
    const count = Number(process.env["SHOAL_FUZZ_QUERIES"] ?? 1700);
    const generator = new QueryGenerator(seededRandom(SEED));
    const wrong: string[] = [];
    for (let i = 0; i < count; i++) {
      wrong.push(...(await lastingDifferences(generator.vector(3))));
    }
    assert.equal(wrong.length, 0, `seed ${SEED}: ${wrong.length} differences\n${wrong.join("\n")}`);
  });
  test("generated calculations", async () => {
    const generator = new QueryGenerator(seededRandom(SEED));
    const wrong: string[] = [];
    for (let i = 0; i < 300; i++) wrong.push(...(await differences(generator.calculation(i % 4))));
    assert.equal(wrong.length, 0, `seed ${SEED}: ${wrong.length} differences\n${wrong.join("\n")}`);
  });
  for (const [group, queries] of Object.entries(QUERIES)) {
    test(group, async () => {
      const wrong: string[] = [];
      for (const query of queries) wrong.push(...(await differences(query)));
      assert.equal(wrong.length, 0, `${wrong.length} differences\n${wrong.join("\n")}`);
    });
  }
});

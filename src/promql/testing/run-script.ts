/** Runs promqltest scripts: loads their series, evaluates their queries, and compares. */
import { selectorsOf } from "../selectors.ts";
import { messageOf } from "../../base/errors.ts";
import type { FloatHistogram } from "../../model/histogram.ts";
import { formatSeries, type Labels } from "../../model/labels.ts";
import type { Queryable } from "../../storage/queryable.ts";
import type { Expression } from "../ast.ts";
import { printExpression } from "../printer.ts";
import type { QueryResult, QueryValue, VectorSample } from "../result.ts";
import { convertClassicHistograms } from "./classic-histograms.ts";
import { compareResult } from "./compare.ts";
import { pin } from "./repetitions.ts";
import {
  parseScript,
  SCRIPT_PARSER_OPTIONS,
  type AnnotationExpectation,
  type EvalCommand,
  type LoadCommand,
} from "./script.ts";

/** Where a script's series go. Samples of one series come in time order. */
export interface TestStorage {
  readonly queryable: Queryable;
  append(labels: Labels, timeMs: number, value: number, startTimeMs?: number): void;
  appendStale(labels: Labels, timeMs: number): void;
  /** Absent where the storage cannot hold native histograms; evals over them then fail and say so. */
  appendHistogram?(
    labels: Labels,
    timeMs: number,
    histogram: FloatHistogram,
    startTimeMs?: number,
  ): void;
  /** Called once at the end and at every `clear`. */
  close?(): Promise<void>;
}

/** What evaluates: `Engine` fits. It must be set up as `SCRIPT_ENGINE_OPTIONS` says. */
export interface ScriptEngine {
  instant(
    queryable: Queryable,
    query: { readonly query: string; readonly timeMs: number },
  ): Promise<QueryResult>;
  range(
    queryable: Queryable,
    query: {
      readonly query: string;
      readonly startMs: number;
      readonly endMs: number;
      readonly stepMs: number;
    },
  ): Promise<QueryResult>;
}

/** The engine's settings that scripts are written for. */
export const SCRIPT_ENGINE_OPTIONS = {
  lookbackMs: 300_000,
  // Prometheus's runner has 10,000, but does not count the chunks that a short window reads.
  maxSamples: 50_000_000,
  timeoutMs: 100_000,
  subqueryStepMs: 60_000,
  delayedNameRemoval: true,
  startTimes: true,
  parser: SCRIPT_PARSER_OPTIONS,
} as const;

export interface ScriptSetup {
  readonly engine: ScriptEngine;
  openStorage(): TestStorage;
}

export interface EvalOutcome {
  readonly line: number;
  readonly text: string;
  /** Why it failed, in lines; undefined when it passed. */
  readonly failure: readonly string[] | undefined;
}

/**
 * Runs the script `text` and tells of every eval, and of every load that failed, in order. Throws `bad-data` when the
 * script itself is not one.
 */
export async function runScript(
  text: string,
  file: string,
  setup: ScriptSetup,
): Promise<EvalOutcome[]> {
  const commands = parseScript(text, file);
  const outcomes: EvalOutcome[] = [];
  let run = new Run(setup);
  try {
    for (const command of commands) {
      if (command.kind === "clear") {
        await run.close();
        run = new Run(setup);
      } else if (command.kind === "load") {
        const failure = run.load(command);
        if (failure !== undefined)
          outcomes.push({ line: command.line, text: "load", failure: [failure] });
      } else {
        const failure = await run.evaluate(command);
        outcomes.push({ line: command.line, text: command.text, failure });
      }
    }
  } finally {
    await run.close();
  }
  return outcomes;
}

/** What lies between two `clear`s. */
class Run {
  readonly #engine: ScriptEngine;
  readonly #storage: TestStorage;
  /** Series whose histograms the storage could not take. */
  readonly #leftOut = new Map<string, Labels>();

  constructor(setup: ScriptSetup) {
    this.#engine = setup.engine;
    this.#storage = setup.openStorage();
  }

  async close(): Promise<void> {
    await this.#storage.close?.();
  }

  /** Why the load failed, if it did. */
  load(command: LoadCommand): string | undefined {
    try {
      // Of a series named twice the later line counts.
      const series = new Map(command.series.map((one) => [one.labels.key(), one]));
      for (const { labels, items, startOffsetsMs } of series.values()) {
        for (const [i, item] of items.entries()) {
          const timeMs = i * command.gapMs;
          const startOffsetMs = startOffsetsMs?.[i];
          const startTimeMs = startOffsetMs === undefined ? undefined : timeMs + startOffsetMs;
          if (item.kind === "float") this.#storage.append(labels, timeMs, item.value, startTimeMs);
          else if (item.kind === "stale") this.#storage.appendStale(labels, timeMs);
          else if (item.kind === "histogram")
            this.#appendHistogram(labels, { timeMs, histogram: item.histogram, startTimeMs });
        }
      }
      if (command.withCustomBuckets)
        for (const { labels, timeMs, histogram } of convertClassicHistograms(command)) {
          this.#appendHistogram(labels, { timeMs, histogram, startTimeMs: undefined });
        }
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  #appendHistogram(
    labels: Labels,
    sample: { timeMs: number; histogram: FloatHistogram; startTimeMs: number | undefined },
  ): void {
    if (this.#storage.appendHistogram === undefined) this.#leftOut.set(labels.key(), labels);
    else this.#storage.appendHistogram(labels, sample.timeMs, sample.histogram, sample.startTimeMs);
  }

  /** Why the eval failed, if it did. */
  async evaluate(command: EvalCommand): Promise<readonly string[] | undefined> {
    const leftOut = this.#selectsLeftOut(command.expression);
    if (leftOut !== undefined)
      return [`native histograms are needed: ${formatSeries(leftOut)} holds them`];
    if (command.isRange) return this.#evaluateRange(command);
    const direct = await this.#evaluateInstant(command, command.text, command.timeMs);
    if (direct !== undefined) return direct;
    const pinned = pin(command.expression, command.timeMs);
    if (pinned === undefined) return undefined;
    const text = printExpression(pinned.expression);
    for (const timeMs of pinned.timesMs) {
      const failure = await this.#evaluateInstant(command, text, timeMs);
      if (failure !== undefined) return [`repeated as ${text} at ${timeMs} ms:`, ...failure];
    }
    return undefined;
  }

  async #evaluateRange(command: EvalCommand): Promise<readonly string[] | undefined> {
    const { startMs, endMs, stepMs } = command;
    const result = await attempt(() =>
      this.#engine.range(this.#storage.queryable, { query: command.text, startMs, endMs, stepMs }),
    );
    return judge(command, result);
  }

  async #evaluateInstant(
    command: EvalCommand,
    query: string,
    timeMs: number,
  ): Promise<readonly string[] | undefined> {
    const { queryable } = this.#storage;
    const result = await attempt(() => this.#engine.instant(queryable, { query, timeMs }));
    const failure = judge(command, result);
    if (failure !== undefined || "error" in result || !repeatsAsRange(command, query, result.value))
      return failure;
    const minuteMs = 60_000;
    const ranged = await attempt(() =>
      this.#engine.range(queryable, {
        query,
        startMs: timeMs - minuteMs,
        endMs: timeMs + minuteMs,
        stepMs: minuteMs,
      }),
    );
    const difference =
      "error" in ranged
        ? [`unexpected error: ${ranged.error}`]
        : compareMiddle(command, { instant: result.value, ranged: ranged.value, timeMs });
    return difference && [`repeated as a range query around ${timeMs} ms:`, ...difference];
  }

  /** A series that `expression` selects and the storage does not have as it should. */
  #selectsLeftOut(expression: Expression): Labels | undefined {
    if (this.#leftOut.size === 0) return undefined;
    for (const matchers of selectorsOf(expression))
      for (const labels of this.#leftOut.values())
        if (matchers.every((matcher) => matcher.matches(labels.get(matcher.name)))) return labels;
    return undefined;
  }
}

type Attempt = QueryResult | { readonly error: string };

async function attempt(query: () => Promise<QueryResult>): Promise<Attempt> {
  try {
    return await query();
  } catch (error) {
    return { error: messageOf(error) };
  }
}

function judge(command: EvalCommand, result: Attempt): readonly string[] | undefined {
  const { failure } = command;
  if ("error" in result) {
    if (failure === undefined) return [`unexpected error: ${result.error}`];
    if (failure.matches(result.error)) return undefined;
    return [`- error ${failure.description}`, `+ error ${JSON.stringify(result.error)}`];
  }
  if (failure !== undefined) return [`- error ${failure.description}`, "+ no error"];
  return (
    judgeAnnotations("warning", command.warnings, result.warnings) ??
    judgeAnnotations("info", command.infos, result.infos) ??
    compareResult(command, result.value)
  );
}

function judgeAnnotations(
  kind: "warning" | "info",
  { some, none }: AnnotationExpectation,
  annotations: readonly string[],
): readonly string[] | undefined {
  const got = annotations.map((text) => `+ ${kind} ${JSON.stringify(text)}`);
  if (none) return got.length === 0 ? undefined : [`- no ${kind}`, ...got];
  if (some.length === 0) return undefined;
  const missing = some.filter((one) => !annotations.some((text) => one.matches(text)));
  const extra = annotations.filter((text) => !some.some((one) => one.matches(text)));
  if (missing.length === 0 && extra.length === 0) return undefined;
  return [
    ...some.map(({ description }) => `- ${kind} ${description}`),
    ...(got.length === 0 ? [`+ no ${kind}`] : got),
  ];
}

/** A query without a fixed value at its own time, or with a result that a range query cannot have, is not repeated. */
function repeatsAsRange(command: EvalCommand, query: string, value: QueryValue): boolean {
  return (
    command.expected.kind !== "rangeVector" &&
    command.expected.kind !== "string" &&
    value.kind !== "string" &&
    value.kind !== "matrix" &&
    !/(?:start|end|range|step)\(\)/.test(query)
  );
}

/** Compares the middle step of a range query as if it were the instant query's result. */
function compareMiddle(
  command: EvalCommand,
  results: { instant: QueryValue; ranged: QueryValue; timeMs: number },
): readonly string[] | undefined {
  const { instant, ranged, timeMs } = results;
  if (ranged.kind !== "matrix") return [`  a matrix was expected, but got a ${ranged.kind}`];
  const samples: VectorSample[] = [];
  for (const { labels, times, values, histogramTimes, histograms } of ranged.series) {
    const i = times.indexOf(timeMs);
    if (i >= 0) samples.push({ labels, value: values[i]! });
    const j = histogramTimes?.indexOf(timeMs) ?? -1;
    if (j >= 0) samples.push({ labels, value: 0, histogram: histograms![j]! });
  }
  if (instant.kind !== "scalar")
    return compareResult(command, { kind: "vector", timeMs, samples }, false);
  const [sample] = samples;
  if (sample === undefined) return ["  a scalar was expected at the middle step, but it is empty"];
  return compareResult(command, { kind: "scalar", timeMs, value: sample.value });
}

import { AppError } from "../base/errors.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import { compareLabels, Labels } from "../model/labels.ts";
import type { Queryable } from "../storage/queryable.ts";
import { Trace } from "./analysis.ts";
import { Annotations } from "./annotations.ts";
import { typeOf, type Expression } from "./ast.ts";
import { Budget } from "./budget.ts";
import { Deadline } from "./deadline.ts";
import { bareWindows } from "./operators/bare-windows.ts";
import { buildScalar, buildVector, buildWindows } from "./operators/build.ts";
import { collect } from "./operators/collect.ts";
import { duplicateLabelsError, mergeEqualRows } from "./operators/merge.ts";
import {
  ABSENT,
  countPoints,
  FLOAT,
  HISTOGRAM,
  selectorKey,
  withoutMetadata,
  type PushdownContext,
  type QueryContext,
  type Row,
} from "./operators/row.ts";
import type { HistogramColumn } from "./operators/histogram-column.ts";
import { steadySort } from "./operators/steady-sort.ts";
import { parseExpression, type ParserOptions } from "./parser.ts";
import { planNodes, planQuery, planType, type Frame, type Plan } from "./plan.ts";
import { FEATURES } from "./pushdown/features.ts";
import {
  type MatrixSeries,
  NOTHING_READ,
  type QueryResult,
  type QueryStats,
  type QueryValue,
  type VectorSample,
} from "./result.ts";
import { SampleCounts } from "./sample-counts.ts";
import { Slots } from "./slots.ts";

/** How an engine evaluates; every field has a default (Prometheus's flag in brackets). */
export interface EngineOptions {
  /** How far an instant selector looks back, ms. Default 5 min (`--query.lookback-delta`). */
  readonly lookbackMs?: number;
  /** Samples one query may hold in memory. Default 50 million (`--query.max-samples`). */
  readonly maxSamples?: number;
  /** Series one query may read, each selector's counted. Default 10 million. */
  readonly maxSeries?: number;
  /** Bytes of encoded chunks one query may read. Default 4 GiB. */
  readonly maxBytes?: number;
  /** Bytes of labels one query may make. Default 64 MiB. */
  readonly maxLabelBytes?: number;
  /** Bytes of one label value that a query makes, at most 256 MiB: no text has twice that. Default 1 MiB. */
  readonly maxLabelValueBytes?: number;
  /** Default 2 min (`--query.timeout`). */
  readonly timeoutMs?: number;
  /** Steps of a range query after its first. Default 11,000, as in Prometheus's HTTP API. */
  readonly maxPoints?: number;
  /** Step of a subquery that names none: the global evaluation interval. Default 1 min. */
  readonly subqueryStepMs?: number;
  /** Queries evaluated at the same time; more wait, and their clients take turns. Default 20 (`--query.max-concurrency`). */
  readonly maxConcurrency?: number;
  /** Drop `__name__` at the end of the query only (`--enable-feature=promql-delayed-name-removal`). Default off. */
  readonly delayedNameRemoval?: boolean;
  /** Let start times take part in rates (`--enable-feature=use-start-timestamps`). Default off. */
  readonly startTimes?: boolean;
  /** Experimental parts of the language, all off by default. */
  readonly parser?: ParserOptions;
  readonly clock?: Clock;
}

export interface InstantQuery {
  readonly query: string | Expression;
  readonly timeMs: number;
  readonly lookbackMs?: number;
  /** Never above the engine's own. */
  readonly timeoutMs?: number;
  /** Whether the result says what each part of the query took. Default: no. */
  readonly analyze?: boolean;
  /** Whether the statistics say how many samples each step looked at. Default: no. */
  readonly countSamples?: boolean;
  readonly signal?: AbortSignal;
  /** Who asks: clients whose queries wait take turns. */
  readonly client?: string;
  /** Told what a query took that was begun and is not answered. */
  readonly onFailed?: (stats: QueryStats) => void;
  /** For evaluations in another thread: a shared word that ends this one, even within a long loop, when not 0. */
  readonly stopFlag?: Int32Array;
}

export interface RangeQuery {
  readonly query: string | Expression;
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  /** Above 0. */
  readonly stepMs: number;
  readonly lookbackMs?: number;
  readonly timeoutMs?: number;
  /** Whether the result says what each part of the query took. Default: no. */
  readonly analyze?: boolean;
  /** Whether the statistics say how many samples each step looked at. Default: no. */
  readonly countSamples?: boolean;
  readonly signal?: AbortSignal;
  /** Who asks: clients whose queries wait take turns. */
  readonly client?: string;
  /** Told what a query took that was begun and is not answered. */
  readonly onFailed?: (stats: QueryStats) => void;
  /** For evaluations in another thread: a shared word that ends this one, even within a long loop, when not 0. */
  readonly stopFlag?: Int32Array;
}

/** What evaluates queries: an `Engine` in this thread, or a `WorkerEngine` in others. */
export interface QueryEngine {
  /** The value at one moment: a scalar, a string, a vector, or a matrix for a range selector. */
  instant(queryable: Queryable, query: InstantQuery): Promise<QueryResult>;
  /** The values at `startMs`, `startMs + stepMs`, … up to `endMs`: always a matrix. */
  range(queryable: Queryable, query: RangeQuery): Promise<QueryResult>;
}

interface Evaluation {
  readonly query: string | Expression;
  readonly startMs: number;
  readonly endMs: number;
  /** 0 for an instant query. */
  readonly stepMs: number;
  readonly lookbackMs: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly analyze: boolean | undefined;
  readonly countSamples: boolean | undefined;
  readonly signal: AbortSignal | undefined;
  readonly client: string | undefined;
  readonly onFailed: ((stats: QueryStats) => void) | undefined;
  readonly stopFlag: Int32Array | undefined;
}

/**
 * Evaluates PromQL over anything queryable: text → tree → plan → operators → columns. Many queries may run at once on
 * one engine; each gives way to the event loop and stops soon after its signal aborts.
 *
 * Throws `bad-data` (the query or its times are wrong), `execution` (it cannot be computed, or holds too many
 * samples), `timeout` and `canceled`, with Prometheus's messages; and whatever the storage throws.
 */
export class Engine implements QueryEngine {
  readonly #lookbackMs: number;
  readonly #maxSamples: number;
  readonly #maxSeries: number;
  readonly #maxBytes: number;
  readonly #maxLabelBytes: number;
  readonly #maxLabelValueBytes: number;
  readonly #timeoutMs: number;
  readonly #maxPoints: number;
  readonly #subqueryStepMs: number;
  readonly #delayedNameRemoval: boolean;
  readonly #startTimes: boolean;
  readonly #parser: ParserOptions;
  readonly #clock: Clock;
  readonly #slots: Slots;

  constructor(options: EngineOptions = {}) {
    this.#lookbackMs = options.lookbackMs ?? 300_000;
    this.#maxSamples = options.maxSamples ?? 50_000_000;
    this.#maxSeries = options.maxSeries ?? 10_000_000;
    this.#maxBytes = options.maxBytes ?? 4 * 1024 ** 3;
    this.#maxLabelBytes = options.maxLabelBytes ?? 64 * 1024 ** 2;
    this.#maxLabelValueBytes = options.maxLabelValueBytes ?? 1024 ** 2;
    this.#timeoutMs = options.timeoutMs ?? 120_000;
    this.#maxPoints = options.maxPoints ?? 11_000;
    this.#subqueryStepMs = options.subqueryStepMs ?? 60_000;
    this.#delayedNameRemoval = options.delayedNameRemoval ?? false;
    this.#startTimes = options.startTimes ?? false;
    this.#parser = options.parser ?? {};
    this.#clock = options.clock ?? systemClock;
    this.#slots = new Slots(options.maxConcurrency ?? 20);
  }

  async instant(queryable: Queryable, query: InstantQuery): Promise<QueryResult> {
    return this.#run(queryable, {
      query: query.query,
      startMs: query.timeMs,
      endMs: query.timeMs,
      stepMs: 0,
      lookbackMs: query.lookbackMs,
      timeoutMs: query.timeoutMs,
      analyze: query.analyze,
      countSamples: query.countSamples,
      signal: query.signal,
      client: query.client,
      onFailed: query.onFailed,
      stopFlag: query.stopFlag,
    });
  }

  async range(queryable: Queryable, query: RangeQuery): Promise<QueryResult> {
    if (!(query.stepMs > 0))
      throw new AppError(
        "bad-data",
        "zero or negative query resolution step widths are not accepted. Try a positive integer",
      );
    if (query.endMs < query.startMs)
      throw new AppError("bad-data", "end timestamp must not be before start time");
    if (Math.floor((query.endMs - query.startMs) / query.stepMs) > this.#maxPoints)
      throw new AppError(
        "bad-data",
        `exceeded maximum resolution of ${this.#maxPoints.toLocaleString("en-US")} points per timeseries. Try decreasing the query resolution (?step=XX)`,
      );
    return this.#run(queryable, {
      query: query.query,
      startMs: query.startMs,
      endMs: query.endMs,
      stepMs: query.stepMs,
      lookbackMs: query.lookbackMs,
      timeoutMs: query.timeoutMs,
      analyze: query.analyze,
      countSamples: query.countSamples,
      signal: query.signal,
      client: query.client,
      onFailed: query.onFailed,
      stopFlag: query.stopFlag,
    });
  }

  async #run(queryable: Queryable, evaluation: Evaluation): Promise<QueryResult> {
    const clock = this.#clock;
    const startedMs = clock.monotonic();
    const { query } = evaluation;
    const expression = typeof query === "string" ? parseExpression(query, this.#parser) : query;
    const type = typeOf(expression);
    if (evaluation.stepMs > 0 && type !== "scalar" && type !== "vector")
      throw new AppError(
        "bad-data",
        `invalid expression type "${type === "matrix" ? "range vector" : type}" for range query, must be Scalar or instant Vector`,
      );
    const plan = planQuery(expression, {
      startMs: evaluation.startMs,
      endMs: evaluation.endMs,
      stepMs: evaluation.stepMs,
      lookbackMs: evaluation.lookbackMs ?? this.#lookbackMs,
      subqueryStepMs: this.#subqueryStepMs,
      wholeHistograms: evaluation.countSamples === true,
    });
    const parsedMs = clock.monotonic();
    const timeoutMs = Math.min(evaluation.timeoutMs ?? Infinity, this.#timeoutMs);
    const deadline = new Deadline({ clock, timeoutMs, signal: evaluation.signal });
    let queuedMs: number | undefined;
    let context: QueryContext | undefined;
    const spent = (): QueryStats => {
      const nowMs = clock.monotonic();
      return {
        ...(context?.stats ?? NOTHING_READ),
        peakSamples: context?.budget.peak ?? 0,
        parseMs: parsedMs - startedMs,
        queueMs: (queuedMs ?? nowMs) - parsedMs,
        evaluationMs: nowMs - (queuedMs ?? nowMs),
      };
    };
    try {
      deadline.setStage("query queue");
      const release = await this.#slots.acquire(deadline.signal, evaluation.client);
      try {
        queuedMs = clock.monotonic();
        deadline.setStage("expression evaluation");
        const budget = new Budget({
          maxSamples: this.#maxSamples,
          maxSeries: this.#maxSeries,
          maxBytes: this.#maxBytes,
          maxLabelBytes: this.#maxLabelBytes,
          maxLabelValueBytes: this.#maxLabelValueBytes,
          clock,
          signal: deadline.signal,
          endsAtMs: parsedMs + timeoutMs,
          stopFlag: evaluation.stopFlag,
        });
        const trace = evaluation.analyze === true ? new Trace() : undefined;
        const samples = evaluation.countSamples === true ? new SampleCounts() : undefined;
        const pushdown = this.#pushdown(plan.frame, evaluation);
        context = this.#context(queryable, plan, { budget, trace, samples, pushdown });
        budget.check();
        // A subquery of too many steps is refused before anything is read or allocated for it.
        for (const node of planNodes(plan)) budget.probe(node.frame.count);
        const value = await valueOf(plan, context, { isInstant: evaluation.stepMs === 0 });
        const text = typeof query === "string" ? query : "";
        const { warnings, infos } = context.annotations.render(text);
        return {
          value,
          warnings: [...warnings, ...context.storageWarnings],
          infos: [...infos, ...context.storageInfos],
          stats: {
            ...spent(),
            ...(samples !== undefined && { queryableSamples: samples.of(plan) }),
          },
          ...(trace !== undefined && { analysis: trace.tree(plan) }),
        };
      } finally {
        release();
      }
    } catch (error) {
      evaluation.onFailed?.(spent());
      throw error;
    } finally {
      deadline.dispose();
    }
  }

  /** Undefined where figures are asked for that only this engine can take. */
  #pushdown(frame: Frame, evaluation: Evaluation): PushdownContext | undefined {
    const { startMs, endMs, stepMs, analyze, countSamples } = evaluation;
    const lookbackMs = evaluation.lookbackMs ?? this.#lookbackMs;
    if (analyze === true || countSamples === true) return undefined;
    const subqueryStepMs = this.#subqueryStepMs;
    if (!isWholeMs(startMs, endMs, stepMs, lookbackMs, subqueryStepMs)) return undefined;
    const features: string[] = [];
    if (this.#delayedNameRemoval) features.push(FEATURES.delayedNameRemoval);
    if (this.#startTimes) features.push(FEATURES.startTimes);
    if (this.#parser.experimentalFunctions === true) features.push(FEATURES.experimentalFunctions);
    if (this.#parser.extendedRangeSelectors === true)
      features.push(FEATURES.extendedRangeSelectors);
    return { frame, startMs, endMs, stepMs, lookbackMs, subqueryStepMs, features };
  }

  #context(
    queryable: Queryable,
    plan: Plan,
    parts: Pick<QueryContext, "budget" | "trace" | "samples" | "pushdown">,
  ): QueryContext {
    return {
      queryable,
      ...parts,
      annotations: new Annotations(),
      clock: this.#clock,
      delayedNameRemoval: this.#delayedNameRemoval,
      startTimes: this.#startTimes,
      sharedSeries: new Map(),
      repeatedSelectors: findRepeatedSelectors(plan),
      readAhead: new Map(),
      storageWarnings: new Set(),
      storageInfos: new Set(),
      stats: { ...NOTHING_READ },
    };
  }
}

async function valueOf(
  plan: Plan,
  query: QueryContext,
  options: { isInstant: boolean },
): Promise<QueryValue> {
  try {
    return await evaluatePlan(plan, query, options);
  } finally {
    // Of parts that an error left out.
    for (const { rest } of query.readAhead?.values() ?? []) await rest.return(undefined);
  }
}

/** Of whole ms: the protocol of stores has no others, and rounding would show. */
function isWholeMs(...times: readonly number[]): boolean {
  return times.every((time) => Number.isSafeInteger(time));
}

async function evaluatePlan(
  plan: Plan,
  query: QueryContext,
  options: { isInstant: boolean },
): Promise<QueryValue> {
  const { frame } = plan;
  if (plan.kind === "string") return { kind: "string", timeMs: frame.startMs, value: plan.value };
  if (plan.kind === "window" || plan.kind === "subquery") {
    const series = await bareWindows(buildWindows(plan), query);
    return { kind: "matrix", series: await finishMatrix(series, query) };
  }
  if (planType(plan) === "scalar") {
    const values = await buildScalar(plan).evaluate(query);
    if (options.isInstant)
      return { kind: "scalar", timeMs: frame.startMs, value: values[0] ?? NaN };
    return {
      kind: "matrix",
      series: [{ labels: Labels.EMPTY, times: stepTimes(frame), values }],
    };
  }
  const operator = buildVector(plan);
  const { rows } = await collect(operator, query);
  const named = await finalRows(rows, query, options);
  const times = stepTimes(frame);
  if (options.isInstant)
    return {
      kind: "vector",
      timeMs: frame.startMs,
      samples: named.map(toSample),
    };
  const series = named.map((row) => toSeries(row, times));
  return { kind: "matrix", series: await finishMatrix(series, query) };
}

/** Rows with their names as the caller gets them; equal label sets are an error, or one series if they take turns. */
async function finalRows(
  rows: readonly Row[],
  query: QueryContext,
  options: { isInstant: boolean },
): Promise<Row[]> {
  for (const row of rows) if (row.dropName) row.labels = withoutMetadata(row.labels);
  const merged = await mergeEqualRows(rows, query.budget);
  if (merged.length !== rows.length && (options.isInstant || !query.delayedNameRemoval))
    throw duplicateLabelsError();
  return merged;
}

function stepTimes(frame: Frame): Float64Array {
  const times = new Float64Array(frame.count);
  for (let k = 0; k < frame.count; k++) times[k] = frame.startMs + k * frame.stepMs;
  return times;
}

function toSample({ labels, values, present, histograms }: Row): VectorSample {
  return present[0] === HISTOGRAM
    ? { labels, value: 0, histogram: histograms!.at(0) }
    : { labels, value: values[0]! };
}

/** Floats and histograms of one series as two lists. */
function toMixedSeries(
  { labels, present, values }: Row,
  histograms: HistogramColumn,
  stepTimesMs: Float64Array,
): MatrixSeries {
  const steps = [...present.keys()];
  const floats = steps.filter((k) => present[k] === FLOAT);
  const others = steps.filter((k) => present[k] === HISTOGRAM);
  return {
    labels,
    times: Float64Array.from(floats, (k) => stepTimesMs[k]!),
    values: Float64Array.from(floats, (k) => values[k]!),
    histogramTimes: Float64Array.from(others, (k) => stepTimesMs[k]!),
    histograms: others.map((k) => histograms.at(k)),
  };
}

/** Series with a point at every step share one column of times. */
function toSeries(row: Row, stepTimesMs: Float64Array): MatrixSeries {
  const { present, values } = row;
  if (row.histograms !== undefined && present.includes(HISTOGRAM))
    return toMixedSeries(row, row.histograms, stepTimesMs);
  if (!present.includes(ABSENT)) return { labels: row.labels, times: stepTimesMs, values };
  const count = countPoints(row);
  const times = new Float64Array(count);
  const kept = new Float64Array(count);
  for (let k = 0, i = 0; k < present.length; k++) {
    if (present[k] === ABSENT) continue;
    times[i] = stepTimesMs[k]!;
    kept[i] = values[k]!;
    i++;
  }
  return { labels: row.labels, times, values: kept };
}

async function finishMatrix(
  series: readonly MatrixSeries[],
  query: QueryContext,
): Promise<readonly MatrixSeries[]> {
  const sorted = await steadySort(
    series,
    (a, b) => compareLabels(a.labels, b.labels),
    query.budget,
  );
  for (let i = 1; i < sorted.length; i++)
    if (sorted[i]!.labels.equals(sorted[i - 1]!.labels)) throw duplicateLabelsError();
  return sorted;
}

/** Keys of selectors that read the same data more than once: they will be read once. */
function findRepeatedSelectors(plan: Plan): ReadonlySet<string> {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const node of planNodes(plan)) {
    if (node.kind !== "select" && node.kind !== "window") continue;
    const key = selectorKey(node.selector);
    if (seen.has(key)) repeated.add(key);
    seen.add(key);
  }
  return repeated;
}

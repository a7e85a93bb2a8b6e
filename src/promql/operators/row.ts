import { type FloatHistogram, histogramSize } from "../../model/histogram.ts";
import type { HistogramBlock } from "../../model/histogram-block.ts";
import { METRIC_NAME, type Labels } from "../../model/labels.ts";
import type { Clock } from "../../base/clock.ts";
import { isCounterFunction } from "../../storage/dedup.ts";
import type { Queryable, Series } from "../../storage/queryable.ts";
import type { Trace } from "../analysis.ts";
import type { Annotations } from "../annotations.ts";
import type { Budget } from "../budget.ts";
import type { Frame, Plan, SelectorPlan } from "../plan.ts";
import type { SampleCounts } from "../sample-counts.ts";
import { HistogramColumn } from "./histogram-column.ts";

/**
 * The currency of operators: one output series as columns over the steps of its frame. `present[k]` says what step k
 * holds: 0 nothing, 1 a float in `values[k]`, 2 a native histogram in `histograms[k]`.
 *
 * A row given to a sink is lent: it is valid during the call only, and the sink may change it in place. That is what
 * lets `sum(rate(x[5m]))` run over millions of points in two small buffers.
 */
export interface Row {
  labels: Labels;
  /** The metric name is to be dropped: at once for whoever reads the labels, or at the end of a delayed query. */
  dropName: boolean;
  values: Float64Array;
  present: Uint8Array;
  /** Only in rows that hold histograms. Where it is missing every point is a float, and loops need not ask. */
  histograms?: HistogramColumn | undefined;
}

export const ABSENT = 0;
export const FLOAT = 1;
export const HISTOGRAM = 2;

export type RowSink = (row: Row) => void;

/** What all operators of one evaluation share. */
export interface QueryContext {
  readonly queryable: Queryable;
  readonly budget: Budget;
  readonly annotations: Annotations;
  readonly clock: Clock;
  readonly delayedNameRemoval: boolean;
  /** Whether start times take part in rates, and `start_timestamp` tells them. */
  readonly startTimes: boolean;
  /** Series of selectors that occur more than once in the query, by selector key. */
  readonly sharedSeries: Map<string, Promise<readonly Series[]>>;
  /** Keys of the selectors that occur more than once. */
  readonly repeatedSelectors: ReadonlySet<string>;
  /** By selector key, what has begun to be read before the evaluation; undefined when nothing is to be read ahead. */
  readonly readAhead: Map<string, ReadAhead> | undefined;
  /** The query as the storage has to know it to aggregate by itself; undefined when it is not to be asked. */
  readonly pushdown: PushdownContext | undefined;
  /** Where to note what each part takes; undefined when nobody asked. */
  readonly trace: Trace | undefined;
  /** Where to count the samples that are looked at; undefined when nobody asked. */
  readonly samples: SampleCounts | undefined;
  readonly storageWarnings: Set<string>;
  readonly storageInfos: Set<string>;
  readonly stats: {
    samplesRead: number;
    seriesRead: number;
    chunksRead: number;
    bytesRead: number;
  };
}

/** The series of a selector, in batches. */
export interface ReadAhead {
  readonly first: readonly (readonly Series[])[];
  /** To be returned by whoever takes it. */
  readonly rest: AsyncGenerator<readonly Series[]>;
}

export interface PushdownContext {
  readonly frame: Frame;
  readonly startMs: number;
  readonly endMs: number;
  /** 0 for an instant query. */
  readonly stepMs: number;
  readonly lookbackMs: number;
  /** As of an `AggregateRequest`. */
  readonly subqueryStepMs: number;
  readonly features: readonly string[];
}

/** An instant vector over the steps of its frame. Rows come in label order from selectors; operators keep the order of their input. */
export interface VectorOperator {
  readonly kind: "vector";
  /** What it was built of, if it is all of that. */
  readonly plan?: Plan;
  stream(query: QueryContext, sink: RowSink): Promise<void>;
}

/** A scalar: one value a step. The array belongs to the caller. */
export interface ScalarOperator {
  readonly kind: "scalar";
  evaluate(query: QueryContext): Promise<Float64Array>;
}

/** The samples of one series, from which a range function cuts its windows. Lent like a row. */
export interface WindowSeries {
  labels: Labels;
  dropName: boolean;
  times: Float64Array;
  values: Float64Array;
  count: number;
  /** The native histograms of the series, a list of their own beside the floats. */
  histograms?: HistogramSamples | undefined;
  /** When the floats started to be counted, ms, 0 where that is not known; absent when nobody asked or knows. */
  startTimes?: Float64Array | undefined;
}

/** Native histograms in time order, without stale ones. */
export interface HistogramSamples {
  readonly times: Float64Array;
  readonly histograms: readonly FloatHistogram[];
  readonly startTimes: Float64Array | undefined;
  /** The same histograms in columns, where they were read so. Lent. */
  readonly runs?: readonly HistogramRun[] | undefined;
}

/** Neighbouring samples of one layout, the first of which is sample `start` of the series. */
export interface HistogramRun {
  readonly start: number;
  readonly block: HistogramBlock;
}

/** Where the windows of a range vector lie: window k is (firstEndMs + k·stepMs − rangeMs, firstEndMs + k·stepMs]. */
export interface WindowGeometry {
  readonly firstEndMs: number;
  /** 0 when `@` pins all windows to one place. */
  readonly stepMs: number;
  readonly count: number;
  readonly rangeMs: number;
  /** Evaluation time of step 0 and the frame's step: what `time()` would say, in ms. */
  readonly evaluationStartMs: number;
  readonly evaluationStepMs: number;
  readonly lookbackMs: number;
  readonly anchored: boolean;
  readonly smoothed: boolean;
}

export interface WindowOperator {
  readonly kind: "window";
  readonly geometry: WindowGeometry;
  stream(query: QueryContext, sink: (series: WindowSeries) => void): Promise<void>;
}

export interface StringOperator {
  readonly kind: "string";
  readonly value: string;
}

export type Operator = VectorOperator | ScalarOperator | WindowOperator | StringOperator;

/** The labels that describe the metric itself and go when a function changes its meaning. */
export const METADATA_LABELS: ReadonlySet<string> = new Set([METRIC_NAME, "__type__", "__unit__"]);

export function withoutMetadata(labels: Labels): Labels {
  return labels.without(METADATA_LABELS);
}

/** The labels of `row` as the next operator sees them. */
export function visibleLabels(
  row: { labels: Labels; dropName: boolean },
  query: QueryContext,
): Labels {
  return row.dropName && !query.delayedNameRemoval ? withoutMetadata(row.labels) : row.labels;
}

export function hasPoints(row: Row): boolean {
  return (
    row.present.includes(FLOAT) || (row.histograms !== undefined && row.present.includes(HISTOGRAM))
  );
}

/** What the points of `row` count for in the budget: a float one sample, a histogram one for every 16 bytes. */
export function sampleSize(row: Row): number {
  const points = countPoints(row);
  const { histograms, present } = row;
  if (histograms === undefined) return points;
  let size = points;
  for (let k = 0; k < present.length; k++)
    if (present[k] === HISTOGRAM) size += samplesOfSize(histograms.sizeOf(k)) - 1;
  return size;
}

/** How many samples a histogram counts for, as in Prometheus. */
export function histogramSamples(histogram: FloatHistogram): number {
  return samplesOfSize(histogramSize(histogram));
}

/** How many samples that many bytes count for. */
export function samplesOfSize(bytes: number): number {
  return Math.trunc((bytes + 8) / 16);
}

export function countPoints(row: Row): number {
  const { present } = row;
  let points = 0;
  for (let k = 0; k < present.length; k++) if (present[k] !== ABSENT) points++;
  return points;
}

/** Copies of rows, with visible labels. The caller owns them, and owes the budget `samples` when it lets go of them. */
export class RowCopies {
  samples = 0;
  readonly #query: QueryContext;
  readonly #columns = new ColumnCopies();

  constructor(query: QueryContext) {
    this.#query = query;
  }

  /** Undefined for a row without points. */
  of(row: Row): Row | undefined {
    const query = this.#query;
    const size = sampleSize(row);
    if (size === 0) return undefined;
    query.budget.hold(size);
    this.samples += size;
    const { values, present } = this.#columns.of(row);
    return {
      labels: visibleLabels(row, query),
      dropName: row.dropName && query.delayedNameRemoval,
      values,
      present,
      histograms: row.histograms?.copy(),
    };
  }
}

/** Points of one slab, 144 KiB, which the last of its rows holds on to. */
const SLAB_POINTS = 16_384;
/** Columns this short are in V8's own heap, where they cost little. */
const HEAP_POINTS = 8;

/** Copies columns into slabs: making buffers of their own costs several times as much as copying them. */
export class ColumnCopies {
  #values = new Float64Array(0);
  #present = new Uint8Array(0);
  #used = 0;

  of({ values, present }: Pick<Row, "values" | "present">): {
    values: Float64Array;
    present: Uint8Array;
  } {
    const count = present.length;
    if (count <= HEAP_POINTS || count > SLAB_POINTS / 4)
      return { values: values.slice(), present: present.slice() };
    if (this.#used + count > this.#present.length) {
      // The first ones are small: most answers have few rows.
      const size = Math.min(SLAB_POINTS, Math.max(4 * count, 2 * this.#present.length));
      this.#values = new Float64Array(size);
      this.#present = new Uint8Array(size);
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += count;
    this.#values.set(values, from);
    this.#present.set(present, from);
    return {
      values: this.#values.subarray(from, from + count),
      present: this.#present.subarray(from, from + count),
    };
  }
}

/** A new row without points. */
export function emptyRow(labels: Labels, count: number): Row {
  return {
    labels,
    dropName: false,
    values: new Float64Array(count),
    present: new Uint8Array(count),
    histograms: undefined,
  };
}

/** Puts the point of `from` at `step` into `into`. */
export function copyPoint(into: Row, from: Row, step: number): void {
  into.values[step] = from.values[step]!;
  into.present[step] = from.present[step]!;
  if (from.present[step] === HISTOGRAM) putHistogram(into, step, from.histograms!.at(step));
}

export function putHistogram(row: Row, step: number, histogram: FloatHistogram): void {
  row.present[step] = HISTOGRAM;
  row.histograms ??= new HistogramColumn();
  row.histograms.set(step, histogram);
}

/** Takes the histograms out of `row`, for operators that leave them aside; whether there were any. */
export function dropHistograms(row: Row): boolean {
  if (row.histograms === undefined) return false;
  const { present } = row;
  let isAny = false;
  for (let k = 0; k < present.length; k++) {
    if (present[k] !== HISTOGRAM) continue;
    present[k] = ABSENT;
    isAny = true;
  }
  row.histograms = undefined;
  return isAny;
}

/** Identifies what a selector reads, so that equal ones are read once. */
export function selectorKey(selector: SelectorPlan): string {
  const { minTimeMs, maxTimeMs, hints } = selector;
  let key = `${minTimeMs}:${maxTimeMs}:${hints.newestOnly ? "newest" : "all"}`;
  // Replicas are joined in another way for counters.
  if (isCounterFunction(hints.func)) key += ":counter";
  for (const { name, operator, value } of selector.matchers)
    key += `:${operator}${name.length}:${name}${value.length}:${value}`;
  return key;
}

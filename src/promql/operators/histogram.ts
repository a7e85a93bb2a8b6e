import { quote } from "../../base/text.ts";
import { formatFixed, parseFloatText } from "../../base/float.ts";
import type { FloatHistogram } from "../../model/histogram.ts";
import {
  histogramFraction as fractionOfNative,
  histogramQuantile as quantileOfNative,
} from "../../model/histogram-quantile.ts";
import { METRIC_NAME, type Labels } from "../../model/labels.ts";
import { forMetric } from "../annotations.ts";
import type { Position } from "../ast.ts";
import {
  bucketFraction,
  bucketQuantile,
  type Buckets,
  type QuantileResult,
} from "../functions/classic-histogram.ts";
import type { Frame } from "../plan.ts";
import { noteQuantile } from "./range-call.ts";
import {
  collect,
  FLOAT,
  HISTOGRAM,
  type QueryContext,
  type Row,
  type ScalarOperator,
  type VectorOperator,
} from "./row.ts";

/** histogram_quantile, histogram_quantiles and histogram_fraction over classic (`le` buckets) and native histograms. */

interface Histogram {
  readonly labels: Labels;
  dropName: boolean;
  /** Of the classic one, sorted by bound. */
  readonly buckets: { bound: number; row: Row }[];
  /** The row whose histograms have these labels. */
  native: Row | undefined;
}

async function collectHistograms(
  operand: VectorOperator,
  query: QueryContext,
  position: Position,
): Promise<{ histograms: Histogram[]; samples: number }> {
  const { rows, samples } = await collect(operand, query);
  const byKey = new Map<string, Histogram>();
  const histogramOf = (labels: Labels, dropName: boolean): Histogram => {
    const key = labels.key();
    let histogram = byKey.get(key);
    if (histogram === undefined) {
      histogram = { labels, dropName, buckets: [], native: undefined };
      byKey.set(key, histogram);
    }
    return histogram;
  };
  for (const row of rows) {
    if (row.histograms !== undefined) histogramOf(row.labels, row.dropName).native = row;
    if (!row.present.includes(FLOAT)) continue;
    const le = row.labels.get("le");
    const bound = parseFloatText(le);
    if (bound === undefined) {
      const name = query.delayedNameRemoval ? row.labels.get(METRIC_NAME) : "";
      query.annotations.warn(
        `bucket label "le" is missing or has a malformed value of ${quote(le)}${forMetric(name)}`,
        position,
      );
      continue;
    }
    histogramOf(row.labels.without(["le"]), row.dropName).buckets.push({ bound, row });
  }
  for (const { buckets } of byKey.values())
    buckets.sort((a, b) => (a.bound === b.bound ? 0 : a.bound < b.bound ? -1 : 1));
  return { histograms: [...byKey.values()], samples };
}

/** The buckets of a histogram that exist at one step, in columns that are reused. */
class BucketReader {
  #buckets: Buckets = { bounds: new Float64Array(64), counts: new Float64Array(64), size: 0 };

  at(histogram: Histogram, step: number): Buckets {
    const { buckets } = histogram;
    if (buckets.length > this.#buckets.bounds.length)
      this.#buckets = {
        bounds: new Float64Array(buckets.length),
        counts: new Float64Array(buckets.length),
        size: 0,
      };
    const into = this.#buckets;
    let size = 0;
    for (const { bound, row } of buckets) {
      if (row.present[step] !== FLOAT) continue;
      into.bounds[size] = bound;
      into.counts[size] = row.values[step]!;
      size++;
    }
    into.size = size;
    return into;
  }
}

/** What stands at one step: a native histogram, classic buckets, nothing, or (said with a warning) both. */
function histogramAt(
  histogram: Histogram,
  step: number,
  how: { reader: BucketReader; query: QueryContext; position: Position },
): FloatHistogram | Buckets | undefined {
  const { native } = histogram;
  const buckets = how.reader.at(histogram, step);
  if (native === undefined || native.present[step] !== HISTOGRAM)
    return buckets.size === 0 ? undefined : buckets;
  if (buckets.size === 0) return native.histograms![step]!;
  how.query.annotations.warn(
    `vector contains a mix of classic and native histograms${forMetric(nameOf(histogram, how.query))}`,
    how.position,
  );
  return undefined;
}

/** The metric's name for messages, which only delayed name removal leaves to be told. */
function nameOf(histogram: Histogram, query: QueryContext): string {
  return query.delayedNameRemoval ? histogram.labels.get(METRIC_NAME) : "";
}

function isNative(histogram: FloatHistogram | Buckets): histogram is FloatHistogram {
  return "schema" in histogram;
}

const NAN_OBSERVATIONS = {
  "nan-result": "input to histogram_quantile has NaN observations, result is NaN",
  "skewed-higher": "input to histogram_quantile has NaN observations, result is skewed higher",
} as const;

function nativeQuantile(
  phi: number,
  native: FloatHistogram,
  how: { histogram: Histogram; query: QueryContext; position: Position },
): number {
  const { value, nanObservations } = quantileOfNative(phi, native);
  if (nanObservations !== undefined) {
    const metric = forMetric(nameOf(how.histogram, how.query));
    how.query.annotations.info(`${NAN_OBSERVATIONS[nanObservations]}${metric}`, how.position);
  }
  return value;
}

export interface HistogramQuantileOptions {
  readonly quantiles: readonly { scalar: ScalarOperator; position: Position }[];
  /** Set for histogram_quantiles: the label that tells its results apart. */
  readonly label: string | undefined;
  readonly frame: Frame;
  /** Of the vector argument. */
  readonly position: Position;
}

export function histogramQuantile(
  operand: VectorOperator,
  options: HistogramQuantileOptions,
): VectorOperator {
  const { frame, label, position } = options;
  return {
    kind: "vector",
    async stream(query, sink) {
      const columns: { phis: Float64Array; position: Position }[] = [];
      for (const { scalar, position: at } of options.quantiles)
        columns.push({ phis: await scalar.evaluate(query), position: at });
      const { histograms, samples } = await collectHistograms(operand, query, position);
      const reader = new BucketReader();
      for (const column of columns)
        for (const phi of column.phis) noteQuantile(phi, query, column.position);
      for (const histogram of histograms) {
        if (query.budget.isDue()) await query.budget.breathe();
        for (const { phis } of columns) {
          for (const row of quantileRows(histogram, phis, {
            frame,
            label,
            position,
            reader,
            query,
          }))
            sink(row);
        }
      }
      query.budget.release(samples);
    },
  };
}

/** One row, or one for each distinct φ when a label tells them apart. */
function quantileRows(
  histogram: Histogram,
  phis: Float64Array,
  how: {
    frame: Frame;
    label: string | undefined;
    position: Position;
    reader: BucketReader;
    query: QueryContext;
  },
): Iterable<Row> {
  const { frame, label, position, query } = how;
  const result: QuantileResult = {
    value: NaN,
    isRepaired: false,
    minBucket: 0,
    maxBucket: 0,
    maxDiff: 0,
  };
  const rows = new Map<string, Row>();
  for (let k = 0; k < frame.count; k++) {
    const found = histogramAt(histogram, k, how);
    if (found === undefined) continue;
    result.isRepaired = false;
    if (isNative(found))
      result.value = nativeQuantile(phis[k]!, found, { histogram, query, position });
    else bucketQuantile(phis[k]!, found, result);
    if (result.isRepaired) {
      const timeMs = frame.startMs + k * frame.stepMs;
      query.annotations.repaired(nameOf(histogram, query), position, {
        ...result,
        minTimeMs: timeMs,
        maxTimeMs: timeMs,
        samples: 1,
      });
    }
    const labelValue = label === undefined ? "" : formatFixed(phis[k]!);
    let row = rows.get(labelValue);
    if (row === undefined) {
      row = {
        labels: label === undefined ? histogram.labels : histogram.labels.with(label, labelValue),
        dropName: true,
        values: new Float64Array(frame.count),
        present: new Uint8Array(frame.count),
      };
      rows.set(labelValue, row);
    }
    row.values[k] = result.value;
    row.present[k] = FLOAT;
  }
  return rows.values();
}

function nativeFraction(
  native: FloatHistogram,
  range: { lower: number; upper: number },
  how: { histogram: Histogram; query: QueryContext; position: Position },
): number {
  const { value, nanObservations } = fractionOfNative(native, range);
  if (nanObservations)
    how.query.annotations.info(
      `input to histogram_fraction has NaN observations, which are excluded from all fractions${forMetric(nameOf(how.histogram, how.query))}`,
      how.position,
    );
  return value;
}

export function histogramFraction(
  operand: VectorOperator,
  bounds: { lower: ScalarOperator; upper: ScalarOperator },
  options: { frame: Frame; position: Position },
): VectorOperator {
  const { frame, position } = options;
  return {
    kind: "vector",
    async stream(query, sink) {
      const lower = await bounds.lower.evaluate(query);
      const upper = await bounds.upper.evaluate(query);
      const { histograms, samples } = await collectHistograms(operand, query, position);
      const reader = new BucketReader();
      for (const histogram of histograms) {
        const values = new Float64Array(frame.count);
        const present = new Uint8Array(frame.count);
        for (let k = 0; k < frame.count; k++) {
          const found = histogramAt(histogram, k, { reader, query, position });
          if (found === undefined) continue;
          const range = { lower: lower[k]!, upper: upper[k]! };
          values[k] = isNative(found)
            ? nativeFraction(found, range, { histogram, query, position })
            : bucketFraction(range.lower, range.upper, found);
          present[k] = FLOAT;
        }
        sink({ labels: histogram.labels, dropName: true, values, present });
      }
      query.budget.release(samples);
    },
  };
}

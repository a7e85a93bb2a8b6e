import { parseFloatText } from "../../base/float.ts";
import { normalizeFloat } from "../../exposition/series.ts";
import { BlockQuantiles } from "../../model/histogram-block-quantile.ts";
import { METRIC_NAME, type Labels } from "../../model/labels.ts";
import { forMetric, quoteShown } from "../annotations.ts";
import type { Position } from "../ast.ts";
import {
  bucketFraction,
  bucketQuantile,
  type Buckets,
  type QuantileResult,
} from "../functions/classic-histogram.ts";
import type { Frame } from "../plan.ts";
import {
  nativeFractions,
  nativeQuantiles,
  type NativeResult,
  type NativeValues,
} from "./native-histograms.ts";
import { noteQuantile } from "./range-call.ts";
import type { HistogramColumn } from "./histogram-column.ts";
import { refuseEarly } from "./read-ahead.ts";
import {
  dropHistograms,
  FLOAT,
  HISTOGRAM,
  type QueryContext,
  type Row,
  RowCopies,
  type ScalarOperator,
  type VectorOperator,
  visibleLabels,
} from "./row.ts";

/** histogram_quantile, histogram_quantiles and histogram_fraction over classic (`le` buckets) and native histograms. */

interface Histogram {
  readonly labels: Labels;
  dropName: boolean;
  /** Of the classic one, sorted by bound. */
  readonly buckets: { bound: number; row: Row }[];
  /** What the native histograms with these labels came to. */
  native: NativeValues | undefined;
}

async function collectHistograms(
  operand: VectorOperator,
  how: {
    query: QueryContext;
    position: Position;
    compute: (native: HistogramColumn, present: Uint8Array) => readonly NativeResult[];
  },
): Promise<{ histograms: Histogram[]; samples: number }> {
  const { query, position, compute } = how;
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
  const copies = new RowCopies(query);
  let held = 0;
  await refuseEarly(operand, query);
  await operand.stream(query, (row) => {
    const { present } = row;
    const labels = visibleLabels(row, query);
    const dropName = row.dropName && query.delayedNameRemoval;
    if (row.histograms !== undefined && present.includes(HISTOGRAM)) {
      const results = compute(row.histograms, present);
      query.budget.hold(present.length * results.length);
      held += present.length * results.length;
      histogramOf(labels, dropName).native = { present: present.slice(), results };
    }
    dropHistograms(row);
    const copy = copies.of(row);
    if (copy === undefined) return;
    const le = labels.get("le");
    const bound = parseFloatText(le);
    if (bound === undefined) {
      const name = query.delayedNameRemoval ? labels.get(METRIC_NAME) : "";
      query.annotations.warn(
        `bucket label "le" is missing or has a malformed value of ${quoteShown(le)}${forMetric(name)}`,
        position,
      );
      return;
    }
    histogramOf(labels.without(["le"]), dropName).buckets.push({ bound, row: copy });
  });
  for (const { buckets } of byKey.values())
    buckets.sort((a, b) => (a.bound === b.bound ? 0 : a.bound < b.bound ? -1 : 1));
  return { histograms: [...byKey.values()], samples: copies.samples + held };
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
): NativeValues | Buckets | undefined {
  const { native } = histogram;
  const buckets = how.reader.at(histogram, step);
  if (native === undefined || native.present[step] !== HISTOGRAM)
    return buckets.size === 0 ? undefined : buckets;
  if (buckets.size === 0) return native;
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

function isNative(found: NativeValues | Buckets): found is NativeValues {
  return "results" in found;
}

/** The value of one of the results at a step, with what is to be said of it. */
function nativeValue(
  { values, notes }: NativeResult,
  step: number,
  how: { histogram: Histogram; query: QueryContext; position: Position },
): number {
  const note = notes[step];
  if (note !== undefined)
    how.query.annotations.info(note + forMetric(nameOf(how.histogram, how.query)), how.position);
  return values[step]!;
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
      const blocks = new BlockQuantiles();
      const { histograms, samples } = await collectHistograms(operand, {
        query,
        position,
        compute: (native, present) =>
          columns.map(({ phis }) => nativeQuantiles({ histograms: native, present }, phis, blocks)),
      });
      const reader = new BucketReader();
      for (const column of columns)
        for (const phi of column.phis) noteQuantile(phi, query, column.position);
      for (const histogram of histograms) {
        if (query.budget.isDue()) await query.budget.breathe();
        for (const [index, { phis }] of columns.entries()) {
          const how = { index, frame, label, position, reader, query };
          const rows = quantileRows(histogram, phis, how);
          for (const row of rows) sink(row);
          query.budget.release(rows.length * frame.count);
        }
      }
      query.budget.release(samples);
    },
  };
}

/** One row, or one for each distinct φ when a label tells them apart; their samples are held. */
function quantileRows(
  histogram: Histogram,
  phis: Float64Array,
  how: {
    index: number;
    frame: Frame;
    label: string | undefined;
    position: Position;
    reader: BucketReader;
    query: QueryContext;
  },
): readonly Row[] {
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
      result.value = nativeValue(found.results[how.index]!, k, { histogram, query, position });
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
    const labelValue = label === undefined ? "" : normalizeFloat(String(phis[k]!));
    let row = rows.get(labelValue);
    if (row === undefined) {
      if (label !== undefined) query.budget.makeLabel(label, labelValue.length);
      query.budget.hold(frame.count);
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
  return [...rows.values()];
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
      const { histograms, samples } = await collectHistograms(operand, {
        query,
        position,
        compute: (native, present) => [
          nativeFractions({ histograms: native, present }, { lower, upper }),
        ],
      });
      const reader = new BucketReader();
      for (const histogram of histograms) {
        const values = new Float64Array(frame.count);
        const present = new Uint8Array(frame.count);
        for (let k = 0; k < frame.count; k++) {
          const found = histogramAt(histogram, k, { reader, query, position });
          if (found === undefined) continue;
          values[k] = isNative(found)
            ? nativeValue(found.results[0]!, k, { histogram, query, position })
            : bucketFraction(lower[k]!, upper[k]!, found);
          present[k] = FLOAT;
        }
        sink({ labels: histogram.labels, dropName: true, values, present });
      }
      query.budget.release(samples);
    },
  };
}

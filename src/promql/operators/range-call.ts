import { AppError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { METRIC_NAME } from "../../model/labels.ts";
import { formatShortest, quoteShown } from "../annotations.ts";
import type { Position } from "../ast.ts";
import { computeWindows, windowFunction } from "../functions/over-time.ts";
import type { FloatKernel } from "../functions/mixed-window.ts";
import { computeMixedWindows } from "../functions/mixed-windows.ts";
import { RangeNotes } from "../functions/range-notes.ts";
import { extendedRate, extrapolatedRate } from "../functions/rate.ts";
import { HistogramAnswers } from "./histogram-answers.ts";
import { emptyRow, FLOAT, visibleLabels } from "./row.ts";
import type {
  QueryContext,
  Row,
  ScalarOperator,
  VectorOperator,
  WindowGeometry,
  WindowOperator,
  WindowSeries,
} from "./row.ts";

export interface RangeCallOptions {
  readonly func: string;
  /** The other arguments, in order. */
  readonly scalars: readonly ScalarOperator[];
  /** Of the first argument, where Prometheus points its messages. */
  readonly firstArgument: Position;
}

type Kernel = (series: WindowSeries, args: readonly Float64Array[], row: Row) => boolean;

/** Functions that keep the metric name, because they only choose one of its samples. */
const KEEPS_NAME = new Set(["last_over_time", "first_over_time"]);

/** Functions whose histograms have no empty buckets. */
const COMPACTS = new Set(["rate", "increase", "delta"]);

/** A function of a range vector: one row per series, computed while the series is decoded. */
export function rangeCall(windows: WindowOperator, options: RangeCallOptions): VectorOperator {
  const { func, firstArgument } = options;
  const { geometry } = windows;
  return {
    kind: "vector",
    async stream(query, sink) {
      const look = (): void => query.budget.look();
      const kernel = chooseKernel(func, geometry, look);
      const floats: FloatKernel = (series, place, stepArgs, row) =>
        chooseKernel(func, place, look)(series, stepArgs, row);
      const args: Float64Array[] = [];
      for (const scalar of options.scalars) args.push(await scalar.evaluate(query));
      const values = new Float64Array(geometry.count);
      const present = new Uint8Array(geometry.count);
      const isCounterFunction = func === "rate" || func === "increase";
      const answers = new HistogramAnswers(geometry.count, { isCompact: COMPACTS.has(func) });
      await windows.stream(query, (series) => {
        const row: Row = {
          labels: series.labels,
          dropName: series.dropName || !KEEPS_NAME.has(func),
          values,
          present,
        };
        if (series.histograms !== undefined || series.startTimes !== undefined) {
          const mixed = emptyRow(row.labels, geometry.count);
          mixed.dropName = row.dropName;
          const notes = new RangeNotes(query, series, firstArgument);
          const task = { series, geometry, args, notes, floats, look, answers };
          if (!computeMixedWindows(func, task, mixed)) return;
          if (isCounterFunction && mixed.present.includes(FLOAT))
            noteDoubtfulCounter(series, query, firstArgument);
          if (func === "quantile_over_time") noteQuantiles(args[0]!, mixed, query, firstArgument);
          sink(mixed);
          return;
        }
        if (!kernel(series, args, row)) return;
        if (isCounterFunction) noteDoubtfulCounter(series, query, firstArgument);
        if (func === "quantile_over_time") noteQuantiles(args[0]!, row, query, firstArgument);
        sink(row);
      });
    },
  };
}

function chooseKernel(func: string, geometry: WindowGeometry, look: () => void): Kernel {
  const { anchored, smoothed } = geometry;
  if (anchored)
    requireSupport("anchored", func, ["changes", "delta", "increase", "rate", "resets"]);
  if (smoothed) requireSupport("smoothed", func, ["delta", "increase", "rate"]);
  if (func === "rate" || func === "increase" || func === "delta") {
    const kind = { isCounter: func !== "delta", isRate: func === "rate" };
    return anchored || smoothed
      ? (series, _, row) => extendedRate(series, geometry, kind, row)
      : (series, _, row) => extrapolatedRate(series, geometry, kind, row);
  }
  const compute = windowFunction(func, anchored);
  if (compute === undefined)
    throw new AppError("execution", `cannot evaluate the function ${quote(func)}`);
  return (series, args, row) => computeWindows(compute, { series, geometry, args, look }, row);
}

function requireSupport(modifier: string, func: string, supported: readonly string[]): void {
  if (!supported.includes(func))
    throw new AppError(
      "execution",
      `${modifier} modifier can only be used with: ${supported.join(", ")} - not with ${func}`,
    );
}

const COUNTER_SUFFIX = /(?:_total|_sum|_count|_bucket)$/;

/** Whether the name of a metric says that it is a counter. */
export function isCounterName(name: string): boolean {
  return COUNTER_SUFFIX.test(name);
}

function noteDoubtfulCounter(series: WindowSeries, query: QueryContext, position: Position): void {
  const name = visibleLabels(series, query).get(METRIC_NAME);
  if (name === "" || isCounterName(name)) return;
  query.annotations.info(
    `metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${quoteShown(name)}`,
    position,
  );
}

function noteQuantiles(
  quantiles: Float64Array,
  row: Row,
  query: QueryContext,
  position: Position,
): void {
  for (let k = 0; k < quantiles.length; k++)
    if (row.present[k] !== 0) noteQuantile(quantiles[k]!, query, position);
}

/** Warns of a φ outside [0, 1]. */
export function noteQuantile(phi: number, query: QueryContext, position: Position): void {
  if (phi >= 0 && phi <= 1) return;
  query.annotations.warn(
    `quantile value should be between 0 and 1, got ${formatShortest(phi)}`,
    position,
  );
}

/** 1 at the steps where no series of the range vector has a sample. */
export function absentOverTime(windows: WindowOperator, rowWhenAbsent: () => Row): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      const { geometry } = windows;
      const row = rowWhenAbsent();
      row.values.fill(1);
      row.present.fill(1);
      const look = (): void => query.budget.look();
      const compute = chooseKernel("absent_over_time", geometry, look);
      const floats: FloatKernel = () => false;
      const scratch = emptyRow(row.labels, geometry.count);
      const answers = new HistogramAnswers(geometry.count, { isCompact: false });
      await windows.stream(query, (series) => {
        if (series.histograms !== undefined) {
          const notes = new RangeNotes(query, series, { start: 0, end: 0 });
          const task = { series, geometry, args: [], notes, floats, look, answers };
          if (!computeMixedWindows("absent_over_time", task, scratch)) return;
        } else if (!compute(series, [], scratch)) return;
        for (let k = 0; k < geometry.count; k++) if (scratch.present[k] !== 0) row.present[k] = 0;
      });
      if (row.present.includes(1)) sink(row);
    },
  };
}

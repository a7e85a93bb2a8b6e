import { METRIC_NAME } from "../../model/labels.ts";
import type { FloatHistogram } from "../../model/histogram.ts";
import { compactHistogram } from "../../model/histogram-arithmetic.ts";
import type { Position } from "../ast.ts";
import { HintTracker, HistogramMean, HistogramTotal } from "../functions/histogram-sums.ts";
import { HistogramNotes } from "../functions/range-notes.ts";
import { ABSENT, HISTOGRAM, visibleLabels, type QueryContext, type Row } from "./row.ts";

/** `sum` and `avg` of native histograms: one group's running totals, step by step. */
export class HistogramTotals {
  readonly #operator: "sum" | "avg";
  readonly #query: QueryContext;
  readonly #notes: HistogramNotes;
  readonly #steps: (StepTotal | undefined)[] = [];

  constructor(options: { operator: "sum" | "avg"; query: QueryContext; position: Position }) {
    this.#operator = options.operator;
    this.#query = options.query;
    this.#notes = new HistogramNotes(options.query, options.position);
  }

  /**
   * Adds the histograms of `row` and takes them out of it, and with them the floats that come too late to matter.
   * `floatCounts` says how many floats the group has at each step so far.
   */
  take(row: Row, floatCounts: Float64Array): void {
    const { present, histograms } = row;
    for (let k = 0; k < present.length; k++) {
      if (present[k] === ABSENT) continue;
      let total = this.#steps[k];
      if (present[k] !== HISTOGRAM) {
        if (total?.isIncompatible === true) present[k] = ABSENT;
        continue;
      }
      present[k] = ABSENT;
      if (total === undefined) {
        // Where a float came first the group is a mix already, and nothing needs to be added up.
        total = this.#newTotal(floatCounts[k] === 0);
        this.#steps[k] = total;
      }
      if (total.isIncompatible || total.sum === undefined) continue;
      if (total.sum.add(histograms![k]!)) continue;
      total.isIncompatible = true;
      this.#notes.mixedSchemasOf(visibleLabels(row, this.#query).get(METRIC_NAME));
    }
    row.histograms = undefined;
  }

  #newTotal(isPure: boolean): StepTotal {
    const tracker = new HintTracker();
    const sum = this.#operator === "sum" ? new HistogramTotal(tracker) : new HistogramMean(tracker);
    return { tracker, sum: isPure ? sum : undefined, isIncompatible: false };
  }

  /** The histogram of step `k`, "none" where the group had no histogram there, undefined where it has no value. */
  finish(k: number, hasFloat: boolean): FloatHistogram | "none" | undefined {
    const total = this.#steps[k];
    if (total === undefined) return "none";
    const result = total.isIncompatible ? undefined : total.sum?.result();
    total.tracker.noteReconciled(this.#notes);
    if (hasFloat) {
      this.#query.annotations.warn(
        "encountered a mix of histograms and floats for aggregation",
        this.#notes.position,
      );
      return undefined;
    }
    if (result === undefined) return undefined;
    total.tracker.noteCollision(this.#notes);
    return compactHistogram(result);
  }
}

interface StepTotal {
  readonly tracker: HintTracker;
  readonly sum: HistogramTotal | HistogramMean | undefined;
  /** Exponential and custom buckets met. */
  isIncompatible: boolean;
}

/** Says that an aggregation leaves histograms aside. */
export function noteIgnoredHistogram(
  operator: string,
  query: QueryContext,
  position: Position,
): void {
  query.annotations.info(`ignored histogram in ${operator} aggregation`, position);
}

import { METRIC_NAME } from "../../model/labels.ts";
import { compactHistogram } from "../../model/histogram-arithmetic.ts";
import { HINTS } from "../../model/histogram-block.ts";
import { BlockSum } from "../../model/histogram-block-sum.ts";
import type { Position } from "../ast.ts";
import {
  HintTracker,
  HistogramMean,
  HistogramTotal,
  isCollision,
} from "../functions/histogram-sums.ts";
import { HistogramNotes } from "../functions/range-notes.ts";
import { HistogramColumn } from "./histogram-column.ts";
import {
  ABSENT,
  HISTOGRAM,
  putHistogram,
  visibleLabels,
  type QueryContext,
  type Row,
} from "./row.ts";

/** `sum` and `avg` of native histograms: one group's running totals, step by step. */
export class HistogramTotals {
  readonly #operator: "sum" | "avg";
  readonly #query: QueryContext;
  readonly #notes: HistogramNotes;
  readonly #steps: (StepTotal | undefined)[] = [];
  /** As long as all rows have one layout, there are no `#steps` but this. */
  #columns: BlockSum | undefined;

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
    row.histograms = undefined;
    if (this.#takeColumns(row.present, histograms, floatCounts)) return;
    this.#closeColumns();
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
      if (total.sum.add(histograms!.at(k))) continue;
      total.isIncompatible = true;
      this.#notes.mixedSchemasOf(visibleLabels(row, this.#query).get(METRIC_NAME));
    }
  }

  /** Fast path: rows of one plain layout, none of whose steps has had a float before. False for any other. */
  #takeColumns(
    present: Uint8Array,
    histograms: HistogramColumn | undefined,
    floatCounts: Float64Array,
  ): boolean {
    if (histograms === undefined) return this.#columns !== undefined;
    const { block } = histograms;
    if (block === undefined || !block.layout.isPlain || this.#operator !== "sum") return false;
    if (this.#columns === undefined) {
      if (this.#steps.length > 0) return false;
      this.#columns = new BlockSum(block.layout, present.length);
    } else if (!this.#columns.hasLayout(block.layout)) return false;
    for (let k = 0; k < present.length; k++)
      if (present[k] === HISTOGRAM && floatCounts[k]! > 0) return false;
    for (let k = 0; k < present.length; k++) {
      if (present[k] !== HISTOGRAM) continue;
      present[k] = ABSENT;
      this.#columns.add(block, k);
    }
    return true;
  }

  /** Goes on step by step. */
  #closeColumns(): void {
    const columns = this.#columns;
    if (columns === undefined) return;
    this.#columns = undefined;
    for (let k = 0; k < columns.addends.length; k++) {
      if (columns.addends[k] === 0) continue;
      const tracker = trackerOf(columns.hintsSeen[k]!);
      const sum = new HistogramTotal(tracker, columns.accumulator(k));
      this.#steps[k] = { tracker, sum, isIncompatible: false };
    }
  }

  #newTotal(isPure: boolean): StepTotal {
    const tracker = new HintTracker();
    const sum = this.#operator === "sum" ? new HistogramTotal(tracker) : new HistogramMean(tracker);
    return { tracker, sum: isPure ? sum : undefined, isIncompatible: false };
  }

  /** Puts the totals into `row`, which has the floats of the group and loses those of steps that have both. */
  finish(row: Row, floatCounts: Float64Array): void {
    if (this.#columns !== undefined) this.#finishColumns(row, floatCounts, this.#columns);
    for (const [k, total] of this.#steps.entries()) {
      if (total === undefined) continue;
      const result = total.isIncompatible ? undefined : total.sum?.result();
      total.tracker.noteReconciled(this.#notes);
      row.present[k] = ABSENT;
      if (floatCounts[k]! > 0) this.#noteMix();
      else if (result !== undefined) {
        total.tracker.noteCollision(this.#notes);
        putHistogram(row, k, compactHistogram(result));
      }
    }
  }

  #finishColumns(row: Row, floatCounts: Float64Array, columns: BlockSum): void {
    const { addends, hintsSeen } = columns;
    for (let k = 0; k < addends.length; k++) {
      if (addends[k] === 0) continue;
      row.present[k] = ABSENT;
      if (floatCounts[k]! > 0) this.#noteMix();
      else {
        if (isCollision(hintsSeen[k]!)) this.#notes.collision("aggregation");
        row.present[k] = HISTOGRAM;
      }
    }
    row.histograms = new HistogramColumn(columns.total());
  }

  #noteMix(): void {
    this.#query.annotations.warn(
      "encountered a mix of histograms and floats for aggregation",
      this.#notes.position,
    );
  }
}

/** A tracker that has seen these hints, given as bits. */
function trackerOf(hintsSeen: number): HintTracker {
  const tracker = new HintTracker();
  for (const [code, counterResetHint] of HINTS.entries())
    if ((hintsSeen & (1 << code)) !== 0) tracker.see({ counterResetHint });
  return tracker;
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

import type { FloatHistogram } from "../../model/histogram.ts";
import { type BlockLayout, HistogramBlock } from "../../model/histogram-block.ts";
import { Labels } from "../../model/labels.ts";
import { HistogramColumn } from "../operators/histogram-column.ts";
import {
  ABSENT,
  emptyRow,
  FLOAT,
  type HistogramRun,
  type HistogramSamples,
  type Row,
  type WindowGeometry,
  type WindowSeries,
} from "../operators/row.ts";
import { HistogramGrowth } from "./histogram-growth.ts";
import type { RangeNotes } from "./range-notes.ts";

export interface MixedTask {
  readonly series: WindowSeries;
  readonly geometry: WindowGeometry;
  readonly args: readonly Float64Array[];
  readonly notes: RangeNotes;
  /** Takes the histograms that are computed in columns; lent to the row. */
  readonly answers: HistogramBlock;
  /** The function's kernel over floats. */
  readonly floats: FloatKernel;
  /** Called now and then; throws to end a long run. */
  readonly look: () => void;
}

export type FloatKernel = (
  series: WindowSeries,
  geometry: WindowGeometry,
  args: readonly Float64Array[],
  row: Row,
) => boolean;

const NO_HISTOGRAMS: HistogramSamples = {
  times: new Float64Array(0),
  histograms: [],
  startTimes: undefined,
};

/** One window: floats [floatLow, floatHigh) and histograms [low, high) of the series. */
export class MixedWindow {
  readonly task: MixedTask;
  readonly histograms: HistogramSamples;
  step = 0;
  startMs = 0;
  endMs = 0;
  floatLow = 0;
  floatHigh = 0;
  low = 0;
  high = 0;
  readonly #single = emptyRow(Labels.EMPTY, 1);
  readonly #row: Row;
  /** Of the run that was asked for last. */
  #growth: HistogramGrowth | undefined;
  #aside: HistogramBlock | undefined;

  /** Answers are for `row`. */
  constructor(task: MixedTask, row: Row) {
    this.task = task;
    this.histograms = task.series.histograms ?? NO_HISTOGRAMS;
    this.#row = row;
  }

  /** The run that has all histograms of the window; undefined if there is none, or its layout is not plain. */
  run(): HistogramRun | undefined {
    const { low, high } = this;
    const { runs } = this.histograms;
    if (runs === undefined) return undefined;
    let index = runs.length - 1;
    while (index > 0 && runs[index]!.start > low) index--;
    const run = runs[index]!;
    return high <= run.start + run.block.size && run.block.layout.isPlain ? run : undefined;
  }

  growthOf(run: HistogramRun): HistogramGrowth {
    if (this.#growth?.block !== run.block) this.#growth = new HistogramGrowth(run.block);
    return this.#growth;
  }

  /** Where to write a histogram of `layout`: a block, in which it is the row of `rowOf`. */
  blockFor(layout: BlockLayout): HistogramBlock {
    const { answers, geometry } = this.task;
    if (this.#row.histograms === undefined) {
      answers.reset(layout, geometry.count);
      this.#row.histograms = new HistogramColumn(answers);
    }
    if (answers.layout === layout) return answers;
    this.#aside ??= new HistogramBlock({ isCompact: answers.isCompact });
    this.#aside.reset(layout, 1);
    return this.#aside;
  }

  rowOf(block: HistogramBlock): number {
    return block === this.task.answers ? this.step : 0;
  }

  /** The answer that was written to `block`. */
  answerIn(block: HistogramBlock): Answer {
    return block === this.task.answers ? IN_BLOCK : block.at(0);
  }

  get floatCount(): number {
    return this.floatHigh - this.floatLow;
  }

  get histogramCount(): number {
    return this.high - this.low;
  }

  /** What the float kernel makes of the floats of the window. */
  float(): number | undefined {
    const { series, geometry, args, floats } = this.task;
    const evaluationStartMs = geometry.evaluationStartMs + this.step * geometry.evaluationStepMs;
    const place = { ...geometry, firstEndMs: this.endMs, count: 1, evaluationStartMs };
    const stepArgs = args.map((column) => column.subarray(this.step, this.step + 1));
    const row = this.#single;
    row.present[0] = ABSENT;
    return floats(series, place, stepArgs, row) && row.present[0] === FLOAT
      ? row.values[0]
      : undefined;
  }
}

/** The histogram has been written to the step's row in the block of answers. */
export const IN_BLOCK = "in block";
export type Answer = number | FloatHistogram | typeof IN_BLOCK | undefined;

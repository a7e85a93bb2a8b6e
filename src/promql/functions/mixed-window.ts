import type { FloatHistogram } from "../../model/histogram.ts";
import { Labels } from "../../model/labels.ts";
import type { HistogramAnswers } from "../operators/histogram-answers.ts";
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
  readonly answers: HistogramAnswers;
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
  /** Of the run that was asked for last. */
  #growth: HistogramGrowth | undefined;

  constructor(task: MixedTask) {
    this.task = task;
    this.histograms = task.series.histograms ?? NO_HISTOGRAMS;
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

  /** Answers with a copy of sample `index`. */
  sample(index: number): Answer {
    const { runs, histograms } = this.histograms;
    if (runs === undefined) return histograms[index]!;
    const run = runs.findLast(({ start }) => start <= index)!;
    this.task.answers.putCopy(this.step, run.block, index - run.start);
    return PLACED;
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

/** The answer stands in the row already. */
export const PLACED = "placed";
export type Answer = number | FloatHistogram | typeof PLACED | undefined;

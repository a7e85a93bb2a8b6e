import type { FloatHistogram } from "../model/histogram.ts";
import type { Labels } from "../model/labels.ts";
import type { QueryAnalysis } from "./analysis.ts";
import type { QueryableSamples } from "./sample-counts.ts";

/**
 * What a query evaluates to. Times are ms, values are columns. A series of native histograms carries them in a second
 * pair of columns beside `times`/`values` (floats and histograms of one series are two lists), and a vector sample
 * carries one beside `value`; readers that only know floats stay correct for float series.
 */
export interface ScalarValue {
  readonly kind: "scalar";
  readonly timeMs: number;
  readonly value: number;
}

export interface StringValue {
  readonly kind: "string";
  readonly timeMs: number;
  readonly value: string;
}

export interface VectorSample {
  readonly labels: Labels;
  /** 0 when the sample is a histogram. */
  readonly value: number;
  readonly histogram?: FloatHistogram;
}

/** Samples in the order the expression gives them: sorted only below sort functions, topk and bottomk. */
export interface VectorValue {
  readonly kind: "vector";
  readonly timeMs: number;
  readonly samples: readonly VectorSample[];
}

/** One series of a matrix. Both columns have the same length; series may share `times`, so they are only to be read. */
export interface MatrixSeries {
  readonly labels: Labels;
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** The points that are histograms, and when; both are absent in a series of floats only. */
  readonly histogramTimes?: Float64Array;
  readonly histograms?: readonly FloatHistogram[];
}

/** Series sorted by labels, each with at least one point, no label set twice. */
export interface MatrixValue {
  readonly kind: "matrix";
  readonly series: readonly MatrixSeries[];
}

export type QueryValue = ScalarValue | StringValue | VectorValue | MatrixValue;

export interface QueryStats {
  /** Samples decoded from chunks. */
  readonly samplesRead: number;
  /** Of a query that asked for it: the samples it looked at, once for each time. */
  readonly queryableSamples?: QueryableSamples;
  /** The most samples held in memory at one moment. */
  readonly peakSamples: number;
  readonly seriesRead: number;
  readonly chunksRead: number;
  readonly bytesRead: number;
  /** Time spent waiting for a free evaluation slot. */
  readonly queueMs: number;
  readonly parseMs: number;
  readonly evaluationMs: number;
}

export const NOTHING_READ = { samplesRead: 0, seriesRead: 0, chunksRead: 0, bytesRead: 0 } as const;

export interface QueryResult {
  readonly value: QueryValue;
  /** `PromQL warning: …` with positions, then warnings of the storage; unique, in order of first appearance. */
  readonly warnings: readonly string[];
  /** `PromQL info: …` and infos of the storage, likewise. */
  readonly infos: readonly string[];
  readonly stats: QueryStats;
  /** Of a query that asked for it. */
  readonly analysis?: QueryAnalysis;
}

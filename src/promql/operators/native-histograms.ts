import type { BlockQuantiles } from "../../model/histogram-block-quantile.ts";
import { histogramFraction, histogramQuantile } from "../../model/histogram-quantile.ts";
import type { HistogramColumn } from "./histogram-column.ts";
import { HISTOGRAM } from "./row.ts";

/** Quantiles and fractions of rows of native histograms, taken while these stream by. */

/** What a function makes of the native histograms of one row, while that streams by. */
export interface NativeValues {
  /** `HISTOGRAM` where the row has one. */
  readonly present: Uint8Array;
  /** By step, for each of the function's results. */
  readonly results: readonly NativeResult[];
}

export interface NativeResult {
  readonly values: Float64Array;
  /** What is to be said of the value at some steps. */
  readonly notes: string[];
}

const NAN_OBSERVATIONS = {
  "nan-result": "input to histogram_quantile has NaN observations, result is NaN",
  "skewed-higher": "input to histogram_quantile has NaN observations, result is skewed higher",
} as const;

/** The φ-quantiles of a row of native histograms. */
export function nativeQuantiles(
  native: { histograms: HistogramColumn; present: Uint8Array },
  phis: Float64Array,
  blocks: BlockQuantiles,
): NativeResult {
  const { histograms, present } = native;
  const { block } = histograms;
  const values = new Float64Array(present.length);
  const notes: string[] = [];
  for (let k = 0; k < present.length; k++) {
    if (present[k] !== HISTOGRAM) continue;
    const { value, nanObservations } =
      block === undefined
        ? histogramQuantile(phis[k]!, histograms.at(k))
        : blocks.of(block, k, phis[k]!);
    values[k] = value;
    if (nanObservations !== undefined) notes[k] = NAN_OBSERVATIONS[nanObservations];
  }
  return { values, notes };
}

/** The fractions between two bounds of a row of native histograms. */
export function nativeFractions(
  native: { histograms: HistogramColumn; present: Uint8Array },
  bounds: { lower: Float64Array; upper: Float64Array },
): NativeResult {
  const { histograms, present } = native;
  const values = new Float64Array(present.length);
  const notes: string[] = [];
  for (let k = 0; k < present.length; k++) {
    if (present[k] !== HISTOGRAM) continue;
    const range = { lower: bounds.lower[k]!, upper: bounds.upper[k]! };
    const { value, nanObservations } = histogramFraction(histograms.at(k), range);
    values[k] = value;
    if (nanObservations)
      notes[k] =
        "input to histogram_fraction has NaN observations, which are excluded from all fractions";
  }
  return { values, notes };
}

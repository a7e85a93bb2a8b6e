import { withCounterResetHint } from "../../model/histogram.ts";
import type { SubqueryPlan, Frame } from "../plan.ts";
import {
  FLOAT,
  HISTOGRAM,
  type HistogramSamples,
  type Row,
  type VectorOperator,
  type WindowGeometry,
  type WindowOperator,
} from "./row.ts";

/** A subquery: the rows of its operand at the subquery's own steps, read as the samples of a range vector. */
export function subqueryWindows(
  plan: SubqueryPlan,
  operand: VectorOperator,
  options: { inner: Frame },
): WindowOperator {
  const { frame, reference } = plan;
  const { inner } = options;
  const geometry: WindowGeometry = {
    firstEndMs: (reference.atMs ?? frame.startMs) - reference.offsetMs,
    stepMs: reference.atMs === undefined ? frame.stepMs : 0,
    count: frame.count,
    rangeMs: plan.rangeMs,
    evaluationStartMs: frame.startMs,
    evaluationStepMs: frame.stepMs,
    lookbackMs: 0,
    anchored: false,
    smoothed: false,
  };
  return {
    kind: "window",
    geometry,
    async stream(query, sink) {
      if (frame.count === 0 || inner.count === 0) return;
      const times = new Float64Array(inner.count);
      const values = new Float64Array(inner.count);
      await operand.stream(query, (row) => {
        let count = 0;
        const histograms = histogramsOf(row, inner);
        for (let k = 0; k < inner.count; k++) {
          if (row.present[k] !== FLOAT) continue;
          times[count] = inner.startMs + k * inner.stepMs;
          values[count] = row.values[k]!;
          count++;
        }
        if (count === 0 && histograms === undefined) return;
        query.budget.probe(count);
        sink({ labels: row.labels, dropName: row.dropName, times, values, count, histograms });
      });
    },
  };
}

function histogramsOf(row: Row, inner: Frame): HistogramSamples | undefined {
  const { histograms, present } = row;
  if (histograms === undefined) return undefined;
  const steps = Array.from(present.keys()).filter((k) => present[k] === HISTOGRAM);
  if (steps.length === 0) return undefined;
  return {
    times: Float64Array.from(steps, (k) => inner.startMs + k * inner.stepMs),
    // Samples between the steps are passed over, so nothing is known about resets any more.
    histograms: steps.map((k) => {
      const histogram = histograms.at(k);
      return histogram.counterResetHint === "gauge"
        ? histogram
        : withCounterResetHint(histogram, "unknown");
    }),
    startTimes: undefined,
  };
}

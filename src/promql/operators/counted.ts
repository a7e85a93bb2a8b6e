import { firstAfter } from "../functions/rate.ts";
import type { Plan } from "../plan.ts";
import {
  ABSENT,
  HISTOGRAM,
  histogramSamples,
  samplesOfSize,
  type VectorOperator,
  type WindowOperator,
} from "./row.ts";

/** Operators that count the samples they look at when the query's statistics are asked for. */

export function countedVector(plan: Plan, inner: VectorOperator): VectorOperator {
  if (plan.kind !== "select") return inner;
  return {
    kind: "vector",
    stream(query, sink) {
      const counts = query.samples?.at(plan);
      if (counts === undefined) return inner.stream(query, sink);
      return inner.stream(query, (row) => {
        const { present, histograms } = row;
        for (let k = 0; k < present.length; k++)
          if (present[k] !== ABSENT)
            counts[k]! += present[k] === HISTOGRAM ? samplesOfSize(histograms!.sizeOf(k)) : 1;
        sink(row);
      });
    },
  };
}

export function countedWindows(plan: Plan, inner: WindowOperator): WindowOperator {
  const { geometry } = inner;
  return {
    kind: "window",
    geometry,
    stream(query, sink) {
      const counts = query.samples?.at(plan);
      if (counts === undefined) return inner.stream(query, sink);
      return inner.stream(query, (series) => {
        const { times, count, histograms } = series;
        const histogramTimes = histograms?.times;
        // How much the histograms before each one count for.
        const before = [0];
        for (const histogram of histograms?.histograms ?? [])
          before.push(before.at(-1)! + histogramSamples(histogram));
        for (let k = 0; k < geometry.count; k++) {
          const endMs = geometry.firstEndMs + k * geometry.stepMs;
          const startMs = endMs - geometry.rangeMs;
          counts[k]! += firstAfter(times, count, endMs) - firstAfter(times, count, startMs);
          if (histogramTimes === undefined) continue;
          const { length } = histogramTimes;
          counts[k]! +=
            before[firstAfter(histogramTimes, length, endMs)]! -
            before[firstAfter(histogramTimes, length, startMs)]!;
        }
        sink(series);
      });
    },
  };
}

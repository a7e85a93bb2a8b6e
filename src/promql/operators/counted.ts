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
      const reads = query.samples?.readAt(plan);
      if (counts === undefined || reads === undefined) return inner.stream(query, sink);
      return inner.stream(query, (row) => {
        const { present, histograms } = row;
        for (let k = 0; k < present.length; k++)
          if (present[k] !== ABSENT) {
            const count = present[k] === HISTOGRAM ? samplesOfSize(histograms!.sizeOf(k)) : 1;
            counts[k]! += count;
            reads[k]! += count;
          }
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
      // Those of a subquery have been read for its own steps.
      const reads = plan.kind === "window" ? query.samples?.readAt(plan) : undefined;
      return inner.stream(query, (series) => {
        const { times, count, histograms } = series;
        const histogramTimes = histograms?.times;
        // How much the histograms before each one count for.
        const before = [0];
        for (const histogram of histograms?.histograms ?? [])
          before.push(before.at(-1)! + histogramSamples(histogram));
        const countUntil = (timeMs: number): number => {
          const floats = firstAfter(times, count, timeMs);
          if (histogramTimes === undefined) return floats;
          return floats + before[firstAfter(histogramTimes, histogramTimes.length, timeMs)]!;
        };
        let lastEnd = 0;
        for (let k = 0; k < geometry.count; k++) {
          const endMs = geometry.firstEndMs + k * geometry.stepMs;
          const start = countUntil(endMs - geometry.rangeMs);
          const end = countUntil(endMs);
          counts[k]! += end - start;
          if (reads !== undefined) reads[k]! += end - Math.max(start, lastEnd);
          lastEnd = end;
        }
        sink(series);
      });
    },
  };
}

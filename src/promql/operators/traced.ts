import type { NodeFigures } from "../analysis.ts";
import type { Plan } from "../plan.ts";
import {
  countPoints,
  type QueryContext,
  type ScalarOperator,
  type VectorOperator,
  type WindowOperator,
} from "./row.ts";

/** Operators that note what they take when the query is to be analysed, and cost one call more when it is not. */

export function tracedVector(plan: Plan, inner: VectorOperator): VectorOperator {
  return {
    kind: "vector",
    stream(query, sink) {
      const { trace } = query;
      if (trace === undefined) return inner.stream(query, sink);
      const figures = trace.figuresOf(plan);
      return timed(query, figures, (pause) =>
        inner.stream(query, (row) => {
          const points = countPoints(row);
          if (points > 0) figures.series++;
          figures.samples += points;
          pause(() => sink(row));
        }),
      );
    },
  };
}

export function tracedWindows(plan: Plan, inner: WindowOperator): WindowOperator {
  return {
    kind: "window",
    geometry: inner.geometry,
    stream(query, sink) {
      const { trace } = query;
      if (trace === undefined) return inner.stream(query, sink);
      const figures = trace.figuresOf(plan);
      return timed(query, figures, (pause) =>
        inner.stream(query, (series) => {
          figures.series++;
          figures.samples += series.count + (series.histograms?.times.length ?? 0);
          pause(() => sink(series));
        }),
      );
    },
  };
}

export function tracedScalar(plan: Plan, inner: ScalarOperator): ScalarOperator {
  return {
    kind: "scalar",
    async evaluate(query) {
      const { trace } = query;
      if (trace === undefined) return inner.evaluate(query);
      const figures = trace.figuresOf(plan);
      return timed(query, figures, async () => {
        const values = await inner.evaluate(query);
        figures.series = 1;
        figures.samples += values.length;
        return values;
      });
    },
  };
}

/** Adds the time of `work` to `figures`, without that of what it runs through `pause`. */
async function timed<T>(
  { clock }: QueryContext,
  figures: NodeFigures,
  work: (pause: (others: () => void) => void) => Promise<T>,
): Promise<T> {
  const startedMs = clock.monotonic();
  let pausedMs = 0;
  try {
    return await work((others) => {
      const pausedAtMs = clock.monotonic();
      others();
      pausedMs += clock.monotonic() - pausedAtMs;
    });
  } finally {
    figures.executionMs += clock.monotonic() - startedMs - pausedMs;
  }
}

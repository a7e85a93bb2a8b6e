import { firstAtOrAfter, interpolate } from "../functions/rate.ts";
import type { Frame, SelectorPlan } from "../plan.ts";
import { ABSENT, FLOAT, type Row, type VectorOperator } from "./row.ts";
import { forEachSeries, SampleColumns } from "./select.ts";

/** `selector smoothed`: the value on the line between the samples before and after each step, within the lookback. */
export function smoothedSelector(selector: SelectorPlan, frame: Frame): VectorOperator {
  const { reference, lookbackMs } = selector;
  return {
    kind: "vector",
    async stream(query, sink) {
      if (frame.count === 0) return;
      const columns = new SampleColumns();
      const values = new Float64Array(frame.count);
      const present = new Uint8Array(frame.count);
      await forEachSeries(selector, query, (series) => {
        columns.load(series, selector, query);
        columns.dropStale();
        const row: Row = { labels: series.labels, dropName: false, values, present };
        let isAny = false;
        for (let k = 0; k < frame.count; k++) {
          present[k] = ABSENT;
          const timeMs = (reference.atMs ?? frame.startMs + k * frame.stepMs) - reference.offsetMs;
          const { times, count } = columns;
          const next = firstAtOrAfter(times, count, timeMs);
          const isNextNear = next < count && times[next]! <= timeMs + lookbackMs;
          const isLastNear = next > 0 && times[next - 1]! > timeMs - lookbackMs;
          if (isNextNear && times[next] === timeMs) values[k] = columns.values[next]!;
          else if (!isLastNear) continue;
          else if (isNextNear)
            values[k] = interpolate(columns, { from: next - 1, timeMs, isCounter: false });
          else values[k] = columns.values[next - 1]!;
          present[k] = FLOAT;
          isAny = true;
        }
        if (isAny) sink(row);
      });
    },
  };
}

import type { Frame, SelectorPlan } from "../plan.ts";
import { floatStartTimes, holdsMoreThanFloats, loadHistograms } from "./histogram-columns.ts";
import { HistogramAnswers } from "./histogram-answers.ts";
import { HistogramReader } from "./histogram-reader.ts";
import { emptyRow, type VectorOperator } from "./row.ts";
import { forEachSeries, SampleColumns } from "./select.ts";
import { pickNewestOfBoth } from "./select-mixed.ts";

/** `start_timestamp(selector)`: when the newest sample started, in seconds; 0 where that is not known. */
export function startTimeSelector(selector: SelectorPlan, frame: Frame): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      if (frame.count === 0 || !query.startTimes) return;
      const floats = new SampleColumns();
      const reader = new HistogramReader();
      const answers = new HistogramAnswers(frame.count, { isCompact: false });
      await forEachSeries(selector, query, (series) => {
        floats.load(series, selector, query);
        const histograms = holdsMoreThanFloats(series, query)
          ? loadHistograms(series, {
              selector,
              query,
              reader,
              dropsStale: false,
              wantsStartTimes: true,
            })
          : undefined;
        const startTimes = floatStartTimes(series, floats.times, floats.count);
        const row = emptyRow(series.labels, frame.count);
        row.dropName = true;
        const place = { selector, frame, reads: "startTime", answers } as const;
        if (pickNewestOfBoth({ floats, histograms, startTimes }, place, row)) sink(row);
      });
    },
  };
}

/** The data of the range-query benchmark, the same for both programs: counters with resets, in ten jobs. */
import { Labels } from "../../src/model/labels.ts";

export const SERIES = 10_000;
export const SAMPLES = 480;
export const STEP_MS = 15_000;
/** A whole hour, so that both programs cut their blocks alike. */
export const START_MS = 1_700_000_000_000 - (1_700_000_000_000 % 7_200_000);

export function seriesLabels(series: number): Labels {
  return Labels.fromPairs([
    ["__name__", "bench_total"],
    ["job", `job-${series % 10}`],
    ["instance", `10.0.${series % 100}.${Math.floor(series / 1000)}:9100`],
    ["path", `/api/v1/resource/${Math.floor(series / 10) % 100}`],
    ["series", String(series)],
  ]);
}

/** Grows by a few each step, and starts again from zero now and then. */
export function sampleValue(series: number, index: number): number {
  const sinceReset = (index + series * 7) % 333;
  return sinceReset * (1 + (series % 17)) + ((index * 7919 + series * 104_729) % 13);
}

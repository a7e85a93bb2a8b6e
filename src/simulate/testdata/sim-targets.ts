import { Labels } from "../../model/labels.ts";
import { hashTarget } from "../../model/target-hash.ts";
import type { SimTarget } from "../sim-target.ts";

/** A target of 100 series that is scraped every 10 s, always there, answers always and never changes. */
export function simTarget(
  name: string,
  rest: Partial<SimTarget> = {},
  intervalMs = 10_000,
): SimTarget {
  const labels = Labels.fromObject({ job: "m", instance: name });
  const url = `http://${name}/metrics`;
  return {
    target: {
      hash: hashTarget(labels, url),
      job: "m",
      allLabels: labels,
      labels,
      discoveredLabels: labels,
      url,
      intervalMs,
      timeoutMs: intervalMs,
    },
    bornMs: 0,
    goneMs: Infinity,
    isDown: false,
    size: { series: 100, rawSeries: 100 },
    growthPerHour: 0,
    churnPerHour: 0,
    exploreMs: 100,
    ...rest,
  };
}

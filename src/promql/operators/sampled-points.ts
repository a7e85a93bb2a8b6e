import { Labels } from "../../model/labels.ts";
import type { SeriesSample } from "../../storage/queryable.ts";
import { type Coverage, countCovered, mostCovered } from "./covered-points.ts";
import type { QueryContext } from "./row.ts";
import { MARGIN, type PartEstimate, whyAbove } from "./sample-bound.ts";

/** Refuses a query by the points of a few of its series, chosen by chance: each gives between no point and one at each step. */
export interface PointSamples {
  /** Of no more series than this a sample cannot tell anything. */
  readonly above: number;
  /** Throws `execution` if `samples` leave no doubt. */
  refuse(samples: readonly SeriesSample[]): Promise<void>;
}

/** How samples refuse a plan, each row of which comes of one series; undefined when there is no limit. */
export function samplesOf(coverage: Coverage, query: QueryContext): PointSamples | undefined {
  const { budget } = query;
  const limit = budget.left.samples;
  if (limit === Infinity) return undefined;
  return {
    above: Math.ceil((MARGIN * limit) / coverage.frame.count),
    async refuse(samples) {
      const parts: PartEstimate[] = [];
      for (const sample of samples) {
        const { chunkLists, size, of, minTimeMs, maxTimeMs } = sample;
        const series = chunkLists.map((chunks) => ({ labels: Labels.EMPTY, chunks }));
        const points = await countCovered(series, coverage, query, sample);
        const [about, atMost] = [(points / size) * of, mostCovered(coverage, sample) * of];
        parts.push({ sample, minTimeMs, maxTimeMs, about, atMost });
      }
      const why = whyAbove(limit, [parts]);
      if (why !== undefined) budget.refuseSamples(why);
    },
  };
}

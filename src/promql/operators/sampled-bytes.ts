import type { SeriesSample } from "../../storage/queryable.ts";
import { SAMPLED_BYTES } from "../../storage/series-sample.ts";
import type { SelectorPlan } from "../plan.ts";
import type { QueryContext } from "./row.ts";
import { MARGIN, whyAbove } from "./sample-bound.ts";

/**
 * Bytes of a series count up to each of these: a sample tells the more, the nearer its series are to the most, and nobody
 * knows beforehand how large they are.
 */
const MOST_BYTES: readonly number[] = Array.from({ length: 9 }, (_, i) => SAMPLED_BYTES >> i);

/** Of no more series than this a sample cannot tell that their chunks are too many bytes. */
export function bytesSampleAbove(selector: SelectorPlan, query: QueryContext): number {
  // One sample of each is not much, however many.
  if (selector.hints.newestOnly === true) return Infinity;
  return Math.ceil((MARGIN * query.budget.left.bytes) / SAMPLED_BYTES);
}

/** Throws `execution` if `samples` leave no doubt that the chunks of all series are too many bytes. */
export function refuseBytes(samples: readonly SeriesSample[], query: QueryContext): void {
  const { budget } = query;
  const sizes = samples.map(({ chunkLists }) =>
    chunkLists.map((chunks) => chunks.reduce((sum, { data }) => sum + data.length, 0)),
  );
  const ways = MOST_BYTES.map((most) =>
    samples.map((sample, i) => {
      const { size, of, minTimeMs, maxTimeMs } = sample;
      const bytes = sizes[i]!.reduce((sum, own) => sum + Math.min(own, most), 0);
      return { sample, minTimeMs, maxTimeMs, about: (bytes / size) * of, atMost: most * of };
    }),
  );
  const why = whyAbove(budget.left.bytes, ways);
  if (why !== undefined) budget.refuseBytes(why);
}

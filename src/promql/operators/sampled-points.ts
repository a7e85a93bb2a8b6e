import { Labels } from "../../model/labels.ts";
import type { SeriesSample } from "../../storage/queryable.ts";
import type { Plan, SelectorPlan } from "../plan.ts";
import { countCovered, neededSamples } from "./covered-points.ts";
import type { QueryContext } from "./row.ts";

/**
 * Refuses a query by the points of a few of its series, chosen by chance. A series gives between no point and one at each
 * step, so however differently they are filled, a sample cannot mislead often: if all of them had no more than a share `p`
 * of their points, `n` of them would have a share `q > p` with a probability of at most exp(-n KL(q, p)) (Hoeffding, "Probability
 * inequalities for sums of bounded random variables", 1963, theorem 1 and section 6).
 */

/** A query within its budget is refused with at most this probability: once in three million years at ten a second. */
const MAX_ERROR = 1e-15;
/**
 * A sample is of one part of the storage, and what is in others may take points away: markers of staleness that came out of order,
 * a replica chosen instead. So its points have to be that many times as many as fit.
 */
const MARGIN = 2;

export interface PointSamples {
  /** Of no more series than this a sample cannot tell anything. */
  readonly above: number;
  /** Throws `execution` if one of `samples` leaves no doubt. */
  refuse(samples: readonly SeriesSample[]): Promise<void>;
}

/** How samples refuse the plan, each row of which comes of one series of the selector; undefined when they cannot. */
export function samplesOf(
  { plan, selector }: { plan: Plan; selector: SelectorPlan },
  query: QueryContext,
): PointSamples | undefined {
  const { frame } = plan;
  const needed = neededSamples(plan, selector);
  if (needed === undefined) return undefined;
  const { budget } = query;
  const tooMany = MARGIN * budget.left.samples;
  if (tooMany === Infinity) return undefined;
  return {
    above: Math.ceil(tooMany / frame.count),
    async refuse(samples) {
      for (const { chunkLists, size, of } of samples) {
        const series = chunkLists.map((chunks) => ({ labels: Labels.EMPTY, chunks }));
        const points = await countCovered(series, { selector, frame, needed, isPart: true }, query);
        const found = points / (size * frame.count);
        if (!isSurelyAbove(found, { share: tooMany / (of * frame.count), size })) continue;
        const about = Math.round(found * of * frame.count);
        budget.refuseSamples(`about ${about} by ${size} of ${of} series`);
      }
    },
  };
}

/** Whether `size` samples with the mean `found` cannot be of numbers in [0, 1] with a mean of no more than `share`. */
export function isSurelyAbove(
  found: number,
  { share, size }: { share: number; size: number },
): boolean {
  if (found <= share) return false;
  const rest = found < 1 ? (1 - found) * Math.log((1 - found) / (1 - share)) : 0;
  return size * (found * Math.log(found / share) + rest) >= -Math.log(MAX_ERROR);
}

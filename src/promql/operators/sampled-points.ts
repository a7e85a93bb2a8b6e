import { Labels } from "../../model/labels.ts";
import type { SeriesSample } from "../../storage/queryable.ts";
import { type Coverage, countCovered, mostCovered, type TimeRange } from "./covered-points.ts";
import type { QueryContext } from "./row.ts";

/**
 * Refuses a query by the points of a few of its series, chosen by chance. A series gives between no point and one at each
 * step, so however differently they are filled, a sample cannot mislead often: if all of them had no more than a share `p`
 * of their points, `n` of them would have a share `q > p` with a probability of at most exp(-n KL(q, p)) (Hoeffding, "Probability
 * inequalities for sums of bounded random variables", 1963, theorem 1 and section 6). Parts of the storage may have the same
 * series, but points of different times are different points: those of blocks that follow each other add up.
 */

/** A query within its budget is refused with at most this probability: once in three million years at ten a second. */
const MAX_ERROR = 1e-15;
/**
 * A sample is of one part of the storage, and what is in others may take points away: markers of staleness that came out of order,
 * a replica chosen instead. So its points have to be that many times as many as fit.
 */
const MARGIN = 2;
/** Halvings of [0, 1] until both ends are the same number, nearly. */
const HALVINGS = 50;

export interface PointSamples {
  /** Of no more series than this a sample cannot tell anything. */
  readonly above: number;
  /** Throws `execution` if `samples` leave no doubt. */
  refuse(samples: readonly SeriesSample[]): Promise<void>;
}

/** What a sample tells of the part that it is of. */
interface CountedPart extends TimeRange {
  readonly sample: SeriesSample;
  /** As many points as there are if all series are like the sample. */
  readonly about: number;
  /** As many as there are if all series are full. */
  readonly atMost: number;
}

/** How samples refuse a plan, each row of which comes of one series; undefined when there is no limit. */
export function samplesOf(coverage: Coverage, query: QueryContext): PointSamples | undefined {
  const { budget } = query;
  const { count } = coverage.frame;
  const tooMany = MARGIN * budget.left.samples;
  if (tooMany === Infinity) return undefined;
  return {
    above: Math.ceil(tooMany / count),
    async refuse(samples) {
      const parts: CountedPart[] = [];
      for (const sample of samples) {
        const { chunkLists, size, of, minTimeMs, maxTimeMs } = sample;
        const series = chunkLists.map((chunks) => ({ labels: Labels.EMPTY, chunks }));
        const points = await countCovered(series, coverage, query, sample);
        const [about, atMost] = [(points / size) * of, mostCovered(coverage, sample) * of];
        parts.push({ sample, minTimeMs, maxTimeMs, about, atMost });
      }
      const apart = largestApart(parts);
      // All of these have to be right.
      const candidates =
        apart.length < 2 ? parts.map((one) => [one]) : [apart, ...parts.map((one) => [one])];
      for (const some of candidates)
        if (surePoints(some, MAX_ERROR / candidates.length) > tooMany)
          budget.refuseSamples(textOf(some));
    },
  };
}

/** What nearly surely are no more points than `parts` have, which have no time in common. */
function surePoints(parts: readonly CountedPart[], maxError: number): number {
  const size = sumOf(parts, ({ sample }) => sample.size);
  // The most that one of the series chosen can stand for: with that as 1 each of them is in [0, 1].
  const unit = Math.max(...parts.map(({ atMost, sample }) => atMost / sample.size));
  const about = sumOf(parts, (part) => part.about);
  return unit > 0 ? surelyAbove(about / unit / size, { size, maxError }) * unit * size : 0;
}

function textOf(parts: readonly CountedPart[]): string {
  const about = Math.round(sumOf(parts, (part) => part.about));
  const size = sumOf(parts, ({ sample }) => sample.size);
  return parts.length === 1
    ? `about ${about} by ${size} of ${parts[0]!.sample.of} series`
    : `about ${about} by ${size} series in ${parts.length} parts of the storage`;
}

/**
 * What `size` numbers in [0, 1] with the mean `found` tell of those that they were chosen of: their mean is not below this, with
 * a probability of error of at most `maxError`.
 */
export function surelyAbove(
  found: number,
  { size, maxError = MAX_ERROR }: { size: number; maxError?: number },
): number {
  const enough = -Math.log(maxError) / size;
  let low = 0;
  let high = found;
  for (let i = 0; i < HALVINGS; i++) {
    const share = (low + high) / 2;
    const rest = found < 1 ? (1 - found) * Math.log((1 - found) / (1 - share)) : 0;
    if (found * Math.log(found / share) + rest >= enough) low = share;
    else high = share;
  }
  return low;
}

/** Of parts that have no time in common, those that may have the most points. */
export function largestApart<T extends TimeRange & { readonly atMost: number }>(
  parts: readonly T[],
): readonly T[] {
  interface Chosen {
    readonly points: number;
    readonly last: T | undefined;
    readonly before: Chosen | undefined;
  }
  const sorted = [...parts].sort((a, b) => a.maxTimeMs - b.maxTimeMs);
  // best[i]: of the first i parts.
  const best: Chosen[] = [{ points: 0, last: undefined, before: undefined }];
  for (const [i, last] of sorted.entries()) {
    let ended = i;
    while (ended > 0 && sorted[ended - 1]!.maxTimeMs >= last.minTimeMs) ended--;
    const before = best[ended]!;
    const points = before.points + last.atMost;
    best.push(points > best[i]!.points ? { points, last, before } : best[i]!);
  }
  const chosen: T[] = [];
  for (let at: Chosen | undefined = best.at(-1); at?.last !== undefined; at = at.before)
    chosen.push(at.last);
  return chosen;
}

function sumOf(parts: readonly CountedPart[], figure: (part: CountedPart) => number): number {
  return parts.reduce((sum, part) => sum + figure(part), 0);
}

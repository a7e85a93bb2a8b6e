import type { SeriesSample } from "../../storage/queryable.ts";
import type { TimeRange } from "./covered-points.ts";

/**
 * What samples of series tell of all of them. Of each series something is counted, points or bytes, between nothing and a most:
 * however differently it is spread, a sample cannot mislead often. If all series had no more than a share `p` of the most,
 * `n` of them would have a share `q > p` with a probability of at most exp(-n KL(q, p)) (Hoeffding, "Probability inequalities for
 * sums of bounded random variables", 1963, theorem 1 and section 6). Parts of the storage may have the same series, but what is
 * of different times is different: that of blocks that follow each other adds up.
 */

/** A query within its budget is refused with at most this probability: once in three million years at ten a second. */
const MAX_ERROR = 1e-15;
/**
 * A sample is of one part of the storage, and what is in others may take from it: markers of staleness that came out of order,
 * a replica chosen instead. So what is surely there has to be that many times what is allowed.
 */
export const MARGIN = 2;
/** Halvings of [0, 1] until both ends are the same number, nearly. */
const HALVINGS = 50;

/** What a sample tells of the part that it is of. */
export interface PartEstimate extends TimeRange {
  readonly sample: SeriesSample;
  /** As much as there is if all series are like the sample. */
  readonly about: number;
  /** As much as there is if all series have the most. */
  readonly atMost: number;
}

/** For a refusal, why there is surely more than `limit`, with the margin; undefined when there need not be. `ways`: to count it. */
export function whyAbove(
  limit: number,
  ways: readonly (readonly PartEstimate[])[],
): string | undefined {
  const candidates = ways.flatMap((parts) => {
    const apart = largestApart(parts);
    const alone = parts.map((one) => [one]);
    return apart.length < 2 ? alone : [apart, ...alone];
  });
  // All of these have to be right.
  const maxError = MAX_ERROR / candidates.length;
  const found = candidates.find((parts) => sureTotal(parts, maxError) > MARGIN * limit);
  if (found === undefined) return undefined;
  const about = Math.round(sumOf(found, (part) => part.about));
  const size = sumOf(found, ({ sample }) => sample.size);
  return found.length === 1
    ? `about ${about} by ${size} of ${found[0]!.sample.of} series`
    : `about ${about} by ${size} series in ${found.length} parts of the storage`;
}

/** What nearly surely is no more than `parts` have, which have no time in common. */
function sureTotal(parts: readonly PartEstimate[], maxError: number): number {
  const size = sumOf(parts, ({ sample }) => sample.size);
  // The most that one of the series chosen can stand for: with that as 1 each of them is in [0, 1].
  const unit = Math.max(...parts.map(({ atMost, sample }) => atMost / sample.size));
  const about = sumOf(parts, (part) => part.about);
  return unit > 0 ? surelyAbove(about / unit / size, { size, maxError }) * unit * size : 0;
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

function sumOf(parts: readonly PartEstimate[], figure: (part: PartEstimate) => number): number {
  return parts.reduce((sum, part) => sum + figure(part), 0);
}

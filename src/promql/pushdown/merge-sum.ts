import {
  SAW_FRACTION,
  SAW_MINUS_INFINITY,
  SAW_NAN,
  SAW_PLUS_INFINITY,
  type PartialAggregate,
} from "./partial.ts";

/**
 * One point of `sum` or `avg` out of what several shards say of it, if it can be told without knowing in which order the engine
 * would have added: then it is what the engine gives, to the last bit.
 *
 * The engine adds x₁ … xₙ in series order and keeps beside the sum s the errors eᵢ of its additions, which are exact, as c
 * (Neumaier); its result is s + c, rounded once. With u = 2⁻⁵³ and A = Σ|xᵢ|:
 *
 *     |eᵢ| ≤ u·A      every s is at most A, and rounding is off by at most u of that
 *     |cᵢ| ≤ i·u·A    so adding eᵢ₊₁ to it is off by at most i·u²·A, all additions together by n²/2·u²·A
 *
 * Thus s + c is within n²/2·u²·A of the true sum S, in whatever order. The sums of k shards together are so too, since
 * Σ nⱼ²/2·Aⱼ ≤ n²/2·A. They are added up as an unevaluated pair, whose high part loses nothing to the low part, which
 * takes 2k errors of at most u·A and is off by 2k²·u²·A, and by 2k·u²·A once more when the bound is added. So what the
 * engine rounds lies within B = (n² + 4·(k + 1)²)·u²·A of the pair; where both ends of that round to the same number, this
 * is the engine's. (A itself is a plain sum, off by n·u of itself: the factor 1.02 covers it and what is of higher order.)
 *
 * Whole numbers of at most 2⁵³ together add up exactly in any order, also where they cancel out. An average is the sum and
 * the correction each divided and rounded, so it depends on the order unless there is no correction: it takes whole numbers.
 */
const UNIT_SQUARED = 2 ** -106;
const SAFETY = 1.02;
/** Below this the bound itself would lose bits. */
const MIN_WEIGHT = 1e-200;
/** Above this some order of additions might overflow. */
const MAX_WEIGHT = 1e300;
const MAX_EXACT = 2 ** 53;

/** A shard and where its point is. */
export interface Addend {
  readonly part: PartialAggregate;
  readonly at: number;
}

/** The point; undefined when it depends on the order. All `addends` have at least one value. */
export function mergeSum(addends: readonly Addend[], operator: "sum" | "avg"): number | undefined {
  const [first] = addends;
  if (addends.length === 1 && first !== undefined) return ownSum(first, operator);
  let flags = 0;
  let weight = 0;
  let count = 0;
  for (const { part, at } of addends) {
    flags |= part.flags[at]!;
    weight += part.weight[at]!;
    count += part.counts[at]!;
  }
  const sawPlus = (flags & SAW_PLUS_INFINITY) !== 0;
  const sawMinus = (flags & SAW_MINUS_INFINITY) !== 0;
  if ((flags & SAW_NAN) !== 0 || (sawPlus && sawMinus)) return NaN;
  if (!(weight < MAX_WEIGHT)) return undefined;
  if (sawPlus) return Infinity;
  if (sawMinus) return -Infinity;
  if ((flags & SAW_FRACTION) === 0 && weight <= MAX_EXACT) {
    let sum = 0;
    for (const { part, at } of addends) sum += part.main[at]!;
    return operator === "sum" ? sum : sum / count;
  }
  return operator === "sum" ? roundedSum(addends, { weight, count }) : undefined;
}

/** All values are of one shard, which has added them up as the engine does. */
function ownSum({ part, at }: Addend, operator: "sum" | "avg"): number | undefined {
  const main = part.main[at]!;
  const side = part.side[at]!;
  const count = part.counts[at]!;
  if (operator === "sum") return main + side;
  // The engine goes on as a mean where the sum overflows; an infinite value makes that infinite too.
  if (!(part.weight[at]! < MAX_WEIGHT)) return undefined;
  return main / count + side / count;
}

function roundedSum(
  addends: readonly Addend[],
  { weight, count }: { weight: number; count: number },
): number | undefined {
  if (weight !== 0 && weight < MIN_WEIGHT) return undefined;
  let high = 0;
  let low = 0;
  for (const { part, at } of addends)
    for (let side = 0; side < 2; side++) {
      const addend = side === 0 ? part.main[at]! : part.side[at]!;
      // Knuth's two-sum: the error of an addition, exactly, whichever of the two is larger.
      const sum = high + addend;
      const shifted = sum - high;
      low += high - (sum - shifted) + (addend - shifted);
      high = sum;
    }
  const terms = count * count + 4 * (addends.length + 1) ** 2;
  const bound = SAFETY * terms * UNIT_SQUARED * weight;
  const least = high + (low - bound);
  const most = high + (low + bound);
  return least === most ? least : undefined;
}

import { addCost, headCostOf, type Load, NO_LOAD, type Tally } from "./load.ts";
import type { ObservedAssignment } from "./plan-types.ts";

/**
 * A shard's list as it reports it, by hash and added up. It depends on the list alone, so it is worked out once for each
 * list: at rest a shard's list stays the same object (shard-record.ts), and then a plan costs what has changed.
 */
export interface ListedAssignments {
  readonly byHash: readonly ObservedAssignment[];
  /** Their numbers by place, where they have some. */
  readonly numbers: Int32Array;
  /** What they cost, and those on their way out alone; without what is `unsized`. */
  readonly sum: Readonly<Tally>;
  readonly leavingSum: Readonly<Tally>;
  /** The most that one of them costs, in each dimension; `series` is that of the head. */
  readonly largest: Load;
  /** Places in `byHash` of those that have never answered here: their size is not known. */
  readonly unsized: readonly number[];
  /** Of those without a good scrape: their series may not be in the head yet. */
  readonly unproven: readonly number[];
  readonly leaving: readonly number[];
}

const KNOWN = new WeakMap<readonly ObservedAssignment[], ListedAssignments>();

/** `assignments` must not change any more. */
export function listedAssignments(assignments: readonly ObservedAssignment[]): ListedAssignments {
  let listed = KNOWN.get(assignments);
  if (listed === undefined) KNOWN.set(assignments, (listed = addUp(sortedByHash(assignments))));
  return listed;
}

function addUp(sorted: readonly ObservedAssignment[]): ListedAssignments {
  const sum = { ...NO_LOAD };
  const leavingSum = { ...NO_LOAD };
  const largest = { ...NO_LOAD };
  const unsized: number[] = [];
  const unproven: number[] = [];
  const leaving: number[] = [];
  const numbers = new Int32Array(sorted.length);
  for (let place = 0; place < sorted.length; place++) {
    const { goodScrapes, load, state, number = 0 } = sorted[place]!;
    numbers[place] = number;
    if (state === "in_transfer") leaving.push(place);
    if (goodScrapes === 0) {
      unproven.push(place);
      if (load.series === 0) {
        unsized.push(place);
        continue;
      }
    }
    addCost(sum, load, 1);
    if (state === "in_transfer") addCost(leavingSum, load, 1);
    largest.series = Math.max(largest.series, headCostOf(load));
    largest.rawSeries = Math.max(largest.rawSeries, load.rawSeries);
    largest.samplesPerSecond = Math.max(largest.samplesPerSecond, load.samplesPerSecond);
  }
  return { byHash: sorted, numbers, sum, leavingSum, largest, unsized, unproven, leaving };
}

/** Digits alone: their order needs no care for encodings. */
export function byHash(a: { readonly hash: string }, b: { readonly hash: string }): number {
  return a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0;
}

/** Fast path: lists mostly are in order already, because plans are. */
export function sortedByHash<T extends { readonly hash: string }>(
  list: readonly T[],
): readonly T[] {
  for (let i = 1; i < list.length; i++)
    if (list[i - 1]!.hash > list[i]!.hash) return [...list].sort(byHash);
  return list;
}

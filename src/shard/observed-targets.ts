import type { Target } from "../model/target.ts";
import type { Exploration } from "./explorer.ts";
import type { AssignedCounts } from "./hold.ts";
import type { ListedTargets } from "./listed-targets.ts";
import type { Load } from "./load.ts";
import type { ObservedAssignment, ObservedShard, ObservedTarget } from "./plan-types.ts";

/** What discovery lists, what shards have, and what test scrapes have found, put together. */
export interface TargetObservation {
  readonly targets: readonly ObservedTarget[];
  /** Listed, and on no shard, by hash. */
  readonly unowned: Map<string, Target>;
  /** By job. */
  readonly counts: ReadonlyMap<string, AssignedCounts>;
}

interface Counts {
  assigned: number;
  listed: number;
}

type ResultOf = (hash: string) => Exploration | undefined;

/**
 * Looks once a cycle at every target there is, by number. What says the same as in the cycle before stays the same object,
 * also the whole list; where nothing has changed at all nothing is looked at.
 */
export class TargetObserver {
  readonly #listed: ListedTargets;
  /** By number; those of targets that are gone too. */
  #known: (ObservedTarget | undefined)[] = [];
  #loads: (Load | undefined)[] = [];
  #last:
    | {
        readonly version: object;
        readonly lists: readonly unknown[];
        /** Of what nobody had. */
        readonly results: ReadonlyMap<string, Exploration | undefined>;
        readonly made: TargetObservation;
      }
    | undefined;

  constructor(listed: ListedTargets) {
    this.#listed = listed;
  }

  observe(shards: readonly ObservedShard[], resultOf: ResultOf): TargetObservation {
    const { version } = this.#listed;
    const lists = shards.map(({ assignments }) => assignments);
    const last = this.#last;
    const results = new Map<string, Exploration | undefined>();
    for (const hash of last?.made.unowned.keys() ?? []) results.set(hash, resultOf(hash));
    const isSame =
      last?.version === version &&
      lists.length === last.lists.length &&
      lists.every((list, i) => list === last.lists[i]) &&
      [...results].every(([hash, result]) => isSameResult(result, last.results.get(hash)));
    const made = isSame ? last.made : this.#observe(lists, resultOf);
    if (!isSame) {
      results.clear();
      for (const hash of made.unowned.keys()) results.set(hash, resultOf(hash));
      this.#last = { version, lists, results, made };
    }
    return { ...made, unowned: new Map(made.unowned) };
  }

  #observe(
    lists: readonly (readonly ObservedAssignment[])[],
    resultOf: ResultOf,
  ): TargetObservation {
    const counts = this.#readLoads(lists);
    const targets: ObservedTarget[] = [];
    const unowned = new Map<string, Target>();
    for (const { job, targets: listed, numbers } of this.#listed.jobs) {
      const count = counts.get(job);
      for (let i = 0; i < listed.length; i++) {
        const number = numbers[i]!;
        const target = listed[i]!;
        const load = this.#loads[number];
        if (load === undefined) {
          unowned.set(target.hash, target);
          const result = resultOf(target.hash);
          const found = { explored: result?.explored ?? "pending", load: result?.load };
          targets.push(this.#targetOf(target, { number, job, ...found }));
          continue;
        }
        if (count !== undefined) count.listed++;
        // Assigned, but of unknown size: it weighs its job's median.
        const isSized = load.series + load.rawSeries > 0;
        targets.push(
          this.#targetOf(
            target,
            isSized
              ? { number, job, explored: "measured", load }
              : { number, job, explored: "failed", load: undefined },
          ),
        );
      }
    }
    const before = this.#last?.made.targets ?? [];
    const isSame =
      targets.length === before.length && targets.every((target, i) => target === before[i]);
    return { targets: isSame ? before : targets, unowned, counts };
  }

  #targetOf(
    { hash, url }: Target,
    said: Omit<ObservedTarget, "hash" | "url"> & { readonly number: number },
  ): ObservedTarget {
    const { number, job, explored, load } = said;
    const known = this.#known[number];
    const isSame =
      known !== undefined &&
      known.hash === hash &&
      known.job === job &&
      known.url === url &&
      known.explored === explored &&
      known.load === load;
    return isSame ? known : (this.#known[number] = { hash, number, job, url, explored, load });
  }

  /** The load of every assigned target, measured rather than given; counts the distinct ones of each job. */
  #readLoads(lists: readonly (readonly ObservedAssignment[])[]): Map<string, Counts> {
    const counts = new Map<string, Counts>();
    const loads = this.#loads;
    loads.length = this.#listed.numbers.count;
    loads.fill(undefined);
    for (const list of lists)
      for (const { number, job, load, goodScrapes } of list) {
        const isKnown = loads[number!] !== undefined;
        if (goodScrapes > 0 || !isKnown) loads[number!] = load;
        if (isKnown) continue;
        const count = counts.get(job);
        if (count === undefined) counts.set(job, { assigned: 1, listed: 0 });
        else count.assigned++;
      }
    return counts;
  }
}

function isSameResult(a: Exploration | undefined, b: Exploration | undefined): boolean {
  return a?.explored === b?.explored && a?.load === b?.load;
}

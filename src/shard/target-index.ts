import type { ListedAssignments } from "./listed-assignments.ts";
import { type Load, medianLoad, NO_LOAD } from "./load.ts";
import type { Observed, ObservedTarget } from "./plan-types.ts";

const KNOWN = new WeakMap<readonly ObservedTarget[], TargetIndex>();

/** The index of what is observed, made once for each list of targets; the list must not change any more. */
export function indexTargets({ targets, hashCount }: Observed): TargetIndex {
  let index = KNOWN.get(targets);
  if (index === undefined || index.hashCount !== hashCount)
    KNOWN.set(targets, (index = new TargetIndex(targets, hashCount)));
  return index;
}

/** No place. */
export const NONE = -1;

/** Where each listed target stands in the list, and typical loads for those that nobody could measure. */
export class TargetIndex {
  readonly targets: readonly ObservedTarget[];
  readonly hashCount: number | undefined;
  /** Of equal hashes the last one counts. One of the two is filled. */
  readonly #byNumber: Int32Array;
  readonly #byHash = new Map<string, number>();
  /** Only worked out for targets of unknown size. */
  #loads: ReadonlyMap<string, readonly Load[]> | undefined;
  #overall: Load | undefined;
  readonly #medians = new Map<string, Load>();

  constructor(targets: readonly ObservedTarget[], hashCount: number | undefined) {
    this.targets = targets;
    this.hashCount = hashCount;
    this.#byNumber = new Int32Array(hashCount ?? 0).fill(NONE);
    if (hashCount === undefined)
      for (const [place, { hash }] of targets.entries()) this.#byHash.set(hash, place);
    else for (let i = 0; i < targets.length; i++) this.#byNumber[targets[i]!.number!] = i;
  }

  /** Whether it is the one that counts of those with its hash. */
  counts(place: number): boolean {
    const { hash, number } = this.targets[place]!;
    const counting =
      this.hashCount === undefined ? this.#byHash.get(hash) : this.#byNumber[number!];
    return counting === place;
  }

  /** Where each of `listed` stands, by its place there; `NONE` for those that are not listed. */
  placesOf({ byHash, numbers }: ListedAssignments, into: Int32Array): void {
    if (this.hashCount === undefined)
      for (const [i, { hash }] of byHash.entries()) into[i] = this.#byHash.get(hash) ?? NONE;
    else for (let i = 0; i < numbers.length; i++) into[i] = this.#byNumber[numbers[i]!]!;
  }

  /** The median of the job's measured targets; without any, of all measured targets. */
  medianOf(job: string): Load {
    let median = this.#medians.get(job);
    if (median === undefined) {
      this.#loads ??= loadsByJob(this.targets);
      median = medianLoad(this.#loads.get(job) ?? []) ?? this.#medianOfAll(this.#loads);
      this.#medians.set(job, median);
    }
    return median;
  }

  #medianOfAll(loads: ReadonlyMap<string, readonly Load[]>): Load {
    this.#overall ??= medianLoad([...loads.values()].flat()) ?? NO_LOAD;
    return this.#overall;
  }
}

function loadsByJob(targets: readonly ObservedTarget[]): ReadonlyMap<string, readonly Load[]> {
  const loads = new Map<string, Load[]>();
  for (const { job, load } of targets) {
    if (load === undefined) continue;
    const known = loads.get(job);
    if (known === undefined) loads.set(job, [load]);
    else known.push(load);
  }
  return loads;
}

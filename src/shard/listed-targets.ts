import { isSameScrape, type Target } from "../model/target.ts";
import { HashNumbers } from "./hash-numbers.ts";
import type { JobTargets } from "./hold.ts";

/** One job's targets, with the numbers of their hashes by place. */
export interface ListedJob {
  readonly job: string;
  readonly targets: readonly Target[];
  readonly numbers: Int32Array;
}

/** How far ahead in the list before a target is looked for that is not in its place any more. */
const LOOK_AHEAD_MAX = 64;

/** What discovery lists, found by number. An update costs what it changes: most of a list is that of the cycle before. */
export class ListedTargets {
  readonly numbers = new HashNumbers();
  #jobs: readonly ListedJob[] = [];
  #byNumber: (Target | undefined)[] = [];
  #version: object = {};

  get jobs(): readonly ListedJob[] {
    return this.#jobs;
  }

  /** Another object whenever anything that is listed has changed. */
  get version(): object {
    return this.#version;
  }

  update(jobs: readonly JobTargets[]): void {
    const before = new Map(this.#jobs.map((listed) => [listed.job, listed]));
    const listed = jobs.map(({ job, targets }): ListedJob => {
      const known = before.get(job);
      if (known?.targets === targets) return known;
      return { job, targets, numbers: this.#number(targets, known) };
    });
    const isSame =
      listed.length === this.#jobs.length && listed.every((job, i) => job === this.#jobs[i]);
    if (isSame) return;
    this.#jobs = listed;
    this.#version = {};
    this.#byNumber = Array.from({ length: this.numbers.count }, () => undefined);
    for (const { targets, numbers } of listed)
      for (let i = 0; i < targets.length; i++) this.#byNumber[numbers[i]!] = targets[i];
  }

  byNumber(number: number): Target | undefined {
    return this.#byNumber[number];
  }

  byHash(hash: string): Target | undefined {
    const number = this.numbers.get(hash);
    return number === undefined ? undefined : this.#byNumber[number];
  }

  /** The listed target in place of an equal one, so that there is one copy of its labels. */
  adopt(target: Target): Target {
    const listed = this.byHash(target.hash);
    return listed !== undefined && isSameScrape(listed, target) ? listed : target;
  }

  #number(targets: readonly Target[], known: ListedJob | undefined): Int32Array {
    const numbers = new Int32Array(targets.length);
    let place = 0;
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i]!;
      const found = known === undefined ? -1 : findFrom(known.targets, target, place);
      if (found >= 0) place = found + 1;
      numbers[i] = found >= 0 ? known!.numbers[found]! : this.numbers.of(target.hash);
    }
    return numbers;
  }
}

function findFrom(targets: readonly Target[], target: Target, from: number): number {
  const end = Math.min(targets.length, from + LOOK_AHEAD_MAX);
  for (let place = from; place < end; place++) if (targets[place] === target) return place;
  return -1;
}

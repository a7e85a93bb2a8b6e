import { isSameScrape, type Target } from "../model/target.ts";
import type { HashNumbers } from "./hash-numbers.ts";
import { headCostOf, type Load } from "./load.ts";
import type { ObservedAssignment } from "./plan-types.ts";
import {
  ASSIGNED_AT,
  BODY_BYTES_PER_SECOND,
  GOOD_SCRAPES,
  NEW_SERIES_PER_HOUR,
  RAW_SERIES,
  SAMPLES_PER_SECOND,
  SCRAPES,
  SERIES,
  type StatusList,
  StatusTable,
} from "./status-table.ts";
import type { AssignedTarget } from "./wire.ts";

/** A load that changes by less than this share of itself stays the one that is planned with: loads are never quite still. */
const LOAD_TOLERANCE = 1 / 128;

/** Scrapes of an assignment are counted up to here: more than any move waits for. */
const SCRAPES_COUNTED = 10;

/**
 * What a shard reports, as the planner reads it. What says the same as in the cycle before stays the same object, also the
 * whole list: the planner and all others need not look at it again.
 */
export class ReportedList {
  readonly #numbers: HashNumbers;
  /** By place in the shard's list; undefined for a target of which nothing but the hash is known. */
  #entries: (ObservedAssignment | undefined)[] = [];
  #targets: (Target | undefined)[] = [];
  #list: StatusList = StatusTable.EMPTY.list;
  #isKnown = false;
  #assignments: readonly ObservedAssignment[] = [];
  #checked: unknown;

  constructor(numbers: HashNumbers) {
    this.#numbers = numbers;
  }

  get assignments(): readonly ObservedAssignment[] {
    return this.#assignments;
  }

  /** `specs` are read anew when the list is another one, or after `forgetTargets`. */
  read(table: StatusTable, specs: ReadonlyMap<string, Pick<AssignedTarget, "target">>): void {
    const isSameList = table.list === this.#list && this.#isKnown;
    if (!isSameList) this.#enter(table.list, specs);
    let isSame = isSameList;
    for (let place = 0; place < table.size; place++) {
      const target = this.#targets[place];
      if (target === undefined) continue;
      const known = this.#entries[place];
      if (known !== undefined && known.url === target.url && saysTheSame(table, place, known))
        continue;
      this.#entries[place] = this.#observe(table, place, target);
      isSame = false;
    }
    if (isSame) return;
    this.#assignments = this.#entries.filter((entry) => entry !== undefined);
  }

  /** What targets are has changed. */
  forgetTargets(): void {
    this.#isKnown = false;
    this.#checked = undefined;
  }

  /** The shard is told to scrape only what `isKept`: what it loses does not count any more. */
  keepOnly(isKept: (hash: string) => boolean): void {
    this.#entries = this.#entries.map((entry) =>
      entry !== undefined && isKept(entry.hash) ? entry : undefined,
    );
    this.#assignments = this.#entries.filter((entry) => entry !== undefined);
    this.forgetTargets();
  }

  /**
   * Hashes of targets that discovery lists with other labels or another URL than the shard has them with. `changes` stands
   * for what is listed: as long as both are the same, nothing is looked at.
   */
  outdated(
    listed: {
      readonly byNumber: (number: number) => Target | undefined;
      readonly version: unknown;
    },
    adopt: (hash: string, target: Target) => void,
  ): readonly string[] {
    if (this.#checked === listed.version) return [];
    const outdated: string[] = [];
    for (let place = 0; place < this.#targets.length; place++) {
      const entry = this.#entries[place];
      const target = this.#targets[place];
      if (entry === undefined || target === undefined) continue;
      const current = listed.byNumber(entry.number!);
      if (current === undefined || current === target) continue;
      if (!isSameScrape(current, target)) outdated.push(entry.hash);
      else {
        // One copy is enough.
        this.#targets[place] = current;
        adopt(entry.hash, current);
      }
    }
    if (outdated.length === 0) this.#checked = listed.version;
    return outdated;
  }

  #enter(list: StatusList, specs: ReadonlyMap<string, Pick<AssignedTarget, "target">>): void {
    const known = new Map<string, ObservedAssignment>();
    for (const entry of this.#entries) if (entry !== undefined) known.set(entry.hash, entry);
    this.#entries = list.hashes.map((hash) => known.get(hash));
    this.#targets = list.hashes.map((hash) => specs.get(hash)?.target);
    this.#list = list;
    this.#isKnown = true;
    this.#checked = undefined;
  }

  #observe(table: StatusTable, place: number, target: Target): ObservedAssignment {
    const { hash, job, url } = target;
    const { state, assignedAtMs, load, health, scrapes, goodScrapes } = table.at(place);
    const number = this.#numbers.of(hash);
    return { hash, number, job, url, state, assignedAtMs, load, health, scrapes, goodScrapes };
  }
}

/** Fast path: for every target in every cycle. */
function saysTheSame(table: StatusTable, place: number, known: ObservedAssignment): boolean {
  const { numbers, size } = table;
  const scrapes = numbers[SCRAPES * size + place]!;
  const goodScrapes = numbers[GOOD_SCRAPES * size + place]!;
  return (
    known.state === table.stateAt(place) &&
    known.assignedAtMs === numbers[ASSIGNED_AT * size + place] &&
    known.health === table.healthAt(place) &&
    isSameCount(known.scrapes, scrapes) &&
    isSameCount(known.goodScrapes, goodScrapes) &&
    isSameLoad(table, place, known.load)
  );
}

function isSameCount(a: number, b: number): boolean {
  return a === b || (a >= SCRAPES_COUNTED && b >= SCRAPES_COUNTED);
}

function isSameLoad({ numbers, size }: StatusTable, place: number, known: Load): boolean {
  const series = numbers[SERIES * size + place]!;
  const newSeriesPerHour = numbers[NEW_SERIES_PER_HOUR * size + place]!;
  const rawSeries = numbers[RAW_SERIES * size + place]!;
  const samples = numbers[SAMPLES_PER_SECOND * size + place]!;
  const bodyBytes = numbers[BODY_BYTES_PER_SECOND * size + place]!;
  return (
    (series === known.series && newSeriesPerHour === known.newSeriesPerHour
      ? true
      : isNear(headCostOf({ ...known, series, newSeriesPerHour }), headCostOf(known))) &&
    isNear(rawSeries, known.rawSeries) &&
    isNear(samples, known.samplesPerSecond) &&
    isNear(bodyBytes, known.bodyBytesPerSecond)
  );
}

function isNear(a: number, b: number): boolean {
  return a === b || Math.abs(a - b) < LOAD_TOLERANCE * b;
}

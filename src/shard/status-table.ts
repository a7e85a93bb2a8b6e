import type { TargetHealth } from "../model/target.ts";
import type { AssignmentState } from "./plan-types.ts";
import type { TargetStatus } from "./wire.ts";

/** Whose statuses a table has, in its order: the same object for as long as a shard's list has the same targets. */
export interface StatusList {
  /** What the shard calls its list: changes whenever the list does. "" when it does not say. */
  readonly revision: string;
  readonly hashes: readonly string[];
}

/** The columns of numbers, one after the other. Format: docs/format/status-columns.md. */
export const ASSIGNED_AT = 0;
export const SERIES = 1;
export const RAW_SERIES = 2;
export const SAMPLES_PER_SECOND = 3;
export const BODY_BYTES_PER_SECOND = 4;
export const NEW_SERIES_PER_HOUR = 5;
export const LAST_SCRAPE = 6;
export const LAST_SCRAPE_DURATION = 7;
export const SCRAPES = 8;
export const GOOD_SCRAPES = 9;
export const NUMBER_COLUMNS = 10;

/** The columns of bytes: codes, the index in these lists. */
export const STATE = 0;
export const HEALTH = 1;
export const BYTE_COLUMNS = 2;
const STATES: readonly AssignmentState[] = ["normal", "in_transfer"];
const HEALTHS: readonly TargetHealth[] = ["unknown", "up", "down"];
export const DOWN = HEALTHS.indexOf("down");

const NO_LIST: StatusList = { revision: "", hashes: [] };

/**
 * What a shard says of its targets, in columns: a coordinator keeps 100,000 of these, and looks at most of them only to
 * see that they have not changed. It reads like a map from hash to status; each status is made when it is asked for.
 */
export class StatusTable implements ReadonlyMap<string, TargetStatus> {
  static readonly EMPTY = new StatusTable(NO_LIST);

  readonly list: StatusList;
  /** Column after column, each as long as the list. */
  readonly numbers: Float64Array;
  readonly bytes: Uint8Array;
  /** By place, the last errors of those that have one. */
  readonly errors = new Map<number, string>();

  /** Takes the columns over; without any they are all zeros, to be filled in. */
  constructor(list: StatusList, columns?: Pick<StatusTable, "numbers" | "bytes">) {
    const size = list.hashes.length;
    this.list = list;
    this.numbers = columns?.numbers ?? new Float64Array(NUMBER_COLUMNS * size);
    this.bytes = columns?.bytes ?? new Uint8Array(BYTE_COLUMNS * size);
  }

  /** A copy of `statuses`, with the list of `before` when it is the same one. */
  static of(statuses: ReadonlyMap<string, TargetStatus>, before: StatusTable): StatusTable {
    if (statuses instanceof StatusTable) return statuses;
    const table = new StatusTable(listOf(statuses, before.list));
    let place = 0;
    for (const status of statuses.values()) table.set(place++, status);
    return table;
  }

  get size(): number {
    return this.list.hashes.length;
  }

  set(place: number, status: TargetStatus): void {
    const { numbers, bytes, size } = this;
    const { load } = status;
    numbers[ASSIGNED_AT * size + place] = status.assignedAtMs;
    numbers[SERIES * size + place] = load.series;
    numbers[RAW_SERIES * size + place] = load.rawSeries;
    numbers[SAMPLES_PER_SECOND * size + place] = load.samplesPerSecond;
    numbers[BODY_BYTES_PER_SECOND * size + place] = load.bodyBytesPerSecond;
    numbers[NEW_SERIES_PER_HOUR * size + place] = load.newSeriesPerHour;
    numbers[LAST_SCRAPE * size + place] = status.lastScrapeMs;
    numbers[LAST_SCRAPE_DURATION * size + place] = status.lastScrapeDurationMs;
    numbers[SCRAPES * size + place] = status.scrapes;
    numbers[GOOD_SCRAPES * size + place] = status.goodScrapes;
    bytes[STATE * size + place] = STATES.indexOf(status.state);
    bytes[HEALTH * size + place] = HEALTHS.indexOf(status.health);
    if (status.lastError !== "") this.errors.set(place, status.lastError);
    else if (this.errors.size > 0) this.errors.delete(place);
  }

  number(column: number, place: number): number {
    return this.numbers[column * this.size + place]!;
  }

  byte(column: number, place: number): number {
    return this.bytes[column * this.size + place]!;
  }

  stateAt(place: number): AssignmentState {
    return STATES[this.byte(STATE, place)] ?? "normal";
  }

  healthAt(place: number): TargetHealth {
    return HEALTHS[this.byte(HEALTH, place)] ?? "unknown";
  }

  at(place: number): TargetStatus {
    return {
      state: this.stateAt(place),
      assignedAtMs: this.number(ASSIGNED_AT, place),
      load: {
        series: this.number(SERIES, place),
        rawSeries: this.number(RAW_SERIES, place),
        samplesPerSecond: this.number(SAMPLES_PER_SECOND, place),
        bodyBytesPerSecond: this.number(BODY_BYTES_PER_SECOND, place),
        newSeriesPerHour: this.number(NEW_SERIES_PER_HOUR, place),
      },
      health: this.healthAt(place),
      lastError: this.errors.get(place) ?? "",
      lastScrapeMs: this.number(LAST_SCRAPE, place),
      lastScrapeDurationMs: this.number(LAST_SCRAPE_DURATION, place),
      scrapes: this.number(SCRAPES, place),
      goodScrapes: this.number(GOOD_SCRAPES, place),
    };
  }

  get(hash: string): TargetStatus | undefined {
    const place = placesOf(this.list).get(hash);
    return place === undefined ? undefined : this.at(place);
  }

  has(hash: string): boolean {
    return placesOf(this.list).has(hash);
  }

  keys(): MapIterator<string> {
    return this.list.hashes.values();
  }

  *values(): MapIterator<TargetStatus> {
    for (let place = 0; place < this.size; place++) yield this.at(place);
  }

  *entries(): MapIterator<[string, TargetStatus]> {
    for (let place = 0; place < this.size; place++)
      yield [this.list.hashes[place]!, this.at(place)];
  }

  [Symbol.iterator](): MapIterator<[string, TargetStatus]> {
    return this.entries();
  }

  forEach(
    callback: (status: TargetStatus, hash: string, map: ReadonlyMap<string, TargetStatus>) => void,
  ): void {
    for (const [hash, status] of this) callback(status, hash, this);
  }
}

function listOf(statuses: ReadonlyMap<string, TargetStatus>, before: StatusList): StatusList {
  const { hashes } = before;
  let place = 0;
  let isSame = statuses.size === hashes.length;
  if (isSame) for (const hash of statuses.keys()) isSame &&= hash === hashes[place++];
  return isSame ? before : { revision: "", hashes: [...statuses.keys()] };
}

/** Only looked at for people, who ask for one of them. */
const PLACES = new WeakMap<StatusList, ReadonlyMap<string, number>>();

function placesOf(list: StatusList): ReadonlyMap<string, number> {
  let places = PLACES.get(list);
  if (places === undefined) {
    places = new Map(list.hashes.map((hash, place) => [hash, place]));
    PLACES.set(list, places);
  }
  return places;
}

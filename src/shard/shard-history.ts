import type { ShardFigures } from "./shard-figures.ts";

/** How far back the load of shards is remembered. */
export const HISTORY_MS = 2 * 60 * 60 * 1000;

/** One point for each of these; cycles within it leave their largest figures. */
export const HISTORY_STEP_MS = 10_000;

const CAPACITY = HISTORY_MS / HISTORY_STEP_MS;

/** Figures over time, one entry a point; limits are 0 where there is none. */
const COLUMNS = [
  "headSeries",
  "processSeries",
  "samplesPerSecond",
  "targets",
  "maxHeadSeries",
  "maxProcessSeries",
  "maxSamplesPerSecond",
] as const;

type Column = (typeof COLUMNS)[number];

export type HistoryPoints = { readonly timesMs: readonly number[] } & {
  readonly [K in Column]: readonly number[];
};

/**
 * The load and limits of every shard over the last hours, in memory: 45 KB a shard. A shard that does not answer leaves
 * no points, which is a gap; one that is gone is forgotten.
 */
export class ShardHistory {
  readonly #shards = new Map<string, Ring>();

  record(figures: readonly ShardFigures[], nowMs: number): void {
    const listed = new Set(figures.map(({ id }) => id));
    for (const id of this.#shards.keys()) if (!listed.has(id)) this.#shards.delete(id);
    for (const { id, state, used, limits, targets } of figures) {
      let ring = this.#shards.get(id);
      if (ring === undefined) this.#shards.set(id, (ring = new Ring()));
      if (state !== "ready" && state !== "refused") continue;
      ring.add(nowMs - (nowMs % HISTORY_STEP_MS), {
        headSeries: used.series,
        processSeries: used.rawSeries,
        samplesPerSecond: used.samplesPerSecond,
        targets,
        ...limits,
      });
    }
  }

  /** The points of shard `id` from `fromMs` on; when there are more than `pointsMax`, the largest of every few. */
  read(id: string, { fromMs, pointsMax }: { fromMs: number; pointsMax: number }): HistoryPoints {
    return (this.#shards.get(id) ?? new Ring()).read(fromMs, pointsMax);
  }
}

class Ring {
  #times = new Float64Array(0);
  #columns: Record<Column, Float64Array> = makeColumns(0);
  #start = 0;
  #count = 0;

  add(timeMs: number, point: Readonly<Record<Column, number>>): void {
    const last = this.#count - 1;
    if (last >= 0 && this.#times[this.#at(last)] === timeMs) {
      const at = this.#at(last);
      for (const name of COLUMNS)
        this.#columns[name][at] = Math.max(this.#columns[name][at]!, point[name]);
      return;
    }
    if (this.#count === this.#times.length) this.#grow();
    if (this.#count === this.#times.length) {
      this.#start = (this.#start + 1) % CAPACITY;
      this.#count--;
    }
    const at = this.#at(this.#count++);
    this.#times[at] = timeMs;
    for (const name of COLUMNS) this.#columns[name][at] = point[name];
  }

  read(fromMs: number, pointsMax: number): HistoryPoints {
    let first = 0;
    while (first < this.#count && this.#times[this.#at(first)]! < fromMs) first++;
    const step = Math.max(1, Math.ceil((this.#count - first) / pointsMax));
    const timesMs: number[] = [];
    const points = Object.fromEntries(COLUMNS.map((name) => [name, [] as number[]])) as Record<
      Column,
      number[]
    >;
    for (let i = first; i < this.#count; i += step) {
      const end = Math.min(i + step, this.#count);
      timesMs.push(this.#times[this.#at(end - 1)]!);
      for (const name of COLUMNS) {
        let largest = 0;
        for (let k = i; k < end; k++)
          largest = Math.max(largest, this.#columns[name][this.#at(k)]!);
        points[name].push(largest);
      }
    }
    return { timesMs, ...points };
  }

  #at(index: number): number {
    return (this.#start + index) % this.#times.length;
  }

  /** Doubles up to the capacity; only while nothing has been overwritten, so that the order is that of the memory. */
  #grow(): void {
    const size = Math.min(CAPACITY, Math.max(16, this.#times.length * 2));
    if (size === this.#times.length) return;
    const times = new Float64Array(size);
    times.set(this.#times);
    this.#times = times;
    const columns = makeColumns(size);
    for (const name of COLUMNS) columns[name].set(this.#columns[name]);
    this.#columns = columns;
  }
}

function makeColumns(size: number): Record<Column, Float64Array> {
  return Object.fromEntries(COLUMNS.map((name) => [name, new Float64Array(size)])) as Record<
    Column,
    Float64Array
  >;
}

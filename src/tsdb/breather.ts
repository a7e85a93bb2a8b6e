import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";

/** How long maintenance may hold the event loop at a time. Scrapes and queries wait no longer than this for it. */
export const BREATH_MS = 5;
/** The clock is read once in so many calls. */
const CALLS_PER_LOOK = 64;

/** Breaks long work on the main thread into short pieces: `if (breather.isDue()) await breather.rest();` */
export class Breather {
  readonly #clock: Pick<Clock, "monotonic">;
  #calls = 0;
  #until: number;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
    this.#until = clock.monotonic() + BREATH_MS;
  }

  /** Whether this piece of work has lasted long enough. */
  isDue(): boolean {
    if (++this.#calls < CALLS_PER_LOOK) return false;
    this.#calls = 0;
    return this.#clock.monotonic() >= this.#until;
  }

  /** Lets everything else have its turn. */
  async rest(): Promise<void> {
    await nextTurn();
    this.#until = this.#clock.monotonic() + BREATH_MS;
  }
}

const RUN_LENGTH = 512;

/** Sorts `list` as its `sort` would, resting now and then: short runs first, then merges of twice the length. */
export async function sortWithRests(
  list: Int32Array<ArrayBuffer>,
  compare: (a: number, b: number) => number,
  breather: Breather,
): Promise<Int32Array<ArrayBuffer>> {
  const { length } = list;
  for (let i = 0; i < length; i += RUN_LENGTH) {
    list.subarray(i, Math.min(i + RUN_LENGTH, length)).sort(compare);
    await breather.rest();
  }
  let from = list;
  let to = new Int32Array(length);
  for (let run = RUN_LENGTH; run < length; run *= 2) {
    for (let start = 0; start < length; start += run * 2) {
      const middle = Math.min(start + run, length);
      const end = Math.min(start + run * 2, length);
      let i = start;
      let j = middle;
      for (let k = start; k < end; k++) {
        if (j >= end || (i < middle && compare(from[i]!, from[j]!) <= 0)) to[k] = from[i++]!;
        else to[k] = from[j++]!;
        if (breather.isDue()) await breather.rest();
      }
    }
    [from, to] = [to, from];
  }
  return from;
}

import { HOUR_MS } from "./sim-target.ts";

/**
 * How long series stay in a head that nobody samples any more. Prometheus cuts two hours at a time once the head spans
 * three: a series last sampled at `t` goes with the cut that ends after it, one hour past the next even hour. So it
 * outlives its target by one to three hours.
 */
const BLOCK_MS = 2 * HOUR_MS;
const CUT_DELAY_MS = HOUR_MS;

/** When a series last sampled at `sampleMs` leaves the head. */
export function cutAfter(sampleMs: number): number {
  return Math.floor(sampleMs / BLOCK_MS) * BLOCK_MS + BLOCK_MS + CUT_DELAY_MS;
}

/** The oldest time whose series are still in the head at `nowMs`. */
export function headStart(nowMs: number): number {
  return Math.floor((nowMs - CUT_DELAY_MS) / BLOCK_MS) * BLOCK_MS;
}

/** The series of targets that a shard no longer has. */
export class FormerSeries {
  readonly #entries = new Map<string, { readonly series: number; readonly cutMs: number }>();
  #sum = 0;
  /** No entry is cut before then. */
  #nextCutMs = Infinity;

  /** The target with `hash` has left with `series` series, last sampled at `sampleMs`. */
  add(hash: string, series: number, sampleMs: number): void {
    this.take(hash);
    const cutMs = cutAfter(sampleMs);
    this.#entries.set(hash, { series, cutMs });
    this.#sum += series;
    this.#nextCutMs = Math.min(this.#nextCutMs, cutMs);
  }

  /** It is back: its series count with it again. */
  take(hash: string): void {
    this.#sum -= this.#entries.get(hash)?.series ?? 0;
    this.#entries.delete(hash);
  }

  sum(nowMs: number): number {
    if (nowMs >= this.#nextCutMs) this.#cut(nowMs);
    return this.#sum;
  }

  #cut(nowMs: number): void {
    this.#nextCutMs = Infinity;
    for (const [hash, { series, cutMs }] of this.#entries) {
      if (cutMs > nowMs) {
        this.#nextCutMs = Math.min(this.#nextCutMs, cutMs);
        continue;
      }
      this.#entries.delete(hash);
      this.#sum -= series;
    }
  }
}

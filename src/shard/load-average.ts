import type { Load } from "./load.ts";

/** Scrapes that the average is over, as in Kvass. */
const WINDOW = 3;

/** A target's load: kept series averaged over the last good scrapes, raw series of the last one. */
export class LoadAverage {
  readonly #series: number[] = [];
  #rawSeries = 0;

  add(load: Load): void {
    this.#series.push(load.series);
    if (this.#series.length > WINDOW) this.#series.shift();
    this.#rawSeries = load.rawSeries;
  }

  /** Undefined before the first. */
  get value(): Load | undefined {
    const count = this.#series.length;
    if (count === 0) return undefined;
    const sum = this.#series.reduce((total, each) => total + each, 0);
    return { series: Math.round(sum / count), rawSeries: this.#rawSeries };
  }
}

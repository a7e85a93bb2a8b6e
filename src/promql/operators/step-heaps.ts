import { FLOAT, type Row } from "./row.ts";

/**
 * The largest values of every step of a query, with the number of the row that each came from: one binary heap a step, side
 * by side in two columns, the smallest on top. Rows are offered one after the other, so none of them has to be kept. NaN
 * counts as less than everything. Equal values stay in the order in which Prometheus's heap leaves them.
 */
export class StepHeaps {
  readonly #limits: Int32Array;
  readonly #sizes: Int32Array;
  #capacity = 1;
  #values: Float64Array;
  #rows: Int32Array;
  /** A value not above that of its step is none of the best; NaN while that cannot be said so shortly. */
  readonly #leasts: Float64Array;

  /** `limits`: how many are kept, by step; nothing where that is below 1. */
  constructor(limits: Int32Array) {
    this.#limits = limits;
    this.#sizes = new Int32Array(limits.length);
    this.#values = new Float64Array(limits.length);
    this.#rows = new Int32Array(limits.length);
    this.#leasts = new Float64Array(limits.length).fill(NaN);
  }

  /** How many values there is room for: the budget's measure. */
  get room(): number {
    return this.#values.length;
  }

  /** Offers the floats of a row, times `sign`; whether any of them is among the best for now. */
  offerRow({ values, present }: Row, sign: number, row: number): boolean {
    const leasts = this.#leasts;
    let isKept = false;
    for (let k = 0; k < values.length; k++) {
      const value = sign * values[k]!;
      // Fast path: hardly a value is among the best.
      if (value <= leasts[k]! || present[k] !== FLOAT) continue;
      if (this.#offer(k, value, row)) isKept = true;
    }
    return isKept;
  }

  /** Whether the value is among the best of `step` for now. */
  #offer(step: number, value: number, row: number): boolean {
    const size = this.#sizes[step]!;
    if (size < this.#limits[step]!) {
      if (size === this.#capacity) this.#grow();
      this.#sizes[step] = size + 1;
      this.#siftUp(step * this.#capacity, size, value, row);
      if (size + 1 === this.#limits[step]!) this.#noteLeast(step);
      return true;
    }
    if (size === 0) return false;
    const base = step * this.#capacity;
    const least = this.#values[base]!;
    const isBetter = least === least ? least < value : value === value;
    if (!isBetter) return false;
    this.#siftDown(base, size, value, row);
    this.#noteLeast(step);
    return true;
  }

  #noteLeast(step: number): void {
    this.#leasts[step] = this.#values[step * this.#capacity]!;
  }

  /** What is kept at `step`, the largest first. */
  best(step: number): { readonly value: number; readonly row: number }[] {
    const base = step * this.#capacity;
    const kept = Array.from({ length: this.#sizes[step]! }, (_, i) => ({
      value: this.#values[base + i]!,
      row: this.#rows[base + i]!,
    }));
    return kept.sort((a, b) => (isLess(b.value, a.value) ? -1 : isLess(a.value, b.value) ? 1 : 0));
  }

  #siftUp(base: number, at: number, value: number, row: number): void {
    const values = this.#values;
    const rows = this.#rows;
    let child = at;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!isLess(value, values[base + parent]!)) break;
      values[base + child] = values[base + parent]!;
      rows[base + child] = rows[base + parent]!;
      child = parent;
    }
    values[base + child] = value;
    rows[base + child] = row;
  }

  /** Puts the value in the place of the smallest one. */
  #siftDown(base: number, size: number, value: number, row: number): void {
    const values = this.#values;
    const rows = this.#rows;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= size) break;
      if (child + 1 < size && isLess(values[base + child + 1]!, values[base + child]!)) child++;
      if (!isLess(values[base + child]!, value)) break;
      values[base + parent] = values[base + child]!;
      rows[base + parent] = rows[base + child]!;
      parent = child;
    }
    values[base + parent] = value;
    rows[base + parent] = row;
  }

  #grow(): void {
    const steps = this.#limits.length;
    const before = this.#capacity;
    const capacity = 2 * before;
    const values = new Float64Array(steps * capacity);
    const rows = new Int32Array(steps * capacity);
    for (let k = 0; k < steps; k++) {
      values.set(this.#values.subarray(k * before, (k + 1) * before), k * capacity);
      rows.set(this.#rows.subarray(k * before, (k + 1) * before), k * capacity);
    }
    this.#capacity = capacity;
    this.#values = values;
    this.#rows = rows;
  }
}

function isLess(a: number, b: number): boolean {
  return a !== a || a < b;
}

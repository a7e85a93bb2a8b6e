/** Native histograms for tests of a head: series that change in every way a chunk has to cope with. */
import { type Random, randomInt } from "../../base/random.ts";
import { writeStale } from "../../base/float.ts";
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, newHistogram } from "../../model/histogram.ts";
import type { HistogramColumns } from "../../storage/appender.ts";

export interface HistogramRow {
  readonly ref: number;
  readonly timeMs: number;
  readonly histogram: FloatHistogram;
  readonly isFloat: boolean;
}

export function histogramColumns(rows: readonly HistogramRow[]): HistogramColumns {
  return {
    refs: Int32Array.from(rows, ({ ref }) => ref),
    times: Float64Array.from(rows, ({ timeMs }) => timeMs),
    histograms: rows.map(({ histogram }) => histogram),
    isFloat: Uint8Array.from(rows, ({ isFloat }) => (isFloat ? 1 : 0)),
    count: rows.length,
  };
}

export function staleHistogramSample(): FloatHistogram {
  const sums = new Float64Array(1);
  writeStale(sums, 0);
  return newHistogram({ sum: sums[0]! });
}

const BOUNDS = [
  [0.1, 0.5, 1, 2.5, 10],
  [0.1, 0.5, 1, 5, 10],
];

/** A counter, or a gauge, of observations that grow in number and in how far they spread. */
export class HistogramSource {
  readonly #random: Random;
  readonly #kind: "exponential" | "custom" | "gauge";
  readonly #isFloat: boolean;
  #counts = new Map<number, number>();
  #sum = 0;
  #schema = 3;
  #bounds = 0;
  #reach = 3;

  constructor(
    random: Random,
    options: { kind: "exponential" | "custom" | "gauge"; isFloat: boolean },
  ) {
    this.#random = random;
    this.#kind = options.kind;
    this.#isFloat = options.isFloat;
  }

  next(): FloatHistogram {
    const random = this.#random;
    if (random.next() < 0.03 || this.#kind === "gauge") this.#counts = new Map();
    if (random.next() < 0.02) {
      this.#schema = randomInt(random, 6) - 1;
      this.#bounds = randomInt(random, 2);
      this.#counts = new Map();
    }
    if (random.next() < 0.1) this.#reach = 1 + randomInt(random, 30);
    for (let i = 0; i < 4; i++) {
      const index = randomInt(random, this.#kind === "custom" ? 6 : this.#reach);
      this.#counts.set(index, (this.#counts.get(index) ?? 0) + this.#step());
      this.#sum += random.next();
    }
    const indexes = [...this.#counts.keys()].sort((a, b) => a - b);
    const spans: number[] = [];
    for (const [i, index] of indexes.entries())
      if (i > 0 && indexes[i - 1] === index - 1) spans[spans.length - 1]!++;
      else spans.push(i === 0 ? index : index - indexes[i - 1]! - 1, 1);
    const buckets = Float64Array.from(indexes, (index) => this.#counts.get(index)!);
    const inBuckets = buckets.reduce((a, b) => a + b, 0);
    const isCustom = this.#kind === "custom";
    const zeroCount = isCustom ? 0 : this.#isFloat ? inBuckets / 3 : Math.floor(inBuckets / 3);
    return newHistogram({
      counterResetHint: this.#kind === "gauge" ? "gauge" : "unknown",
      schema: isCustom ? CUSTOM_BUCKETS_SCHEMA : this.#schema,
      zeroThreshold: isCustom ? 0 : 0.001,
      zeroCount,
      count: inBuckets + zeroCount,
      sum: this.#sum,
      positiveSpans: Int32Array.from(spans),
      positiveBuckets: buckets,
      customValues: Float64Array.from(isCustom ? BOUNDS[this.#bounds]! : []),
    });
  }

  #step(): number {
    return this.#isFloat ? this.#random.next() * 3 : randomInt(this.#random, 4);
  }
}

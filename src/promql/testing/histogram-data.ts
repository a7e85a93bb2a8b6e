import { STALE_NAN_HIGH, STALE_NAN_LOW } from "../../base/float.ts";
import { type Random, randomInt, seededRandom } from "../../base/random.ts";
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, newHistogram } from "../../model/histogram.ts";
import { Labels } from "../../model/labels.ts";
import type { WrittenSeries } from "./remote-write.fixture.ts";

export const START_MS = 1_700_000_000_000;
export const SAMPLES = 200;
export const INTERVAL_MS = 15_000;
/** Counters start with so many observations that no rate reaches back to zero, which 3.5 does not think of. */
const BASE = 80;

/** After so many samples a changing series changes its kind. */
export const PHASE = 25;

const staleScratch = new Float64Array(1);
new Uint32Array(staleScratch.buffer).set([STALE_NAN_LOW, STALE_NAN_HIGH]);
const STALE = newHistogram({ sum: staleScratch[0]! });

/** A histogram with `count` observations, at random in the buckets of the layout, all added to those before. */
class Observer {
  readonly #random: Random;
  readonly #positive = new Map<number, number>();
  readonly #negative = new Map<number, number>();
  #zeroCount = 0;
  #sum = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  reset(): void {
    this.#positive.clear();
    this.#negative.clear();
    this.#zeroCount = 0;
    this.#sum = 0;
  }

  observe(options: { count: number; negative: boolean; lowest: number; highest: number }): void {
    const { count, negative, lowest, highest } = options;
    for (let i = 0; i < count; i++) {
      const index = lowest + randomInt(this.#random, highest - lowest + 1);
      const kind = this.#random.next();
      if (kind < 0.1) this.#zeroCount++;
      else {
        const side = negative && kind < 0.4 ? this.#negative : this.#positive;
        side.set(index, (side.get(index) ?? 0) + 1);
        this.#sum += (side === this.#negative ? -1 : 1) * 2 ** (index / 8) * this.#random.next();
      }
    }
  }

  /** `indexOf` says which bucket of the layout an observation of bucket i falls into. */
  read(
    layout: Partial<FloatHistogram>,
    indexOf: (index: number) => number = (index) => index,
  ): FloatHistogram {
    const positive = toSide(this.#positive, indexOf);
    const negative = toSide(this.#negative, indexOf);
    const total = (buckets: Float64Array): number => buckets.reduce((a, b) => a + b, 0);
    return newHistogram({
      zeroCount: this.#zeroCount,
      count: this.#zeroCount + total(positive.buckets) + total(negative.buckets),
      sum: this.#sum,
      positiveSpans: positive.spans,
      positiveBuckets: positive.buckets,
      negativeSpans: negative.spans,
      negativeBuckets: negative.buckets,
      ...layout,
    });
  }
}

function toSide(
  counts: ReadonlyMap<number, number>,
  indexOf: (index: number) => number,
): { spans: Int32Array; buckets: Float64Array } {
  const merged = new Map<number, number>();
  for (const [index, count] of counts)
    merged.set(indexOf(index), (merged.get(indexOf(index)) ?? 0) + count);
  const indexes = [...merged.keys()].sort((a, b) => a - b);
  const spans: number[] = [];
  for (const [i, index] of indexes.entries()) {
    const before = indexes[i - 1];
    if (before === undefined) spans.push(index, 1);
    else if (index === before + 1) spans[spans.length - 1]!++;
    else spans.push(index - before - 1, 1);
  }
  return {
    spans: Int32Array.from(spans),
    buckets: Float64Array.from(indexes, (index) => merged.get(index)!),
  };
}

/** Counters, gauges and custom buckets, with resets, gaps and other layouts; series that change between kinds. */
export function createHistogramData(): WrittenSeries[] {
  const random = seededRandom(7);
  const all: WrittenSeries[] = [];
  const add = (
    pairs: Record<string, string>,
    valueAt: (k: number) => number | FloatHistogram | undefined,
  ): void => {
    const samples = Array.from({ length: SAMPLES }, (_, k) => {
      const value = valueAt(k);
      return value === undefined ? [] : [{ timeMs: START_MS + k * INTERVAL_MS, value }];
    }).flat();
    all.push({ labels: Labels.fromObject(pairs), samples });
  };
  const coarser = (index: number): number => Math.ceil(index / 2);
  for (const job of ["api", "web"])
    for (const instance of ["a", "b", "c"]) {
      const observer = new Observer(random);
      const layouts = {
        a: () => observer.read({ schema: 3, zeroThreshold: 0.001 }),
        // The resolution falls and rises again.
        b: (k: number) =>
          k > 60 && k < 140
            ? observer.read({ schema: 2, zeroThreshold: 0.001 }, coarser)
            : observer.read({ schema: 3, zeroThreshold: 0.001 }),
        c: (k: number) => observer.read({ schema: 3, zeroThreshold: k < 90 ? 0.001 : 0.0078125 }),
      };
      let gap = 0;
      add({ __name__: "latency", job, instance }, (k) => {
        const isReset = k === 0 || random.next() < 0.03;
        if (isReset) observer.reset();
        observer.observe({
          count: isReset ? BASE : 5,
          negative: instance === "a",
          lowest: -20,
          highest: 30,
        });
        if (gap > 0) gap--;
        else if (random.next() < 0.02) gap = randomInt(random, 30);
        if (gap > 0) return undefined;
        return layouts[instance as "a" | "b" | "c"](k);
      });
      const gauge = new Observer(random);
      add({ __name__: "queue_depth", job, instance }, () => {
        gauge.reset();
        gauge.observe({ count: 8, negative: true, lowest: -5, highest: 9 });
        return gauge.read({ schema: 0, zeroThreshold: 0.5, counterResetHint: "gauge" });
      });
      const custom = new Observer(random);
      add({ __name__: "size", job, instance }, (k) => {
        const isReset = k === 0 || random.next() < 0.02;
        if (isReset) custom.reset();
        custom.observe({ count: isReset ? BASE : 4, negative: false, lowest: 0, highest: 4 });
        const { zeroCount, count, ...rest } = custom.read({
          schema: CUSTOM_BUCKETS_SCHEMA,
          customValues: Float64Array.of(-1, 0.5, 2, 10),
        });
        return { ...rest, zeroCount: 0, count: count - zeroCount };
      });
      const phases = new Observer(random);
      let total = 0;
      add({ __name__: "changing", job, instance }, (k) => {
        phases.observe({ count: k === 0 ? BASE : 3, negative: false, lowest: 0, highest: 6 });
        total += randomInt(random, 9);
        if (k % 50 === PHASE - 1) return STALE;
        return Math.floor(k / PHASE) % 2 === 0 ? phases.read({ schema: 1 }) : total;
      });
      add({ __name__: "requests_total", job, instance }, () => (total += randomInt(random, 9)));
    }
  const nan = new Observer(random);
  add({ __name__: "doubtful", job: "api" }, (k) => {
    nan.observe({ count: 4, negative: true, lowest: 0, highest: 5 });
    const histogram = nan.read({ schema: 0 });
    return { ...histogram, count: histogram.count + 3 * k, sum: NaN };
  });
  return all;
}

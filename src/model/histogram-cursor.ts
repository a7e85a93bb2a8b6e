import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram } from "./histogram.ts";
import { upperBound } from "./histogram-bounds.ts";

export interface Bucket {
  readonly lower: number;
  readonly upper: number;
  readonly lowerInclusive: boolean;
  readonly upperInclusive: boolean;
  readonly count: number;
}

export type Direction = "ascending" | "descending";

/**
 * Walks the buckets of a histogram in order of value. `next` steps on and sets `count`; the bounds cost more and are
 * set by `loadBounds` only when asked for. Empty buckets of the spans are visited too.
 */
export class BucketCursor {
  count = 0;
  /** Where the bucket stands in its side's list of counts; −1 in the zero bucket. */
  position = -1;
  /** Index of the bucket within its schema; meaningless in the zero bucket. */
  index = 0;
  side: "negative" | "zero" | "positive" = "zero";
  lower = 0;
  upper = 0;
  lowerInclusive = false;
  upperInclusive = false;

  readonly #histogram: FloatHistogram;
  readonly #descending: boolean;
  readonly #whole: boolean;
  #stage: "start" | "first side" | "zero" | "after zero" | "last side" = "start";
  #side: "negative" | "positive" = "positive";
  #index = 0;
  #position = -1;
  #spans: Int32Array;
  #buckets: Float64Array;
  /** Whether the current side is walked from its far end towards zero. */
  #inward = false;
  #span = 0;
  #inSpan = 0;

  /**
   * All buckets of `h` with the zero bucket between the sides, if it is populated; or, with `side`, those of one side
   * from zero outwards.
   */
  constructor(
    h: FloatHistogram,
    options: { direction?: Direction; side?: "negative" | "positive" } = {},
  ) {
    this.#histogram = h;
    this.#descending = options.direction === "descending";
    this.#whole = options.side === undefined;
    this.#spans = h.positiveSpans;
    this.#buckets = h.positiveBuckets;
    if (options.side !== undefined) {
      this.#open(options.side, false);
      this.#stage = "last side";
    }
  }

  /** Steps to the next bucket; false at the end, where the last bucket stays readable. */
  next(): boolean {
    for (;;) {
      switch (this.#stage) {
        case "start":
          this.#open(this.#descending ? "positive" : "negative", true);
          this.#stage = "first side";
          break;
        case "first side":
          if (this.#step()) return true;
          this.#stage = "zero";
          break;
        case "zero":
          this.#stage = "after zero";
          if (this.#histogram.zeroCount > 0) {
            this.side = "zero";
            this.position = -1;
            this.count = this.#histogram.zeroCount;
            return true;
          }
          break;
        case "after zero":
          this.#open(this.#descending ? "negative" : "positive", false);
          this.#stage = "last side";
          break;
        case "last side":
          return this.#step();
      }
    }
  }

  /** Sets `lower`, `upper` and whether they belong to the bucket. Among all buckets none reaches into the zero bucket. */
  loadBounds(): void {
    const h = this.#histogram;
    const threshold = h.zeroThreshold;
    if (this.side === "zero") {
      this.lower = -threshold;
      this.upper = threshold;
      this.lowerInclusive = true;
      this.upperInclusive = true;
      return;
    }
    const far = upperBound(this.index, h.schema, h.customValues);
    const near = upperBound((this.index - 1) | 0, h.schema, h.customValues);
    const positive = this.side === "positive";
    this.lower = positive ? near : -far;
    this.upper = positive ? far : -near;
    if (h.schema === CUSTOM_BUCKETS_SCHEMA) {
      this.lowerInclusive = this.index === 0;
      this.upperInclusive = true;
    } else {
      this.lowerInclusive = this.lower < 0;
      this.upperInclusive = this.upper > 0;
    }
    if (!this.#whole) return;
    if (this.upper < 0 && this.upper > -threshold) this.upper = -threshold;
    else if (this.lower > 0 && this.lower < threshold) this.lower = threshold;
  }

  /** A copy of the current bucket with its bounds. */
  bucket(): Bucket {
    this.loadBounds();
    const { lower, upper, lowerInclusive, upperInclusive, count } = this;
    return { lower, upper, lowerInclusive, upperInclusive, count };
  }

  #open(side: "negative" | "positive", inward: boolean): void {
    const h = this.#histogram;
    this.#side = side;
    this.#inward = inward;
    const spans = side === "positive" ? h.positiveSpans : h.negativeSpans;
    this.#spans = spans;
    this.#buckets = side === "positive" ? h.positiveBuckets : h.negativeBuckets;
    if (!inward) {
      this.#span = 0;
      this.#inSpan = 0;
      this.#position = -1;
      this.#index = spans.length > 0 ? (spans[0]! - 1) | 0 : 0;
      return;
    }
    let end = 0;
    for (let s = 0; s + 1 < spans.length; s += 2) end += spans[s]! + spans[s + 1]!;
    this.#index = end | 0;
    this.#span = spans.length - 2;
    this.#inSpan = spans.length > 0 ? spans[this.#span + 1]! : 0;
    this.#position = this.#buckets.length;
  }

  #step(): boolean {
    const spans = this.#spans;
    if (this.#inward) {
      if (this.#position <= 0 || this.#span < 0) return false;
      while (this.#inSpan === 0) {
        this.#index = (this.#index - spans[this.#span]!) | 0;
        this.#span -= 2;
        if (this.#span < 0) return false;
        this.#inSpan = spans[this.#span + 1]!;
      }
      this.#inSpan--;
      this.#index = (this.#index - 1) | 0;
      this.#position--;
    } else {
      if (this.#position + 1 >= this.#buckets.length || this.#span >= spans.length) return false;
      while (this.#inSpan >= spans[this.#span + 1]!) {
        this.#inSpan = 0;
        this.#span += 2;
        if (this.#span >= spans.length) return false;
        this.#index = (this.#index + spans[this.#span]!) | 0;
      }
      this.#inSpan++;
      this.#index = (this.#index + 1) | 0;
      this.#position++;
    }
    this.side = this.#side;
    this.index = this.#index;
    this.position = this.#position;
    this.count = this.#buckets[this.#position]!;
    return true;
  }
}

import { HEAD_HOLD_HOURS, type Load, REPORT_SERIES } from "./load.ts";

/** One good scrape, as far as its cost goes. */
export interface MeasuredScrape {
  readonly startMs: number;
  readonly intervalMs: number;
  /** Samples in the answer. */
  readonly rawSeries: number;
  /** Those left after metric relabelling. */
  readonly series: number;
  /** Those that the scrape before did not have. */
  readonly seriesAdded: number;
  readonly bodyBytes: number;
}

/**
 * How much of a scrape's distance to the average is taken over: growth is believed faster than decline, because a shard
 * that is too full fails and one that is too empty only costs. Four scrapes see 94 % of a growth and 68 % of a decline;
 * Kvass's mean of three sees all of either.
 */
const RISE_WEIGHT = 1 / 2;
const FALL_WEIGHT = 1 / 4;

/** New series are counted as long as their forerunners stay in the head, so that rate × time is what the head holds. */
const CHURN_DECAY_MS = HEAD_HOLD_HOURS * 3_600_000;

/** What a target costs by this one scrape; how much of it comes and goes takes more than one to know. */
export function loadOfScrape(scrape: Omit<MeasuredScrape, "startMs" | "seriesAdded">): Load {
  const { series, rawSeries, bodyBytes, intervalMs } = scrape;
  return {
    series,
    rawSeries,
    samplesPerSecond: ((series + REPORT_SERIES) * 1000) / intervalMs,
    bodyBytesPerSecond: (Math.max(0, bodyBytes) * 1000) / intervalMs,
    newSeriesPerHour: 0,
  };
}

/** A target's load: decayed averages over its good scrapes, and the raw series of the last one. */
export class LoadAverage {
  #load: Load | undefined;
  /** New series, each weighing less the longer ago it came. */
  #newSeries: number;
  #lastStartMs = 0;

  /** `known` is the churn that was measured elsewhere, before the target came here. */
  constructor(known: Pick<Load, "newSeriesPerHour">) {
    this.#newSeries = known.newSeriesPerHour * HEAD_HOLD_HOURS;
  }

  add(scrape: MeasuredScrape): void {
    const before = this.#load;
    const now = loadOfScrape(scrape);
    if (before === undefined) this.#load = now;
    else {
      this.#load = {
        ...now,
        series: approach(before.series, now.series),
        samplesPerSecond: approach(before.samplesPerSecond, now.samplesPerSecond),
        bodyBytesPerSecond: approach(before.bodyBytesPerSecond, now.bodyBytesPerSecond),
      };
      // The first scrape finds every series new: that says nothing.
      const passedMs = Math.max(0, scrape.startMs - this.#lastStartMs);
      this.#newSeries *= Math.exp(-passedMs / CHURN_DECAY_MS);
      this.#newSeries += scrape.seriesAdded;
    }
    this.#lastStartMs = scrape.startMs;
  }

  /** In whole series and bytes; undefined before the first scrape. */
  get value(): Load | undefined {
    const load = this.#load;
    return (
      load && {
        series: Math.round(load.series),
        rawSeries: load.rawSeries,
        // A slow target stores less than one a second.
        samplesPerSecond: Math.round(load.samplesPerSecond * 1000) / 1000,
        bodyBytesPerSecond: Math.round(load.bodyBytesPerSecond),
        newSeriesPerHour: Math.round(this.#newSeries / HEAD_HOLD_HOURS),
      }
    );
  }
}

function approach(average: number, value: number): number {
  return average + (value - average) * (value > average ? RISE_WEIGHT : FALL_WEIGHT);
}

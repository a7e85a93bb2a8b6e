/**
 * What a target costs and what a shard can carry. One predicate, `fits`, decides where a target goes, whether another
 * shard would help, what must leave and what can be drained: asking for shards that could not take the target is how a
 * planner runs away.
 */

/** What scraping one target costs, in every dimension that is known. */
export interface Load {
  /** Series kept after metric relabelling: what the shard's head holds, and so its memory. Moving average. */
  readonly series: number;
  /** Series in the target's answer before metric relabelling: what parsing costs, and so CPU. Of the last good scrape. */
  readonly rawSeries: number;
  /** Samples stored a second, the scrape's report series among them: 10,000 series every 5 s weigh more than every 5 min. */
  readonly samplesPerSecond: number;
  /** Bytes of the answer, decompressed, a second. */
  readonly bodyBytesPerSecond: number;
  /** Series that were not there a scrape before, an hour: churn. Their forerunners stay in the head for a while. */
  readonly newSeriesPerHour: number;
}

export interface Limits {
  /** Most series in a shard's head; 0 turns this limit off (`--shard.max-head-series`). */
  readonly maxHeadSeries: number;
  /** Most raw series a shard parses in one round of scrapes; at least 1 (`--shard.max-process-series`). */
  readonly maxProcessSeries: number;
  /** Most samples a shard stores a second; 0 turns this limit off (`--shard.max-samples-per-second`). */
  readonly maxSamplesPerSecond: number;
}

/** `up`, `scrape_duration_seconds` and the three sample counts: every target adds these to the head. */
export const REPORT_SERIES = 5;

/** How long a series that is exposed no more stays in the head: until it is cut and truncated. */
export const HEAD_HOLD_HOURS = 2;

export const NO_LOAD: Load = {
  series: 0,
  rawSeries: 0,
  samplesPerSecond: 0,
  bodyBytesPerSecond: 0,
  newSeriesPerHour: 0,
};

/**
 * A load as somebody else tells it, with 0 for whatever is no number of at least 0. One that is not a number would fit
 * nowhere, and look like a need for ever more shards.
 */
export function finiteLoad(told: { readonly [Dimension in keyof Load]: unknown }): Load {
  return {
    series: finite(told.series),
    rawSeries: finite(told.rawSeries),
    samplesPerSecond: finite(told.samplesPerSecond),
    bodyBytesPerSecond: finite(told.bodyBytesPerSecond),
    newSeriesPerHour: finite(told.newSeriesPerHour),
  };
}

function finite(value: unknown): number {
  return typeof value === "number" && value >= 0 && value < Infinity ? value : 0;
}

/**
 * What a target with `load` takes up on a shard: `series` is then what it holds of the head, former series included.
 * Fractions are whole 1024ths, so that sums are exact and do not depend on the order of their parts.
 */
export function costOf(load: Load): Load {
  const cost: Tally = { ...NO_LOAD };
  addCost(cost, load, 1);
  return cost;
}

/** Series that the target has exposed and exposes no more, and that are still in the head. */
export function formerSeries(load: Load): number {
  return Math.round(load.newSeriesPerHour * HEAD_HOLD_HOURS);
}

/** Whether a shard that carries `used` can take `cost` more within all limits. */
export function fits(used: Load, cost: Load, limits: Limits): boolean {
  const { maxHeadSeries, maxProcessSeries, maxSamplesPerSecond } = limits;
  return (
    (maxHeadSeries === 0 || used.series + cost.series <= maxHeadSeries) &&
    used.rawSeries + cost.rawSeries <= maxProcessSeries &&
    (maxSamplesPerSecond === 0 ||
      used.samplesPerSecond + cost.samplesPerSecond <= maxSamplesPerSecond)
  );
}

/** Whether even an empty shard cannot take `cost`: such a target gets a shard of its own. */
export function isOversized(cost: Load, limits: Limits): boolean {
  return !fits(NO_LOAD, cost, limits);
}

/** `isOversized(costOf(load), limits)`, for every target of every plan. */
export function isTooBig(load: Load, limits: Limits): boolean {
  // Fast path: no cost has to be worked out.
  const { rawSeries, samplesPerSecond } = load;
  const isSmall = isBelow({ series: headCostOf(load), rawSeries, samplesPerSecond }, limits);
  return !isSmall && isOversized(costOf(load), limits);
}

/** Whether a load is so far below every limit that roundings cannot matter; `series` is what it costs of the head. */
export function isBelow(
  { series, rawSeries, samplesPerSecond }: Pick<Load, "series" | "rawSeries" | "samplesPerSecond">,
  { maxHeadSeries, maxProcessSeries, maxSamplesPerSecond }: Limits,
): boolean {
  return (
    (maxHeadSeries === 0 || series <= maxHeadSeries) &&
    rawSeries < maxProcessSeries &&
    (maxSamplesPerSecond === 0 || samplesPerSecond < maxSamplesPerSecond - 1)
  );
}

/** The fullest dimension: 0 is empty, 1 is at the limit. */
export function utilisation(used: Load, limits: Limits): number {
  return utilisationWith(used, NO_LOAD, limits);
}

/** The same with `cost` added. */
export function utilisationWith(used: Load, cost: Load, limits: Limits): number {
  const { maxHeadSeries, maxProcessSeries, maxSamplesPerSecond } = limits;
  const samples = used.samplesPerSecond + cost.samplesPerSecond;
  return Math.max(
    maxHeadSeries === 0 ? 0 : (used.series + cost.series) / maxHeadSeries,
    (used.rawSeries + cost.rawSeries) / maxProcessSeries,
    maxSamplesPerSecond === 0 ? 0 : samples / maxSamplesPerSecond,
  );
}

/** The limits with only `share` of each allowed. */
export function scaleLimits(limits: Limits, share: number): Limits {
  return {
    maxHeadSeries: limits.maxHeadSeries * share,
    maxProcessSeries: limits.maxProcessSeries * share,
    maxSamplesPerSecond: limits.maxSamplesPerSecond * share,
  };
}

export function add(a: Load, b: Load): Load {
  return {
    series: a.series + b.series,
    rawSeries: a.rawSeries + b.rawSeries,
    samplesPerSecond: a.samplesPerSecond + b.samplesPerSecond,
    bodyBytesPerSecond: a.bodyBytesPerSecond + b.bodyBytesPerSecond,
    newSeriesPerHour: a.newSeriesPerHour + b.newSeriesPerHour,
  };
}

/** What goes when `cost` leaves: `fits(carried, negate(cost), limits)` asks whether the rest fits. */
export function negate(cost: Load): Load {
  return {
    series: -cost.series,
    rawSeries: -cost.rawSeries,
    samplesPerSecond: -cost.samplesPerSecond,
    bodyBytesPerSecond: -cost.bodyBytesPerSecond,
    newSeriesPerHour: -cost.newSeriesPerHour,
  };
}

/** A sum of costs that is changed in place: a plan adds up 100,000 of them. */
export type Tally = { -readonly [Dimension in keyof Load]: Load[Dimension] };

/** Adds what `times` targets with `load` cost; -1 takes one away. */
export function addCost(tally: Tally, load: Load, times: 1 | -1): void {
  tally.series += times * headCostOf(load);
  tally.rawSeries += times * Math.round(load.rawSeries);
  tally.samplesPerSecond += (times * Math.round(load.samplesPerSecond * 1024)) / 1024;
  tally.bodyBytesPerSecond += times * Math.round(load.bodyBytesPerSecond);
  tally.newSeriesPerHour += times * Math.round(load.newSeriesPerHour);
}

/** `costOf(load).series`. */
export function headCostOf(load: Load): number {
  return Math.round(load.series) + REPORT_SERIES + formerSeries(load);
}

/** The median in each dimension, or undefined for no loads. The lower middle of an even count. */
export function medianLoad(loads: readonly Load[]): Load | undefined {
  if (loads.length === 0) return undefined;
  const middle = (dimension: keyof Load): number =>
    Float64Array.from(loads, (load) => load[dimension]).sort()[(loads.length - 1) >> 1]!;
  return {
    series: middle("series"),
    rawSeries: middle("rawSeries"),
    samplesPerSecond: middle("samplesPerSecond"),
    bodyBytesPerSecond: middle("bodyBytesPerSecond"),
    newSeriesPerHour: middle("newSeriesPerHour"),
  };
}

/**
 * What a target costs and what a shard can carry. One predicate, `fits`, decides both where a target goes and whether
 * another shard would help: asking for shards that could not take the target is how a planner runs away.
 */

/** What scraping one target costs. B adds samples per second, bytes and churn as further fields. */
export interface Load {
  /** Series kept after metric relabelling: what the shard's head holds, and so its memory. Moving average. */
  readonly series: number;
  /** Series in the target's answer before metric relabelling: what parsing costs, and so CPU. */
  readonly rawSeries: number;
}

export interface Limits {
  /** Most series in a shard's head; 0 turns this limit off (`--shard.max-head-series`). */
  readonly maxHeadSeries: number;
  /** Most raw series a shard parses in one round of scrapes; at least 1 (`--shard.max-process-series`). */
  readonly maxProcessSeries: number;
}

/** `up`, `scrape_duration_seconds` and the three sample counts: every target adds these to the head. */
export const REPORT_SERIES = 5;

export const NO_LOAD: Load = { series: 0, rawSeries: 0 };

/** The head and process series that a target with `load` takes up on a shard. */
export function costOf(load: Load): Load {
  return { series: load.series + REPORT_SERIES, rawSeries: load.rawSeries };
}

/** Whether a shard that carries `used` can take `cost` more within both limits. */
export function fits(used: Load, cost: Load, limits: Limits): boolean {
  return (
    (limits.maxHeadSeries === 0 || used.series + cost.series <= limits.maxHeadSeries) &&
    used.rawSeries + cost.rawSeries <= limits.maxProcessSeries
  );
}

/** Whether even an empty shard cannot take `cost`: such a target gets a shard of its own. */
export function isOversized(cost: Load, limits: Limits): boolean {
  return !fits(NO_LOAD, cost, limits);
}

/** The fuller of the two dimensions: 0 is empty, 1 is at the limit. */
export function utilisation(used: Load, limits: Limits): number {
  const head = limits.maxHeadSeries === 0 ? 0 : used.series / limits.maxHeadSeries;
  return Math.max(head, used.rawSeries / limits.maxProcessSeries);
}

export function add(a: Load, b: Load): Load {
  return { series: a.series + b.series, rawSeries: a.rawSeries + b.rawSeries };
}

/** The median in each dimension, or undefined for no loads. The lower middle of an even count. */
export function medianLoad(loads: readonly Load[]): Load | undefined {
  if (loads.length === 0) return undefined;
  const middle = (values: number[]): number =>
    values.sort((a, b) => a - b)[(values.length - 1) >> 1]!;
  return {
    series: middle(loads.map((load) => load.series)),
    rawSeries: middle(loads.map((load) => load.rawSeries)),
  };
}

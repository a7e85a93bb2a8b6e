import type { Target } from "../model/target.ts";
import type { Load } from "../shard/load.ts";
import { loadOfScrape } from "../shard/load-average.ts";

/** One target of a simulated fleet: when it exists and how large its answers are. Times are on the virtual clock. */
export interface SimTarget {
  readonly target: Target;
  readonly bornMs: number;
  /** From when on it answers no more; Infinity for a target that stays. */
  readonly goneMs: number;
  /** Whether it refuses every scrape. */
  readonly isDown: boolean;
  /** Series it exposes when it is born, after and before metric relabelling. */
  readonly size: Pick<Load, "series" | "rawSeries">;
  /** Relative growth of `size` per hour: 0.01 is one percent. */
  readonly growthPerHour: number;
  /** Share of its series that is replaced by new ones in an hour; the old ones stay in the head until it is cut. */
  readonly churnPerHour: number;
  /** How long a test scrape takes. */
  readonly exploreMs: number;
}

/** How the series of a fleet's targets change. */
export interface TargetLife {
  /** Mean relative growth in a day; each target grows by between nothing and twice as much. */
  readonly growthPerDay: number;
  /** Share of a target's series that is replaced in an hour. */
  readonly churnPerHour: number;
}

export const HOUR_MS = 3_600_000;

/** What a line of an answer takes, on average. */
const BYTES_PER_SERIES = 120;

/** Series that `target` exposes at `nowMs`, after and before metric relabelling. */
export function sizeAt(target: SimTarget, nowMs: number): Pick<Load, "series" | "rawSeries"> {
  const { size, growthPerHour, bornMs } = target;
  if (growthPerHour === 0) return size;
  const factor = 1 + (growthPerHour * Math.max(0, nowMs - bornMs)) / HOUR_MS;
  return {
    series: Math.round(size.series * factor),
    rawSeries: Math.round(size.rawSeries * factor),
  };
}

/** What one scrape of `target` at `nowMs` would tell of its cost. */
export function loadAt(target: SimTarget, nowMs: number): Load {
  const size = sizeAt(target, nowMs);
  const { intervalMs } = target.target;
  return loadOfScrape({ ...size, bodyBytes: size.rawSeries * BYTES_PER_SERIES, intervalMs });
}

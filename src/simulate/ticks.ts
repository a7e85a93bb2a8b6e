/**
 * Scrape times in closed form: a target is scraped at `offset + k × interval`, so what happened between two moments is
 * arithmetic and not a walk over the 30 million scrapes of a large fleet's day.
 */
export interface Rhythm {
  readonly intervalMs: number;
  /** In [0, interval). */
  readonly offsetMs: number;
}

/** The first scrape at or after `timeMs`. */
export function tickFrom({ intervalMs, offsetMs }: Rhythm, timeMs: number): number {
  return offsetMs + Math.ceil((timeMs - offsetMs) / intervalMs) * intervalMs;
}

/** The last scrape before `timeMs`. */
export function tickBefore(rhythm: Rhythm, timeMs: number): number {
  return tickFrom(rhythm, timeMs) - rhythm.intervalMs;
}

/** How many scrapes there are in [fromMs, toMs). */
export function countTicks(rhythm: Rhythm, fromMs: number, toMs: number): number {
  if (toMs <= fromMs) return 0;
  return Math.round((tickFrom(rhythm, toMs) - tickFrom(rhythm, fromMs)) / rhythm.intervalMs);
}

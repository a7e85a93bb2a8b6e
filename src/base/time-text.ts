/** After so many milliseconds the days of the calendar come again: 400 years. */
const CYCLE_MS = 146_097 * 86_400_000;
const CYCLE_YEARS = 400;
/** Beyond are no milliseconds of 64 bits. */
const MOST_MS = 2 ** 63;

/**
 * A time, ms since 1970, as Go prints it: `2023-11-14T22:13:20.000Z`, years of more digits as they are and those before the
 * year 0 with a minus. `Date` has only some 270,000 years either side.
 */
export function formatTimeText(timeMs: number): string {
  const bounded = Math.min(Math.max(timeMs, -MOST_MS), MOST_MS);
  const cycles = Math.floor(bounded / CYCLE_MS);
  // From 1970 to 2370: years of four digits. CYCLE_MS is a multiple of 1024, so nothing is rounded.
  const text = new Date(bounded - cycles * CYCLE_MS).toISOString();
  const year = Number(text.slice(0, 4)) + cycles * CYCLE_YEARS;
  return `${year < 0 ? "-" : ""}${String(Math.abs(year)).padStart(4, "0")}${text.slice(4)}`;
}

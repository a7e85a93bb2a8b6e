/** Figures in the spelling of Go's standard library, as promtool prints them. */

/** Go's `time.Duration`: `1h14m45.007s`, `2h0m0s`, `7ms`. */
export function goDuration(durationMs: number): string {
  if (durationMs === 0) return "0s";
  if (Math.abs(durationMs) < 1000) return `${durationMs}ms`;
  const sign = durationMs < 0 ? "-" : "";
  const totalMs = Math.abs(durationMs);
  const hours = Math.floor(totalMs / 3_600_000);
  const minutes = Math.floor(totalMs / 60_000) % 60;
  const seconds = String((totalMs % 60_000) / 1000);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

/** Go's `Time.String()` of whole seconds in UTC: `2023-11-14 22:13:19 +0000 UTC`; a time that has no date here as it is. */
export function goTime(timeMs: number): string {
  if (Math.abs(timeMs) > 8.64e15) return String(timeMs);
  // promtool divides before it makes a time, which rounds towards zero.
  const date = new Date(Math.trunc(timeMs / 1000) * 1000).toISOString();
  return `${date.slice(0, 10)} ${date.slice(11, 19)} +0000 UTC`;
}

/** Every unit by itself: `5KiB68B`. */
export function binarySize(bytes: number): string {
  const units = ["EiB", "PiB", "TiB", "GiB", "MiB", "KiB", "B"];
  let text = "";
  let rest = bytes;
  for (const [i, unit] of units.entries()) {
    const size = 1024 ** (units.length - 1 - i);
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text === "" ? "0B" : text;
}

/** The narrowest column, its gap included. */
const COLUMN_MIN_WIDTH = 13;

/** Rows in columns two spaces apart; the last column is not filled up. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [i, cell] of row.entries())
      widths[i] = Math.max(widths[i] ?? COLUMN_MIN_WIDTH, cell.length + 2);
  return rows
    .map((row) =>
      row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join(""),
    )
    .join("\n");
}

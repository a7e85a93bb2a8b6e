import { AppError } from "./errors.ts";

/** Durations and sizes in Prometheus's spelling (`1h30m`, `15s`, `512MB`). Durations are milliseconds. */

const DURATION = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;
const UNIT_MS = [31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1];
const UNIT_NAMES = ["y", "w", "d", "h", "m", "s", "ms"];

/** The milliseconds of a Prometheus duration; throws `bad-data` with Prometheus's own text. */
export function parseDuration(text: string): number {
  if (text === "0") return 0;
  if (text === "") throw new AppError("bad-data", "empty duration string");
  const match = DURATION.exec(text);
  if (match === null)
    throw new AppError("bad-data", `not a valid duration string: ${JSON.stringify(text)}`);
  let total = 0;
  for (const [i, unit] of UNIT_MS.entries()) total += Number(match[i + 1] ?? 0) * unit;
  // The limit of Go's 64-bit nanoseconds, about 292 years.
  if (total > 9_223_372_036_854) throw new AppError("bad-data", "duration out of range");
  return total;
}

/** The shortest Prometheus spelling: units that divide evenly, so 90 s is `1m30s` and 7 d is `1w`. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return "0s";
  let rest = Math.abs(durationMs);
  let text = durationMs < 0 ? "-" : "";
  for (const [i, unit] of UNIT_MS.entries()) {
    // Years and weeks only when nothing is left over, as Prometheus prints them.
    if (i < 2 && rest % unit !== 0) continue;
    const count = Math.floor(rest / unit);
    if (count > 0) text += `${count}${UNIT_NAMES[i]}`;
    rest -= count * unit;
  }
  return text;
}

const SIZE = /^(\d+(?:\.\d+)?)\s*(B|[KMGTPE]i?B)$/;

/** The bytes of a Prometheus size; a unit is needed, and K, M, G… are powers of 1024 with or without `i`. */
export function parseSize(text: string): number {
  if (text === "0") return 0;
  const match = SIZE.exec(text);
  if (match === null)
    throw new AppError(
      "bad-data",
      `not a valid size: ${JSON.stringify(text)} (write a number and B, KB, MB, GB, TB, PB or EB)`,
    );
  return Math.round(Number(match[1]) * 1024 ** "BKMGTPE".indexOf(match[2]![0]!));
}

export function formatSize(bytes: number): string {
  let unit = 0;
  let count = bytes;
  while (count >= 1024 && count % 1024 === 0 && unit < 6) {
    count /= 1024;
    unit++;
  }
  return bytes === 0 ? "0B" : `${count}${["B", "KB", "MB", "GB", "TB", "PB", "EB"][unit]}`;
}

/** Numbers, durations and times for people. */

const UNITS: [number, string][] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

/** 20090 → "20.1k": at most three significant digits. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  for (const [size, unit] of UNITS)
    if (Math.abs(value) >= size) return `${trim(value / size)}${unit}`;
  return Number.isInteger(value) ? String(value) : trim(value);
}

/** A sample value as the server writes it, as a number. */
export function parseValue(text: string): number {
  return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
}

function trim(value: number): string {
  return String(Number(value.toPrecision(3)));
}

export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(3))} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

export function formatSecondsShort(seconds: number): string {
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  if (seconds < 120) return `${Number(seconds.toPrecision(3))} s`;
  return formatDuration(Math.round(seconds));
}

const DURATION_UNITS: [string, number][] = [
  ["y", 31_536_000],
  ["w", 604_800],
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
];

/** Whole seconds as a Prometheus duration: 5400 → "1h30m". */
export function formatDuration(seconds: number): string {
  if (seconds <= 0) return "0s";
  let rest = seconds;
  let text = "";
  for (const [unit, size] of DURATION_UNITS) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text === "" ? `${seconds}s` : text;
}

/** A Prometheus duration in seconds, or undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const compact = text.trim();
  if (!/^(\d+(y|w|d|h|m|s))+$/.test(compact)) return undefined;
  let seconds = 0;
  for (const [, count, unit] of compact.matchAll(/(\d+)(y|w|d|h|m|s)/g))
    seconds += Number(count) * DURATION_UNITS.find(([name]) => name === unit)![1];
  return seconds > 0 ? seconds : undefined;
}

/** How long ago `time` (RFC 3339) was; "never" for Go's zero time. */
export function formatAgo(time: string, nowMs: number): string {
  const at = Date.parse(time);
  if (Number.isNaN(at) || at <= 0) return "never";
  const seconds = Math.max(0, (nowMs - at) / 1000);
  return seconds < 60 ? `${seconds.toFixed(1)}s ago` : `${formatDuration(Math.round(seconds))} ago`;
}

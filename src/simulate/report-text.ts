import type { Finding } from "./coverage.ts";
import { type Quantiles, type Report, seconds } from "./report.ts";

/** The summary for people: one subject a line, names left, figures right of them. The timing stands apart in the last line. */
export function printReport(report: Report): string {
  const lines = [
    headline(report),
    "",
    ...eventLines(report),
    ...figureLines(report).map(([name, text]) => `  ${name.padEnd(NAME_WIDTH)}${text}`),
    "",
    ...report.promises.map(({ promise, isKept, found }) =>
      isKept ? `  kept    ${promise}` : `  BROKEN  ${promise}: ${found}`,
    ),
    ...report.findings.map((finding) => `          ${findingText(finding)}`),
    "",
    verdictOf(report),
    timingLine(report),
  ];
  return `${lines.join("\n")}\n`;
}

const NAME_WIDTH = 14;

export function verdictOf({ promises }: Report): string {
  const broken = promises.filter(({ isKept }) => !isKept).length;
  return broken === 0
    ? `verdict: all ${promises.length} promises kept`
    : `verdict: ${broken} of ${promises.length} promises broken`;
}

function headline({ fleet, scenario, figures }: Report): string {
  const most = `${grouped(figures.mostTargets)} targets and ${grouped(figures.mostSeries)} series at most`;
  return `${scenario["duration"]} of ${fleet}: ${most}, seed ${scenario["seed"]}`;
}

function eventLines({ events }: Report): string[] {
  if (events.length === 0) return [];
  const lines = events.map(
    ({ atMs, durationMs, what }) =>
      `  ${clockText(atMs).padEnd(NAME_WIDTH)}${what} for ${seconds(durationMs)}`,
  );
  return [...lines, ""];
}

function figureLines({ figures }: Report): [string, string][] {
  const { shards, scaleChanges, use, spread, moves, firstScrapeMs, cost } = figures;
  const { up, down, reversals } = scaleChanges;
  const changes = `${count(up, "scale-up")}, ${count(down, "scale-down")}, ${count(reversals, "change")} of mind within 30m`;
  const lines: [string, string][] = [
    ["shards", `${shardPath(figures)}; ${changes}`],
    [
      "load",
      `${percent(use.median)} of a shard's limit (median of the mean), at most ${percent(use.worst)}`,
    ],
    [
      "spread",
      spread.samples === 0
        ? "never steady for long enough"
        : `largest over mean ${spread.median} (median), ${spread.worst} (worst), while steady`,
    ],
    [
      "targets",
      `${grouped(figures.assigned)} assigned, ${grouped(figures.removed)} removed; first scrape after ${quantilesText(firstScrapeMs)}`,
    ],
    [
      "moves",
      `${grouped(moves.total)}, and ${grouped(moves.rehomed)} off lost shards; ${grouped(moves.rolledBack)} undone`,
    ],
    ...moves.reasons.map((each): [string, string] => [
      "",
      `${grouped(each.count).padStart(7)}  ${each.reason}`,
    ]),
    ["gaps", `${gapText(figures.gaps)}; by shard losses ${gapText(figures.lossGaps)}`],
    ["overlaps", gapText(figures.overlaps)],
    [
      "lost",
      `${grouped(figures.lost)} targets; ${grouped(figures.unownedAtEnd)} on no shard at the end`,
    ],
  ];
  if (figures.tooBigAtEnd > 0)
    lines.push([
      "too big",
      `${count(figures.tooBigAtEnd, "target")} with more than a shard's limit`,
    ]);
  lines.push([
    "cost",
    cost.perShardHour === 0
      ? `${grouped(shards.hours)} shard hours`
      : `${grouped(cost.total)} for ${grouped(shards.hours)} shard hours at ${cost.perShardHour}`,
  ]);
  return lines;
}

/** 1 → 60 → 20 */
export function shardPath({ shards }: Report["figures"]): string {
  const { first, min, max, last } = shards;
  const path = [first];
  if (max > Math.max(first, last)) path.push(max);
  else if (min < Math.min(first, last)) path.push(min);
  if (last !== path.at(-1) || path.length === 1) path.push(last);
  return path.join(" → ");
}

function gapText(figures: { intervals: number; count: number; longestMs: number }): string {
  const { intervals, longestMs } = figures;
  if (intervals === 0) return "none";
  const times = figures.count === 1 ? "once" : `${grouped(figures.count)} times`;
  return `${count(intervals, "interval")} (${times}, up to ${seconds(longestMs)})`;
}

function findingText({ kind, url, shard, fromMs, durationMs }: Finding): string {
  const where = shard === undefined ? "never on a shard" : `last on ${shard}`;
  return `${kind}: ${url} from ${clockText(fromMs)} for ${seconds(durationMs)}, ${where}`;
}

function quantilesText({ p50, p99, max }: Quantiles): string {
  return `${seconds(p50)} (median), ${seconds(p99)} (99%), ${seconds(max)} (longest)`;
}

function timingLine({ timing, figures }: Report): string {
  const { p50, p99, max } = timing.planMs;
  const plan = `plan ${p50} ms (median), ${p99} ms (99%), ${max} ms (longest)`;
  return `timing: ${grouped(figures.cycles)} cycles in ${(timing.wallMs / 1000).toFixed(1)} s; ${plan}`;
}

/** 07:05:30 after the start; more than a day as 31:00:00. */
export function clockText(atMs: number): string {
  const total = Math.round(atMs / 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(Math.floor(total / 3600))}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`;
}

/** 12,345 and 12,345.6 */
export function grouped(value: number): string {
  const [whole, rest] = String(value).split(".");
  const text = whole!.replaceAll(/\B(?=(\d{3})+$)/g, ",");
  return rest === undefined ? text : `${text}.${rest}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

function count(n: number, noun: string): string {
  return `${grouped(n)} ${noun}${n === 1 ? "" : "s"}`;
}

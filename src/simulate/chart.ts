import { formatDuration } from "../base/units.ts";
import { eventLegend, eventMark, outageBand, type Times } from "./chart-events.ts";
import { type Frame, LEFT, panelHead, RIGHT, TOP, WIDTH } from "./chart-frame.ts";
import { panelsOf } from "./chart-panels.ts";
import { CHART_STYLE } from "./chart-style.ts";
import type { Report, ReportedEvent } from "./report.ts";
import { grouped, shardPath, verdictOf } from "./report-text.ts";
import { HOUR_MS } from "./sim-target.ts";
import { element, escapeText, label } from "./svg.ts";

/**
 * The run as one picture: panels over the same time, faults through all of them.
 *
 *     title, what was run
 *     ▼ loss   ◆ restart   ▒ outage
 *     targets       line
 *     shards        area: running, line: asked for
 *     load          line: mean, band up to the fullest shard
 *     moves         bars
 *     scrapes       bars up: doubled, bars down: missed
 *     0h   4h   8h …
 */
/** Between two panels, and below the last one. */
const GAP = 40;
const FOOT = 34;

/** Plain SVG text; the same report gives the same bytes. */
export function drawChart(report: Report): string {
  const { timeline } = report;
  const endMs = Math.max(1, timeline.at(-1)?.atMs ?? 1);
  const x = (atMs: number): number => LEFT + (atMs / endMs) * (WIDTH - LEFT - RIGHT);
  const panels = panelsOf(report);
  let top = TOP;
  const frames = panels.map((panel): Frame => {
    const frame = { top, height: panel.height, x };
    top += panel.height + GAP;
    return frame;
  });
  const bottom = top - GAP;
  const height = bottom + FOOT;
  const body = [
    element("rect", { class: "bg", width: WIDTH, height }),
    label(titleOf(report), { x: LEFT, y: 28 }, { class: "title" }),
    label(`${subtitleOf(report)} · ${verdictOf(report)}`, { x: LEFT, y: 48 }),
    eventLegend(),
    ...report.events.map((event) => outageBand(event, { x, bottom })),
    ...panels.map((panel, i) => panel.draw(frames[i]!)),
    ...report.events.map((event) => eventMark(event, { x, bottom })),
    ...panels.map((panel, i) => panelHead(panel, frames[i]!)),
    timeAxis(endMs, { x, bottom }),
  ];
  const title = escapeText(titleOf(report));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${title}">`,
    `<title>${title}</title>`,
    `<style>${CHART_STYLE}</style>`,
    ...body,
    "</svg>\n",
  ].join("\n");
}

function titleOf({ figures }: Report): string {
  return `${shardPath(figures)} shards for ${grouped(figures.mostTargets)} targets`;
}

function subtitleOf({ scenario, events }: Report): string {
  const count = (kind: ReportedEvent["kind"]): number =>
    events.filter((event) => event.kind === kind).length;
  const parts = [
    `${scenario["duration"]}, seed ${scenario["seed"]}`,
    plural(count("shard-loss"), "shard loss", "shard losses"),
    plural(count("sd-outage"), "discovery outage", "discovery outages"),
    plural(count("coordinator-restart"), "coordinator restart", "coordinator restarts"),
  ];
  return parts.filter((part) => part !== "").join(" · ");
}

function plural(n: number, one: string, many: string): string {
  return n === 0 ? "" : n === 1 ? `1 ${one}` : `${n} ${many}`;
}

function timeAxis(endMs: number, { x, bottom }: Times): string {
  const stepMs = TIME_STEPS_MS.find((each) => endMs / each <= 12) ?? TIME_STEPS_MS.at(-1)!;
  let text = "";
  for (let atMs = 0; atMs <= endMs; atMs += stepMs) {
    const at = x(atMs);
    text += element("line", { class: "axis", x1: at, x2: at, y1: bottom, y2: bottom + 5 });
    const name = stepMs % HOUR_MS === 0 ? `${atMs / HOUR_MS}h` : formatDuration(atMs);
    text += label(name, { x: at, y: bottom + 20 }, { class: "middle" });
  }
  return text;
}

const TIME_STEPS_MS = [
  60_000,
  300_000,
  600_000,
  1_800_000,
  HOUR_MS,
  2 * HOUR_MS,
  4 * HOUR_MS,
  12 * HOUR_MS,
  24 * HOUR_MS,
  168 * HOUR_MS,
];

import { LEFT, TOP } from "./chart-frame.ts";
import type { ReportedEvent } from "./report.ts";
import { clockText } from "./report-text.ts";
import { element, escapeText, label } from "./svg.ts";

/** The faults of a run, drawn through all panels. */
export interface Times {
  readonly x: (atMs: number) => number;
  /** Where the last panel ends. */
  readonly bottom: number;
}

/** Where the marks of the faults begin, above the first panel's title. */
const MARK_TOP = TOP - 36;

export function outageBand(event: ReportedEvent, { x, bottom }: Times): string {
  const { kind, atMs, durationMs } = event;
  if (kind !== "sd-outage") return "";
  // An outage of minutes in a day is to be seen all the same.
  const width = Math.max(2, x(atMs + durationMs) - x(atMs));
  const place = { x: x(atMs), y: MARK_TOP, width, height: bottom - MARK_TOP };
  return element("rect", { class: "outage", ...place }, hint(event));
}

export function eventMark(event: ReportedEvent, { x, bottom }: Times): string {
  const { kind, atMs } = event;
  if (kind === "sd-outage") return "";
  const name = kind === "shard-loss" ? "loss" : "restart";
  const at = x(atMs);
  const line = element("line", { class: name, x1: at, x2: at, y1: MARK_TOP + 8, y2: bottom });
  const mark = element("path", { class: `mark-${name}`, d: triangle(at, MARK_TOP) });
  return element("g", {}, hint(event) + line + mark);
}

/** Shown by a browser when the pointer rests on it. */
function hint({ atMs, what }: ReportedEvent): string {
  return element("title", {}, escapeText(`${clockText(atMs)} ${what}`));
}

export function eventLegend(): string {
  const y = 66;
  return [
    element("path", { class: "mark-loss", d: triangle(LEFT + 5, y - 9) }),
    label("shard lost", { x: LEFT + 16, y }),
    element("path", { class: "mark-restart", d: triangle(LEFT + 97, y - 9) }),
    label("coordinator restarted", { x: LEFT + 108, y }),
    element("rect", { class: "outage", x: LEFT + 250, y: y - 9, width: 14, height: 10 }),
    label("discovery out", { x: LEFT + 270, y }),
  ].join("");
}

function triangle(x: number, y: number): string {
  return `M${Math.round(x * 10) / 10 - 5},${y} h10 l-5,8 Z`;
}

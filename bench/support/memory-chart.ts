/** A run's memory over its time, drawn with what draws the simulations. */
import {
  axis,
  type Frame,
  LEFT,
  panelHead,
  RIGHT,
  TOP,
  WIDTH,
} from "../../src/simulate/chart-frame.ts";
import { CHART_STYLE } from "../../src/simulate/chart-style.ts";
import { element, escapeText, label, linePath, niceTicks } from "../../src/simulate/svg.ts";

export interface MemoryPoint {
  readonly atMs: number;
  readonly rssBytes: number;
  /** In the head, those that have gone included. */
  readonly seriesCount: number;
}

const HOUR_MS = 3_600_000;
const PANEL = 180;
const GAP = 44;
const PANELS = [
  { title: "RSS of the process, MB", value: (one: MemoryPoint) => one.rssBytes / 2 ** 20 },
  { title: "Series in the head, thousands", value: (one: MemoryPoint) => one.seriesCount / 1000 },
] as const;

export function drawMemory(title: string, points: readonly MemoryPoint[]): string {
  const endMs = points.at(-1)!.atMs;
  const x = (atMs: number): number => LEFT + (atMs / endMs) * (WIDTH - LEFT - RIGHT);
  const top = TOP - 40;
  const bottom = top + PANELS.length * (PANEL + GAP) - GAP;
  const height = bottom + 34;
  const panels = PANELS.map(({ title: name, value }, i) => {
    const frame: Frame = { top: top + i * (PANEL + GAP), height: PANEL, x };
    const scale = axis(frame, niceTicks(Math.max(...points.map(value)), 4), (tick) =>
      tick.toLocaleString("en"),
    );
    const line = linePath(points.map((one) => ({ x: x(one.atMs), y: scale(value(one)) })));
    return (
      scale.grid +
      element("path", { class: "line", d: line }) +
      panelHead({ title: name, legend: [] }, frame)
    );
  });
  let hours = "";
  for (let atMs = 0; atMs <= endMs; atMs += HOUR_MS / 2)
    hours += label(`${atMs / HOUR_MS}h`, { x: x(atMs), y: bottom + 20 }, { class: "middle" });
  const name = escapeText(title);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${name}">`,
    `<title>${name}</title>`,
    `<style>${CHART_STYLE}</style>`,
    element("rect", { class: "bg", width: WIDTH, height }),
    label(title, { x: LEFT, y: 28 }, { class: "title" }),
    ...panels,
    hours,
    "</svg>\n",
  ].join("\n");
}

import { element, label, type Point } from "./svg.ts";

/** What all panels of the picture share: the page, the place of a panel on it, its axis, its title and legend. */
export const WIDTH = 960;
export const LEFT = 56;
export const RIGHT = 16;
export const TOP = 116;

/** Where a panel lies, and its scales. */
export interface Frame {
  readonly top: number;
  readonly height: number;
  readonly x: (atMs: number) => number;
}

/** What stands above a panel. */
export interface PanelTitle {
  readonly title: string;
  readonly legend: readonly { readonly className: string; readonly text: string }[];
}

/** A value's height in the frame, and the lines and numbers of its ticks. */
export type Scale = ((value: number) => number) & { grid: string };

export function axis(
  frame: Frame,
  ticks: readonly number[],
  print: (value: number) => string,
  direction: "up" | "down" = "up",
): Scale {
  const { top, height } = frame;
  const most = ticks.at(-1)!;
  const y = (value: number): number =>
    direction === "up" ? top + height * (1 - value / most) : top + (height * value) / most;
  const lines = ticks.map((tick) => {
    const at = y(tick);
    const className = tick === 0 ? "axis" : "grid";
    const line = element("line", {
      class: className,
      x1: LEFT,
      x2: WIDTH - RIGHT,
      y1: at,
      y2: at,
    });
    // Zero is written once where two axes share it.
    if (direction === "down" && tick === 0) return line;
    return line + label(print(tick), { x: LEFT - 8, y: at + 4 }, { class: "end" });
  });
  return Object.assign(y, { grid: lines.join("") });
}

export function panelHead({ title, legend }: PanelTitle, { top }: Frame): string {
  let text = label(title, { x: LEFT, y: top - 10 }, { class: "panel" });
  let x = LEFT + title.length * 7 + 12;
  for (const { className, text: name } of legend) {
    text += swatch(className, { x, y: top - 14 }) + label(name, { x: x + 20, y: top - 10 });
    x += 20 + name.length * 6.2 + 16;
  }
  return text;
}

function swatch(className: string, { x, y }: Point): string {
  return className === "line" || className === "bold" || className === "limit"
    ? element("line", { class: className, x1: x, x2: x + 14, y1: y, y2: y })
    : element("rect", { class: className, x, y: y - 5, width: 14, height: 10 });
}
